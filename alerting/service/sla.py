"""SLA clocks on incidents: definitions (contract_sla), one task_sla per incident and definition, computed, not kept."""

from collections.abc import Mapping, Sequence

from alerting.service.moments import Asker, duration, seconds_of
from alerting.service.query import parse
from alerting.service.sqltext import Sql
from alerting.service.store import Record, Store, new_sys_id
from alerting.service.tables import TABLES
from domain.ids import digest128

_OPEN, _HELD, _OVER = "active=true^stateIN1,2,3", "state=3", "stateIN6,7,8"
_HOUR = 3_600
# Ours, in the manner of a base system: hours to resolve an incident by its priority.
_RESOLUTION_HOURS: Mapping[str, int] = {"1": 1, "2": 8, "3": 24, "4": 48, "5": 96}
DUE_DATE = "due_date"
_MAX_PARSED = 1_000


def definitions() -> Sequence[Mapping[str, str]]:
    """The definitions a new instance holds: time to resolve by priority, and the date an incident is due."""
    common = {"collection": "incident", "type": "SLA", "target": "resolution", "active": "true",
              "pause_condition": _HELD, "stop_condition": _OVER}  # fmt: skip
    rows = [
        {
            **common,
            "name": f"Priority {priority} resolution ({hours} h)",
            "duration": duration(hours * _HOUR),
            "start_condition": f"{_OPEN}^priority={priority}",
        }
        for priority, hours in _RESOLUTION_HOURS.items()
    ]
    # A date does not move while somebody waits, so there is no pause.
    due = {"name": "Due date", "duration_type": DUE_DATE, "start_condition": f"{_OPEN}^due_dateISNOTEMPTY",
           "pause_condition": ""}  # fmt: skip
    return [{"sys_id": digest128("contract_sla", row["name"]), **row} for row in [*rows, {**common, **due}]]


class SlaClock:
    """Attaches, pauses, resumes, completes and cancels the SLAs of an incident as it changes.

    Clocks run from the opening of the incident (retroactive start) and stand still while it is on hold; there are no
    schedules, so business time is time.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed: dict[str, Sql] = {}

    def evaluate(self, sys_id: str, now: str) -> None:
        """Bring the incident's SLAs up to date; inside the transaction that wrote it. `now` is UTC text."""
        table = TABLES["incident"]
        task = self._store.get(table, sys_id)
        wanted = self._store.select(TABLES["contract_sla"], _ACTIVE, "t.name", 100, 0)
        if task is None or not wanted:
            return
        conditions = [self._where(one[name], now) for one in wanted for name in _CONDITIONS]
        answers = iter(self._store.judged(table, conditions, sys_id))
        clocks = self._store.select(TABLES["task_sla"], Sql("t.task = ?", (sys_id,)), "t.rowid", 1_000, 0)
        running = {one["sla"]: one for one in clocks if one["active"] == "true"}
        paused = max((seconds_of(one["pause_duration"]) for one in clocks), default=0)
        for one in wanted:
            started, held, over = next(answers), next(answers), next(answers)
            clock = running.get(one["sys_id"])
            if clock is None:
                if started and not over:
                    self._attach(one, task, held, paused, now)
            elif over or not started:
                self._end(clock, "completed" if over else "cancelled", now)
            else:
                self._go_on(clock, one, task, held, now)

    def forget(self, sys_id: str) -> None:
        """The incident was deleted: so are its SLAs."""
        for one in self._store.select(TABLES["task_sla"], Sql("t.task = ?", (sys_id,)), "t.rowid", 1_000, 0):
            self._store.delete(TABLES["task_sla"], one["sys_id"])

    def refresh(self, now: str) -> None:
        """Elapsed time, percentage and breaches of running clocks as of now; before they are read."""
        self._store.run_clocks(now)

    def _where(self, condition: str, now: str) -> Sql:
        """A condition of a definition over alias `t`; an empty one is never met."""
        if not condition:
            return Sql("0")
        if condition in self._parsed:
            return self._parsed[condition]
        where = parse(TABLES["incident"], condition, Asker(seconds_of(now) * 1_000_000_000, "", "")).where
        # Those that speak of now are read anew each time.
        if "javascript:" not in condition and "RELATIVE" not in condition and len(self._parsed) < _MAX_PARSED:
            self._parsed[condition] = where
        return where

    def _attach(self, definition: Record, task: Record, held: bool, paused: int, now: str) -> None:
        start = task["opened_at"] or now
        end = task["due_date"]
        if definition["duration_type"] != DUE_DATE:
            end = _later(start, seconds_of(definition["duration"]) + paused)
        pause = {"pause_duration": duration(paused)} if definition["pause_condition"] else {}
        row = {
            "sys_id": new_sys_id(), "sys_created_on": now, "sys_updated_on": now, "sys_created_by": "system",
            "sys_updated_by": "system", "sys_mod_count": "0", "task": task["sys_id"], "sla": definition["sys_id"],
            "stage": "paused" if held else "in_progress", "start_time": start, "planned_end_time": end,
            "original_breach_time": end, "active": "true", "has_breached": "true" if end <= now else "false",
            "pause_time": now if held else "", "pause_duration": duration(0), **pause,
        }  # fmt: skip
        self._store.insert(TABLES["task_sla"], row)

    def _end(self, clock: Record, stage: str, now: str) -> None:
        resumed = self._resumed(clock, now)
        self._change(clock, resumed | {"stage": "in_progress"}, now)
        self._store.run_clocks(now, clock["sys_id"])
        self._change(clock, {"stage": stage, "active": "false", "end_time": now}, now)

    def _go_on(self, clock: Record, definition: Record, task: Record, held: bool, now: str) -> None:
        changed: dict[str, str] = {}
        if held and not clock["pause_time"]:
            self._store.run_clocks(now, clock["sys_id"])
            changed = {"stage": "paused", "pause_time": now}
        elif clock["pause_time"] and not held:
            changed = self._resumed(clock, now) | {"stage": "in_progress"}
        if definition["duration_type"] == DUE_DATE and clock["planned_end_time"] != task["due_date"]:
            late = "true" if task["due_date"] <= now else "false"
            changed |= {"planned_end_time": task["due_date"], "has_breached": late}
        if changed:
            self._change(clock, changed, now)

    def _resumed(self, clock: Record, now: str) -> dict[str, str]:
        """A pause that is over: the clock stood still, so the breach is later by as much."""
        if not clock["pause_time"]:
            return {}
        stood = seconds_of(now) - seconds_of(clock["pause_time"])
        return {
            "pause_time": "",
            "pause_duration": duration(seconds_of(clock["pause_duration"]) + stood),
            "planned_end_time": _later(clock["planned_end_time"], stood),
        }

    def _change(self, clock: Record, values: Mapping[str, str], now: str) -> None:
        stamps = {"sys_updated_on": now, "sys_mod_count": str(int(clock["sys_mod_count"] or 0) + 1)}
        self._store.update(TABLES["task_sla"], clock["sys_id"], {**values, **stamps})


_ACTIVE = Sql("t.active = 'true' AND t.collection = 'incident'")
_CONDITIONS = ("start_condition", "pause_condition", "stop_condition")


def _later(text: str, seconds: int) -> str:
    return duration(seconds_of(text) + seconds)
