"""How records are shown: raw, display or both, references with links, dot-walked fields, journal histories."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerting.service.moments import seconds_of
from alerting.service.query import expression
from alerting.service.store import Record, Store
from alerting.service.tables import TABLES, Column, Kind, ServiceTable

Shown = str | dict[str, str]


@dataclass(frozen=True, slots=True)
class Style:
    """The sysparm_display_value ("false", "true", "all"), sysparm_fields and reference link choices of one request."""

    display: str = "false"
    fields: tuple[str, ...] = ()
    links: bool = True
    base_url: str = ""


class Presenter:
    """Turns stored records into the answer's JSON."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def show(self, table: ServiceTable, record: Record, style: Style) -> dict[str, Shown]:
        """The record as asked for; unknown field names are left out, as ServiceNow does."""
        names: Sequence[str] = style.fields or tuple(table.columns)
        shown: dict[str, Shown] = {}
        for name in names:
            column = table.columns.get(name)
            if column is not None:
                shown[name] = self._field(table, record, column, record.get(name, ""), style)
            elif "." in name:
                target = expression(table, name)
                if target is not None:
                    value = self._store.scalar(table, target[0], record["sys_id"])
                    shown[name] = self._field(table, record, target[1], value, style)
        return shown

    def label(self, table: ServiceTable, path: str, value: str) -> str:
        """The display value of a field (perhaps dot-walked) that holds `value`."""
        target = expression(table, path)
        return self._display(table, {"sys_id": ""}, target[1], value) if target else value

    def _field(self, table: ServiceTable, record: Record, column: Column, value: str, style: Style) -> Shown:
        display = self._display(table, record, column, value) if style.display != "false" else value
        link = (
            f"{style.base_url}/api/now/table/{column.target}/{value}" if column.kind is Kind.REFERENCE and value else ""
        )
        if style.display == "all":
            both = {"display_value": display, "value": value}
            return both | {"link": link} if link and style.links else both
        if link and style.links:
            return {"link": link, "display_value" if style.display == "true" else "value": display}
        return display

    def _display(self, table: ServiceTable, record: Record, column: Column, value: str) -> str:
        if column.kind is Kind.JOURNAL:
            return self._history(record["sys_id"], column)
        if column.kind is Kind.REFERENCE and value:
            target = TABLES[column.target]
            found = self._store.get(target, value)
            return found[target.display] if found else ""
        if column.kind is Kind.DURATION:
            return _duration(value)
        return column.choices.get(value, value)

    def _history(self, sys_id: str, column: Column) -> str:
        entries = self._store.journal(sys_id, column.name)
        return "".join(
            f"{one['sys_created_on']} - {self._person(one['sys_created_by'])} ({column.label})\n{one['value']}\n\n"
            for one in entries
        )

    def _person(self, user_name: str) -> str:
        found = self._store.find(TABLES["sys_user"], "user_name", user_name)
        return found["name"] if found and found["name"] else user_name


def _duration(value: str) -> str:
    """A glide_duration in words: `1 Day 2 Hours`; as it is where it is none."""
    seconds = seconds_of(value)
    if not seconds:
        return "0 Seconds" if value else ""
    parts = []
    for size, name in ((86_400, "Day"), (3_600, "Hour"), (60, "Minute"), (1, "Second")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}" + ("s" if count > 1 else ""))
    return " ".join(parts)
