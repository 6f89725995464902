"""ServiceNow adapter over the Table API; the embedded service is this adapter at a loopback address."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from alerting.instance import Instance, Served
from alerting.port import (
    FINISHED,
    Ticket,
    TicketBusy,
    TicketChange,
    TicketDraft,
    TicketKey,
    TicketNote,
    TicketRefused,
)
from alerting.shape import Shape

_TABLE = "/api/now/table"
_ATTACHMENT = "/api/now/attachment"
_ORIGIN = "Tieout"
_JOURNALS = ("work_notes", "comments")
# A batch has 30 seconds on the instance; requests in it run one after the other.
BATCH_SIZE = 50
_GROUPS_SECONDS = 600.0
Outcome = Ticket | TicketBusy | TicketRefused


class ServiceNow:
    """Tickets on one instance, as Ticketing and as TicketFeed; `user` is the name our own changes carry.

    A record is written only after a look-up proved that its correlation_id is ours. Nothing is retried here: a lost
    answer to an open is looked up by its deterministic sys_id, everything else is left to the outbox. With
    `own_ids` False the instance chooses sys_ids; then a ticket is looked up by correlation_id and opened one at a time.
    """

    def __init__(self, instance: Instance, user: str, shape: Shape | None = None, *, own_ids: bool = True) -> None:
        self.instance = instance
        self._user = user
        self._shape = shape or Shape()
        self._own_ids = own_ids
        self._path = f"{_TABLE}/{self._shape.table}"
        self._asked = {
            "sysparm_fields": self._shape.asked(),
            "sysparm_display_value": "all",
            "sysparm_exclude_reference_link": "true",
        }
        self._groups: dict[str, str] = {}
        self._groups_since = float("-inf")
        self._opening = threading.Lock()

    @property
    def shape(self) -> Shape:
        """How records look on the instance."""
        return self._shape

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self.instance.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- Ticketing ---

    def find(self, key: TicketKey) -> Ticket | None:
        """The ticket stored under the key; None when there is none, TicketRefused when it is a stranger's."""
        if not self._own_ids:
            return self._by_correlation(key)
        try:
            answer = self.instance.send("GET", f"{self._path}/{key.sys_id}", params=self._asked)
        except TicketRefused as refusal:
            if refusal.http_status == 404:
                return None
            raise
        return self._ours(answer, key)

    def open(self, draft: TicketDraft) -> Ticket:
        """The incident of the draft's key, created unless it is there; raises TicketBusy or TicketRefused."""
        body = self._opening_body(draft)
        if not self._own_ids:
            with self._opening:
                return self.find(draft.key) or self._create(draft.key, body)
        try:
            return self._create(draft.key, body)
        except (TicketBusy, TicketRefused) as error:
            if error.http_status in (401, 429):
                raise  # nothing was done
            # The answer may be lost and the record stored, or the key may be taken by our own earlier attempt.
            found = self.find(draft.key)
            if found is None:
                raise
            return found

    def open_many(self, drafts: Sequence[TicketDraft]) -> Mapping[TicketKey, Outcome]:
        """What came of each draft; the Batch API where we choose the sys_ids, else one after the other."""
        done: dict[TicketKey, Outcome] = {}
        size = min(BATCH_SIZE, self.instance.gate.largest) if self._own_ids else 0
        for start in range(0, len(drafts), size or len(drafts) or 1):
            chunk = drafts[start : start + size] if size else drafts
            done |= self._batch(chunk) if size else {draft.key: self._tried(draft) for draft in chunk}
        return done

    def update(self, ticket: Ticket, change: TicketChange) -> Ticket:
        """The incident after a PATCH of what differs; raises TicketBusy or TicketRefused."""
        fields = {
            "short_description": change.short_description,
            "description": change.description,
            "impact": None if change.impact is None else str(change.impact),
            "urgency": None if change.urgency is None else str(change.urgency),
            "state": None if change.state is None else self._shape.state_value(change.state),
            "close_code": change.close_code,
            "close_notes": change.close_notes,
            "due_date": change.due,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        if change.assignee is not None:
            person = self._reference("sys_user", "user_name", change.assignee, {}) if change.assignee else ""
            if person or not change.assignee:
                body["assigned_to"] = person
        if change.note and not (change.note_ref and change.note_ref in ticket.journal):
            body["work_notes"] = f"{change.note}\n[{change.note_ref}]" if change.note_ref else change.note
        return self._write(ticket, self._shape.body(body)) if body else ticket

    def attach(self, ticket: Ticket, name: str, content: bytes, kind: str) -> None:
        """Attach a file unless one of this name is there; raises TicketBusy or TicketRefused."""
        query = f"table_sys_id={ticket.key.sys_id}^file_name={name}"
        params = {"sysparm_query": query, "sysparm_fields": "file_name,table_sys_id,hash", "sysparm_limit": "5"}
        there = _rows(self.instance.send("GET", _ATTACHMENT, params=params))
        mine = [row for row in there if (_value(row, "file_name"), _value(row, "table_sys_id"))
                == (name, ticket.key.sys_id)]  # fmt: skip
        if mine and _value(mine[0], "hash") in ("", sha256(content).hexdigest()):
            return
        place = {"table_name": self._shape.table, "table_sys_id": ticket.key.sys_id, "file_name": name}
        self.instance.upload(f"{_ATTACHMENT}/file", place, content, kind)

    # --- TicketFeed ---

    def changes(self, since_ns: int, limit: int) -> Sequence[Ticket]:
        """Our incidents with sys_updated_on at or after `since_ns`, oldest first; strangers' records are left out."""
        since = _utc(since_ns)
        rows = self._listed(f"sys_updated_on>={since}", "ORDERBYsys_updated_on^ORDERBYsys_id", limit)
        return [self._ticket(row) for row in rows if _value(row, "sys_updated_on") >= since]

    def notes(self, since_ns: int, limit: int) -> Sequence[TicketNote]:
        """Journal entries written by others; whose ticket it is, is told by its sys_id alone."""
        since = _utc(since_ns)
        query = (
            f"sys_created_on>={since}^name={self._shape.table}^elementIN{','.join(_JOURNALS)}"
            f"^sys_created_by!={self._user}^ORDERBYsys_created_on^ORDERBYsys_id"
        )
        fields = "sys_id,element,element_id,name,value,sys_created_by,sys_created_on"
        params = {"sysparm_query": query, "sysparm_fields": fields, "sysparm_limit": str(limit)}
        rows = _rows(self.instance.send("GET", f"{_TABLE}/sys_journal_field", params=params))
        return [
            TicketNote(
                _value(row, "sys_id"),
                _value(row, "element_id"),
                _value(row, "sys_created_by"),
                _value(row, "value"),
                _value(row, "sys_created_on"),
            )
            for row in rows
            if _value(row, "element") in _JOURNALS
            and _value(row, "sys_created_by") != self._user
            and _value(row, "sys_created_on") >= since
        ]

    def unfinished(self, after: str, limit: int) -> Sequence[Ticket]:
        """Our tickets that people still have to do something about, by sys_id."""
        over = ",".join(self._shape.state_value(state) for state in sorted(FINISHED))
        where = f"{self._shape.name('state')}NOT IN{over}" + (f"^sys_id>{after}" if after else "")
        found = [self._ticket(row) for row in self._listed(where, "ORDERBYsys_id", limit)]
        return [ticket for ticket in found if ticket.state not in FINISHED and ticket.key.sys_id > after]

    # --- records ---

    def _create(self, key: TicketKey, body: Mapping[str, str]) -> Ticket:
        return self._ours(self.instance.send("POST", self._path, params=self._asked, body=body), key)

    def _write(self, ticket: Ticket, body: Mapping[str, str]) -> Ticket:
        path = f"{self._path}/{ticket.key.sys_id}"
        return self._ours(self.instance.send("PATCH", path, params=self._asked, body=body), ticket.key)

    def _tried(self, draft: TicketDraft) -> Outcome:
        try:
            return self.open(draft)
        except (TicketBusy, TicketRefused) as error:
            return error

    def _batch(self, drafts: Sequence[TicketDraft]) -> dict[TicketKey, Outcome]:
        url = f"{self._path}?{urlencode(self._asked)}"
        requests = [("POST", url, self._opening_body(draft)) for draft in drafts]
        try:
            answers = self.instance.batch(requests)
        except (TicketBusy, TicketRefused) as error:
            return dict.fromkeys((draft.key for draft in drafts), error)
        return {draft.key: self._judged(draft, served) for draft, served in zip(drafts, answers, strict=True)}

    def _judged(self, draft: TicketDraft, served: Served | None) -> Outcome:
        if served is None:
            return TicketBusy("the batch ended before this request")
        try:
            if served.status == 201:
                return self._ours(served.result, draft.key)
            told = f"ticket service answered {served.status}: {served.words}"
            if served.status == 429 or served.status >= 500:
                return TicketBusy(told, served.status)
            return self.find(draft.key) or TicketRefused(told, served.status)
        except (TicketBusy, TicketRefused) as error:
            return error

    def _opening_body(self, draft: TicketDraft) -> dict[str, str]:
        values = {
            "correlation_id": draft.key.correlation_id,
            "correlation_display": _ORIGIN,
            "short_description": draft.short_description,
            "description": draft.description,
            "impact": str(draft.impact),
            "urgency": str(draft.urgency),
        }
        if draft.due:
            values["due_date"] = draft.due
        now = self.instance.clock.monotonic()
        if now - self._groups_since > _GROUPS_SECONDS:
            self._groups, self._groups_since = {}, now
        group = self._reference("sys_user_group", "name", draft.group, self._groups)
        if group:
            values["assignment_group"] = group
        known = {"sys_id": draft.key.sys_id} if self._own_ids else {}
        return {**known, **self._shape.opening(draft.facts), **self._shape.body(values)}

    def _by_correlation(self, key: TicketKey) -> Ticket | None:
        name = self._shape.name("correlation_id")
        params = {**self._asked, "sysparm_query": f"{name}={key.correlation_id}^ORDERBYsys_created_on"}
        rows = _rows(self.instance.send("GET", self._path, params={**params, "sysparm_limit": "2"}))
        ours = [row for row in rows if _value(row, name) == key.correlation_id]
        return self._ticket(ours[0]) if ours else None

    def _listed(self, where: str, order: str, limit: int) -> list[object]:
        origin = self._shape.name("correlation_display")
        query = f"{where}^{origin}={_ORIGIN}^{order}" if origin else f"{where}^{order}"
        params = {"sysparm_query": query, "sysparm_limit": str(limit), "sysparm_no_count": "true"}
        rows = _rows(self.instance.send("GET", self._path, params={**self._asked, **params}))
        # An instance ignores a condition it does not understand and then returns every row: check each one.
        return [row for row in rows if not origin or _value(row, origin) == _ORIGIN]

    def _ours(self, answer: object, key: TicketKey) -> Ticket:
        row = answer if isinstance(answer, dict) else {}
        right = _value(row, self._shape.name("correlation_id")) == key.correlation_id
        if not right or (self._own_ids and _value(row, "sys_id") != key.sys_id):
            raise TicketRefused(f"incident {key.sys_id} carries another correlation_id: it is not ours, left untouched")
        return self._ticket(row)

    def _ticket(self, row: object) -> Ticket:
        def value(ours: str, rest: str = "") -> str:
            name = self._shape.name(ours)
            return _value(row, name + rest) if name else ""

        updated_by = _value(row, "sys_updated_by")
        return Ticket(
            key=TicketKey(_value(row, "sys_id"), value("correlation_id")),
            number=_value(row, "number"),
            state=self._shape.state_of(value("state")),
            short_description=value("short_description"),
            description=value("description"),
            impact=value("impact"),
            urgency=value("urgency"),
            assignee=value("assigned_to", ".user_name"),
            journal=_display(row, self._shape.name("work_notes")),
            updated_by=updated_by,
            updated_on=_value(row, "sys_updated_on"),
            mod_count=int(_value(row, "sys_mod_count") or 0),
            by_us=updated_by == self._user,
            close_code=value("close_code"),
            close_notes=value("close_notes"),
            hold_reason=value("hold_reason"),
            ended_by=value("closed_by", ".user_name") or value("resolved_by", ".user_name"),
            group=_display(row, self._shape.name("assignment_group")),
            due=value("due_date"),
        )

    def _reference(self, table: str, field: str, value: str, known: dict[str, str]) -> str:
        """The sys_id of the record whose `field` equals `value`, verified; empty when there is none."""
        if not value or not query_safe(value):
            return ""
        if value not in known:
            params = {"sysparm_query": f"{field}={value}", "sysparm_fields": f"sys_id,{field}", "sysparm_limit": "2"}
            rows = _rows(self.instance.send("GET", f"{_TABLE}/{table}", params=params))
            # What is not there is remembered as well, for a while: a storm must not ask for it ten thousand times.
            exact = [_value(row, "sys_id") for row in rows if _value(row, field) == value]
            known[value] = exact[0] if exact else ""
        return known[value]


def query_safe(text: str) -> bool:
    """True for text that can stand as a value in an encoded query without changing its meaning."""
    return "^" not in text and text.isprintable() and not text.lower().startswith("javascript:")


def _utc(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _rows(answer: object) -> list[object]:
    return answer if isinstance(answer, list) else []


def _cell(row: object, name: str) -> object:
    return row.get(name, "") if isinstance(row, dict) else ""


def _value(row: object, name: str) -> str:
    cell = _cell(row, name)
    return str(cell.get("value") or "") if isinstance(cell, dict) else str(cell or "")


def _display(row: object, name: str) -> str:
    cell = _cell(row, name)
    return str(cell.get("display_value") or "") if isinstance(cell, dict) else str(cell or "")
