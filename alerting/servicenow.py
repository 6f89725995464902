"""ServiceNow adapter over the Table API (httpx); the embedded service is this adapter at a loopback address."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx

from alerting.port import Ticket, TicketBusy, TicketChange, TicketDraft, TicketKey, TicketRefused, TicketState

_TABLE = "/api/now/table"
_BUSY = frozenset({408, 429, 502, 503, 504})
_ORIGIN = "Tieout"
_FIELDS = (
    "sys_id,number,state,short_description,description,impact,urgency,assigned_to,assigned_to.user_name,"
    "work_notes,correlation_id,correlation_display,sys_updated_by,sys_updated_on,sys_mod_count"
)
_ASKED = {"sysparm_fields": _FIELDS, "sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"}
_WORDS_LIMIT = 500
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ServiceNow:
    """Ticketing on one ServiceNow instance with Basic authentication.

    A record is written only after a look-up proved that its correlation_id is ours. Nothing is retried here: a lost
    answer to an open is looked up by its deterministic sys_id, everything else is left to the outbox.
    """

    def __init__(
        self,
        base_url: str,
        user: str,
        password: str,
        *,
        timeout_seconds: float = 10.0,
        connections: int = 8,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        address = httpx.URL(base_url)
        if address.scheme != "https" and address.host not in _LOOPBACK:
            raise ValueError(f"{address.scheme}://{address.host} would carry the password in clear text; use https")
        self._user = user
        self._groups: dict[str, str] = {}
        self._client = httpx.Client(
            base_url=base_url,
            auth=(user, password),
            timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, 5.0)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            headers={"Accept": "application/json"},
            follow_redirects=False,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, key: TicketKey) -> Ticket | None:
        """The ticket stored under the key's sys_id; None when there is none, TicketRefused when it is a stranger's."""
        try:
            answer = self._send("GET", f"{_TABLE}/incident/{key.sys_id}", params=_ASKED)
        except TicketRefused as refusal:
            if refusal.http_status == 404:
                return None
            raise
        return self._ours(answer, key)

    def open(self, draft: TicketDraft) -> Ticket:
        """The incident of the draft's key, created unless it is there; raises TicketBusy or TicketRefused."""
        body = {
            "sys_id": draft.key.sys_id,
            "correlation_id": draft.key.correlation_id,
            "correlation_display": _ORIGIN,
            "short_description": draft.short_description,
            "description": draft.description,
            "impact": str(draft.impact),
            "urgency": str(draft.urgency),
        }
        group = self._reference("sys_user_group", "name", draft.group, self._groups)
        if group:
            body["assignment_group"] = group
        try:
            return self._ours(self._send("POST", f"{_TABLE}/incident", params=_ASKED, body=body), draft.key)
        except (TicketBusy, TicketRefused) as error:
            if isinstance(error, TicketRefused) and error.http_status == 401:
                raise
            # The answer may be lost and the record stored, or the key may be taken by our own earlier attempt.
            found = self.find(draft.key)
            if found is None:
                raise
            return found

    def update(self, ticket: Ticket, change: TicketChange) -> Ticket:
        """The incident after a PATCH of what differs; raises TicketBusy or TicketRefused."""
        fields = {
            "short_description": change.short_description,
            "description": change.description,
            "impact": None if change.impact is None else str(change.impact),
            "urgency": None if change.urgency is None else str(change.urgency),
            "state": None if change.state is None else change.state.value,
            "close_code": change.close_code,
            "close_notes": change.close_notes,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        if change.assignee is not None:
            person = self._reference("sys_user", "user_name", change.assignee, {}) if change.assignee else ""
            if person or not change.assignee:
                body["assigned_to"] = person
        if change.note and not (change.note_ref and change.note_ref in ticket.journal):
            body["work_notes"] = f"{change.note}\n[{change.note_ref}]" if change.note_ref else change.note
        if not body:
            return ticket
        path = f"{_TABLE}/incident/{ticket.key.sys_id}"
        return self._ours(self._send("PATCH", path, params=_ASKED, body=body), ticket.key)

    def changes(self, since_ns: int, limit: int) -> Sequence[Ticket]:
        """Our incidents with sys_updated_on at or after `since_ns`, oldest first; strangers' records are left out."""
        since = f"{datetime.fromtimestamp(since_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
        query = f"sys_updated_on>={since}^correlation_display={_ORIGIN}^ORDERBYsys_updated_on^ORDERBYsys_id"
        answer = self._send(
            "GET",
            f"{_TABLE}/incident",
            params={**_ASKED, "sysparm_query": query, "sysparm_limit": str(limit), "sysparm_no_count": "true"},
        )
        rows = answer if isinstance(answer, list) else []
        # An instance ignores a condition it does not understand and then returns every row: check each one.
        ours = [row for row in rows if _value(row, "correlation_display") == _ORIGIN]
        return [self._ticket(row) for row in ours if _value(row, "sys_updated_on") >= since]

    def _ours(self, answer: object, key: TicketKey) -> Ticket:
        row = answer if isinstance(answer, dict) else {}
        if _value(row, "correlation_id") != key.correlation_id or _value(row, "sys_id") != key.sys_id:
            raise TicketRefused(f"incident {key.sys_id} carries another correlation_id: it is not ours, left untouched")
        return self._ticket(row)

    def _ticket(self, row: Mapping[str, object]) -> Ticket:
        updated_by = _value(row, "sys_updated_by")
        return Ticket(
            key=TicketKey(_value(row, "sys_id"), _value(row, "correlation_id")),
            number=_value(row, "number"),
            state=_state(_value(row, "state")),
            short_description=_value(row, "short_description"),
            description=_value(row, "description"),
            impact=_value(row, "impact"),
            urgency=_value(row, "urgency"),
            assignee=_value(row, "assigned_to.user_name"),
            journal=_display(row, "work_notes"),
            updated_by=updated_by,
            updated_on=_value(row, "sys_updated_on"),
            mod_count=int(_value(row, "sys_mod_count") or 0),
            by_us=updated_by == self._user,
        )

    def _reference(self, table: str, field: str, value: str, known: dict[str, str]) -> str:
        """The sys_id of the record whose `field` equals `value`, verified; empty when there is none."""
        if not value or not query_safe(value):
            return ""
        if value not in known:
            answer = self._send(
                "GET",
                f"{_TABLE}/{table}",
                params={"sysparm_query": f"{field}={value}", "sysparm_fields": f"sys_id,{field}", "sysparm_limit": "2"},
            )
            rows = answer if isinstance(answer, list) else []
            exact = [_value(row, "sys_id") for row in rows if _value(row, field) == value]
            if not exact:
                return ""
            known[value] = exact[0]
        return known[value]

    def _send(
        self, verb: str, path: str, *, params: Mapping[str, str], body: Mapping[str, str] | None = None
    ) -> object:
        try:
            response = self._client.request(verb, path, params=dict(params), json=body)
        except httpx.RequestError as error:
            raise TicketBusy(f"ticket service: {type(error).__name__} on {verb} {path}") from error
        status = response.status_code
        if status in _BUSY:
            raise TicketBusy(f"ticket service answered {status}: {_words(response)}", status, _retry_after(response))
        if status >= 300:
            raise TicketRefused(f"ticket service answered {status}: {_words(response)}", status)
        try:
            return response.json()["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise TicketRefused(f"ticket service answered {status} without a JSON result", status) from error


def query_safe(text: str) -> bool:
    """True for text that can stand as a value in an encoded query without changing its meaning."""
    return "^" not in text and text.isprintable() and not text.lower().startswith("javascript:")


def _cell(row: object, name: str) -> object:
    return row.get(name, "") if isinstance(row, dict) else ""


def _value(row: object, name: str) -> str:
    cell = _cell(row, name)
    return str(cell.get("value") or "") if isinstance(cell, dict) else str(cell or "")


def _display(row: object, name: str) -> str:
    cell = _cell(row, name)
    return str(cell.get("display_value") or "") if isinstance(cell, dict) else str(cell or "")


def _state(text: str) -> TicketState:
    try:
        return TicketState(text)
    except ValueError:
        # Instances add states of their own; a person put it there, so it is held as far as we are concerned.
        return TicketState.ON_HOLD


def _words(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        text = ": ".join(str(part) for part in (error.get("message"), error.get("detail")) if part)
    except (ValueError, KeyError, TypeError, AttributeError):
        text = response.text
    return text[:_WORDS_LIMIT] or response.reason_phrase


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
