"""Files as they came: every one kept once by its content, compressed and durable, with a note of each receipt."""

import json
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, unquote

import pyarrow as pa

from domain.errors import PermanentError
from ingest.streams.durable import sync_directory
from warehouse.durable import replace_with

# Of a file that is too large the beginning is kept, as evidence of what it was.
HEAD_BYTES = 65_536
_PIECE_BYTES = 1024 * 1024
_NOTES = "receipts.jsonl"
_OWNER_ONLY = 0o600


class Mark(NamedTuple):
    """By which a file is known not to have changed: size, times of content and of status (ns), and inode."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One file as it was received.

    `name` is its path below the settings' folder, `called` the name its rows go by: the same, and for another content
    under a name that is known `name@` and the beginning of its hash. `refused` says why only its beginning is kept.
    """

    feed: str
    name: str
    called: str
    sha256: str
    size: int
    received_ns: int
    mark: Mark
    refused: str = ""


@dataclass(frozen=True, slots=True)
class FileArchive:
    """The files below `root`, a folder per feed. One process takes files in; any may read."""

    root: Path

    def feeds(self) -> list[str]:
        """Names of the feeds that received something, sorted."""
        found = sorted(self.root.iterdir()) if self.root.is_dir() else []
        return [unquote(path.name) for path in found if (path / _NOTES).is_file()]

    def take(self, feed: str, source: BinaryIO, limit: int | None = None) -> tuple[str, int]:
        """Keep what `source` holds, on disk before this returns; its SHA-256 and size. The same content is kept once.

        With `limit` only so many bytes of it are kept, the hash is of all.
        """
        folder = self._folder(feed)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (self.root, self.root.parent):
            sync_directory(path)
        digest, size = sha256(), 0
        # One process takes files in, one after another: what stands under this name is of a process that died.
        temporary = folder / ".taking"
        temporary.unlink(missing_ok=True)
        file = os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb")
        # The stream closes the file it writes to.
        with pa.CompressedOutputStream(pa.PythonFile(file, "w"), "zstd") as packed:
            while piece := source.read(_PIECE_BYTES):
                digest.update(piece)
                packed.write(piece if limit is None else piece[: max(limit - size, 0)])
                size += len(piece)
        name = digest.hexdigest()
        replace_with(self._path(feed, name), temporary)
        return name, size

    def note(self, receipt: Receipt) -> None:
        """Record a receipt, on disk before this returns."""
        path = self._folder(receipt.feed) / _NOTES
        _cut_torn(path)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY), "wb") as file:
            file.write(json.dumps(asdict(receipt), sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)

    def receipts(self, feed: str) -> list[Receipt]:
        """Every receipt of a feed, oldest first; a note that was cut off is none."""
        try:
            lines = (self._folder(feed) / _NOTES).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        rows = [json.loads(line) for line in lines]
        return [Receipt(**{**row, "mark": Mark(*row["mark"])}) for row in rows]

    def read(self, feed: str, name: str) -> bytes:
        """The bytes of the file with this SHA-256. Raises PermanentError when they are gone or not what they were."""
        data = self.head(feed, name)
        if sha256(data).hexdigest() != name:
            raise PermanentError(f"archive of files: {name[:16]} of {feed} is not what was received")
        return data

    def head(self, feed: str, name: str) -> bytes:
        """What is kept of it, unchecked: of a file that was too large its beginning."""
        try:
            with pa.input_stream(str(self._path(feed, name)), compression="zstd") as file:
                return bytes(file.read())
        except FileNotFoundError:
            raise PermanentError(f"archive of files: {name[:16]} of {feed} is not here any more") from None
        except OSError as error:
            raise PermanentError(f"archive of files: {name[:16]} of {feed} cannot be read: {error}") from None

    def holds(self, feed: str, name: str) -> bool:
        """Whether the file is still here."""
        return self._path(feed, name).is_file()

    def let_go(self, feed: str, before_ns: int, done: Collection[str]) -> int:
        """Delete the bytes of files received before a time (UTC ns) that are `done`, by SHA-256; returns how many.

        The notes stay: a file that was let go is still known when it comes again.
        """
        newest: dict[str, int] = {}
        for receipt in self.receipts(feed):
            newest[receipt.sha256] = max(newest.get(receipt.sha256, 0), receipt.received_ns)
        old = [name for name, at in newest.items() if at < before_ns and name in done and self.holds(feed, name)]
        for name in old:
            self._path(feed, name).unlink(missing_ok=True)
        return len(old)

    def copy_to(self, root: Path) -> None:
        """Write all of it below another folder, receipts before files: none is copied without the file it names."""
        for feed in self.feeds():
            source, target = self._folder(feed), FileArchive(root)._folder(feed)
            target.mkdir(parents=True, mode=0o700)
            notes = (source / _NOTES).read_bytes()
            (target / _NOTES).write_bytes(notes[: notes.rfind(b"\n") + 1])
            (target / _NOTES).chmod(_OWNER_ONLY)
            for path in sorted(source.glob("*.zst")):
                shutil.copy2(path, target / path.name)

    def check(self) -> int:
        """Read every file that is here and hold it against its name; returns how many. Raises PermanentError."""
        count = 0
        for feed, receipt in self._kept():
            if not receipt.refused:
                self.read(feed, receipt.sha256)
            count += 1
        return count

    def _kept(self) -> Iterator[tuple[str, Receipt]]:
        for feed in self.feeds():
            known = {receipt.sha256: receipt for receipt in self.receipts(feed)}
            yield from ((feed, receipt) for name, receipt in known.items() if self.holds(feed, name))

    def _folder(self, feed: str) -> Path:
        # No name of a feed can leave `root`.
        return self.root / quote(feed, safe="").replace(".", "%2E")

    def _path(self, feed: str, name: str) -> Path:
        return self._folder(feed) / f"{name}.zst"


def _cut_torn(path: Path) -> None:
    """Take away the beginning of a note that a crash cut off, so that the next one is a line by itself."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
            file.flush()
            os.fsync(file.fileno())
