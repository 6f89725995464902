"""The bytes a message was received as: from the warehouse's copy, and when that was let go from the raw log."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from domain.errors import PermanentError
from ingest.streams.archive import Archive
from warehouse.port import Params, Warehouse
from warehouse.sql import timestamp

logger = logging.getLogger(__name__)

EMPTY = sha256(b"").hexdigest()
_NOTHING = "CAST('' AS BINARY)"
_WHICH = "recv_ts < CAST(:before AS TIMESTAMP_NTZ(9)) AND raw <> CAST('' AS BINARY)"
_LET_GO = (
    f"UPDATE raw_message SET raw = {_NOTHING} WHERE session = :session AND number BETWEEN :first AND :last AND {_WHICH}"
)
# The copy that a quarantined message has of its own goes with the other.
_LET_GO_HELD = (
    f"UPDATE quarantine SET raw = {_NOTHING} WHERE {_WHICH} AND message_id IN (SELECT m.message_id FROM raw_message m"
    " WHERE m.session = :session AND m.number BETWEEN :first AND :last)"
)


@dataclass(frozen=True, slots=True)
class Originals:
    """Messages as they were received; `archive` is the raw log, None where there is none beside the warehouse."""

    archive: Archive | None = None

    def of(self, row: Mapping[str, Any]) -> bytes:
        """The bytes of a row with `message_id`, `sha256` and the warehouse's copy as `raw`.

        Raises PermanentError when neither has them, or the raw log has something else under this number.
        """
        copy: bytes = row["raw"]
        if copy or row["sha256"] == EMPTY:
            return copy
        session, _, number = str(row["message_id"]).rpartition(":")
        if self.archive is None or session not in self.archive.lanes():
            raise PermanentError(f"message {row['message_id']}: the warehouse let its copy go, and there is no raw log")
        found = self.archive.message(session, int(number))
        if sha256(found).hexdigest() != row["sha256"]:
            raise PermanentError(f"message {row['message_id']}: the raw log holds other bytes under this number")
        return found

    def filled(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The rows with their bytes in `raw`; raises as `of` does."""
        return [{**row, "raw": self.of(row)} for row in rows]

    def known(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Those of the rows whose bytes are there, with them; the others are left out and logged."""
        found = []
        for row in rows:
            try:
                found.append({**row, "raw": self.of(row)})
            except PermanentError as error:
                logger.warning("%s", error)
        return found

    def let_go(self, warehouse: Warehouse, before_ns: int) -> int:
        """Empty the warehouse's copies of messages received before a time (UTC ns) that the raw log has.

        Returns how many; hash and length stay. Nothing else of a message is forgotten.
        """
        gone = 0
        for lane in self.archive.lanes() if self.archive else ():
            assert self.archive is not None
            first, last = self.archive.held(lane)
            params: Params = {"session": lane, "first": first, "last": last, "before": timestamp(before_ns)}
            with warehouse.transaction():
                warehouse.execute(_LET_GO_HELD, params)
                gone += warehouse.execute(_LET_GO, params)
        return gone


# Every message's copy is in the warehouse.
HERE = Originals()
