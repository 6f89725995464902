"""What is left of a ticket system's hourly budget, in a file: a restart does not spend it a second time."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alerting.gate import Budget
from app.files import read_json, write_json

_LOG = logging.getLogger(__name__)


class BudgetFile:
    """A BudgetBook in one small file; what was kept of another ticket system counts for nothing."""

    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = address

    def load(self) -> Budget | None:
        """What was kept last; None for no file, one of another address or one that cannot be read."""
        told = read_json(self._path)
        if not isinstance(told, Mapping) or told.get("address") != self._address:
            return None
        try:
            return _budget(told)
        except (KeyError, TypeError, ValueError, OverflowError):
            return None

    def keep(self, budget: Budget) -> None:
        """Replace the file; a disk that is full costs the memory of a restart, not the tickets."""
        told = {"address": self._address, **asdict(budget)}
        try:
            write_json(self._path, told)
        except OSError as error:
            _LOG.warning("the ticket system's budget cannot be kept: %s", error)


def _budget(told: Mapping[str, Any]) -> Budget:
    return Budget(float(told["left"]), int(told["at_ns"]), int(told["hourly"]), int(told["blocked_until_ns"]))
