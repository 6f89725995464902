"""Conditions of encoded queries with a grammar of their own: parts of dates, spans between fields, people, any text."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from alerting.service.moments import Asker
from alerting.service.sqltext import Sql, escape_like
from alerting.service.tables import Column, Kind, ServiceTable

# The search in all text fields at once, as lists and GlideRecord write it.
KEYWORDS = "123TEXTQUERY321"
# The base system's dynamic filter options we know: who asks, and the groups of who asks.
_ME, _MY_GROUPS = "90d1921e5f510100a9ad2572f2b477fe", "d6435e965f510100a9ad2572f2b47744"
_PART = re.compile(r"[^@]*@javascript:gs\.datePart\(['\"](\w+)['\"],\s*['\"](\w+)['\"],\s*['\"](EE|GE|LE|GT|LT)['\"]\)")
_SPAN = re.compile(
    r"(?P<other>[a-z_][a-z0-9_.]*)@(?P<unit>minute|hour|day|week)@(?P<way>before|after)@(?P<count>\d{1,6})"
)
_SIGNS = MappingProxyType({"EE": "=", "GE": ">=", "LE": "<=", "GT": ">", "LT": "<"})
_SECONDS = MappingProxyType({"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800})
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "dayofweek": "CAST(strftime('%w', {0}) AS INTEGER)",
        "month": "CAST(strftime('%m', {0}) AS INTEGER)",
        "quarter": "((CAST(strftime('%m', {0}) AS INTEGER) + 2) / 3)",
        "year": "CAST(strftime('%Y', {0}) AS INTEGER)",
        "hour": "CAST(strftime('%H', {0}) AS INTEGER)",
    }
)


def date_part(sql: str, value: str) -> Sql | None:
    """DATEPART: a day of the week, month, quarter, year or hour of a time; None if not understood."""
    found = _PART.fullmatch(value)
    if found is None or found[1].lower() not in _UNITS:
        return None
    number = _number(found[1].lower(), found[2].lower())
    if number is None:
        return None
    part = _UNITS[found[1].lower()].format(sql)
    return Sql(f"({sql} <> '' AND {part} {_SIGNS[found[3]]} CAST(? AS INTEGER))", (str(number),))


def _number(unit: str, name: str) -> int | None:
    if unit == "dayofweek":
        return _DAYS.index(name) if name in _DAYS else None
    if unit == "month" and not name.isdigit():
        return _MONTHS.index(name[:3]) + 1 if name[:3] in _MONTHS else None
    digits = name.removeprefix("q") if unit == "quarter" else name
    return int(digits) if digits.isdigit() and len(digits) <= 4 else None


def span_parts(value: str) -> tuple[str, int] | None:
    """MORETHAN and LESSTHAN: the other field, and how many seconds after it (before: negative)."""
    found = _SPAN.fullmatch(value)
    if found is None:
        return None
    seconds = int(found["count"]) * _SECONDS[found["unit"]]
    return found["other"], seconds if found["way"] == "after" else -seconds


def apart(sql: str, other: str, seconds: int, more: bool) -> Sql:
    """A time more (or less) than so many seconds after (negative: before) another field's."""
    difference = f"(strftime('%s', {sql}) - strftime('%s', {other}))"
    sign = ">" if more == (seconds >= 0) else "<"
    return Sql(f"({sql} <> '' AND {other} <> '' AND {difference} {sign} CAST(? AS INTEGER))", (str(seconds),))


def dynamic(sql: str, column: Column, value: str, asker: Asker) -> Sql | None:
    """DYNAMIC: a filter option that means who asks; None for one that is not known here."""
    if value == _ME and column.kind is Kind.REFERENCE:
        return Sql(f"({sql} <> '' AND {sql} = ? COLLATE NOCASE)", (asker.user_id,))
    if value == _MY_GROUPS and column.target == "sys_user_group":
        return Sql(f'{sql} IN (SELECT m."group" FROM sys_user_grmember m WHERE m.user = ?)', (asker.user_id,))
    return None


def keywords(table: ServiceTable, text: str) -> Sql | None:
    """Records in which every word stands somewhere in a text field."""
    names = [column.name for column in table.columns.values() if column.kind is Kind.TEXT]
    words = text.removeprefix("=").split()[:20]
    if not text.startswith("=") or not words or not names:
        return None
    one = "(" + " OR ".join(f"t.\"{name}\" LIKE ? ESCAPE '\\'" for name in names) + ")"
    values = tuple(f"%{escape_like(word)}%" for word in words for _ in names)
    return Sql("(" + " AND ".join(one for _ in words) + ")", values)
