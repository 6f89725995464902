"""A folder that files are dropped into: which have come whole, taken into the archive before anything else."""

import errno
import os
import stat
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from domain.clock import Clock
from ingest.feeds import Feed
from ingest.files.archive import HEAD_BYTES, FileArchive, Mark, Receipt

_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lck", "~")
_WILD = frozenset("*?[")
_MEBIBYTE = 1024 * 1024
# Of one look, so that an end is not waited for long.
_TAKEN_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class InboxRules:
    """How long (seconds) a file must not have changed, the largest that is read (MiB), and where nothing is taken."""

    settled_seconds: float
    max_mb: int
    outside: Path


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: files taken, how many still wait, and what is wrong by path or folder."""

    taken: tuple[Receipt, ...]
    waiting: int
    problems: dict[str, str]


@dataclass(slots=True)
class Inbox:
    """The files of one feed, below `base` where its pattern is relative. Not for two threads at once.

    A file is taken once its size and times have stood still; hidden and unfinished names are not looked at, links and
    special files are refused. `claimed` is shared by the feeds of an installation: no file belongs to two.
    """

    feed: Feed
    base: Path
    archive: FileArchive
    rules: InboxRules
    clock: Clock
    claimed: MutableMapping[Path, str]
    _still: dict[Path, tuple[Mark, float]] = field(default_factory=dict)
    _known: dict[str, Mark] | None = None
    _content: dict[str, list[str]] = field(default_factory=dict)

    def look(self) -> Look:
        """One look at the folder; what has come whole is in the archive, with a receipt, when this returns."""
        known = self._read_receipts()
        taken: list[Receipt] = []
        problems: dict[str, str] = {}
        waiting, seen = 0, set()
        for path in self._paths(problems):
            name = self.name(path)
            try:
                mark = self._mark(path)
                if known.get(name) == mark:
                    continue
                seen.add(path)
                if not self._settled(path, mark) or len(taken) == _TAKEN_AT_ONCE:
                    waiting += 1
                    continue
                waiting += not self._take(path, name, mark, taken)
            except _Refused as refused:
                problems[name] = str(refused)
            except FileNotFoundError:
                continue  # gone between the listing and now
            except OSError as error:
                problems[name] = f"{name}: {_reason(error)}"
        for path in self._still.keys() - seen:
            del self._still[path]
        return Look(tuple(taken), waiting, problems)

    def name(self, path: Path) -> str:
        """What the file is called: its path below the settings' folder."""
        return path.relative_to(self.base).as_posix() if path.is_relative_to(self.base) else str(path)

    def _read_receipts(self) -> dict[str, Mark]:
        if self._known is None:
            self._known = {}
            for receipt in self.archive.receipts(self.feed.name):
                self._remember(self._known, receipt)
        return self._known

    def _remember(self, known: dict[str, Mark], receipt: Receipt) -> None:
        known[receipt.name] = receipt.mark
        self._content.setdefault(receipt.name, []).append(receipt.sha256)

    def _paths(self, problems: dict[str, str]) -> Iterator[Path]:
        """What the pattern finds, by name; a folder that cannot be listed is a problem, no error."""
        root, inner = fixed_part(self.base, str(self.feed.path_glob))
        try:
            with os.scandir(root):
                pass
            found = sorted(root.glob(inner), key=Path.as_posix)
        except OSError as error:
            problems[self.name(root)] = f"folder {self.name(root)}: {_reason(error)}"
            return
        for path in found:
            if unfinished(path.name) or stat.S_ISDIR(_mode(path)) or self._is_outside(path):
                continue
            if self.claimed.setdefault(path, self.feed.name) != self.feed.name:
                problems[self.name(path)] = f"{self.name(path)}: feed {self.claimed[path]} claims it too; it has it"
                continue
            yield path

    def _is_outside(self, path: Path) -> bool:
        return Path(os.path.normpath(path)).is_relative_to(self.rules.outside)

    def _mark(self, path: Path) -> Mark:
        told = os.lstat(path)
        if stat.S_ISLNK(told.st_mode):
            raise _Refused(f"{self.name(path)}: a link, not a file; not read")
        if not stat.S_ISREG(told.st_mode):
            raise _Refused(f"{self.name(path)}: not a regular file; not read")
        root = fixed_part(self.base, str(self.feed.path_glob))[0]
        if not path.resolve().is_relative_to(root.resolve()):
            raise _Refused(f"{self.name(path)}: a link leads out of {self.name(root)}; not read")
        return _mark_of(told)

    def _settled(self, path: Path, mark: Mark) -> bool:
        now = self.clock.monotonic()
        before = self._still.get(path)
        if before is None or before[0] != mark:
            self._still[path] = (mark, now)
            return self.rules.settled_seconds <= 0
        return now - before[1] >= self.rules.settled_seconds

    def _take(self, path: Path, name: str, mark: Mark, taken: list[Receipt]) -> bool:
        """Keep the file, and add its receipt where its content is new; False for one that changed meanwhile."""
        limit = self.rules.max_mb * _MEBIBYTE
        refused = f"larger than files.max_mb ({self.rules.max_mb}), its beginning is kept" if mark.size > limit else ""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb", buffering=0) as file:
            if _mark_of(os.fstat(handle)) != mark:
                return False
            digest, size = self.archive.take(self.feed.name, file, HEAD_BYTES if refused else None)
            if _mark_of(os.fstat(handle)) != mark or size != mark.size:
                return False
        known = self._read_receipts()
        if digest in self._content.get(name, ()):
            known[name] = mark  # touched, or sent again as it was
            return True
        called = f"{name}@{digest[:12]}" if name in known else name
        receipt = Receipt(self.feed.name, name, called, digest, size, self.clock.now_ns(), mark, refused)
        self.archive.note(receipt)
        self._remember(known, receipt)
        taken.append(receipt)
        return True


class _Refused(Exception):
    """A path nothing is read from; the text says why."""


def fixed_part(base: Path, pattern: str) -> tuple[Path, str]:
    """The folder a pattern looks in, and the pattern from there on."""
    parts = PurePath(pattern).parts
    wild = next((at for at, part in enumerate(parts) if _WILD & set(part)), len(parts) - 1)
    return base.joinpath(*parts[:wild]), str(PurePath(*parts[wild:]))


def unfinished(name: str) -> bool:
    """Whether a file of this name is one that is still being written, or hidden."""
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)


def _mode(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _mark_of(told: os.stat_result) -> Mark:
    return Mark(told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "does not exist"
    return (error.strerror or str(error)).lower()
