"""Money and terms: costs, interest, rates, contract sizes, net money explained by its parts, profiles, acceptance."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import yaml

from matching.rules import RuleSet, load_rules
from matching.settle_dates import SettleCalendar
from tests.matching.desk import LATE, Desk, Row, ours, own_world, theirs


def fees(desk: Desk, row: Row, *lines: tuple[str, str]) -> Row:
    """The row, with fee lines (type, amount) stored for it."""
    desk.warehouse.append(
        "trade_fee",
        pa.table({
            "record_id": [row["record_id"]] * len(lines),
            "ordinal": pa.array(range(len(lines)), pa.int64()),
            "fee_type": [kind for kind, _ in lines],
            "ccy": [row["trade_ccy"]] * len(lines),
            "amount": pa.array([Decimal(amount) for _, amount in lines], pa.decimal128(28, 6)),
        }),
    )  # fmt: skip
    return row


def found(desk: Desk) -> list[str]:
    desk.match(as_of=LATE)
    return desk.breaks()


BOND = {"asset_class": "BOND", "price_type": "PERCENT_PAR", "qty": "100000", "price": "99.50", "gross_money": "99500"}
CDS = {"asset_class": "CDS", "qty": "1000000", "price": "2", "price_type": "POINTS_UPFRONT", "gross_money": "20000"}
SWISS = {"trade_ccy": "CHF", "settle_ccy": "USD"}
DEAR = {"price": "150.00", "qty": "1000"}

VERDICTS: list[tuple[str, Row, Row, list[str]]] = [
    (
        "interest of another day is no residual of the net",
        ours("E1", **BOND, accrued_interest="400", net_money="-99901"),
        theirs("A1", "E1", **BOND, accrued_interest="414", net_money="-99915"),
        ["T19"],
    ),
    (
        "interest within 0.05 per 1,000 of face",
        ours("E1", **BOND, accrued_interest="400", net_money="-99901"),
        theirs("A1", "E1", **BOND, accrued_interest="404", net_money="-99905"),
        [],
    ),
    ("rate", ours("E1", **SWISS, fx_rate="1.13"), theirs("A1", "E1", **SWISS, fx_rate="1.14"), ["T20"]),
    ("rate within tolerance", ours("E1", **SWISS, fx_rate="1.13"), theirs("A1", "E1", **SWISS, fx_rate="1.1301"), []),
    (
        "the inverse rate with the same money",
        ours("E1", **SWISS, fx_rate="1.25", net_money="-1313.75"),
        theirs("A1", "E1", **SWISS, fx_rate="0.80", net_money="-1313.75"),
        [],
    ),
    (
        "the inverse rate, and the money follows it",
        ours("E1", **SWISS, fx_rate="1.25", net_money="-1313.75"),
        theirs("A1", "E1", **SWISS, fx_rate="0.80", net_money="-840.80"),
        ["T20"],
    ),
    ("contract size", ours("E1", multiplier="100"), theirs("A1", "E1", multiplier="10"), ["T21"]),
    (
        "contracts against what they are of",
        ours("E1", multiplier="100"),
        theirs("A1", "E1", multiplier="100", qty="10000"),
        ["T21"],
    ),
    (
        "premium of a contract",
        ours("E1", multiplier="100"),
        theirs("A1", "E1", multiplier="100", price="1050.00"),
        ["T21"],
    ),
    (
        "the contract size was left out and filled in, but not used",
        ours("E1", multiplier="10", gross_money="10500", net_money="-10501"),
        theirs("A1", "E1", multiplier="10", gross_money="1050", net_money="-1051"),
        ["T21"],
    ),
    (
        "a pair told the other way round",
        ours("E1", asset_class="FX_SPOT", settle_ccy="EUR", gross_money="1050", net_money="-1050"),
        theirs("A1", "E1", asset_class="FX_SPOT", settle_ccy="EUR", gross_money="1050", net_money="1050"),
        [],
    ),
    ("executing broker", ours("E1", exec_broker_id="OAKS"), theirs("A1", "E1", exec_broker_id="KMBR"), ["T26"]),
    ("broker in other letters", ours("E1", exec_broker_id="OAKS"), theirs("A1", "E1", exec_broker_id=" oaks"), []),
    ("a broker one side does not name", ours("E1", exec_broker_id="OAKS"), theirs("A1", "E1"), []),
    ("rounding", ours("E1", **DEAR), theirs("A1", "E1", **{**DEAR, "price": "150.0060"}), ["T29"]),
    ("more than rounding", ours("E1", **DEAR), theirs("A1", "E1", **{**DEAR, "price": "150.0100"}), ["T06"]),
    ("trade identifier", ours("E1", **CDS, uti="X1"), theirs("A1", "E1", **CDS, uti="X2"), ["T30"]),
    ("coupon", ours("E1", **CDS, coupon="0.01"), theirs("A1", "E1", **CDS, coupon="0.05"), ["T30"]),
    (
        "upfront payment",
        ours("E1", **CDS, commission="0", net_money="-20000"),
        theirs("A1", "E1", **CDS, commission="0", net_money="-20500"),
        ["T30"],
    ),
    (
        "net money of futures is their costs alone",
        ours("E1", asset_class="FUTURE", multiplier="50", net_money="-1.00"),
        theirs("A1", "E1", asset_class="FUTURE", multiplier="50", net_money="-1.00"),
        [],
    ),
]


@pytest.fixture(scope="module")
def verdicts(rules: RuleSet) -> dict[str, list[str]]:
    """Codes of the open breaks of every case, all matched together."""
    desk = Desk(rules)
    cases = [own_world(case[1:3], f"c{index:02d}") for index, case in enumerate(VERDICTS)]
    desk.match([item for case in cases for item in case], as_of=LATE)
    found: dict[str, list[str]] = {}
    for item in desk.table("select instrument_id, code from recon_break where state = 'OPEN' order by code"):
        found.setdefault(item["instrument_id"][:3], []).append(item["code"])
    return found


@pytest.mark.parametrize("index", range(len(VERDICTS)), ids=[case[0] for case in VERDICTS])
def test_verdict(verdicts: dict[str, list[str]], index: int) -> None:
    assert verdicts.get(f"c{index:02d}", []) == VERDICTS[index][3]


def _costs(net: str, **changes: Any) -> tuple[Row, Row]:
    return ours("E1", net_money="-1051.30"), theirs("A1", "E1", net_money=net, **changes)


def test_fees_differ_by_line_or_in_total_and_the_net_they_explain_is_no_residual(desk: Desk) -> None:
    left, right = _costs("-1051.50")
    desk.store([fees(desk, left, ("1", "0.20"), ("4", "0.10")), fees(desk, right, ("1", "0.40"), ("4", "0.10"))], "f")
    assert found(desk) == ["T17"]
    [row] = desk.table("select detail, left_value, right_value, exception_type, element_type from recon_break")
    assert row == {
        "detail": "regulatory", "left_value": "0.3", "right_value": "0.5", "exception_type": 4, "element_type": 17,
    }  # fmt: skip


def test_fees_in_one_amount_are_compared_in_total(desk: Desk) -> None:
    left, right = _costs("-1051.30")
    desk.store([fees(desk, left, ("1", "0.20"), ("4", "0.10")), fees(desk, right, ("TOTAL", "0.30"))], "f")
    assert found(desk) == []


def test_fees_that_offset_each_other_differ_all_the_same(desk: Desk) -> None:
    left, right = _costs("-1051.30")
    desk.store([fees(desk, left, ("1", "0.20"), ("4", "0.10")), fees(desk, right, ("1", "0.10"), ("4", "0.20"))], "f")
    assert found(desk) == ["T17"]


@pytest.mark.parametrize(("net", "codes"), [("-1051.30", []), ("-1051.00", ["T17"])])
def test_fees_nobody_names_are_paid_or_missing_as_the_net_says(desk: Desk, net: str, codes: list[str]) -> None:
    left, right = _costs(net)
    desk.store([fees(desk, left, ("1", "0.20"), ("4", "0.10")), right], "f")
    assert found(desk) == codes


def test_wrong_interest_follows_from_a_wrong_settlement_date(desk: Desk) -> None:
    left = ours("E1", **BOND, accrued_interest="400", net_money="-99901")
    right = theirs("A1", "E1", **BOND, accrued_interest="414", net_money="-99915", settle_date=date(2026, 11, 26))
    desk.match([left, right], as_of=LATE)
    by_code = {row["code"]: row for row in desk.table("select code, break_id, explains from recon_break")}
    assert sorted(by_code) == ["T14", "T19"]
    assert by_code["T19"]["explains"] == by_code["T14"]["break_id"]


def test_a_hundredfold_price_hints_at_the_minor_unit(desk: Desk) -> None:
    desk.match([ours("E1", price="1.25"), theirs("A1", "E1", price="125.00")], as_of=LATE)
    [row] = desk.table("select code, headline from recon_break")
    assert row["code"] == "T06"
    assert "pence taken for pounds?" in row["headline"]


def test_an_exposure_without_a_rate_is_said_to_be_unknown(desk: Desk) -> None:
    desk.match([ours("E1", trade_ccy="NOK"), theirs("A1", "E1", trade_ccy="NOK", price="12.00")], as_of=LATE)
    [row] = desk.table("select exposure, exposure_base, headline, severity from recon_break")
    assert (row["exposure"], row["exposure_base"], row["severity"]) == (Decimal(150), None, 2)
    assert "no rate for NOK: size unknown" in row["headline"]


CALENDAR = [
    {"calendar": name, "day": date(2025, 10, day), "is_open": is_open, "reason": reason}
    for name, closed in (("XNYS", {}), ("XFED", {13: "Columbus Day"}))
    for day in range(10, 18)
    for is_open, reason in [(day not in {11, 12, *closed}, closed.get(day))]
]


def test_the_settlement_date_is_explained_by_the_calendars() -> None:
    expected = SettleCalendar(CALENDAR).expected("EQUITY", "USD", date(2025, 10, 10))
    assert expected is not None
    assert expected.day == date(2025, 10, 14)
    assert expected.basis.startswith("T+1 by XNYS and XFED, XFED closed Mon 13 Oct: Columbus Day, calendar version ")
    assert SettleCalendar(CALENDAR).expected("EQUITY", "NOK", date(2025, 10, 10)) is None
    assert SettleCalendar([]).expected("EQUITY", "USD", date(2025, 10, 10)) is None


def test_a_settlement_date_break_says_which_side_is_right(desk: Desk) -> None:
    desk.warehouse.append("calendar_day", pa.Table.from_pylist(CALENDAR))
    terms: Row = {"trade_date": date(2025, 10, 10), "asset_class": "EQUITY"}
    left = ours("E1", **terms, settle_date=date(2025, 10, 14))
    desk.match([left, theirs("A1", "E1", **terms, settle_date=date(2025, 10, 13))], as_of=LATE)
    [row] = desk.table("select code, headline from recon_break")
    assert row["code"] == "T14"
    assert "ours is right by the calendar, 2025-10-14 (T+1 by XNYS and XFED, XFED closed Mon 13 Oct" in row["headline"]


def with_rules(**changes: Any) -> RuleSet:
    return RuleSet.model_validate({**load_rules().model_dump(mode="json"), **changes})


PROFILES = yaml.safe_load("""
- {name: alpha, pb: ALPHA, commission: {kind: PTMX, percent: "50", at_most: "0.30"}, accept: {T16: "0.50"}}
- {name: dollars, ccy: USD, commission: {kind: NUFM}}
- {name: bravo, pb: BRAVO, commission: {kind: MNMX, below: "0.10", above: "5"}, fees: {kind: EXCT}}
- {name: charlie, pb: CHARLIE, commission: {kind: CPOP}}
""")


def test_profiles_named_before_currency_before_default() -> None:
    cases = [("alpha", "1.30"), ("alpha", "1.31"), ("bravo", "5.90"), ("bravo", "0.80"), ("charlie", "9.00"),
             ("charlie", None)]  # fmt: skip
    desk = Desk(with_rules(profiles=PROFILES))
    pairs = [(ours("E1", pb_id=feed.upper()), theirs("A1", "E1", feed=feed, commission=said)) for feed, said in cases]
    desk.match([row for n, pair in enumerate(pairs) for row in own_world(pair, f"c{n}")], as_of=LATE)
    found = desk.table("select instrument_id, code, profile from recon_break order by 1")
    assert [(row["instrument_id"][:2], row["code"], row["profile"]) for row in found] == [
        ("c1", "T16", "alpha"), ("c3", "T16", "bravo"), ("c5", "T16", "charlie"),
    ]  # fmt: skip


def _accepting(cap: str) -> RuleSet:
    return with_rules(profiles=PROFILES, acceptance={"limits": {}, "daily_cap": cap})


def _day(shown: dict[str, str]) -> list[Row]:
    rows = []
    for uid, commission in shown.items():
        rows += [ours(f"E{uid}", client_order_id=uid), theirs(f"A{uid}", f"E{uid}", client_order_id=uid,
                                                              commission=commission)]  # fmt: skip
    return rows


def _accepted(desk: Desk) -> list[tuple[str, str, str]]:
    rows = desk.table("select amount_base, running_base, rule_set_hash from break_acceptance order by running_base")
    assert {row["rule_set_hash"] for row in rows} <= {desk.rules.hash}
    return [(f"{row['amount_base']:.2f}", f"{row['running_base']:.2f}", "") for row in rows]


def test_small_money_is_accepted_within_limit_and_cap_with_its_running_total(desk: Desk) -> None:
    desk = Desk(_accepting("0.85"))
    desk.match(_day({"1": "1.40", "2": "1.45", "3": "1.35", "4": "1.60"}), as_of=LATE)
    # Least first: 0.35 and 0.40; 0.45 would pass the cap, 0.60 is over the limit.
    assert [row[:2] for row in _accepted(desk)] == [("0.35", "0.35"), ("0.40", "0.75")]
    assert len(desk.breaks()) == 4


def test_what_is_accepted_does_not_depend_on_the_order_of_arrival() -> None:
    at_once, one_by_one = Desk(_accepting("0.85")), Desk(_accepting("0.85"))
    shown = {"1": "1.40", "2": "1.45", "3": "1.35", "4": "1.60"}
    at_once.match(_day(shown), as_of=LATE)
    for uid in ("4", "2", "1", "3"):
        one_by_one.match(_day({uid: shown[uid]}), as_of=LATE)
    assert _accepted(at_once) == _accepted(one_by_one)


def test_an_acceptance_ends_with_its_break() -> None:
    desk = Desk(_accepting("5"))
    desk.match(_day({"1": "1.40"}), as_of=LATE)
    assert len(_accepted(desk)) == 1
    right = theirs("A2", None, prev_uid="A1", status="CORRECT", client_order_id="1", commission="1.00")
    desk.match([right], as_of=LATE + 1)
    assert (desk.breaks(), _accepted(desk)) == ([], [])


def test_aliases_of_executing_brokers_are_one_broker() -> None:
    desk = Desk(with_rules(broker_aliases={"OAKS": ["Oakshott Brokers", "OKS"]}))
    left, right = ours("E1", exec_broker_id="oks"), theirs("A1", "E1", exec_broker_id="OAKSHOTT BROKERS")
    desk.match([left, right], as_of=LATE)
    assert desk.breaks() == []
