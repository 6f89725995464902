"""manifest.json of a simulated folder: what was asked for, what is in it, and every file with its size and hash."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

NAME = "manifest.json"
_MADE_BY = "tieout simulate"
_BLOCK_BYTES = 1 << 20


class OutputRefused(Exception):
    """The folder cannot be written to; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: size in bytes, SHA-256 of its content, rows or messages it holds."""

    bytes: int
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A run and its files.

    `counts` are totals by name, `bookings` live records per broker, `breaks` labels by code, `short` how many labels
    of a code no trade could carry.
    """

    profile: str
    seed: int
    trade_dates: tuple[str, ...]
    sources: tuple[str, ...]
    counts: Mapping[str, int]
    bookings: Mapping[str, int]
    breaks: Mapping[str, int]
    short: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, FileEntry] = field(default_factory=dict)


def claim(folder: Path) -> None:
    """Make `folder`, or empty it of the files an earlier run left. Raises OutputRefused when others made it.

    Only what the earlier manifest lists is removed: a service's data beside it stays.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputRefused(f"{folder}: is not a folder")
    if folder.is_dir() and any(folder.iterdir()):
        for name in _listed(folder):
            (folder / name).unlink(missing_ok=True)
        for inner in sorted((path for path in folder.glob("*") if path.is_dir()), reverse=True):
            if not any(inner.iterdir()):
                inner.rmdir()
    folder.mkdir(parents=True, exist_ok=True)
    # Claimed from the first moment on, so that a run that was cut short can be repeated.
    (folder / NAME).write_text(json.dumps({"made_by": _MADE_BY, "files": {}}) + "\n", encoding="utf-8")


def _listed(folder: Path) -> list[str]:
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if content["made_by"] == _MADE_BY:
            return [name for name in content["files"] if ".." not in Path(name).parts and not Path(name).is_absolute()]
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise OutputRefused(f"{folder}: not empty and not made by tieout simulate; give another folder with --out")


def entry(path: Path, rows: int) -> FileEntry:
    """The entry of a file on disk, read in blocks."""
    digest, size = sha256(), 0
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return FileEntry(size, digest.hexdigest(), rows)


def write(manifest: Manifest, folder: Path) -> Path:
    """Write the manifest into the folder and return its path."""
    content: dict[str, Any] = {"made_by": _MADE_BY, **asdict(manifest)}
    content["files"] = {name: content["files"][name] for name in sorted(content["files"])}
    path = folder / NAME
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
