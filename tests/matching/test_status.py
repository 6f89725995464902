"""Orphans, refusals and affirmations: when they open, what ends them, and that the order of arrival is no matter."""

import itertools
from datetime import timedelta
from typing import Any

import pyarrow as pa

from domain.schema import TABLES, arrow_schema
from matching.levels.port import FeedTerms
from matching.rebuild import rebuild
from tests.matching.desk import DAY, FEEDS, LATE, SECOND, T0, Desk, ours, theirs

CUT_OFF = 1_795_572_000 * SECOND  # 2026-11-25 02:00 UTC, 21:00 in New York on the trade date
SAYS = FeedTerms("alpha_affirmations", "PB", "ALPHA", 600, contents="affirmations")
Row = dict[str, Any]


def said(uid: str, status: str, at: int = T0) -> Row:
    return {"uid": uid, "status": status, "at": at}


def affirm(desk: Desk, execution: str, *rows: Row) -> None:
    """Store affirmations as Normalize would."""
    schema = arrow_schema(TABLES["affirmation"])
    full = [
        {
            "record_id": f"aff-{row['uid']}-{row['status']}-{row['at']}", "feed": SAYS.feed, "source_role": "PB",
            "confirm_id": f"CF-{row['uid']}", "trade_uid": row["uid"], "affirm_status": row["status"],
            "event_time_utc": row["at"], "recv_time_utc": row["at"], "pb_id": "ALPHA", "raw_sha256": "x",
            "execution": execution,
        }
        for row in rows
    ]  # fmt: skip
    columns = {
        f.name: pa.array([row.get(f.name) for row in full], pa.int64()).cast(f.type)
        if pa.types.is_timestamp(f.type)
        else pa.array([row.get(f.name) for row in full], f.type)
        for f in schema
    }
    desk.warehouse.append("affirmation", pa.table(columns))


def states(desk: Desk, code: str) -> list[str]:
    return [row["state"] for row in desk.table(f"select state from recon_break where code = '{code}' order by 1")]


def test_an_orphan_is_held_for_fifteen_minutes_and_then_a_break(desk: Desk) -> None:
    desk.match([theirs("A2", status="CANCEL", prev_uid="A1", version=2)])
    assert states(desk, "T24") == ["EXPECTED"]
    desk.match(as_of=T0 + 899 * SECOND)
    assert states(desk, "T24") == ["EXPECTED"]
    desk.match(as_of=T0 + 900 * SECOND)
    [row] = desk.table("select headline, state, right_value from recon_break where code = 'T24'")
    assert (row["state"], row["right_value"]) == ("OPEN", "CANCEL of A1")
    assert row["headline"].startswith("ALPHA cancelled 100 NVDA in MERID-EQ-01, but nobody here has seen A1")


def test_an_orphan_whose_original_comes_is_no_break(desk: Desk) -> None:
    desk.match([theirs("A2", status="CANCEL", prev_uid="A1", version=2)])
    desk.match([theirs("A1")], as_of=T0 + 60 * SECOND)
    assert states(desk, "T24") == []
    kinds = desk.table("select kind, code from break_change where kind in ('EXPECTED', 'CLEARED') order by kind")
    assert {"kind": "CLEARED", "code": "T28"} in kinds


def test_a_refused_booking_is_the_missing_one_under_its_true_name(desk: Desk) -> None:
    desk.match([ours("E1"), theirs("A1", "E1", status="REJECT")])
    rows = desk.table("select code, state, headline from recon_break")
    assert [(row["code"], row["state"]) for row in rows] == [("T25", "OPEN")], "no grace: they have answered"
    assert "ALPHA rejected our trade: 100 @ 10.5 NVDA" in rows[0]["headline"]
    sides = desk.table("select side, count(*) as n from recon_break_member group by side order by side")
    assert [(row["side"], row["n"]) for row in sides] == [("L", 1), ("R", 1)]


def test_a_refusal_ends_with_the_booking_that_follows(desk: Desk) -> None:
    desk.match([ours("E1"), theirs("A1", "E1", status="REJECT")])
    desk.match([theirs("A2", "E1")], as_of=T0 + 60 * SECOND)
    assert desk.breaks() == []
    assert states(desk, "T25") == ["CURED"]


def test_a_refusal_of_what_is_booked_by_its_id_is_history_in_any_order(desk: Desk) -> None:
    """It knows ours by the order or by the terms alone; a pair by id is looked at by itself."""
    orders = list(itertools.permutations(range(3)))
    cases = [(order, quoted) for order in orders for quoted in ("ours", "another")]
    for step in range(3):
        rows = []
        for name, (order, quoted) in enumerate(cases):
            own: Row = {"instrument_id": f"I{name}", "client_order_id": f"C{name}"}
            parts = [ours(f"E-{name}", **own), theirs(f"A-{name}", f"E-{name}", **own),
                     theirs(f"X-{name}", status="REJECT", **own)]  # fmt: skip
            parts[2] |= {"client_order_id": f"C{name}" if quoted == "ours" else f"D{name}"}
            rows.append(parts[order[step]])
        desk.match(rows, as_of=T0 + step * SECOND)
    desk.match(as_of=LATE)
    assert desk.breaks() == []
    assert len(desk.table("select group_id from match_group")) == len(cases)


def test_a_refusal_of_something_unknown_stands_alone(desk: Desk) -> None:
    before = {"trade_date": DAY - timedelta(days=1)}
    desk.match([ours("E1", **before), theirs("A0", "E1", **before), theirs("A1", "E9", status="REJECT")])
    assert desk.breaks() == [], "our own record may be on its way"
    desk.match(as_of=T0 + 30 * SECOND)
    assert desk.breaks() == ["T25"], "an equal trade of another day is no answer"
    desk.match(as_of=T0 + 30 * SECOND, scope="all")
    assert desk.breaks() == ["T25"]


def test_a_refusal_that_names_a_trade_of_another_block_is_about_it_in_any_order(desk: Desk) -> None:
    """It is of another security, where something else is booked; of another day it would be of another trade."""
    orders = list(itertools.permutations(range(3)))
    ways = ("ours", "theirs", "share", "booked", "other day", "moved")
    cases = list(itertools.product(orders, ways))
    for step in range(3):
        rows = []
        for name, (order, way) in enumerate(cases):
            own: Row = {"instrument_id": f"I{name}", "client_order_id": f"C{name}"}
            far: Row = {"instrument_id": f"J{name}", "client_order_id": f"D{name}", "qty": "77"}
            quoted: Row = {"theirs": {"cross_uid": f"X{name}"}, "share": {"trade_uid": f"E{name}/1"}}.get(way, {})
            day: Row = {"trade_date": DAY - timedelta(days=1)} if way == "other day" else {}
            refusal = theirs(f"X{name}", None if way == "theirs" else f"E{name}", status="REJECT", **far, **day)
            mine = [ours(f"E{name}", **own) | quoted]
            mine += [theirs(f"A{name}", f"E{name}", **own)] if way == "booked" else []
            parts = [mine, [refusal], [ours(f"F{name}", **far, **day), theirs(f"B{name}", f"F{name}", **far, **day)]]
            if way == "moved":
                now: Row = {**own, "instrument_id": f"K{name}", "prev_uid": f"E{name}", "status": "CORRECT"}
                parts[2].append(ours(f"G{name}", **now))
            rows += parts[order[step]]
        desk.match(rows, as_of=T0 + step * SECOND)
    desk.match(as_of=LATE)
    sql = (
        "select b.instrument_id, b.code, count(*) as n from recon_break b join recon_break_member m"
        " on m.break_id = b.break_id where b.state = 'OPEN' group by 1, 2"
    )
    found = {(row["instrument_id"], row["code"], row["n"]) for row in desk.table(sql)}
    one = {"other day": ("T01", 1), "booked": None}
    ends = {
        ("K" if way == "moved" else "I") + str(name): one.get(way, ("T25", 2)) for name, (_, way) in enumerate(cases)
    }
    assert found == {(name, *end) for name, end in ends.items() if end is not None}
    before = desk.dump("recon_break", "recon_break_member", "match_refusal_place")
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump("recon_break", "recon_break_member", "match_refusal_place") == before
    desk.match(as_of=LATE, scope="all")
    assert desk.dump("recon_break", "recon_break_member") == {
        name: before[name] for name in before if "refusal" not in name
    }


def test_fills_refused_together_are_one_break(desk: Desk) -> None:
    fills = [ours(f"E{n}", qty=str(n * 10), client_order_id="C7") for n in (1, 2, 3)]
    desk.match([*fills, theirs("A1", qty="60", status="REJECT", client_order_id="C7")])
    [row] = desk.table("select code, left_value from recon_break where state = 'OPEN'")
    assert (row["code"], row["left_value"]) == ("T25", "60 @ 10.5")


def pair() -> list[Row]:
    return [ours("E1"), theirs("A1", "E1")]


def test_nothing_said_by_the_cut_off_is_a_break_only_where_the_broker_affirms(desk: Desk) -> None:
    feeds = (*FEEDS, SAYS)
    desk.match(pair(), feeds=feeds)
    desk.match(as_of=CUT_OFF + 3_600 * SECOND, feeds=feeds)
    assert desk.breaks() == []
    affirm(desk, "said", said("A9", "AFFIRMED"))
    desk.match([ours("E2", qty="7"), theirs("A2", "E2", qty="7")], as_of=CUT_OFF + 3_700 * SECOND, feeds=feeds,
               execution="said")  # fmt: skip
    assert "T27" in {row["code"] for row in desk.table("select code from recon_break")}


def test_the_cut_off_is_swept_by_time_with_the_feeds_grace(desk: Desk) -> None:
    feeds = (*FEEDS, SAYS)
    affirm(desk, "e", said("A1", "PENDING"))
    desk.match(pair(), feeds=feeds, execution="e")
    assert desk.table("select * from recon_break") == []
    [timer] = desk.table("select timer_key, kind from timer where kind = 'cutoff'")
    assert timer == {"timer_key": "cutoff|2026-11-24", "kind": "cutoff"}
    desk.match(as_of=CUT_OFF + 599 * SECOND, feeds=feeds)
    assert desk.breaks() == []
    desk.match(as_of=CUT_OFF + 600 * SECOND, feeds=feeds)
    assert desk.breaks() == ["T27"]
    assert desk.table("select * from timer where kind = 'cutoff'") == []
    affirm(desk, "late", said("A1", "AFFIRMED", CUT_OFF))
    desk.match(as_of=CUT_OFF + 700 * SECOND, feeds=feeds, execution="late")
    assert states(desk, "T27") == ["CURED"]


def test_a_refusal_to_affirm_is_told_at_once_and_becomes_unaffirmed_at_the_cut_off(desk: Desk) -> None:
    feeds = (*FEEDS, SAYS)
    affirm(desk, "e", said("A1", "REJECTED"))
    desk.match(pair(), feeds=feeds, execution="e")
    assert desk.breaks() == ["T25"]
    desk.match(as_of=CUT_OFF + 600 * SECOND, feeds=feeds)
    [row] = desk.table("select code, generation from recon_break")
    assert row == {"code": "T27", "generation": 1}, "the same break under another name"


def test_the_order_of_arrival_does_not_matter(desk: Desk) -> None:
    """Every order at once, each with ids and an instrument of its own."""
    feeds = (*FEEDS, SAYS)
    orders = list(itertools.permutations(range(3)))
    for step in range(3):
        rows, words = [], []
        for name, order in enumerate(orders):
            own: Row = {"instrument_id": f"I{name}", "client_order_id": f"C{name}"}
            e1, e2, a1, a2, a9 = (f"{uid}-{name}" for uid in ("E1", "E2", "A1", "A2", "A9"))
            parts: list[tuple[list[Row], list[Row]]] = [
                ([ours(e1, **own), ours(e2, qty="7", **own)], []),
                ([theirs(a1, e1, **own), theirs(a2, e2, qty="7", status="REJECT", **own)], []),
                ([theirs(a9, status="CORRECT", prev_uid=f"A8-{name}", version=2, **own)], [said(a1, "PENDING")]),
            ]
            told, affirmed = parts[order[step]]
            rows += told
            words += affirmed
        affirm(desk, f"p{step}", *words)
        desk.match(rows, feeds=feeds, execution=f"p{step}")
    desk.match(as_of=CUT_OFF + 600 * SECOND, feeds=feeds, execution="sweep")
    found = desk.table(
        "select b.instrument_id as name, b.code, count(*) as n from recon_break_member m"
        " join recon_break b on b.break_id = m.break_id where b.state = 'OPEN' group by 1, 2 order by 1, 2"
    )
    members = {"T24": 1, "T25": 2, "T27": 2}
    assert [(row["name"], row["code"], row["n"]) for row in found] == [
        (f"I{name}", code, n) for name in range(len(orders)) for code, n in members.items()
    ]
