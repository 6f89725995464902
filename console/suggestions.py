"""Pairs held likely for a trade that nothing matched: the other trade, the evidence, the break that goes with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from console.rows import Row, decimal, rows, text
from warehouse.port import Warehouse

MAX_SUGGESTIONS = 10
_FIND = f"""
WITH mine AS (
  SELECT m.record_id, m.side FROM recon_break_member m WHERE m.break_id = :id
), found AS (
  SELECT s.*, m.side, CASE WHEN m.side = 'L' THEN s.right_id ELSE s.left_id END AS other_id
  FROM match_suggestion s JOIN mine m
    ON m.record_id = CASE WHEN m.side = 'L' THEN s.left_id ELSE s.right_id END
)
SELECT f.suggestion_id, f.pass_id, f.kind, f.score, f.evidence, f.side, t.trade_uid, t.account_id, t.symbol,
  t.side AS trade_side, t.qty, t.price, t.trade_date, t.settle_date, t.pb_id, q.break_id AS other_break, q.code
FROM found f JOIN trade_event t ON t.record_id = f.other_id
LEFT JOIN recon_break_member o ON o.record_id = f.other_id
LEFT JOIN recon_break q ON q.break_id = o.break_id AND q.state = 'OPEN' AND q.field_family = 'existence'
QUALIFY row_number() OVER (PARTITION BY f.suggestion_id ORDER BY q.break_id NULLS LAST) = 1
ORDER BY f.score DESC NULLS LAST, t.trade_uid, f.suggestion_id LIMIT {MAX_SUGGESTIONS}
"""
_COMPARES = {"equal": "equal", "near": "near", "differ": "differs", "unknown": "not stated"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one field compares, and what that weighs for (or, below zero, against) the pair, in log2."""

    field: str
    compares: str
    weight: Decimal | None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One pair that a pass of the rule set holds likely. `other_break` is the open break of the other trade."""

    pass_id: str
    kind: str
    score: Decimal | None
    words: str
    trade: Row
    evidence: tuple[Evidence, ...]
    other_break: str


def suggestions(warehouse: Warehouse, break_id: str) -> tuple[Suggestion, ...]:
    """What might be the other side of an unmatched trade, likeliest first; nothing for other breaks."""
    return tuple(_suggestion(row) for row in rows(warehouse.query(_FIND, {"id": break_id})))


def suggestion_json(found: Suggestion) -> dict[str, object]:
    """For API clients: decimals as text."""
    return {
        "pass": found.pass_id,
        "kind": found.kind,
        "score": None if found.score is None else _plain(found.score),
        "trade": {name: _text(value) for name, value in found.trade.items()},
        "evidence": [
            {"field": e.field, "compares": e.compares, "weight": None if e.weight is None else _plain(e.weight)}
            for e in found.evidence
        ],
        "other_break": found.other_break or None,
    }


def _suggestion(row: Row) -> Suggestion:
    names = ("trade_uid", "account_id", "symbol", "qty", "price", "trade_date", "settle_date", "pb_id")
    trade: Row = {name: row[name] for name in names} | {"side": row["trade_side"]}
    said = [_evidence(one) for one in json.loads(text(row, "evidence") or "[]")]
    whose = "Prime broker's" if row["side"] == "L" else "Our"
    words = f"{whose} trade {text(row, 'trade_uid')}"
    return Suggestion(
        text(row, "pass_id"), text(row, "kind"), decimal(row, "score"), words, trade, tuple(said),
        text(row, "other_break"),
    )  # fmt: skip


def _evidence(one: Mapping[str, str]) -> Evidence:
    weight = one.get("weight")
    return Evidence(
        one["field"].replace("_", " "), _COMPARES.get(one["is"], one["is"]), None if weight is None else Decimal(weight)
    )


def _plain(value: Decimal) -> str:
    return format(value.normalize() + 0, "f")


def _text(value: object) -> object:
    return _plain(value) if isinstance(value, Decimal) else None if value is None else str(value)
