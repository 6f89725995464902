"""Looks at the tables of the settings and starts an execution of the state machine for what is new in one."""

import logging
from dataclasses import dataclass, field

from app.beside import begin, counts_as
from app.installation import Installation
from app.table_feeds import KIND, last_read, opened
from domain.errors import PermanentError, TransientError
from domain.ids import digest128
from ingest.feeds import Feed, TableSource
from ingest.tables import window
from orchestrator.port import FINISHED

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class TablePoller:
    """Looks at the tables of the settings now and then and starts an execution for what is new in one."""

    installation: Installation
    _due: dict[str, float] = field(default_factory=dict)
    _running: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, tuple[str | None, int]] = field(default_factory=dict)

    def step(self) -> bool:
        """One look at every table whose time has come; True when an execution was started."""
        started = False
        for feed in self.installation.settings.feeds:
            if feed.table is None or not self._free(feed) or not self._is_due(feed, feed.table):
                continue
            try:
                started |= self._look(feed, feed.table)
            except (TransientError, PermanentError) as error:
                logger.warning("the table waits: %s", error, extra={"feed": feed.name})
        return started

    def _free(self, feed: Feed) -> bool:
        name = self._running.get(feed.name)
        if name is not None and self.installation.engine.describe(name).status in FINISHED:
            del self._running[feed.name]
        return feed.name not in self._running

    def _is_due(self, feed: Feed, table: TableSource) -> bool:
        now = self.installation.clock.monotonic()
        if now < self._due.get(feed.name, float("-inf")):
            return False
        self._due[feed.name] = now + table.poll_seconds
        return True

    def _look(self, feed: Feed, table: TableSource) -> bool:
        here = self.installation
        after, _ = last_read(here.warehouse, feed)
        with opened(here.settings, table, here.warehouse) as source:
            found = window(source, table, after)
        # Rows that share the newest watermark may still come: the number in the window tells.
        if not found.rows or self._seen.get(feed.name) == (found.until, found.rows):
            return False
        as_of = counts_as(here, here.clock.now_ns())
        name = f"table-{digest128(here.settings.tenant, feed.name, after or '', found.until or '', str(as_of))}"
        begin(here, name, KIND, as_of, lane=feed.name, after=after, until=found.until, count=found.rows)
        self._running[feed.name], self._seen[feed.name] = name, (found.until, found.rows)
        return True
