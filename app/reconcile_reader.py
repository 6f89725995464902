"""A process that reads files of a tie-out for another one: terms and jobs on its input, answers on its output."""

import pickle
import sys
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import IO

from app.reconcile_ahead import Answer, Job, Terms, sent
from app.reconcile_memory import seldom_collected
from app.reconcile_shelf import Shelf
from app.reconcile_store import without_raw
from domain.errors import PermanentError
from ingest.files.batch import batch_from_file, received
from ingest.files.file_dialect import file_dialect, is_file_dialect
from ingest.files.sequence import with_gaps
from ingest.fix.codec.jit import Jit
from ingest.normalise import RawBatch, normalise


def read(job: Job, terms: Terms, shelf: Shelf) -> Answer | None:
    """The file as `app.reconcile_folder` reads it; None where it is not to be used, whatever the reason."""
    feed = job.feed
    try:
        data = job.path.read_bytes()
        dialect = file_dialect(feed.dialect) if is_file_dialect(feed.dialect) else None
        batch = batch_from_file(
            data, job.name, feed, job.mapping, terms.reference, recorded=True, dialect=dialect, lay=shelf.lay
        )
    except (PermanentError, OSError, ValueError, LookupError, ArithmeticError):
        return None
    if not set(batch.normalised.messages["outcome"].unique().to_pylist()) - {"IGNORED"}:
        return None
    batch, arrived = received(with_gaps(batch, feed, job.name), feed)
    lean = replace(batch.normalised, messages=without_raw(batch.normalised.messages))
    bad = lean.quarantine["message_id"].to_pylist()
    lines = {key: batch.lines[key] for key in bad if key in batch.lines}
    laid = shelf.put(lean)
    return Answer(sha256(data).hexdigest(), len(data), replace(batch, normalised=laid.rest, lines=lines), laid, arrived)


def serve(given: IO[bytes], told: IO[bytes]) -> None:
    """Answer job after job until there are no more."""
    terms: Terms = pickle.load(given)  # noqa: S301 - from our own parent
    if terms.jit:
        jit = Jit()
        jit.warm()
        terms = replace(terms, reference=replace(terms.reference, jit=jit))
    shelf = Shelf(terms.folder, terms.worth_bytes, own=True)
    while True:
        job: Job | RawBatch = pickle.load(given)  # noqa: S301
        if isinstance(job, RawBatch):
            sent(shelf.put(normalise(job, terms.reference)), told)
        else:
            sent(read(job, terms, shelf), told)


def main() -> None:
    """Serve the process that started this one, until it closes the pipe."""
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt), seldom_collected():
        serve(sys.stdin.buffer, sys.stdout.buffer)
