"""Starts the state machine for what loading reference files changed: rows set aside or let go, strangers named,
breaks that waited for a rate."""

from dataclasses import dataclass

from app import named_books
from app.beside import begin, counts_as
from app.installation import Installation
from app.reference_held import KIND, PREFIX
from domain.errors import PermanentError
from matching.revalue import rates_came

_NEWEST = "SELECT max(as_of) AS last FROM execution_log"
_UNSEEN = f"""
SELECT x.execution FROM (
  SELECT execution FROM quarantine WHERE feed LIKE '{PREFIX}%'
  UNION SELECT execution FROM quarantine_retry WHERE message_id LIKE '{PREFIX}%') x
WHERE NOT EXISTS (SELECT 1 FROM execution_log e WHERE e.execution = x.execution) ORDER BY x.execution
"""


@dataclass(slots=True)
class ReferenceWatch:
    """Files are loaded when the installation opens, so one look is enough."""

    installation: Installation
    _looked: bool = False

    def step(self) -> bool:
        """The look, the first time; True when an execution was started."""
        if self._looked:
            return False
        here = self.installation
        names: list[str] = here.warehouse.query(_UNSEEN)["execution"].to_pylist()
        if not names and self._came():
            # Rows loaded while nothing ran: who waits for a name, or a rate, is asked now, not with the next message.
            last = here.warehouse.query(_NEWEST)["last"].cast("int64")[0].as_py()
            names = [f"{KIND}-{max(here.clock.now_ns(), last)}"] if last else []
        started = [self._start(name) for name in names]
        self._looked = True
        return any(started)

    def _came(self) -> bool:
        here = self.installation
        named = named_books.grown(here.warehouse) is not None
        return named or rates_came(here.warehouse, here.clock.now_ns()) is not None

    def _start(self, name: str) -> bool:
        here = self.installation
        try:
            here.engine.describe(name)
            return False  # started before and taken up again by the engine, or parked until somebody redrives it
        except PermanentError:
            begin(here, name, KIND, counts_as(here, here.clock.now_ns()))
            return True
