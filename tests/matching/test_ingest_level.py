"""What went wrong on the way in, as breaks: one each while they are few, one for all when they are many."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from domain.schema import TABLES, arrow_schema
from matching.levels import ingest_sql
from matching.rebuild import rebuild
from tests.matching import books
from tests.matching.desk import DAY, FEEDS, SECOND, T0, Desk, ours, theirs

Row = dict[str, Any]


def store(desk: Desk, table: str, rows: list[Row]) -> None:
    schema = arrow_schema(TABLES[table])
    columns = {
        f.name: pa.array([row.get(f.name) for row in rows], pa.int64()).cast(f.type)
        if pa.types.is_timestamp(f.type)
        else pa.array([row.get(f.name) for row in rows], f.type)
        for f in schema
    }
    desk.warehouse.append(table, pa.table(columns))


def held(number: int, code: str = "I01", execution: str = "q") -> Row:
    return {
        "quarantine_id": f"Q{number:04d}", "message_id": f"alpha:{number}", "feed": "alpha", "recv_ts": T0,
        "code": code, "reason": "undecodable", "detail": "No FIX message in 3 bytes.", "raw": b"abc",
        "execution": execution,
    }  # fmt: skip


def test_each_quarantined_message_is_a_break_until_it_is_healed(desk: Desk) -> None:
    store(desk, "quarantine", [held(1), held(2)])
    desk.match(execution="q")
    assert desk.breaks() == ["I01", "I01"]
    [row] = desk.table("select headline, pb_id, level from recon_break limit 1")
    assert (row["pb_id"], row["level"]) == ("ALPHA", "INGEST")
    assert row["headline"].startswith("A message from ALPHA could not be read: No FIX message in 3 bytes, ")
    healed = {
        "quarantine_id": "Q0001", "message_id": "alpha:1", "healed": True, "outcome": "FACT", "retried_at": T0,
        "execution": "again",
    }  # fmt: skip
    store(desk, "quarantine_retry", [healed])
    desk.match(execution="again", as_of=T0 + SECOND)
    assert desk.breaks() == ["I01"]


def test_many_of_a_day_are_one_break_that_names_them_all(desk: Desk) -> None:
    count = ingest_sql.TOLD_ONE_BY_ONE + 1
    store(desk, "quarantine", [held(n) for n in range(count - 1)])
    desk.match(execution="q")
    assert len(desk.breaks()) == count - 1
    store(desk, "quarantine", [held(count, execution="r")])
    desk.match(execution="r", as_of=T0 + SECOND)
    assert desk.breaks() == ["I01"]
    [row] = desk.table("select break_id, right_value from recon_break where state = 'OPEN'")
    assert row["right_value"] == f"{count} messages of alpha"
    members = desk.table("select * from recon_break_member where break_id = :b", {"b": row["break_id"]})
    assert len(members) == count


@pytest.mark.parametrize(
    ("flags", "codes"),
    [
        ("POSS_DUP", []),
        ("I02_NO_CHECKSUM", []),
        ("I02_CHECKSUM,LOG_PREFIX", ["I02"]),
        ("I03_ID_UNKNOWN,I04_ACCOUNT", ["I03", "I04"]),
    ],
)
def test_flags_that_are_codes_are_breaks_beside_the_match(desk: Desk, flags: str, codes: list[str]) -> None:
    desk.match([ours("E1"), theirs("A1", "E1", flags=flags)])
    assert desk.breaks() == codes
    assert len(desk.table("select * from match_group")) == 1


def test_an_unknown_instrument_is_one_break_however_many_trades_name_it(desk: Desk) -> None:
    desk.match([ours("E1", flags="I03_ID_UNKNOWN"), ours("E2", qty="7", flags="I03_ID_UNKNOWN")])
    desk.match([theirs("A1", "E1", flags="I03_ID_UNKNOWN")], as_of=T0 + SECOND)
    assert desk.breaks() == ["I03"]
    members = desk.table(
        "select m.side from recon_break_member m join recon_break b on b.break_id = m.break_id where b.code = 'I03'"
        " order by 1"
    )
    assert [row["side"] for row in members] == ["L", "L", "R"]


def test_lost_messages_are_a_break_a_minute_after_they_were_missed(desk: Desk) -> None:
    gap = {
        "record_id": "G1", "feed": "alpha", "sender": "ALPHA", "gap_first": 5, "gap_last": 7, "seen_at": T0,
        "recv_time_utc": T0, "execution": "g",
    }  # fmt: skip
    store(desk, "sequence_gap", [gap])
    desk.match(execution="g")
    assert desk.breaks() == [] and desk.breaks("EXPECTED") == ["I05"]
    desk.match(as_of=T0 + 60 * SECOND)
    [row] = desk.table("select code, headline from recon_break where state = 'OPEN'")
    assert row["headline"].startswith("Messages from ALPHA are missing: alpha lacks 3 messages, 5 to 7")
    [named] = desk.table("select trade_uid from member_fact where record_id = 'G1'")
    assert named["trade_uid"] == "seq:5-7"


def strange(desk: Desk) -> list[Row]:
    return desk.table(
        "select b.right_value, b.trade_date, count(*) as n from recon_break b join recon_break_member m"
        " on m.break_id = b.break_id where b.code = 'I04' and b.state = 'OPEN' group by 1, 2"
    )


def test_an_account_nobody_knows_is_one_break_for_trades_positions_and_cash(desk: Desk) -> None:
    """A position asks while it is of the newest day, a cash entry until it is told again under another name."""
    unmapped = {"flags": "I04_ACCOUNT", "account_id": "B-7", "feed": "alpha"}
    desk.store([theirs("A1", flags="I04_ACCOUNT", account_id="B-7")], "one")
    rows = [books.position(False, "5", **unmapped), books.position(False, "6", "AAPL-ID", **unmapped),
            books.cash(False, "WIRE", "7", **unmapped)]  # fmt: skip
    books.run(desk, rows, "one")
    assert strange(desk) == [{"right_value": "B-7", "trade_date": DAY, "n": 4}]
    later = DAY + timedelta(days=1)
    books.run(desk, [books.position(False, "5", feed="alpha", as_of_date=later)], "two", T0 + SECOND)
    assert strange(desk) == [{"right_value": "B-7", "trade_date": DAY, "n": 2}]
    named = books.cash(False, "WIRE", "7", feed="alpha")
    table = {"record_id": [named["record_id"]], "replaces": [rows[2]["record_id"]], "execution": ["three"]}
    desk.warehouse.append("book_named", pa.table({**table, "named_at": pa.array([T0]).cast(pa.timestamp("ns"))}))
    books.run(desk, [named], "three", T0 + 2 * SECOND)
    assert [row["n"] for row in strange(desk)] == [1]
    before = desk.dump("recon_break", "recon_break_member", "break_change")
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump("recon_break", "recon_break_member", "break_change") == before


def test_the_order_in_which_positions_of_an_unknown_account_come_does_not_matter(desk: Desk) -> None:
    unmapped = {"flags": "I04_ACCOUNT", "account_id": "B-7", "feed": "alpha"}
    later = books.position(False, "5", feed="alpha", as_of_date=DAY + timedelta(days=1))
    books.run(desk, [later], "one")
    books.run(desk, [books.position(False, "5", **unmapped)], "two", T0 + SECOND)
    assert strange(desk) == []
