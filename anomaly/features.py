"""Features of new and changed breaks, computed in the warehouse; floats are allowed here because nothing is booked."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pyarrow as pa

from warehouse.port import Warehouse
from warehouse.sql import timestamp

# name -> what it is called in a reason
FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "log_exposure": "exposure",
        "relative_delta": "the difference relative to the value",
        "minutes_to_deadline": "time left to the deadline",
        "hour": "the hour in New York",
        "code_rarity": "the rarity of this kind of break",
        "pb_breaks": "the number of earlier breaks at this prime broker",
        "account_breaks": "the number of earlier breaks in this account",
        "instrument_breaks": "the number of earlier breaks in this instrument",
        "twin_density": "the number of open breaks in the same account, instrument and side",
        "members": "the number of trades involved",
        "one_sided": "being on one side only",
        "not_equity": "being no equity",
        "generation": "the number of times it came back",
    }
)
SEVERITY = "severity"
COLUMNS = (*FEATURES, SEVERITY)

_DEADLINE_LIMIT_MINUTES = 2_880.0
_NEW_YORK = ZoneInfo("America/New_York")
_EQUITY = frozenset({"", "EQUITY", "ETF", "CS", "COMMON"})
_KEYS = ("code", "pb_id", "account_id", "instrument_id")

_PENDING = """
WITH latest AS (
  SELECT change_id, break_id, as_of, code, severity FROM break_change
  WHERE kind IN ('OPENED', 'CHANGED', 'REOPENED') AND as_of <= cast(:as_of as timestamp_ntz(9))
  QUALIFY row_number() OVER (PARTITION BY break_id ORDER BY generation DESC, as_of DESC, change_id DESC) = 1
)
SELECT c.change_id, c.break_id, c.as_of, c.code, c.severity, b.generation, b.pb_id, b.account_id, b.instrument_id,
  b.side, b.deadline_at, b.exposure, b.exposure_base, b.left_value, b.right_value,
  coalesce(m.left_count, 0) AS left_count, coalesce(m.right_count, 0) AS right_count, i.asset_class,
  coalesce(t.twins, 0) AS twins
FROM latest c
JOIN recon_break b ON b.break_id = c.break_id AND b.state = 'OPEN'
LEFT JOIN (
  SELECT break_id, sum(CASE WHEN side = 'L' THEN 1 ELSE 0 END) AS left_count,
    sum(CASE WHEN side = 'R' THEN 1 ELSE 0 END) AS right_count
  FROM recon_break_member GROUP BY break_id
) m ON m.break_id = c.break_id
LEFT JOIN (SELECT instrument_id, max(asset_class) AS asset_class FROM instrument GROUP BY instrument_id) i
  ON i.instrument_id = b.instrument_id
LEFT JOIN (
  SELECT account_id, instrument_id, side, count(*) AS twins FROM recon_break WHERE state = 'OPEN'
  GROUP BY account_id, instrument_id, side
) t ON t.account_id = b.account_id AND t.instrument_id = b.instrument_id AND t.side = b.side
WHERE NOT EXISTS (SELECT 1 FROM break_score s WHERE s.change_id = c.change_id)
ORDER BY c.as_of, c.change_id
LIMIT {limit}
"""

_HISTORY = """
SELECT h.code, b.pb_id, b.account_id, b.instrument_id, count(*) AS n
FROM break_change h JOIN recon_break b ON b.break_id = h.break_id
WHERE h.kind = 'OPENED' AND h.as_of < cast(:as_of as timestamp_ntz(9))
GROUP BY h.code, b.pb_id, b.account_id, b.instrument_id
"""


@dataclass(frozen=True, slots=True)
class _History:
    """How many breaks were opened before a moment, by code, prime broker, account and instrument."""

    counts: Mapping[str, Counter[str]]
    total: int

    def seen(self, key: str, value: object) -> int:
        return self.counts[key][str(value)]

    def rarity(self, code: str) -> float:
        """Minus the decimal logarithm of the code's smoothed share: 0 when every break has it, higher when rare."""
        return -math.log10((self.seen("code", code) + 1.0) / (self.total + 10.0))


def features(warehouse: Warehouse, as_of_ns: int, limit: int = 5_000) -> pa.Table:
    """The latest change of every open break that has no score yet, oldest first, at most `limit` rows.

    Columns change_id, break_id (str), and COLUMNS as float64 with null for unknown (exposure without a rate, no
    deadline). Counts of earlier breaks look only at what was opened before the change, so a replay sees the same.
    """
    found = warehouse.query(_PENDING.format(limit=int(limit)), {"as_of": timestamp(as_of_ns)})
    # Times as integers: a Python datetime would lose the nanoseconds.
    for name in ("as_of", "deadline_at"):
        position = found.schema.get_field_index(name)
        found = found.set_column(position, name, found[name].cast(pa.timestamp("ns")).cast(pa.int64()))
    histories: dict[int, _History] = {}
    rows = []
    for row in found.to_pylist():
        moment_ns = row["as_of"]
        if moment_ns not in histories:
            histories[moment_ns] = _history(warehouse, moment_ns)
        rows.append(_row(row, histories[moment_ns], as_of_ns))
    return _table(rows)


def _history(warehouse: Warehouse, before_ns: int) -> _History:
    counts: dict[str, Counter[str]] = {key: Counter() for key in _KEYS}
    total = 0
    for row in warehouse.query(_HISTORY, {"as_of": timestamp(before_ns)}).to_pylist():
        total += row["n"]
        for key in _KEYS:
            counts[key][str(row[key])] += row["n"]
    return _History(counts, total)


def _row(row: Mapping[str, object], history: _History, as_of_ns: int) -> dict[str, object]:
    left, right = _int(row["left_count"]), _int(row["right_count"])
    return {
        "change_id": row["change_id"],
        "break_id": row["break_id"],
        "log_exposure": _log_exposure(row),
        "relative_delta": 1.0 if bool(left) != bool(right) else _relative(row["left_value"], row["right_value"]),
        "minutes_to_deadline": _minutes(row["deadline_at"], as_of_ns),
        "hour": _hour(_int(row["as_of"])),
        "code_rarity": history.rarity(str(row["code"])),
        "pb_breaks": math.log1p(history.seen("pb_id", row["pb_id"])),
        "account_breaks": math.log1p(history.seen("account_id", row["account_id"])),
        "instrument_breaks": math.log1p(history.seen("instrument_id", row["instrument_id"])),
        "twin_density": math.log1p(max(0, _int(row["twins"]) - 1)),
        "members": math.log1p(left + right),
        "one_sided": float(bool(left) != bool(right)),
        "not_equity": float(str(row["asset_class"] or "") not in _EQUITY),
        "generation": float(max(0, _int(row["generation"]) - 1)),
        SEVERITY: float(_int(row["severity"])),
    }


def _table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    schema = pa.schema(
        [("change_id", pa.string()), ("break_id", pa.string()), *((name, pa.float64()) for name in COLUMNS)]
    )
    return pa.Table.from_pylist(list(rows), schema)


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | Decimal | float) else 0


def _log_exposure(row: Mapping[str, object]) -> float | None:
    value = row["exposure_base"] if row["exposure_base"] is not None else row["exposure"]
    return None if not isinstance(value, Decimal) else math.log10(1.0 + abs(float(value)))


def _relative(left: object, right: object) -> float:
    """|left - right| over the larger of the two; 0 where the values are no plain numbers (dates, sides, accounts)."""
    try:
        first, second = Decimal(str(left).replace(",", "")), Decimal(str(right).replace(",", ""))
    except InvalidOperation:
        return 0.0
    if not (first.is_finite() and second.is_finite()) or first == second:
        return 0.0
    return float(abs(first - second) / max(abs(first), abs(second)))


def _minutes(deadline_ns: object, as_of_ns: int) -> float | None:
    if not isinstance(deadline_ns, int):
        return None
    minutes = (deadline_ns - as_of_ns) / 60e9
    return max(-_DEADLINE_LIMIT_MINUTES, min(_DEADLINE_LIMIT_MINUTES, minutes))


def _hour(at_ns: int) -> float:
    local = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone(_NEW_YORK)
    return local.hour + local.minute / 60.0
