"""What every ticket knows already: follow-ups are looked for only where something happened since."""

from dataclasses import dataclass

from warehouse.port import Warehouse

# Changes of runs behind `seq` are fresh; the other counts are of all there is.
_STAND = """
SELECT x.seq, x.changes, x.actions, x.outbox, f.fresh, f.ticketed
FROM (
  SELECT (SELECT coalesce(max(seq), 0) FROM execution_log) AS seq, (SELECT count(*) FROM break_change) AS changes,
    (SELECT count(*) FROM action) AS actions, (SELECT count(*) FROM ticket_outbox) AS outbox
) x, (
  SELECT count(*) AS fresh, count(t.break_id) AS ticketed
  FROM break_change c LEFT JOIN (SELECT DISTINCT break_id FROM ticket_outbox) t ON t.break_id = c.break_id
  WHERE c.execution IN (SELECT e.execution FROM execution_log e WHERE e.seq > :seq)
) f
"""


@dataclass(frozen=True, slots=True)
class _Stand:
    """The newest run (its `seq`), and how many changes, actions and rows of the outbox there were."""

    seq: int
    changes: int
    actions: int
    outbox: int


@dataclass(slots=True)
class Told:
    """The stand of one process up to which every ticket knows its break; nothing is remembered over a restart.

    Whatever does not add up (changes that no run made, rows of the outbox from elsewhere) makes the next look a whole
    one.
    """

    _told: _Stand | None = None
    _now: _Stand | None = None

    def is_news(self, warehouse: Warehouse) -> bool:
        """Whether a ticket may have to be followed up. Ask before looking, in the transaction that looks."""
        told = self._told
        row = warehouse.query(_STAND, {"seq": told.seq if told else -1}).to_pylist()[0]
        self._now = _Stand(*(int(row[name]) for name in ("seq", "changes", "actions", "outbox")))
        if told is None or row["ticketed"]:
            return True
        expected = _Stand(self._now.seq, told.changes + int(row["fresh"]), told.actions, told.outbox)
        return self._now != expected

    def all_told(self, written: int, *, complete: bool) -> None:
        """What was there when `is_news` was asked is told, by `written` rows; all of it if that is `complete`."""
        now = self._now
        self._told = _Stand(now.seq, now.changes, now.actions, now.outbox + written) if now and complete else None

    def forget(self) -> None:
        """Look at everything again: what was written was taken back, or history was written anew."""
        self._told = None
