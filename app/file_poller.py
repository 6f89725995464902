"""Looks at the folders of the feeds of files, and starts an execution of the state machine for every file received."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from app.alerts import settle
from app.beside import begin, counts_as
from app.file_feeds import KIND, archive_of, unread
from app.file_settings import reads_files
from app.installation import Installation
from domain.errors import PermanentError, TransientError
from domain.ids import digest128
from ingest.files.archive import FileArchive, Receipt
from ingest.files.inbox import Inbox, InboxRules, Look
from orchestrator.port import FINISHED

logger = logging.getLogger(__name__)

ALERT_KIND = "files"
REFERENCE = "reference"


@dataclass(slots=True)
class _Watched:
    inbox: Inbox
    due: float = float("-inf")
    look: Future[Look] | None = None
    looks: int = 0
    waiting: int = 0
    pending: deque[Receipt] = field(default_factory=deque)
    running: str | None = None
    told: dict[str, str] | None = None

    @property
    def quiet(self) -> bool:
        return bool(self.looks) and not self.waiting and not self.pending and self.running is None


class FilePoller:
    """Takes what was dropped into the folders: one execution of a feed at a time, feeds of reference data first.

    Looking and copying happen on a thread of their own, so that a large file or a slow disk holds up no lane. What was
    received and not read when the process ended is found again among the receipts.
    """

    def __init__(self, installation: Installation) -> None:
        settings = installation.settings
        self._here, self._archive = installation, archive_of(settings)
        rules = InboxRules(settings.files.settled_seconds, settings.files.max_mb, settings.data_dir)
        base, claimed = settings.files.root, dict[Path, str]()
        feeds = [feed for feed in settings.feeds if reads_files(feed)]
        self._watched = {
            feed.name: _Watched(Inbox(feed, base, self._archive, rules, installation.clock, claimed))
            for feed in sorted(feeds, key=lambda feed: feed.contents != REFERENCE)
        }
        self._pool: ThreadPoolExecutor | None = None
        self._recovered = False
        self._then: list[tuple[int, Callable[[], None]]] = []

    @property
    def archive(self) -> FileArchive:
        """Where files are kept."""
        return self._archive

    @property
    def idle(self) -> bool:
        """True when every folder was looked at and all that came is reconciled."""
        return not self._then and self._quiet

    @property
    def _quiet(self) -> bool:
        return all(watched.quiet for watched in self._watched.values())

    @property
    def looks(self) -> int:
        """How many looks at its folder the feed looked at least often has had."""
        return min((watched.looks for watched in self._watched.values()), default=0)

    def waiting(self) -> dict[str, int]:
        """Files per feed that are there and not read yet."""
        return {
            name: watched.waiting + len(watched.pending) + (watched.running is not None)
            for name, watched in self._watched.items()
        }

    def then(self, action: Callable[[], None]) -> None:
        """Do something once all that is in the folders by now is reconciled; at once where no feed has files."""
        if not self._watched:
            action()
            return
        # The look that is under way may be of before now.
        self._then.append((self.looks + 2, action))
        for watched in self._watched.values():
            watched.due = float("-inf")

    def step(self) -> bool:
        """One round over the feeds; True when an execution was started or ended."""
        if not self._watched:
            return False
        if not self._recovered:
            self._recover()
        moved = False
        for watched in self._watched.values():
            moved |= self._end(watched)
            self._look(watched)
        for watched in self._ready():
            # Only what was started leaves the queue: a warehouse or an engine out of reach is asked again.
            watched.running = self._start(watched.pending[0])
            watched.pending.popleft()
            moved = True
        if self._then and self.looks >= self._then[0][0] and self._quiet:
            self._then.pop(0)[1]()
        return moved

    def close(self) -> None:
        """Wait for the copy under way; what it has received is found again by the next process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _recover(self) -> None:
        """Receipts whose file no execution has read: of a process that ended in between."""
        for name, watched in self._watched.items():
            left = unread(self._archive, self._here.warehouse, name)
            # Of those the engine has, one may still run, and the others are parked until somebody redrives them.
            watched.pending.extend(one for one in left if self._status(one) not in FINISHED)
        self._recovered = True

    def _status(self, receipt: Receipt) -> str | None:
        try:
            return str(self._here.engine.describe(self._name(receipt)).status)
        except PermanentError:
            return None

    def _end(self, watched: _Watched) -> bool:
        if watched.running is None or self._here.engine.describe(watched.running).status not in FINISHED:
            return False
        watched.running = None
        return True

    def _look(self, watched: _Watched) -> None:
        """Begin a look that is due, on the other thread; take in one that is done."""
        if watched.look is not None:
            if not watched.look.done():
                return
            look, watched.look = watched.look, None
            pause = 0.0 if self._then and watched.looks < self._then[-1][0] else self._here.settings.files.poll_seconds
            watched.due = self._here.clock.monotonic() + pause
            self._take_in(watched, look)
        elif self._here.clock.monotonic() >= watched.due:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="files")
            watched.look = self._pool.submit(watched.inbox.look)

    def _take_in(self, watched: _Watched, look: Future[Look]) -> None:
        feed = watched.inbox.feed.name
        try:
            found = look.result()
        except (OSError, ValueError) as error:
            # A disk that is full, a pattern nobody can read: this feed waits, the others go on.
            found = Look((), 0, {feed: f"files cannot be taken in: {error}"})
        watched.looks, watched.waiting = watched.looks + 1, found.waiting
        watched.pending.extend(found.taken)
        for receipt in found.taken:
            logger.info("file received: %s, %d bytes", receipt.called, receipt.size, extra={"feed": feed})
        if found.problems != watched.told:
            for text in found.problems.values():
                logger.warning("%s", text, extra={"feed": feed})
            try:
                settle(self._here.warehouse, ALERT_KIND, feed, found.problems, "HIGH", self._here.clock.now_ns())
                watched.told = found.problems
            except TransientError as error:
                logger.warning("the alert waits: %s", error, extra={"feed": feed})

    def _ready(self) -> Iterator[_Watched]:
        """Feeds whose next file may be read: none beside reference data that is still to be read."""
        feeds = list(self._watched.values())
        first = [one for one in feeds if one.inbox.feed.contents == REFERENCE]
        busy = any(one.pending or one.running is not None or not one.looks for one in first)
        for watched in first if busy else feeds:
            if watched.pending and watched.running is None:
                yield watched

    def _name(self, receipt: Receipt) -> str:
        tenant = self._here.settings.tenant
        return f"file-{digest128(tenant, receipt.feed, receipt.called, receipt.sha256)}"

    def _start(self, receipt: Receipt) -> str:
        """The file's execution, started now where it was not before."""
        here, name = self._here, self._name(receipt)
        if self._status(receipt) is None:
            begin(
                here, name, KIND, counts_as(here, receipt.received_ns), lane=receipt.feed, count=1,
                called=receipt.called, file=receipt.sha256, size=receipt.size, refused=receipt.refused,
            )  # fmt: skip
        return name
