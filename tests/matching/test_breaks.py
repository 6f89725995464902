"""Break codes: rows in, verdicts out; each code with a case that is one and a look-alike that is not."""

from datetime import date, timedelta
from typing import Any

import pytest

from domain.ids import digest128
from matching.completeness import completeness
from matching.rules import RuleSet
from tests.matching.desk import DAY, LATE, T0, Desk, Row, ours, own_world, theirs

NEXT = DAY + timedelta(days=1)
BLOCK = {"feed": "charlie", "pb_id": "CHARLIE"}


def block(uid: str, **changes: Any) -> Row:
    return theirs(uid, feed="charlie", **changes)


def fills(*terms: tuple[str, str], **changes: Any) -> list[Row]:
    """Our fills of one order for CHARLIE: (quantity, price) each."""
    return [
        ours(f"E{index}", qty=qty, price=price, pb_id="CHARLIE", **changes)
        for index, (qty, price) in enumerate(terms, start=1)
    ]


CASES: list[tuple[str, list[Row], list[str]]] = [
    ("clean by id", [ours("E1"), theirs("A1", "E1")], []),
    ("clean by economics", [ours("E1"), theirs("A1")], []),
    ("T01 internal only", [ours("E1")], ["T01"]),
    ("T02 prime broker only", [theirs("A1", "E9")], ["T02"]),
    ("T03 booked twice", [ours("E1"), theirs("A1", "E1"), theirs("A2", "E1")], ["T03"]),
    ("T03 not: two trades", [ours("E1"), ours("E2"), theirs("A1", "E1"), theirs("A2", "E2")], []),
    ("T03 not: another trade of theirs", [ours("E1"), theirs("A1", "E1"), theirs("A2", "E7")], ["T02"]),
    (
        "T04 sent twice by our system",
        [ours("E1", event_time_precision="ms"), ours("E2", event_time_precision="ms"), theirs("A1", "E1")],
        ["T04"],
    ),
    (
        "T03 that would make up for others of its order",
        [
            ours("E1", price="10.50"),
            ours("E2", qty="500"),
            ours("E3", qty="600"),
            theirs("A2", "E2", qty="500"),
            theirs("A3", "E2", qty="500"),
            theirs("A4", "E3", qty="600"),
            ours("E5", qty="400"),
        ],
        ["T01", "T01", "T03"],
    ),
    ("T04 not: a busy second", [ours("E1"), ours("E2"), theirs("A1", "E1")], ["T01"]),
    ("T05 quantity by id", [ours("E1"), theirs("A1", "E1", qty="90")], ["T05"]),
    ("T05 quantity without id", [ours("E1"), theirs("A1", qty="90")], ["T05"]),
    ("T05 not: trailing zeros", [ours("E1", qty="100"), theirs("A1", "E1", qty="100.0000")], []),
    (
        "T05 not: one of ours told in two parts that quote its id",
        [ours("E1"), theirs("A1", "E1", qty="30", commission="0.30"), theirs("A2", "E1", qty="70", commission="0.70")],
        [],
    ),
    (
        "T05 parts that do not add up",
        [ours("E1"), theirs("A1", "E1", qty="30", commission="1.00"), theirs("A2", "E1", qty="60", commission="0.70")],
        ["T02", "T05"],
    ),
    ("T06 price by id", [ours("E1"), theirs("A1", "E1", price="10.51")], ["T06"]),
    ("T06 price without id", [ours("E1"), theirs("A1", price="10.51")], ["T06"]),
    ("T06 not: rounded to two places", [ours("E1", price="10.4983"), theirs("A1", "E1", price="10.50")], []),
    ("T06 a dropped zero is no licence", [ours("E1", price="10.5"), theirs("A1", "E1", price="10.53")], ["T06"]),
    ("T07 side by id", [ours("E1"), theirs("A1", "E1", side="SELL")], ["T07"]),
    ("T07 side without id", [ours("E1"), theirs("A1", side="SELL")], ["T07"]),
    ("T07 not: a round trip", [ours("E1"), ours("E2", side="SELL"), theirs("A1"), theirs("A2", side="SELL")], []),
    ("T08 qualifier by id", [ours("E1", side="SELL"), theirs("A1", "E1", side="SELL_SHORT")], ["T08"]),
    ("T08 qualifier without id", [ours("E1", side="SELL"), theirs("A1", side="SELL_SHORT")], ["T08"]),
    ("T09 instrument by id", [ours("E1"), theirs("A1", "E1", instrument_id="OTHER-ID")], ["T09"]),
    (
        "T09 not: two instruments of one order",
        [ours("E1"), ours("E2", instrument_id="X"), theirs("A1"), theirs("A2", instrument_id="X")],
        [],
    ),
    ("T10 account by id", [ours("E1"), theirs("A1", "E1", account_id="MERID-EQ-02")], ["T10"]),
    ("T10 account without id", [ours("E1"), theirs("A1", account_id="MERID-EQ-02")], ["T10"]),
    (
        "T10 not: both accounts booked",
        [ours("E1"), ours("E2", account_id="B"), theirs("A2", account_id="B"), theirs("A1")],
        [],
    ),
    ("T12 wrong prime broker", [ours("E1"), theirs("B1", feed="bravo")], ["T12"]),
    (
        "T12 in an account of its own, by id",
        [ours("E1"), theirs("B1", "E1", feed="bravo", account_id="MERID-EQ-04")],
        ["T12"],
    ),
    (
        "T12 not: booked at both by design",
        [ours("E1"), ours("E2", pb_id="BRAVO"), theirs("A1"), theirs("B1", feed="bravo")],
        [],
    ),
    ("T13 trade date by id", [ours("E1"), theirs("A1", "E1", trade_date=NEXT)], ["T13"]),
    (
        "T13 not: the id is used again next day",
        [
            ours("E1"),
            theirs("A1", "E1"),
            ours("E1", trade_date=NEXT, qty="300"),
            theirs("A2", "E1", trade_date=NEXT, qty="300"),
        ],
        [],
    ),
    ("T14 settle date by id", [ours("E1"), theirs("A1", "E1", settle_date=date(2026, 11, 27))], ["T14"]),
    ("T14 settle date without id", [ours("E1"), theirs("A1", settle_date=date(2026, 11, 27))], ["T14"]),
    ("T14 not: they show none", [ours("E1"), theirs("A1", "E1", settle_date=None)], []),
    ("T15 currency by id", [ours("E1"), theirs("A1", "E1", trade_ccy="EUR")], ["T15"]),
    ("T15 settlement currency", [ours("E1"), theirs("A1", "E1", settle_ccy="EUR")], ["T15"]),
    (
        "T15 settlement currency, so the net amount is another",
        [ours("E1", net_money="-1051.00"), theirs("A1", "E1", settle_ccy="EUR", net_money="-1001.00")],
        ["T15"],
    ),
    ("T15 not: spelled out", [ours("E1"), theirs("A1", "E1", settle_ccy="USD")], []),
    ("T16 commission", [ours("E1"), theirs("A1", "E1", commission="1.05")], ["T16"]),
    ("T16 not: within a cent", [ours("E1"), theirs("A1", "E1", commission="1.01")], []),
    ("T16 not: within one per cent", [ours("E1", commission="50"), theirs("A1", "E1", commission="50.49")], []),
    ("T16 not: they show none", [ours("E1"), theirs("A1", "E1", commission=None)], []),
    ("T18 net", [ours("E1", net_money="-1051.00"), theirs("A1", "E1", net_money="-1053.00")], ["T18"]),
    (
        "T18 not: the commission explains it",
        [ours("E1", net_money="-1051.00"), theirs("A1", "E1", net_money="-1052.00", commission="2.00")],
        ["T16"],
    ),
    ("T18 not: unsigned on one side", [ours("E1", net_money="-1051.00"), theirs("A1", "E1", net_money="1051.00")], []),
    (
        "T22 we cancelled",
        [ours("E1"), theirs("A1", "E1"), ours("E2", prev_uid="E1", status="CANCEL")],
        ["T22"],
    ),
    (
        "T22 they cancelled",
        [ours("E1"), theirs("A1", "E1"), theirs("A2", "E1", prev_uid="A1", status="CANCEL")],
        ["T22"],
    ),
    (
        "T22 they cancelled a block",
        [
            ours("E1", pb_id="CHARLIE"),
            ours("E2", pb_id="CHARLIE", qty="50"),
            theirs("C1", feed="charlie", qty="150", recv_time_utc=T0 - 1),
            theirs("C2", feed="charlie", qty="150", prev_uid="C1", status="CANCEL"),
        ],
        ["T22"],
    ),
    (
        "T22 not: both cancelled",
        [
            ours("E1"),
            theirs("A1", "E1"),
            ours("E2", prev_uid="E1", status="CANCEL"),
            theirs("A2", "E1", prev_uid="A1", status="CANCEL"),
        ],
        [],
    ),
    (
        "T22 not: cancelled and booked again",
        [ours("E1"), theirs("A1", "E1"), theirs("A2", "E1", prev_uid="A1", status="CANCEL"), theirs("A3", "E1")],
        [],
    ),
    (
        "two breaks on one trade",
        [ours("E1"), theirs("A1", "E1", price="11", settle_date=NEXT + timedelta(days=2))],
        ["T06", "T14"],
    ),
    (
        "block of fills",
        [*fills(("100", "10.00"), ("300", "10.02")), block("K1", qty="400", price="10.015", commission="2.00")],
        [],
    ),
    (
        "block with an average at four places",
        [*fills(("100", "10.00"), ("200", "10.01")), block("K1", qty="300", price="10.0067", commission="2.00")],
        [],
    ),
    (
        "T06 block average",
        [*fills(("100", "10.00"), ("200", "10.01")), block("K1", qty="300", price="10.0077", commission="2.00")],
        ["T06"],
    ),
    (
        "T03 block booked twice",
        [
            *fills(("100", "10.00"), ("200", "10.00")),
            block("K1", qty="300", price="10.00", commission="2.00"),
            block("K2", qty="300", price="10.00", commission="2.00"),
        ],
        ["T03"],
    ),
    ("T05 block quantity", [*fills(("100", "10"), ("200", "10")), block("K1", qty="290", price="10")], ["T05"]),
    (
        "T10 block account",
        [*fills(("100", "10"), ("200", "10")), block("K1", qty="300", price="10", account_id="B", commission="2.00")],
        ["T10"],
    ),
    (
        "T07 block side",
        [*fills(("100", "10"), ("200", "10")), block("K1", qty="300", price="10", side="SELL", commission="2.00")],
        ["T07"],
    ),
    (
        "T16 block commission",
        [*fills(("100", "10"), ("200", "10")), block("K1", qty="300", price="10", commission="2.50")],
        ["T16"],
    ),
    (
        "T14 block settle date",
        [
            *fills(("100", "10"), ("200", "10")),
            block("K1", qty="300", price="10", commission="2", settle_date=date(2026, 11, 30)),
        ],
        ["T14"],
    ),
    (
        "two orders, two blocks",
        [
            ours("E1", pb_id="CHARLIE", client_order_id="O1"),
            ours("E2", pb_id="CHARLIE", client_order_id="O1"),
            ours("E3", pb_id="CHARLIE", client_order_id="O2"),
            block("K1", client_order_id="O1", qty="200", commission="2.00"),
            block("K2", client_order_id="O2"),
        ],
        [],
    ),
    ("unknown pb matches any", [ours("E1", pb_id=None), theirs("B1", feed="bravo")], []),
    (
        "reused id, another trade",
        [ours("E1"), theirs("A1", "E1", account_id="Z", side="SELL", qty="7", price="3", instrument_id="Q")],
        ["T01", "T02"],
    ),
]


@pytest.fixture(scope="module")
def verdicts(rules: RuleSet) -> dict[str, list[str]]:
    """Codes of the open breaks of every case, all matched together."""
    desk = Desk(rules)
    desk.match([item for index, case in enumerate(CASES) for item in own_world(case[1], f"c{index:02d}")], as_of=LATE)
    assert completeness(desk.warehouse).holds
    found: dict[str, list[str]] = {}
    for item in desk.table("select instrument_id, code from recon_break where state = 'OPEN' order by code"):
        found.setdefault(item["instrument_id"][:3], []).append(item["code"])
    return found


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case[0] for case in CASES])
def test_verdict(verdicts: dict[str, list[str]], index: int) -> None:
    assert verdicts.get(f"c{index:02d}", []) == CASES[index][2]


def test_every_code_of_this_release_has_a_case() -> None:
    named = {code for _, _, codes in CASES for code in codes}
    assert named >= {f"T{n:02d}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 18, 22)}


def test_identity_is_the_anchor_and_the_field_not_the_code_or_the_values(desk: Desk) -> None:
    desk.match([ours("E1"), theirs("A1", "E1", qty="90")])
    [row] = desk.table("select break_id, anchor from recon_break")
    assert row["anchor"] == "oms|2026-11-24|E1"
    assert row["break_id"] == digest128("break", "main", "TRADE", row["anchor"], "qty")


def test_value_breaks_open_at_once_and_one_sided_ones_after_the_grace_of_the_missing_side(desk: Desk) -> None:
    result = desk.match([ours("E1"), theirs("A1", "E1", qty="90"), ours("E2", qty="7"), theirs("A9", "E9", price="70")])
    assert (desk.breaks(), desk.breaks("EXPECTED")) == (["T05"], ["T01", "T02"])
    assert result.next_due == T0 + 30_000_000_000  # our own feed is the faster one
    desk.match(as_of=T0 + 29_999_999_999)
    assert desk.breaks() == ["T05"]
    desk.match(as_of=T0 + 30_000_000_000)
    assert desk.breaks() == ["T02", "T05"]
    desk.match(as_of=T0 + 60_000_000_000)
    assert desk.breaks() == ["T01", "T02", "T05"]


def test_a_near_miss_waits_because_the_true_partner_may_be_on_its_way(desk: Desk) -> None:
    desk.match([ours("E1"), theirs("A2", price="10.51")])
    assert (desk.breaks(), desk.breaks("EXPECTED")) == ([], ["T06"])
    desk.match([ours("E2", price="10.51"), theirs("A1")])
    assert (desk.breaks(), desk.breaks("EXPECTED")) == ([], [])


def test_the_headline_says_who_what_how_much_and_by_when(desk: Desk) -> None:
    desk.match([ours("E1", qty="5000"), theirs("A1", "E1", qty="4900")])
    [row] = desk.table("select headline, next_step, exposure, exposure_base from recon_break")
    assert row["headline"] == (
        "ALPHA booked 4,900 where we traded 5,000 NVDA in MERID-EQ-01: 100 short, USD 1,050.00 at risk,"
        " fix by 20:30 ET today"
    )
    assert row["next_step"] == (
        "Internal ops with ALPHA: compare the executions one by one and have the side that is wrong amend the quantity."
    )
    assert str(row["exposure"]) == str(row["exposure_base"]) == "1050.000000"


def test_an_exposure_in_a_currency_without_a_rate_is_unknown_in_base(desk: Desk) -> None:
    desk.match([ours("E1", trade_ccy="EUR"), theirs("A1", "E1", qty="90", trade_ccy="EUR")])
    [row] = desk.table("select exposure, exposure_base, severity from recon_break")
    assert (str(row["exposure"]), row["exposure_base"], row["severity"]) == ("105.000000", None, 3)


def test_quantities_and_prices_beyond_the_fast_columns_are_compared_exactly(desk: Desk) -> None:
    big, price = "123456789012345678.1234567891", "987654321098.123456789012"
    terms = {"price": price, "price_scale": 12}
    desk.match([ours("E1", qty=big, **terms), theirs("A1", "E1", qty=big, **terms)])
    assert desk.breaks() == []
    desk.match([ours("E2", qty=big, **terms), theirs("A2", "E2", qty="123456789012345678.1234567892", **terms)])
    assert desk.breaks() == ["T05"]
    [row] = desk.table("select exposure, left_value, right_value from recon_break where state = 'OPEN'")
    assert (row["exposure"], row["left_value"], row["right_value"]) == (None, big, big[:-1] + "2")


def test_a_large_exposure_raises_the_severity(desk: Desk) -> None:
    desk.match([ours("E1", qty="1000000"), theirs("A1", "E1", qty="500000")])
    [row] = desk.table("select severity from recon_break")
    assert row["severity"] == 4
