"""A backup of one installation, taken while it runs: a folder that `tieout restore` proves and puts back."""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from app.files import write_json
from app.paths import DataDir
from app.settings import Settings
from domain.clock import Clock
from domain.errors import PermanentError
from ingest.files.archive import FileArchive
from ingest.streams.durable import sync_directory
from ingest.streams.segment_copy import copy_lane
from ingest.streams.segment_files import lane_directory, lane_names
from warehouse.duckdb import DuckDbWarehouse
from warehouse.port import Warehouse

Json = dict[str, Any]
MANIFEST = "backup.json"
_FORMAT = 1
_HASH_BYTES = 1024 * 1024
# Whole files of the data directory that only their owner writes, and seldom.
_SMALL = ("tickets.secret.json", "forward.json")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup holds: its folder, files, bytes, and messages of the raw log."""

    folder: Path
    files: int
    size_bytes: int
    messages: int


def back_up(settings: Settings, warehouse: Warehouse, clock: Clock, folder: Path) -> Copied:
    """Copy the installation into `folder`, new or empty, while it goes on working.

    The order makes the copies agree without stopping anything. The engine with the ledger comes first, then the
    warehouse, the tickets, the files received, and the raw log last: each may know more than the one before, never
    less. What the later ones know more is found again under its own names, so nothing is lost and nothing happens
    twice. A folder without its manifest is no backup: it is written last. Raises PermanentError when the folder is not
    empty or the warehouse is not a file.
    """
    if not isinstance(warehouse, DuckDbWarehouse):
        raise PermanentError("backup: the warehouse is not a file of this installation; back it up where it is")
    data, target = DataDir(settings.data_dir), DataDir(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PermanentError(f"{folder}: not an empty folder; a backup never writes over anything")
    if folder.resolve().is_relative_to(data.root.resolve()):
        raise PermanentError(f"{folder}: is inside the data directory; a backup belongs elsewhere")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    taken_at = clock.now_ns()
    _copy_sqlite(data.engine, target.engine)
    _copy_folder(data.audit_roots.parent, target.audit_roots.parent)
    warehouse.copy_to(target.warehouse)
    _copy_sqlite(data.tickets, target.tickets)
    _copy_folder(data.dictionaries, target.dictionaries)
    for name in _SMALL:
        if (data.root / name).is_file():
            shutil.copy2(data.root / name, folder / name)
    _copy_folder(data.sessions, target.sessions)
    # What was received meanwhile is read under its own name by whoever finds its receipt.
    FileArchive(data.files).copy_to(target.files)
    lanes = {
        lane: copy_lane(lane_directory(data.raw, lane), lane_directory(target.raw, lane))
        for lane in lane_names(data.raw)
    }
    files = {str(path.relative_to(folder)): _fingerprint(path) for path in _files(folder)}
    manifest = {
        "format": _FORMAT,
        "version": metadata.version("tieout"),
        "tenant": settings.tenant,
        "taken_at": taken_at,
        "lanes": lanes,
        "files": files,
    }
    write_json(folder / MANIFEST, manifest)
    sync_directory(folder)
    return Copied(folder, len(files), sum(item["bytes"] for item in files.values()), sum(lanes.values()))


def verified(folder: Path) -> Json:
    """The manifest of a backup whose every file is as it was written. Raises PermanentError that names what is not."""
    from app.files import read_json

    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise PermanentError(f"{folder}: no complete backup ({MANIFEST} is missing or of another kind)")
    known: Json = manifest["files"]
    there = {str(path.relative_to(folder)) for path in _files(folder)} - {MANIFEST}
    for name in sorted(set(known) | there):
        if name not in there:
            raise PermanentError(f"{folder}: {name} is missing")
        if name not in known:
            raise PermanentError(f"{folder}: {name} is no part of this backup")
        if _fingerprint(folder / name) != known[name]:
            raise PermanentError(f"{folder}: {name} is not as it was written")
    return manifest


def _copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's own online copy: one consistent state, whoever writes meanwhile."""
    if not source.is_file():
        return
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(target)) as there,
    ):
        here.backup(there)
    _sync(target)


def _copy_folder(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=lambda _, names: [name for name in names if name.startswith(".")])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fingerprint(path: Path) -> Json:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BYTES):
            digest.update(block)
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
