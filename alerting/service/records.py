"""What happens when a record is written: system fields, incident rules, journals (ServiceNow base system behaviour)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from alerting.service.sla import SlaClock
from alerting.service.store import Record, Store, UniqueKeyError, new_sys_id
from alerting.service.tables import STATES, TABLES, Column, Kind, ServiceTable
from domain.clock import Clock

# (impact, urgency) -> priority: ServiceNow's default priority look-up rules.
PRIORITY: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("1", "1"): "1",
        ("1", "2"): "2",
        ("1", "3"): "3",
        ("2", "1"): "2",
        ("2", "2"): "3",
        ("2", "3"): "4",
        ("3", "1"): "3",
        ("3", "2"): "4",
        ("3", "3"): "5",
    }
)
_SYS_ID = re.compile(r"[0-9a-fA-F]{32}")
_RESOLVED, _CLOSED, _CANCELED = "6", "7", "8"


class Refusal(Exception):
    """A request the service refuses: HTTP status and ServiceNow's two error texts."""

    def __init__(self, status: int, message: str, detail: str) -> None:
        super().__init__(f"{status} {message}: {detail}")
        self.status = status
        self.message = message
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Actor:
    """Who writes: user name and the sys_id of the sys_user record."""

    user_name: str
    sys_id: str


def utc_text(now_ns: int) -> str:
    """`YYYY-MM-DD HH:MM:SS`, UTC: how ServiceNow writes a date-time."""
    return f"{datetime.fromtimestamp(now_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):  # {"value": ..., "link": ...} as the service itself answers references
        return _text(value.get("value"))
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


class Records:
    """Creates, changes and deletes records by the rules; every method is one transaction."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.sla = SlaClock(store)

    def create(self, table: ServiceTable, body: Mapping[str, object], actor: Actor, by_display: bool = False) -> Record:
        """The stored record. Raises Refusal (400 bad sys_id or choice, 403 data policy or unique key)."""
        values, notes = self._incoming(table, body, by_display)
        sys_id = _text(body.get("sys_id")).lower() or new_sys_id()
        if not _SYS_ID.fullmatch(sys_id):
            raise Refusal(400, "Invalid sys_id", f"{sys_id!r} is not 32 hexadecimal digits")
        now = utc_text(self._clock.now_ns())
        record = {column.name: column.default for column in table.columns.values() if column.kind is not Kind.JOURNAL}
        record |= {"sys_id": sys_id, "sys_created_on": now, "sys_created_by": actor.user_name} | values
        if table.name == "incident":
            record |= {"opened_at": now, "opened_by": actor.sys_id}
            record |= self._incident_rules({}, record, actor, now)
        record |= {"sys_updated_on": now, "sys_updated_by": actor.user_name, "sys_mod_count": "0"}
        with self._store.transaction():
            if "number" in table.columns:
                record["number"] = self._store.next_number(table)
            try:
                self._store.insert(table, record)
            except UniqueKeyError as error:
                detail = f"Error during insert of {table.name} ({sys_id}): Unique Key violation detected by database"
                raise Refusal(403, "Operation Failed", detail) from error
            self._write_journals(table, sys_id, notes, actor, now)
            if table.name == "incident":
                self.sla.evaluate(sys_id, now)
        return record

    def change(
        self, table: ServiceTable, sys_id: str, body: Mapping[str, object], actor: Actor, by_display: bool = False
    ) -> Record:
        """The record after the change; nothing is touched when no value differs. Raises Refusal (404, 400, 403)."""
        values, notes = self._incoming(table, body, by_display)
        now = utc_text(self._clock.now_ns())
        with self._store.transaction():
            before = self._store.get(table, sys_id)
            if before is None:
                raise not_found()
            changed = {name: value for name, value in values.items() if before[name] != value}
            if table.name == "incident":
                changed |= self._incident_rules(before, before | changed, actor, now)
            if not changed and not notes:
                return before
            of_clocks = table.name == "incident" and bool(changed)
            changed |= {
                "sys_updated_on": now,
                "sys_updated_by": actor.user_name,
                "sys_mod_count": str(int(before["sys_mod_count"] or 0) + 1),
            }
            self._store.update(table, sys_id, changed)
            self._write_journals(table, sys_id, notes, actor, now)
            if of_clocks:
                self.sla.evaluate(sys_id, now)
        return before | changed

    def remove(self, table: ServiceTable, sys_id: str) -> None:
        """Delete one record; raises Refusal 404 when there is none."""
        with self._store.transaction():
            if not self._store.delete(table, sys_id):
                raise not_found()
            if table.name == "incident":
                self.sla.forget(sys_id)

    def read(self, table: ServiceTable) -> None:
        """Before records are read: what the platform computes as time passes."""
        if table.name == "task_sla":
            self.sla.refresh(utc_text(self._clock.now_ns()))

    def _incoming(
        self, table: ServiceTable, body: Mapping[str, object], by_display: bool
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Writable values and journal notes of a body; unknown and read-only names are ignored, as ServiceNow does."""
        values: dict[str, str] = {}
        notes: dict[str, str] = {}
        for name, given in body.items():
            column = table.columns.get(name)
            if column is None or column.read_only:
                continue
            text = _text(given)
            if column.kind is Kind.JOURNAL:
                if text:
                    notes[name] = text
            else:
                values[name] = self._from_display(column, text) if by_display else text
        return values, notes

    def _from_display(self, column: Column, text: str) -> str:
        if column.kind is Kind.REFERENCE and text:
            target = TABLES[column.target]
            found = self._store.find(target, target.display, text)
            return found["sys_id"] if found else text
        return next((raw for raw, label in column.choices.items() if label.lower() == text.lower()), text)

    def _incident_rules(
        self, before: Mapping[str, str], after: Mapping[str, str], actor: Actor, now: str
    ) -> dict[str, str]:
        """What the platform sets by itself: priority, active, resolve and close stamps; Refusal for a data policy."""
        state, previous = after["state"], before.get("state", "")
        if state not in STATES:
            raise Refusal(400, "Operation Failed", f"Invalid choice {state!r} for field State")
        if state in (_RESOLVED, _CLOSED):
            missing = [
                label
                for name, label in (("close_code", "Close code"), ("close_notes", "Close notes"))
                if not after[name]
            ]
            if missing:
                detail = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
                raise Refusal(403, "Operation Failed", detail)
        derived = {
            "priority": PRIORITY.get((after["impact"], after["urgency"]), "5"),
            "active": "false" if state in (_CLOSED, _CANCELED) else "true",
        }
        if state != previous and state == _RESOLVED:
            derived |= {"resolved_at": now, "resolved_by": actor.sys_id}
        if state != previous and state in (_CLOSED, _CANCELED):
            derived |= {"closed_at": now, "closed_by": actor.sys_id}
        if previous in (_RESOLVED, _CLOSED, _CANCELED) and state in ("1", "2", "3"):
            cleared = {"resolved_at": "", "resolved_by": "", "closed_at": "", "closed_by": ""}
            derived |= cleared | {"reopen_count": str(int(before["reopen_count"] or 0) + 1)}
        return {name: value for name, value in derived.items() if before.get(name) != value}

    def _write_journals(
        self, table: ServiceTable, sys_id: str, notes: Mapping[str, str], actor: Actor, now: str
    ) -> None:
        stamps = {"sys_created_on": now, "sys_created_by": actor.user_name, "sys_updated_on": now}
        for element, value in notes.items():
            entry = {
                "sys_id": new_sys_id(),
                "name": table.name,
                "element": element,
                "element_id": sys_id,
                "value": value,
            }
            self._store.insert(
                TABLES["sys_journal_field"],
                entry | stamps | {"sys_updated_by": actor.user_name, "sys_mod_count": "0"},
            )


def not_found() -> Refusal:
    """ServiceNow's 404 for a record that is not there or not visible."""
    return Refusal(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
