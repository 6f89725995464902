"""Evidence of a break, completeness of the whole, deadlines and sentences."""

from datetime import date

import pyarrow as pa
import pytest

from domain.taxonomy import taxonomy
from matching.completeness import completeness
from matching.deadlines import BusinessDays, Deadlines
from matching.explain import evidence
from matching.text import headline, number
from tests.matching.desk import DAY, LATE, T0, Desk, ours, theirs


def test_evidence_shows_both_sides_the_rule_and_the_history(desk: Desk) -> None:
    result = desk.match([ours("E1"), theirs("A1", "E1", qty="90")])
    shown = evidence(desk.warehouse, result.opened_ids[0])
    assert shown["differing"] == ["qty"]
    by_field = {item["field"]: item for item in shown["fields"]}
    assert ([str(v) for v in by_field["qty"]["left"]], [str(v) for v in by_field["qty"]["right"]]) == (
        ["100.0000000000"],
        ["90.0000000000"],
    )
    assert shown["rule"]["pass"]["id"] == "P10-exec-id"
    assert shown["rule"]["break"]["when"] == "d.qty > 0"
    assert [change["kind"] for change in shown["changes"]] == ["OPENED"]
    assert {member["break_side"] for member in shown["members"]} == {"L", "R"}


def test_evidence_of_an_unknown_break_is_a_key_error(desk: Desk) -> None:
    desk.match([ours("E1")])
    with pytest.raises(KeyError):
        evidence(desk.warehouse, "nothing")


def test_completeness_names_what_was_lost_counted_twice_or_never_matched(desk: Desk) -> None:
    desk.match([ours("E1"), theirs("A1", "E1"), ours("E2", qty="7")])
    sound = completeness(desk.warehouse)
    assert (sound.live, sound.grouped, sound.broken, sound.expected, sound.holds) == (3, 2, 0, 1, True)
    desk.store([ours("E3", qty="8")], "later")
    assert len(completeness(desk.warehouse).unmatched) == 1
    desk.warehouse.execute("delete from recon_break_member")
    assert len(completeness(desk.warehouse).offenders) == 1
    desk.warehouse.execute("insert into match_member select 'other', side, record_id from match_member")
    assert len(completeness(desk.warehouse).offenders) == 3


def test_every_taxonomy_deadline_is_computable() -> None:
    deadlines = Deadlines(BusinessDays())
    for code, entry in taxonomy().items():
        due = deadlines.of(code, DAY, date(2026, 11, 25), T0)
        assert (due is None) == (entry.deadline is None)


def test_a_deadline_is_local_time_on_a_business_day() -> None:
    friday = date(2026, 11, 27)
    closed = BusinessDays({("XNYS", date(2026, 11, 30)): False})
    t13 = Deadlines(closed).of("T13", friday, None, T0)
    assert t13 is not None
    assert t13 // 1_000_000_000 == 1_796_137_200  # Tuesday 2026-12-01 10:00 in New York, 15:00 UTC
    assert Deadlines(BusinessDays()).of("T07", friday, None, T0) == T0


def test_sentences_read_like_sentences() -> None:
    row = {"code": "T01", "side": "SELL_SHORT", "qty": "5000", "symbol": "NVDA", "instrument_id": "X",
           "price": "141.95", "account_id": "MERID-EQ-01", "left_value": "", "right_value": None,
           "pb_id": "BRAVO", "exposure": None,
           "ccy": "USD", "delta": None}  # fmt: skip
    assert headline(row, None, T0) == (
        "BRAVO has not booked our trade: we sold short 5,000 NVDA at 141.95 in MERID-EQ-01, exposure unknown"
    )
    assert (number("1234.5000"), number("100"), number(None), number("2026-11-24")) == (
        "1,234.5", "100", "?", "2026-11-24",
    )  # fmt: skip


def test_base_money_uses_the_newest_rate_of_the_trade_date(desk: Desk) -> None:
    rates = pa.table(
        {
            "from_ccy": ["EUR", "EUR", "EUR"],
            "to_ccy": ["USD", "USD", "USD"],
            "rate": pa.array(["1.05", "1.10", "1.20"]).cast(pa.decimal128(28, 12)),
            "valid_from": [date(2026, 11, 1), date(2026, 11, 24), date(2026, 11, 25)],
        }
    )
    desk.warehouse.append("fx_rate", rates)
    desk.match([ours("E1", trade_ccy="EUR"), theirs("A1", "E1", qty="90", trade_ccy="EUR")], as_of=LATE)
    [row] = desk.table("select exposure_base from recon_break")
    assert str(row["exposure_base"]) == "115.500000"
