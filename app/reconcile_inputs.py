"""From arguments to normalised files: who sent each, what it is, one clear line when it cannot be used."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from app.report_words import count
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap, parse_map
from ingest.files.read import FileRefused
from ingest.normalise_reference import Reference

OURS = "OURS"
_PARTY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,40}")
_MAX_BYTES = 2 * 1024**3


class ReconcileError(Exception):
    """Files cannot be tied out; the text is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, read whole."""

    path: Path
    name: str
    feed: Feed
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """One input file, normalised."""

    source: Source
    batch: FileBatch


def sources(ours: Sequence[Path], against: Sequence[str]) -> list[Source]:
    """Every file with its feed, ours first. Raises ReconcileError for wrong arguments and unreadable files."""
    if not against:
        raise ReconcileError("nothing to tie out against: give --against FILE")
    given = [(path, OURS) for path in ours] + [party_and_path(text) for text in against]
    labels = _labels([path for path, _ in given])
    found: list[Source] = []
    seen: dict[str, str] = {}
    for (path, party), name in zip(given, labels, strict=True):
        data = read_file(path)
        digest = sha256(data).hexdigest()
        if digest in seen and data:
            raise ReconcileError(f"{path}: the same content as {seen[digest]}; give each file once")
        seen[digest] = str(path)
        feed = Feed(name=party, role="INTERNAL" if party == OURS else "PB", party=party, grace_seconds=60)
        found.append(Source(path, name, feed, data, digest))
    return found


def party_and_path(text: str) -> tuple[Path, str]:
    """`PB=FILE` or `FILE` (named by its stem) as path and party. Raises ReconcileError for anything else."""
    whole = Path(text)
    party, equals, rest = text.partition("=")
    if not equals or whole.exists():
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", whole.name.split(".")[0]).strip("_").upper()
        if not stem:
            raise ReconcileError(
                f"--against {text!r}: no file name to take the prime broker's name from; write PB=FILE"
            )
        party, rest = stem, text
    if not _PARTY.fullmatch(party) or not rest:
        raise ReconcileError(f"--against {text!r}: expected FILE or PB=FILE, such as NORTHGATE=files/today.csv")
    if party.upper() == OURS:
        raise ReconcileError(f"--against {text!r}: {OURS} is the name of our own side; choose another name")
    return Path(rest), party.upper()


def read_map(path: Path | None) -> CsvMap:
    """The column map, or an empty one. Raises ReconcileError or FileRefused."""
    if path is None:
        return CsvMap()
    try:
        return parse_map(read_file(path).decode("utf-8-sig"), str(path))
    except UnicodeDecodeError:
        raise ReconcileError(f"{path}: not a YAML text file") from None


def load(found: Sequence[Source], mapping: CsvMap) -> list[Loaded]:
    """Every file normalised. A map is used for the files that have its columns, and must fit at least one.

    Raises FileRefused for the first file that cannot be used; a draft map is written beside a CSV it would help.
    """
    reference = Reference(load_dialects())
    loaded = []
    fitted = not mapping.columns
    refusal: FileRefused | None = None
    for source in found:
        try:
            batch = batch_from_file(source.data, source.name, source.feed, mapping, reference)
            fitted = fitted or batch.kind == "csv"
        except FileRefused as error:
            if error.slug != "unknown_column":
                raise
            refusal = refusal or error
            batch = batch_from_file(source.data, source.name, source.feed, CsvMap(), reference)
        _must_hold_trades(source, batch)
        loaded.append(Loaded(source, batch))
    if not fitted:
        raise refusal or ReconcileError("--map: none of the files is a CSV file, so there is nothing to map")
    return loaded


def _must_hold_trades(source: Source, batch: FileBatch) -> None:
    if batch.normalised.trades.num_rows:
        return
    received = batch.normalised.messages.num_rows
    if not received:
        raise FileRefused(source.name, 0, "no_rows", "a header and no rows")
    bad = batch.normalised.quarantine.select(["message_id", "detail"]).to_pylist()
    unit = "message" if batch.kind == "fix" else "row"
    if not bad:
        raise FileRefused(source.name, 0, "no_trades", f"no trade in {count(received, unit)}")
    first = bad[0]
    line = batch.lines.get(first["message_id"], 0)
    raise FileRefused(
        source.name, line, "no_readable_row", f"none of {count(received, unit)} can be read, first: {first['detail']}"
    )


def write_draft(error: FileRefused, found: Sequence[Source]) -> str:
    """Write the refused file's draft map beside it; returns what to tell the user, empty when there is nothing to."""
    source = next((item for item in found if item.name == error.file), None)
    if error.draft_map is None or source is None:
        return ""
    target = source.path.with_name(f"{source.path.stem}.map.yaml")
    if target.exists():
        return f"; edit {target} and run again with --map {target}"
    try:
        target.write_text(error.draft_map, encoding="utf-8")
    except OSError:
        return "; give a map file with --map (docs/formats.md)"
    return f"; wrote {target}: fill in the marked lines and run again with --map {target}"


def read_file(path: Path) -> bytes:
    """The whole file. Raises ReconcileError saying why it cannot be read."""
    try:
        if path.is_dir():
            raise ReconcileError(f"{path}: is a directory, not a file")
        if path.stat().st_size > _MAX_BYTES:
            raise ReconcileError(f"{path}: larger than 2 GB; split it by account or day")
        return path.read_bytes()
    except OSError as error:
        raise ReconcileError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _labels(paths: Sequence[Path]) -> list[str]:
    """File names to show: the bare name, or the path as given where two files share a name."""
    names = [path.name for path in paths]
    return [path.name if names.count(path.name) == 1 else str(path) for path in paths]
