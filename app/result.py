"""The result of a running service row by row, as a reconciliation's output folder holds it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from app.report_rows import (
    BREAKS,
    GROUPS,
    MEMBER_FACTS,
    QUARANTINE,
    Json,
    Row,
    break_row,
    dump,
    group_row,
    in_order,
    quarantine_row,
    rows,
)
from warehouse.port import Warehouse

Part = Literal["breaks", "groups", "quarantine"]

_CHUNK_ROWS = 10_000
# A break needs all columns of its records for the comparison of fields, a group only their names.
_BREAK_RECORDS = """
SELECT m.break_id AS owner, m.side AS leg, e.* FROM recon_break_member m JOIN trade_event e ON e.record_id = m.record_id
WHERE m.break_id BETWEEN :first AND :last
"""
_GROUP_RECORDS = """
SELECT m.group_id AS owner, m.side AS leg, e.record_id, e.message_id, e.feed, e.trade_uid, e.version, e.file, e.line
FROM match_member m JOIN trade_event e ON e.record_id = m.record_id WHERE m.group_id BETWEEN :first AND :last
"""

_Sides = Mapping[str, Sequence[Row]]


def lines(warehouse: Warehouse, part: Part) -> Iterator[str]:
    """One JSON object a line in order of the rows' ids: breaks in every state, groups, or quarantine.

    Read in chunks, so that a large result takes little memory; rows that change meanwhile show one state or the other.
    """
    source = {"breaks": _breaks, "groups": _groups, "quarantine": _quarantine}[part]
    for row in source(warehouse):
        yield dump(row) + "\n"


def _breaks(warehouse: Warehouse) -> Iterator[Json]:
    for chunk in _chunks(warehouse, BREAKS, "b.break_id"):
        sides = _sides(warehouse, _BREAK_RECORDS, chunk, "break_id")
        facts = _sides(warehouse, f"{MEMBER_FACTS} WHERE m.break_id BETWEEN :first AND :last", chunk, "break_id")
        for row in chunk:
            yield break_row(row, _both(sides.get(row["break_id"], {}), facts.get(row["break_id"], {})), {})


def _both(trades: _Sides, facts: _Sides) -> _Sides:
    return {leg: in_order([*trades.get(leg, ()), *facts.get(leg, ())]) for leg in ("L", "R")} if facts else trades


def _groups(warehouse: Warehouse) -> Iterator[Json]:
    for chunk in _chunks(warehouse, GROUPS, "g.group_id"):
        sides = _sides(warehouse, _GROUP_RECORDS, chunk, "group_id")
        for row in chunk:
            yield group_row(row, sides.get(row["group_id"], {}), {})


def _quarantine(warehouse: Warehouse) -> Iterator[Json]:
    for chunk in _chunks(warehouse, QUARANTINE, "q.quarantine_id"):
        for row in chunk:
            yield quarantine_row(row, {})


def _chunks(warehouse: Warehouse, sql: str, key: str) -> Iterator[Sequence[Row]]:
    """Rows in order of `key`, each chunk after the last one's end."""
    name, after = key.partition(".")[2], ""
    while True:
        chunk = rows(warehouse, f"{sql} WHERE {key} > :after ORDER BY {key} LIMIT {_CHUNK_ROWS}", {"after": after})
        if chunk:
            after = chunk[-1][name]
            yield chunk
        if len(chunk) < _CHUNK_ROWS:
            return


def _sides(warehouse: Warehouse, sql: str, chunk: Sequence[Row], key: str) -> Mapping[str, _Sides]:
    found: dict[str, dict[str, list[Row]]] = {}
    for record in rows(warehouse, sql, {"first": chunk[0][key], "last": chunk[-1][key]}):
        found.setdefault(record["owner"], {}).setdefault(record["leg"], []).append(record)
    return {owner: {leg: in_order(members) for leg, members in sides.items()} for owner, sides in found.items()}
