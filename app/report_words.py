"""The words every report form shares: titles, amounts, deadlines, places of evidence."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from console.diff import number
from console.wording import money
from domain.taxonomy import taxonomy

Json = Mapping[str, Any]

_CITIES = {"America/New_York": "New York", "Europe/London": "London", "UTC": "UTC"}
MISSING = "—"


def amount(item: Json) -> str:
    """The money at stake, `USD 12,345`, or a dash when nobody can tell."""
    return money(Decimal(item["exposure"]), item["ccy"] or "") if item["exposure"] is not None else MISSING


def deadline(item: Json) -> str:
    """When the break must be fixed, in the zone its rule is written in: `20 Nov 20:30 New York`."""
    if not item["deadline_at"]:
        return MISSING
    rule = taxonomy()[item["code"]].deadline
    if rule and not rule.time_of_day and not rule.offset_minutes:
        return "at once"
    zone = rule.zone if rule and rule.zone else "UTC"
    moment = datetime.fromisoformat(item["deadline_at"]).astimezone(ZoneInfo(zone))
    return f"{moment.day} {moment:%b %H:%M} {_CITIES.get(zone, zone)}"


def values(item: Json) -> tuple[str, str]:
    """What differs, our value and theirs; a side without a record is a dash."""
    return pretty(item["left_value"]), pretty(item["right_value"])


def pretty(value: str | None) -> str:
    """A value as people write it: numbers with separators and no padding zeros, everything else as it is."""
    if value is None or value == "":
        return MISSING
    bare = value.removeprefix("-")
    if bare.replace(".", "", 1).isdigit() and not (bare.startswith("0") and bare[1:2].isdigit()):
        return number(Decimal(value))
    return value


def security(item: Json) -> str:
    """The symbol, else the strongest identifier."""
    return str(item["symbol"] or str(item["instrument_id"] or MISSING).partition(":")[2] or item["instrument_id"])


def places(members: Sequence[Json]) -> str:
    """Where the evidence is, `fund.fix:8`, at most three."""
    shown = [f"{m['file']}:{m['line']}" if m["line"] else str(m["file"] or m["source"]) for m in members[:3]]
    more = f" +{len(members) - 3}" if len(members) > 3 else ""
    return ", ".join(shown) + more if shown else MISSING


def evidence(item: Json) -> str:
    """Where both sides of a break are written, one side alone where the other has nothing."""
    sides = [places(item[name]) for name in ("left", "right") if item[name]]
    return "(" + " ↔ ".join(sides) + ")"


def ids(members: Sequence[Json]) -> str:
    """The trade ids of a side, at most three."""
    more = f" +{len(members) - 3}" if len(members) > 3 else ""
    return ", ".join(str(m["trade_uid"]) for m in members[:3]) + more if members else MISSING


def count(number_of: int, one: str, many: str | None = None) -> str:
    """`1 break`, `8 breaks`, `1,204 rows`."""
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def verdict(summary: Json) -> str:
    """The first line of every report."""
    if summary["tied_out"]:
        told = "Everything ties out"
        return told + (
            f", {count(summary['accepted'], 'break')} accepted within tolerance" if summary["accepted"] else ""
        )
    parts = []
    if summary["breaks"]:
        kinds = ", ".join(f"{n} {name.lower()}" for name, n in summary["by_severity"].items())
        parts.append(f"{count(summary['breaks'], 'break')} ({kinds})")
    if summary["quarantined"]:
        parts.append(f"{count(summary['quarantined'], 'row')} in quarantine")
    if summary["accepted"]:
        parts.append(f"{summary['accepted']:,} accepted within tolerance")
    return ", ".join(parts)


def coverage(summary: Json) -> str:
    """How much of each side is in a match group."""
    t = summary["trades"]
    return (
        f"{t['ours_matched']:,} of {t['ours']:,} of our trades and {t['theirs_matched']:,} of {t['theirs']:,} of theirs"
        f" are paired, in {count(summary['groups'], 'group')}"
    )


def completeness(summary: Json) -> str:
    """The row count proof: received = trades + duplicates + session + ignored + quarantine."""
    rows = summary["rows"]
    parts = (
        ("trades", rows["facts"]), ("duplicates", rows["duplicates"]), ("session", rows["session"]),
        ("ignored", rows["ignored"]), ("in quarantine", rows["quarantined"]),
    )  # fmt: skip
    told = " + ".join(f"{n:,} {name}" for name, n in parts if n or name == "trades")
    sign = "=" if rows["complete"] else "≠"
    return f"{count(rows['received'], 'row')} received {sign} {told}"


def exposure(summary: Json) -> str:
    """Money at stake by currency."""
    return ", ".join(money(Decimal(value), ccy) for ccy, value in summary["exposure"].items())
