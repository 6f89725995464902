"""The 53 break codes as data: severity, owner, deadline and the FIX MatchException codes where they exist."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import resources
from types import MappingProxyType


class Severity(IntEnum):
    """How much a break matters; comparable, so a rule can raise it but never lower it."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a break must be fixed: anchor date plus business days at a local time, or minutes after detection.

    `anchor` is TRADE_DATE, SETTLE_DATE, MONTH_END, DETECTED or FEED_CUTOFF; for the last two `offset_minutes` counts.
    """

    anchor: str
    offset_days: int = 0
    time_of_day: str = ""
    zone: str = ""
    calendar: str = ""
    offset_minutes: int = 0


@dataclass(frozen=True, slots=True)
class BreakCode:
    """One row of the taxonomy. `fix_exception_type` is tag 2773, `fix_element_type` tag 2774 (FIX Latest)."""

    code: str
    name: str
    domain: str
    detection: str
    cause: str
    severity: Severity
    auto_action: str
    owner: str
    deadline: Deadline | None
    fix_exception_type: int | None
    fix_element_type: int | None


def _deadline(row: Mapping[str, str]) -> Deadline | None:
    anchor, _, days = row["deadline_anchor"].partition("+")
    if not anchor:
        return None
    at = row["deadline_time"]
    if at.startswith("+"):
        return Deadline(anchor, offset_minutes=int(at))
    return Deadline(anchor, int(days or 0), at, row["deadline_zone"], row["deadline_calendar"])


def _code(row: Mapping[str, str]) -> BreakCode:
    return BreakCode(
        code=row["code"],
        name=row["name"],
        domain=row["domain"],
        detection=row["detection"],
        cause=row["cause"],
        severity=Severity[row["severity"]],
        auto_action=row["auto_action"],
        owner=row["owner"],
        deadline=_deadline(row),
        fix_exception_type=int(row["fix_2773"]) if row["fix_2773"] else None,
        fix_element_type=int(row["fix_2774"]) if row["fix_2774"] else None,
    )


@cache
def taxonomy() -> Mapping[str, BreakCode]:
    """All break codes by code (T01..T30, P01..P08, C01..C05, S01..S03, I01..I07)."""
    text = resources.files("domain").joinpath("taxonomy.csv").read_text(encoding="utf-8")
    return MappingProxyType({row["code"]: _code(row) for row in csv.DictReader(text.splitlines())})
