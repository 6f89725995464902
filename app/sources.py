"""What else brings work to the worker: pollers and watches, each of which fails by itself and waits by itself."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from app.settings import SettingsError
from domain.clock import Clock
from domain.errors import TransientError
from orchestrator.ledger import Fenced

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0


@dataclass(slots=True)
class Source:
    """One of them. Whatever fails in it is logged and tried again; messages of the sessions go on meanwhile.

    A warehouse that is away, a lane that is another's and wrong settings concern the whole worker: TransientError,
    Fenced and SettingsError pass.
    """

    name: str
    look: Callable[[], bool]
    clock: Clock
    _waits_until: float = float("-inf")

    def step(self) -> bool:
        """Look once, unless it failed a moment ago; True when something was started or ended."""
        if self.clock.monotonic() < self._waits_until:
            return False
        try:
            return self.look()
        except (TransientError, Fenced, SettingsError):
            raise
        except Exception as error:
            self._waits_until = self.clock.monotonic() + PAUSE_SECONDS
            logger.error("%s: %s: %s; tried again in %.0f s", self.name, type(error).__name__, error, PAUSE_SECONDS)
            return False
