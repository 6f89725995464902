"""Keeping the raw log: whole segments are sealed in idle moments, and let go when their retention class says so."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from app.archive_settings import ArchiveSettings
from app.build_engine import ServiceEngine
from app.paths import DataDir
from app.settings import Settings
from domain.errors import PermanentError
from ingest.originals import Originals
from ingest.streams.archive import Archive
from orchestrator.ledger import Ledger

logger = logging.getLogger(__name__)

_DAY_NS = 86_400 * 1_000_000_000


def originals(settings: Settings) -> Originals:
    """Messages as they were received: the warehouse's copies, and the raw log behind them."""
    return Originals(Archive(DataDir(settings.data_dir).raw))


@dataclass(frozen=True, slots=True)
class Keeper:
    """The raw log of one installation under its settings."""

    settings: Settings
    ledger: Ledger
    engine: ServiceEngine

    def step(self, now_ns: int) -> bool:
        """Seal one segment, or let go what may go; True when a segment was sealed and there may be more to do.

        Damage in a segment stops the work on its lane, is logged, and leaves its files as they are.
        """
        archive = Archive(DataDir(self.settings.data_dir).raw)
        rules: ArchiveSettings = self.settings.archive
        # A parked batch is read again when it is redriven, however old it is.
        parked = bool(self.engine.counts().get("FAILED", 0))
        # What was planned has come out of whatever stream it went through: no reader is behind it.
        taken = self.ledger.marks() if rules.keep_days and not parked else {}
        for lane in archive.lanes():
            try:
                if rules.seal and archive.seal(lane, 1):
                    return True
                days = rules.days(self._feeds().get(lane, ""))
                if days is not None:
                    gone = archive.let_go(lane, now_ns - days * _DAY_NS, taken.get(lane, 0))
                    if gone:
                        logger.info("%d segments let go after %d days", gone, days, extra={"lane": lane})
            except PermanentError as error:
                logger.error("archive: %s", error, extra={"lane": lane})
        return False

    def _feeds(self) -> Mapping[str, str]:
        return {feed.session.name: feed.name for feed in self.settings.feeds if feed.session is not None}
