"""Putting a backup back: every file checked, copied into an empty data directory, and proved by a rebuild."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from app import build
from app.backup import MANIFEST, verified
from app.derived import derived_hash
from app.feed_terms import feed_terms
from app.file_feeds import LANE
from app.paths import DataDir
from app.settings import Settings
from app.supervise import hold
from domain.clock import Clock
from domain.errors import PermanentError
from ingest.files.archive import FileArchive
from ingest.streams.segment import SegmentStream
from matching.rebuild import rebuild
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Warehouse

_AT_ONCE = 50_000
_HASHES = "SELECT number, sha256 FROM raw_message WHERE session = :s AND number BETWEEN :first AND :last"
# Of the files the warehouse knows, those that came in by a folder; others were loaded from a lake.
_FILES = f"""
SELECT f.feed, f.name, f.file_id FROM file_manifest f WHERE EXISTS (
  SELECT 1 FROM raw_message m WHERE m.session = f.feed || '/' || f.name AND m.lane = '{LANE}' || f.feed)
ORDER BY f.feed, f.name
"""
_HIGHEST = "SELECT lane, max(number) AS last FROM raw_message GROUP BY lane"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back: files, messages of the raw log, Match runs replayed, and the hash they agree in."""

    data_dir: Path
    files: int
    messages: int
    runs: int
    derived: str


def restore(settings: Settings, folder: Path, clock: Clock) -> Restored:
    """Put the backup in `folder` into the settings' data directory, which must not hold anything.

    Before anything is kept the copy is proved: every file has its hash, those received their content's, the raw log
    can be read from end to end and holds every message the warehouse names byte for byte, and replaying every Match run
    gives the derived tables that were backed up.
    Raises PermanentError that says what does not hold; the data directory is then as it was.
    """
    data = DataDir(settings.data_dir)
    kept = {path.name for path in data.root.iterdir()} if data.root.is_dir() else set()
    if kept - {data.lock.name}:
        raise PermanentError(f"{data.root}: holds an installation already; restore into a new data_dir")
    manifest = verified(folder)
    if manifest["tenant"] != settings.tenant:
        raise PermanentError(f"{folder}: is of tenant {manifest['tenant']!r}, the settings say {settings.tenant!r}")
    data.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = hold(data)
    # Beside its place until it is proved, so that a restore that was cut off is nobody's installation.
    staging = DataDir(data.root / ".restoring")
    try:
        shutil.copytree(folder, staging.root, ignore=lambda _, names: [name for name in names if name == MANIFEST])
        runs, derived = _proved(settings, staging, manifest, clock)
        for path in sorted(staging.root.iterdir()):
            path.replace(data.root / path.name)
        data.create()
    finally:
        shutil.rmtree(staging.root, ignore_errors=True)
        os.close(lock)
    messages = sum(int(number) for number in manifest["lanes"].values())
    return Restored(data.root, len(manifest["files"]), messages, runs, derived)


def _proved(settings: Settings, staging: DataDir, manifest: Mapping[str, Any], clock: Clock) -> tuple[int, str]:
    warehouse = DuckDbWarehouse(staging.warehouse, clock=clock)
    try:
        migrate(warehouse)
        last = _read_through(staging.raw, warehouse)
        _check_files(FileArchive(staging.files), warehouse)
        for lane, number in manifest["lanes"].items():
            if last.get(lane, 0) != number:
                raise PermanentError(f"raw log: lane {lane} ends at {last.get(lane, 0)}, the backup says {number}")
        _check_lanes(warehouse, last)
        before = derived_hash(warehouse)
        rules = build.open_rules(settings)
        runs = rebuild(warehouse, rules, feeds=feed_terms(settings.feeds), tenant=settings.tenant)
        after = derived_hash(warehouse)
        if after != before:
            raise PermanentError(
                f"replaying {runs} runs gives other derived tables ({after[:16]}) than were backed up ({before[:16]});"
                " are these the rules and settings of then?"
            )
        warehouse.checkpoint()
    finally:
        warehouse.close()
    return runs, after


def _read_through(raw: Path, warehouse: Warehouse) -> dict[str, int]:
    """Read every message of every lane and hold it against the warehouse's hash of it; the last number of each lane."""
    log, last = SegmentStream(raw), {}
    for lane in log.lanes():
        position = None
        while True:
            batch = log.read(lane, position, _AT_ONCE)
            if not batch.envelopes:
                break
            position, last[lane] = batch.next, batch.envelopes[-1].last
            span = {"s": lane, "first": batch.envelopes[0].first, "last": last[lane]}
            known = warehouse.query(_HASHES, span)
            hashes = dict(zip(known["number"].to_pylist(), known["sha256"].to_pylist(), strict=True))
            for envelope in batch.envelopes:
                for number, message in enumerate(envelope.messages, envelope.first):
                    if hashes.get(number) not in (None, sha256(message).hexdigest()):
                        raise PermanentError(f"raw log: message {number} of {lane} is not the one the warehouse knows")
    return last


def _check_files(archive: FileArchive, warehouse: Warehouse) -> None:
    """Every file that is kept has its hash, and every file the warehouse knows by its content was received."""
    archive.check()
    known = {feed: {receipt.sha256 for receipt in archive.receipts(feed)} for feed in archive.feeds()}
    for row in warehouse.query(_FILES).to_pylist():
        if row["file_id"] not in known.get(row["feed"], ()):
            raise PermanentError(f"files: {row['name']} of {row['feed']} is in the warehouse and was never received")


def _check_lanes(warehouse: Warehouse, last: Mapping[str, int]) -> None:
    # Lanes of remote streams and of tables are not in the raw log.
    for row in warehouse.query(_HIGHEST).to_pylist():
        if row["lane"] in last and row["last"] > last[row["lane"]]:
            raise PermanentError(
                f"raw log: lane {row['lane']} ends at {last[row['lane']]}, the warehouse knows {row['last']}"
            )
