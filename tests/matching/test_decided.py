"""Force match and unmatch as facts: passes respect them, later versions keep them, a rebuild repeats them."""

import itertools
from pathlib import Path

import pyarrow as pa
import pytest

from matching.decided import STATEMENTS
from matching.rebuild import rebuild
from tests.matching.desk import DAY, FEEDS, LATE, T0, Desk, Row, ours, theirs
from warehouse.sql import to_duckdb

_numbers = itertools.count(1)
SECOND = 1_000_000_000


def decide(desk: Desk, kind: str, *rows: Row) -> str:
    """Record a decision about the chains these rows belong to, as the application does."""
    number = next(_numbers)
    name = f"d{number:03d}"
    desk.warehouse.append(
        "match_decision",
        pa.table(
            {
                "decision_id": [name] * len(rows),
                "kind": [kind] * len(rows),
                "record_id": [row["record_id"] for row in rows],
                "side": ["L" if row["source_role"] == "INTERNAL" else "R" for row in rows],
                "decided_at": pa.array([T0 + number * SECOND] * len(rows), pa.int64()).cast(pa.timestamp("ns")),
                "execution": [f"decision-{name}"] * len(rows),
            }
        ),
    )
    return name


@pytest.mark.parametrize("dialect", ["snowflake", "duckdb"])
def test_the_text_is_the_reviewed_one(dialect: str) -> None:
    path = Path(__file__).parent / "snapshots" / f"decided.{dialect}.sql"
    shown = {name: to_duckdb(sql) if dialect == "duckdb" else sql.strip() for name, sql in STATEMENTS.items()}
    text = "".join(f"-- {name}\n{sql};\n\n" for name, sql in shown.items())
    assert path.read_text(encoding="utf-8") == text, f"review the change, then write {path.name} anew"


def groups(desk: Desk) -> list[tuple[str, str]]:
    found = desk.table("select pass_id, cardinality from match_group order by 1, 2")
    return [(item["pass_id"], item["cardinality"]) for item in found]


def test_a_forced_pair_is_a_group_and_what_differs_is_named(desk: Desk) -> None:
    a, b = ours("A", instrument_id="NVDA-ID"), theirs("B", instrument_id="AMD-ID", symbol="AMD", qty="90")
    desk.match([a, b], as_of=LATE)
    assert desk.breaks() == ["T01", "T02"]
    decide(desk, "FORCE", a, b)
    desk.match(as_of=LATE)
    assert groups(desk) == [("forced", "1:1")]
    assert "T01" not in desk.breaks() and "T02" not in desk.breaks() and "T05" in desk.breaks()
    tables = ("match_group", "match_member", "recon_break", "recon_break_member", "break_change", "trade_state")
    before = desk.dump(*tables)
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump(*tables) == before
    desk.match(as_of=LATE, scope="all")
    assert desk.dump(*tables) == before, "deriving everything again changes nothing"


def test_several_fills_are_forced_to_one_booking(desk: Desk) -> None:
    fills = [ours(f"A{n}", qty=str(100 + n), client_order_id=f"C{n}") for n in range(3)]
    booking = theirs("B", qty="303", trade_date=DAY.replace(day=25), client_order_id=None)
    desk.match([*fills, booking], as_of=LATE)
    decide(desk, "FORCE", *fills, booking)
    desk.match(as_of=LATE)
    assert ("forced", "n:1") in groups(desk)
    assert not {"T01", "T02", "T05"} & set(desk.breaks())


def test_a_force_match_lapses_with_a_cancel_and_holds_over_a_correction(desk: Desk) -> None:
    a, b = ours("A"), theirs("B", account_id="OTHER", client_order_id=None, price="11")
    desk.match([a, b], as_of=LATE)
    decide(desk, "FORCE", a, b)
    desk.match([ours("A2", prev_uid="A", status="CORRECT", version=2, qty="120")], as_of=LATE)
    assert groups(desk) == [("forced", "1:1")]
    desk.match([theirs("B2", prev_uid="B", status="CANCEL", version=2, account_id="OTHER", price="11")], as_of=LATE)
    assert ("forced", "1:1") not in groups(desk)
    assert desk.breaks()


def test_what_was_taken_apart_stays_apart_and_ours_may_meet_another(desk: Desk) -> None:
    a, b = ours("A"), theirs("B", "A")
    desk.match([a, b], as_of=LATE)
    assert desk.breaks() == []
    decide(desk, "APART", a, b)
    desk.match(as_of=LATE)
    assert desk.breaks() == ["T01", "T02"]
    desk.match([theirs("B9", "A")], as_of=LATE)
    assert desk.breaks() == ["T02"]
    decide(desk, "FREE", a, b)
    desk.match(as_of=LATE)
    assert len(groups(desk)) == 1


@pytest.mark.parametrize("newest", ["FORCE", "APART"])
def test_the_newest_decision_about_a_trade_counts(desk: Desk, newest: str) -> None:
    a, b = ours("A"), theirs("B", "A")
    desk.match([a, b], as_of=LATE)
    for kind in ("APART", "FORCE", "APART") if newest == "APART" else ("APART", "FORCE"):
        decide(desk, kind, a, b)
        desk.match(as_of=LATE)
    assert groups(desk) == ([("forced", "1:1")] if newest == "FORCE" else [])


def test_decisions_before_or_after_the_records_end_alike(rules: object) -> None:
    rows = [ours("A"), theirs("B", account_id="X", price="12", client_order_id=None)]
    ends = []
    for early in (True, False):
        desk = Desk(rules)  # type: ignore[arg-type]
        desk.store(rows, "e001")
        if early:
            decide(desk, "FORCE", *rows)
        desk.match(as_of=LATE, execution="e001")
        if not early:
            decide(desk, "FORCE", *rows)
        desk.match(as_of=LATE, execution="e002")
        ends.append((groups(desk), desk.breaks()))
    assert ends[0] == ends[1]
