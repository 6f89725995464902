"""`tickets check`: asks an instance what the settings rely on; reads only, writes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from alerting.instance import Instance
from alerting.port import TicketBusy, TicketRefused
from alerting.shape import FIELDS, Shape
from domain.ids import digest128

_TABLE = "/api/now/table"
_SKEW_SECONDS = 60.0
_MAX_ROWS = "10000"


class Verdict(StrEnum):
    """What came of one question."""

    OK = "ok"
    WARN = "warn"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One question, its verdict and the words for a person."""

    what: str
    verdict: Verdict
    words: str


class InstanceCheck:
    """The questions; `run` asks them in order and stops where the sign-in fails."""

    def __init__(self, instance: Instance, shape: Shape, user: str, close_code: str, groups: Iterable[str]) -> None:
        self._instance, self._shape, self._user = instance, shape, user
        self._close_code, self._groups = close_code, sorted({group for group in groups if group})

    def run(self) -> list[Finding]:
        """Every finding; raises nothing for what the instance says or fails to say."""
        first = self._asked("sign-in", self._sign_in)
        if first[0].verdict is Verdict.WRONG:
            return first
        questions = (
            ("clock", self._clock), ("fields", self._fields), ("states", self._states),
            ("close code", self._close_codes), ("groups", self._known_groups), ("look-up", self._look_up),
            ("invalid queries", self._invalid), ("roles", self._roles), ("attachments", self._attachments),
        )  # fmt: skip
        return first + [finding for what, question in questions for finding in self._asked(what, question)]

    def _asked(self, what: str, question: Any) -> list[Finding]:
        try:
            found: Finding | list[Finding] = question()
        except (TicketBusy, TicketRefused) as error:
            grave = what in ("sign-in", "look-up")
            words = str(error) if grave else f"cannot be checked: {error}"
            return [Finding(what, Verdict.WRONG if grave else Verdict.WARN, words)]
        return found if isinstance(found, list) else [found]

    def _get(self, table: str, query: str, fields: str, limit: str = _MAX_ROWS) -> list[Mapping[str, Any]]:
        params = {"sysparm_query": query, "sysparm_fields": fields, "sysparm_limit": limit,
                  "sysparm_exclude_reference_link": "true"}  # fmt: skip
        rows = self._instance.send("GET", f"{_TABLE}/{table}", params=params)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def _sign_in(self) -> Finding:
        self._get(self._shape.table, "", "sys_id", "1")
        return Finding("sign-in", Verdict.OK, f"{self._user} may read {self._shape.table}")

    def _clock(self) -> Finding:
        skew = self._instance.skew_seconds
        if skew is None:
            return Finding("clock", Verdict.WARN, "the answers carry no Date")
        verdict = Verdict.OK if abs(skew) <= _SKEW_SECONDS else Verdict.WARN
        return Finding("clock", verdict, f"{skew:+.0f} s against ours")

    def _fields(self) -> Finding:
        """Names in the dictionary; incident inherits most of them from task."""
        wanted = {self._shape.name(name) for name in FIELDS} | set(self._shape.on_open)
        wanted.discard("")
        query = f"nameIN{self._shape.table},task^elementIN{','.join(sorted(wanted))}"
        known = {str(row.get("element", "")) for row in self._get("sys_dictionary", query, "name,element")}
        if not known:
            return Finding("fields", Verdict.WARN, "the dictionary shows nothing to this user: names are not checked")
        missing = sorted(wanted - known)
        if missing:
            return Finding("fields", Verdict.WRONG, f"no such field: {', '.join(missing)} (ticketing.records.fields)")
        return Finding("fields", Verdict.OK, f"{len(wanted)} fields are there")

    def _choices(self, field: str) -> dict[str, str]:
        name = self._shape.name(field)
        query = f"nameIN{self._shape.table},task^element={name}^inactive=false"
        rows = self._get("sys_choice", query, "element,value,label")
        return {str(row.get("value", "")): str(row.get("label", "")) for row in rows if row.get("element") == name}

    def _states(self) -> Finding:
        choices = self._choices("state")
        if not choices:
            return Finding("states", Verdict.WARN, "no choices can be read: values are not checked")
        missing = [f"{state.name.lower()} {value!r}" for state, value in self._shape.states.items()
                   if value not in choices]  # fmt: skip
        if missing:
            offered = ", ".join(f"{value} {label}" for value, label in choices.items())
            return Finding("states", Verdict.WRONG, f"no choice for {', '.join(missing)}; there is {offered}")
        shown = ", ".join(
            f"{state.name.lower()} {value} {choices[value]}" for state, value in self._shape.states.items()
        )
        return Finding("states", Verdict.OK, shown)

    def _close_codes(self) -> Finding:
        choices = self._choices("close_code") if self._shape.name("close_code") else {}
        if not choices:
            return Finding("close code", Verdict.WARN, "no choices can be read: it is not checked")
        if self._close_code not in choices:
            words = f"{self._close_code!r} is none of {', '.join(sorted(choices))} (ticketing.records.close_code)"
            return Finding("close code", Verdict.WRONG, words)
        return Finding("close code", Verdict.OK, self._close_code)

    def _known_groups(self) -> list[Finding]:
        rows = self._get("sys_user_group", f"nameIN{','.join(self._groups)}", "name")
        known = {str(row.get("name", "")) for row in rows}
        missing = [name for name in self._groups if name not in known]
        if missing:
            words = f"not there, so tickets for them have no group: {', '.join(missing)} (ticketing.triage)"
            return [Finding("groups", Verdict.WARN, words)]
        return [Finding("groups", Verdict.OK, f"{len(self._groups)} groups are there")]

    def _look_up(self) -> Finding:
        name = self._shape.name("correlation_id")
        nobody = f"tieout-check:{digest128('check', self._user)}"
        if self._get(self._shape.table, f"{name}={nobody}", f"sys_id,{name}", "1"):
            words = f"{name}= is ignored: every record comes back, so no ticket could be told from a stranger's"
            return Finding("look-up", Verdict.WRONG, words)
        return Finding("look-up", Verdict.OK, f"{name} can be looked up")

    def _invalid(self) -> Finding:
        try:
            found = self._get(self._shape.table, "tieout_no_such_field=1", "sys_id", "1")
        except TicketRefused as error:
            if error.http_status != 400:
                raise
            return Finding("invalid queries", Verdict.OK, "they are refused")
        if found:
            words = "invalid parts are ignored (glide.invalid_query.returns_no_rows is off); every answer is verified"
            return Finding("invalid queries", Verdict.WARN, words)
        return Finding("invalid queries", Verdict.OK, "they return no rows, or the table is empty")

    def _roles(self) -> Finding:
        query = f"user.user_name={self._user}"
        roles = sorted({str(row.get("role", "")) for row in self._get("sys_user_has_role", query, "user,role")})
        if not roles:
            return Finding("roles", Verdict.WARN, "no roles can be read; the first ticket shows whether it may write")
        return Finding("roles", Verdict.OK, ", ".join(roles[:10]))

    def _attachments(self) -> Finding:
        self._instance.send("GET", "/api/now/attachment", params={"sysparm_limit": "1"})
        return Finding("attachments", Verdict.OK, "they can be read")
