"""Large files of a tie-out read in processes beside this one, to the same records, before their turn comes."""

import copyreg
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Condition, Thread
from types import MappingProxyType
from typing import IO, Any

from app.reconcile_shelf import Laid, taken
from ingest.feeds import Feed
from ingest.files.arrival import Arrival
from ingest.files.batch import FileBatch, Work
from ingest.files.csv_map import CsvMap
from ingest.normalise import Normalised, RawBatch
from ingest.normalise_reference import Reference

# Less than this is read before another process would have started.
WORTH_BYTES = 32 * 2**20
MOST_READERS = 3
# A smaller file is read sooner than it is handed over.
LEAST_BYTES = 64 * 2**10
# The code that runs here, whatever folder this was started in.
_START = "import sys; sys.path[:0] = sys.argv[1:]; from app.reconcile_reader import main; main()"
# A file, or the number of a part of a log.
Key = Path | int


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read, as its feed says."""

    path: Path
    name: str
    feed: Feed
    mapping: CsvMap


@dataclass(frozen=True, slots=True)
class Terms:
    """What every file is read with; `folder` is where records are laid. `jit` asks for the compiled lane."""

    reference: Reference
    folder: Path
    worth_bytes: int
    jit: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A file that was read: `batch` as its feed has it, its records in a file of their own."""

    sha256: str
    size: int
    batch: FileBatch
    laid: Laid
    arrived: Arrival


def _shown(mapping: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(mapping)


class _Pickler(pickle.Pickler):
    """Read-only mappings go as what they show."""

    dispatch_table = MappingProxyType(
        {**copyreg.dispatch_table, MappingProxyType: lambda shown: (_shown, (dict(shown),))}
    )


def sent(value: object, out: IO[bytes]) -> None:
    """One value into a pipe between these processes."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    out.write(buffer.getbuffer())
    out.flush()


@dataclass(slots=True)
class Ahead:
    """Files, and parts of long logs, that other processes read; who comes first takes what waits.

    What a reader cannot read, for whatever reason, is left to this process, which then says why.
    """

    _readers: Sequence[subprocess.Popen[bytes]]
    _waiting: dict[Key, Job | RawBatch] = field(default_factory=dict)
    _taken: set[Key] = field(default_factory=set)
    _answers: dict[Key, Any] = field(default_factory=dict)
    # Parts that others read, until they have: this process reads them where they could not.
    _given: dict[Key, RawBatch] = field(default_factory=dict)
    _changed: Condition = field(default_factory=Condition)
    _threads: list[Thread] = field(default_factory=list)
    _idle: int = 0
    _parts: int = 0
    _over: bool = False

    def begin(self, jobs: Mapping[Path, Job], terms: Terms) -> None:
        """Hand out the jobs, the largest files first."""
        sizes = {path: path.stat().st_size for path in jobs if path.is_file()}
        order = sorted((path for path, size in sizes.items() if size >= LEAST_BYTES), key=lambda path: -sizes[path])
        with self._changed:
            self._waiting = {path: jobs[path] for path in order}
        lean = replace(terms, reference=replace(terms.reference, jit=None, resolved={}))
        self._threads = [Thread(target=self._serve, args=(reader, lean), daemon=True) for reader in self._readers]
        for thread in self._threads:
            thread.start()

    def take(self, path: Path) -> Answer | None:
        """What was read of this file, once it was; None where it is this process's to read."""
        with self._changed:
            self._waiting.pop(path, None)
            found: Answer | None = self._answer(path) if path in self._taken else None
            return found

    def share(self, runs: Iterable[RawBatch], work: Work) -> list[Normalised]:
        """What each run of a log gives, in their order, read by readers with nothing else to do and by this process."""
        found: list[Normalised | int] = []
        for run in runs:
            part = self._offered(run)
            found.append(work(run) if part is None else part)
        return [self._done(one, work) if isinstance(one, int) else one for one in found]

    def _offered(self, run: RawBatch) -> int | None:
        with self._changed:
            if self._idle <= len(self._waiting):
                return None
            self._parts += 1
            self._waiting[self._parts] = self._given[self._parts] = run
            self._changed.notify_all()
            return self._parts

    def _done(self, part: int, work: Work) -> Normalised:
        with self._changed:
            waits = self._waiting.pop(part, None) is not None
            laid: Laid | None = None if waits else self._answer(part)
        return work(self._given.pop(part)) if laid is None else taken(laid)

    def _answer(self, key: Key) -> Any:
        self._changed.wait_for(lambda: key in self._answers)
        return self._answers.pop(key)

    def _serve(self, reader: subprocess.Popen[bytes], terms: Terms) -> None:
        """Job after job, until all is over or the reader is gone."""
        assert reader.stdin is not None and reader.stdout is not None
        key: Key | None = None
        with suppress(Exception):  # whatever ends a reader, what it had is read here
            sent(terms, reader.stdin)
            while (taken_one := self._next()) is not None:
                key, job = taken_one
                sent(job, reader.stdin)
                self._tell(key, pickle.load(reader.stdout))  # noqa: S301 - written by our own child
        if key is not None:
            self._tell(key, None)

    def _next(self) -> tuple[Key, Job | RawBatch] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._over or bool(self._waiting))
            self._idle -= 1
            if self._over:
                return None
            key = next(iter(self._waiting))
            self._taken.add(key)
            return key, self._waiting.pop(key)

    def _tell(self, key: Key, answer: object) -> None:
        with self._changed:
            self._answers.setdefault(key, answer)
            if answer is not None:
                self._given.pop(key, None)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more is taken; the readers end."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for reader in self._readers:
            reader.kill()
            reader.wait()
        for thread in self._threads:
            thread.join()
        for reader in self._readers:
            for pipe in (reader.stdin, reader.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()


@contextmanager
def readers(size: int, worth: int = WORTH_BYTES) -> Iterator[Ahead | None]:
    """Readers getting ready where files of `size` bytes in all are worth it and there are processors; else None."""
    count = min((os.cpu_count() or 1) - 1, MOST_READERS)
    if size < worth or count < 1:
        yield None
        return
    command = [sys.executable, "-P", "-c", _START, str(Path(__file__).parents[1])]
    piped = subprocess.PIPE
    ahead = Ahead(
        [subprocess.Popen(command, stdin=piped, stdout=piped, stderr=subprocess.DEVNULL) for _ in range(count)]
    )
    try:
        yield ahead
    finally:
        ahead.end()
