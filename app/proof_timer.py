"""The nightly proof's timer: once a day after its time, beside the worker, when there is nothing else to do."""

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.proof import Prover, newest_proof
from app.proof_settings import ProofSettings
from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from matching.finish import rows_of

logger = logging.getLogger(__name__)
_SECOND_NS = 1_000_000_000
_FIRST_RUN = "SELECT min(as_of) AS first_run FROM execution_log"


@dataclass(slots=True)
class NightlyProof:
    """Starts a proof in a thread of its own; the due time is worked out from what is on record, so a restart that
    slept through it makes up for it, and one proof a night is enough for several restarts."""

    prover: Prover
    settings: ProofSettings
    clock: Clock
    _thread: threading.Thread | None = None
    _next: int | None = None
    _quiet_until: float = field(default=float("-inf"))

    def start_if_due(self) -> bool:
        """Start a proof if one is due and none runs; True when it was started."""
        if not self.settings.enabled or self.running or self.clock.monotonic() < self._quiet_until:
            return False
        if self._next is None:
            self._next = self.due()
        if self._next is None or self._next > self.clock.now_ns():
            # Nothing was matched yet, or it is a while off: look again in a minute at the earliest.
            self._quiet_until = self.clock.monotonic() + 60
            return False
        self._next = None
        self._thread = threading.Thread(target=self._prove, name="proof", daemon=True)
        self._thread.start()
        return True

    @property
    def running(self) -> bool:
        """Whether a proof is being made."""
        return self._thread is not None and self._thread.is_alive()

    def due(self) -> int | None:
        """When the next proof is due (UTC ns): the first such time after the last proof, else after the first run."""
        last = newest_proof(self.prover.warehouse)
        since = last["ran_at"] if last else rows_of(self.prover.warehouse.query(_FIRST_RUN))[0]["first_run"]
        return None if since is None else next_after(since, self.settings)

    def wait(self, seconds: float) -> None:
        """Wait for a running proof, for at most `seconds`."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _prove(self) -> None:
        try:
            proof = self.prover.run()
            (logger.error if proof.differences else logger.info)("nightly %s", proof.text())
        except (TransientError, PermanentError) as error:
            logger.warning("the nightly proof could not be made: %s", error)
        except Exception:
            logger.exception("the nightly proof failed")


def next_after(since_ns: int, settings: ProofSettings) -> int:
    """The first time of day of the settings after `since_ns`, both UTC ns."""
    zone = ZoneInfo(settings.zone)
    hour, minute = map(int, settings.at.split(":"))
    day = datetime.fromtimestamp(since_ns // _SECOND_NS, zone)
    at = day.replace(hour=hour, minute=minute, second=0, microsecond=0)
    while int(at.timestamp()) * _SECOND_NS <= since_ns:
        at = (at + timedelta(days=1)).replace(hour=hour, minute=minute)
    return int(at.timestamp()) * _SECOND_NS
