"""Acceptance scenarios about trades: one day of a fund at two prime brokers, each scenario in an account of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.journeys.scenes import (
    ALPHA,
    BRAVO,
    NEW_YORK,
    NOON,
    OMS,
    Folder,
    Outcome,
    Tags,
    booking,
    copy42,
    filed,
    fill,
    message,
    seconds,
    uids,
)

OCTOBER = datetime(2025, 10, 10, 15, 0, tzinfo=UTC)
RATES = "from_ccy,to_ccy,rate,valid_from\nGBP,USD,1.31,2020-01-01\nEUR,USD,1.16,2020-01-01\n"
Lines = Iterator[tuple[str, bytes]]


def of(account: str, symbol: str, **tags: str) -> dict[int, str]:
    """An account and a symbol of the scenario's own; more tags as t54="2"."""
    more = {int(name[1:]): value for name, value in tags.items()}
    return {1: account, 55: symbol, 48: "", 22: "", **more}


def both(uid: str, terms: Tags, theirs: Tags | None = None, order: str = "") -> Lines:
    """A fill of ours and ALPHA's booking of it, which says `theirs` otherwise."""
    yield "OMS", fill(uid, order or uid, terms)
    yield "ALPHA", booking(f"R{uid}", uid, order or uid, {**terms, **(theirs or {})})


def thousand_fills() -> Lines:
    """1: two dialects of FIX, one clock in UTC, the other in New York time."""
    for number in range(1_000):
        terms = of("S01", "ONE", t32=str(100 + number % 7), t31=f"{50 + number % 90}.25", t448="BRAVO")
        yield "OMS", fill(f"F{number}", str(number // 5), terms)
        theirs = {tag: value for tag, value in terms.items() if tag != 448}
        yield "BRAVO", copy42(f"D{number}", f"F{number}", str(number // 5), theirs)


def one_sided() -> Lines:
    """2 and 3: a fill nobody booked, a booking of nothing we traded."""
    yield "OMS", fill("E2", "2", of("S02", "TWO", t32="500", t31="40.00"))
    yield "ALPHA", booking("R3", "E3-UNKNOWN", "3", of("S03", "THREE", t32="300", t31="20.00"))


def twins() -> Lines:
    """5: two fills alike in everything but their ids; the broker reports its own ids alone."""
    for account, reported in (("S05-BOTH", 2), ("S05-ONE", 1)):
        terms = of(account, "FIVE", t32="200", t31="30.00")
        for number in range(2):
            yield "OMS", fill(f"{account}-{number}", account, terms)
        for number in range(reported):
            yield "ALPHA", booking(f"R{account}-{number}", "", account, terms)


def busts() -> Lines:
    """6: the broker who executed takes a trade back, as FIX 4.4 and as FIX 4.2 say it; ALPHA keeps it."""
    terms = of("S06-44", "SIX", t32="600", t31="60.00")
    yield from both("B1", terms)
    yield "OMS", fill("B1X", "B1", {**terms, 19: "B1", 150: "H", 39: "4", 14: "0"}, NOON + seconds(30))
    terms = of("S06-42", "SIXB", t32="700", t31="70.00")
    old = {37: "OB2", 11: "CB2", 17: "B2", 20: "0", 150: "2", 39: "2", 54: "1", 32: "700", 31: "70.00", 14: "700",
           151: "0", 6: "70.00", 15: "USD", 1: "S06-42", 55: "SIXB", 60: "20261120-17:00:00", 75: "20261120",
           64: "20261123", 12: "1.00", 13: "3", 76: "ALPHA"}  # fmt: skip
    yield "OMS", message("FIX.4.2", "8", "MERIDIAN_OMS", 2, NOON, old)
    bust = {**old, 17: "B2X", 19: "B2", 20: "1", 14: "0", 39: "4", 60: "20261120-17:00:30"}
    yield "OMS", message("FIX.4.2", "8", "MERIDIAN_OMS", 2, NOON + seconds(30), bust)
    yield "ALPHA", booking("RB2", "B2", "B2", terms)


def block(order: str, symbol: str, told: dict[str, int], booked: dict[str, int]) -> Lines:
    """8 and 9: four fills of a block, our allocation at four decimals, ALPHA's bookings of the shares."""
    for number, (qty, price) in enumerate((("100", "25.01"), ("200", "25.02"), ("300", "25.02"), ("600", "25.04"))):
        terms = of(f"{order}-BLOCK", symbol, t32=qty, t31=price)
        yield "OMS", fill(f"{order}-{number}", order, terms)
    shares = "".join(
        f"79={account}|467={order}-{account}|80={qty}|539=1|524=ALPHA|525=D|538=4|153=25.0292|12=1.00|13=3|"
        for account, qty in told.items()
    )
    tags = {70: f"J{order}", 71: "0", 626: "1", 857: "1", 73: f"1|11=C{order}|37=O{order}", 54: "1", 55: symbol,
            53: "1200", 6: "25.0292", 15: "USD", 75: "20261120", 60: "20261120-17:10:00", 64: "20261123",
            78: f"{len(told)}"}  # fmt: skip
    yield "OMS", message("FIX.4.4", "J", "MERIDIAN_OMS", 2, NOON + seconds(600), tags, shares)
    for account, qty in booked.items():
        terms = of(account, symbol, t32=str(qty), t31="25.0292")
        yield "ALPHA", booking(f"R{order}-{account}", f"{order}-{account}", order, terms)


def wrong_broker() -> Lines:
    """10: ours at ALPHA, booked by BRAVO."""
    terms = of("S10", "TEN", t32="1000", t31="10.00")
    yield "OMS", fill("E10", "10", terms)
    yield "BRAVO", copy42("D-10", "", "X10", terms)


def minor_units() -> Lines:
    """11: pence at the broker, pounds with us; and a price a hundred times ours in pounds."""
    terms = of("S11", "AZN.L", t32="900", t31="104.459", t15="GBP", t64="20261124")
    yield from both("E11", terms, {31: "10445.9", 15: "GBX", 12: "100"})
    terms = of("S11-WRONG", "VOD.L", t32="900", t31="0.75", t15="GBP", t64="20261124")
    yield from both("E11W", terms, {31: "75.00"})


def inverse_currency() -> Lines:
    """12: we bought EUR against USD, the broker says USD against EUR sold; 1,000,000 EUR are 1,160,000 USD."""
    ours = of("S12", "EUR/USD", t32="1000000", t31="1.16", t15="EUR", t120="USD", t167="FXSPOT", t64="20261124",
              t381="1160000.00", t12="", t13="")  # fmt: skip
    theirs = {55: "USD/EUR", 54: "2", 32: "1160000", 31: "0.8620689655", 15: "USD", 120: "EUR", 381: "1000000.00"}
    yield from both("E12", ours, theirs)


def accrued() -> Lines:
    """13: a bond settling a day later at the broker, with a day more of interest."""
    terms = of("S13", "UST 4 11/30", t32="1000000", t31="99.50", t423="1", t167="TBOND", t64="20261123",
               t381="995000.00", t159="4000.00", t118="999000.00", t12="", t13="")  # fmt: skip
    yield from both("E13", terms, {64: "20261124", 159: "4109.89", 118: "999109.89"})


def columbus_day() -> Lines:
    """14: traded on Friday 10 October 2025; Monday is a holiday of the payment system."""
    day = {75: "20251010", 60: "20251010-15:00:00", 167: "CS"}
    terms = of("S14", "FOURTEEN", t32="400", t31="14.00", t64="20251014") | day
    yield "OMS", fill("E14", "14", terms, OCTOBER)
    yield "ALPHA", booking("R14", "E14", "14", {**terms, 64: "20251013"}, OCTOBER)


def marked_short() -> Lines:
    """15: SELL with us, SELL SHORT at the broker."""
    yield from both("E15", of("S15", "FIFTEEN", t32="800", t31="15.00", t54="2"), {54: "5"})


def everything() -> Lines:
    for scenario in (thousand_fills, one_sided, twins, busts, wrong_broker, minor_units, inverse_currency, accrued,
                     marked_short):  # fmt: skip
        yield from scenario()
    shares = {"S08-A": 400, "S08-B": 333, "S08-C": 467}
    yield from block("S08", "EIGHT", shares, shares)
    yield from block("S09", "NINE", {"S09-A": 700, "S09-B": 500}, {"S09-A": 600, "S09-B": 600})


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Every scenario's messages in one folder, tied out once."""
    folder = Folder(tmp_path_factory.mktemp("trades"), [filed(feed) for feed in (OMS, ALPHA, BRAVO)],
                    reference={"fx_rate": "fx_rate.csv"})  # fmt: skip
    folder.write("fx_rate.csv", RATES)
    for feed, raw in everything():
        folder.log(feed, [(NOON, raw)])
    return folder.tie()


@pytest.fixture(scope="module")
def october(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Friday 10 October 2025."""
    folder = Folder(tmp_path_factory.mktemp("october"), [filed(OMS), filed(ALPHA)])
    for feed, raw in columbus_day():
        folder.log(feed, [(OCTOBER, raw)])
    return folder.tie()


def test_01_a_thousand_fills_and_their_drop_copy_in_another_dialect_are_a_thousand_groups(day: Outcome) -> None:
    names = {f"F{number}" for number in range(1_000)}
    groups = [row for row in day.groups if names & {*uids(row["left"])}]
    assert len(groups) == 1_000 and day.of("S01") == []
    for row in groups:
        (left,), (right,) = row["left"], row["right"]
        assert left["trade_uid"][1:] == right["trade_uid"][1:]
        assert row["pass_id"] == "P10-exec-id" and row["confidence"] == "1" and row["rule_set_hash"]
        assert (left["file"], right["file"]) == ("oms/day.fix", "bravo/day.fix") and left["line"] and right["line"]


def test_02_a_fill_nobody_booked_is_one_t01_with_exposure_broker_and_deadline(day: Outcome) -> None:
    (row,) = day.of("S02")
    assert (row["code"], row["pb_id"], row["exposure_base"], row["severity"]) == ("T01", "ALPHA", "20000", "HIGH")
    deadline = datetime.fromisoformat(row["deadline_at"])
    assert deadline.astimezone(NEW_YORK).strftime("%d %H:%M") == "20 20:00"
    assert "fix by 20:00 ET today" in row["headline"]


def test_03_a_booking_we_never_traded_is_one_t02_and_may_be_refused(day: Outcome) -> None:
    (row,) = day.of("S03")
    assert (row["code"], uids(row["right"]), row["left"]) == ("T02", ["R3"], [])
    assert "DK" in row["next_step"]


def test_05_identical_fills_are_counted_not_confused(day: Outcome) -> None:
    assert day.of("S05-BOTH") == []
    (row,) = day.of("S05-ONE")
    assert (row["code"], row["left_value"], len(row["left"])) == ("T01", "200 @ 30", 1)


@pytest.mark.parametrize(
    ("account", "fills", "qty"), [("S06-44", ["B1", "B1X"], "600"), ("S06-42", ["B2", "B2X"], "700")]
)
def test_06_a_bust_the_broker_never_heard_of_is_a_t22(day: Outcome, account: str, fills: list[str], qty: str) -> None:
    (row,) = day.of(account)
    assert row["code"] == "T22" and row["left_value"] == "cancelled"
    assert row["right_value"].startswith(qty) and qty in row["headline"]
    told = day.explained(row)
    assert all(uid in told for uid in (*fills, f"R{fills[0]}")), "both chains"


def test_08_a_block_meets_its_fills_and_its_shares_meet_the_bookings(day: Outcome) -> None:
    assert [row for row in day.breaks if str(row["account_id"]).startswith("S08")] == []
    (block_group,) = day.grouped("S08-0")
    assert uids(block_group["left"]) == [f"S08-{number}" for number in range(4)]
    assert block_group["residual"] == "0.04", "1,200 at 25.0292 are 0.04 more than what was paid"
    shares = [row for row in day.groups if any(uid.startswith("RS08") for uid in uids(row["right"]))]
    assert len(shares) == 3 and {row["cardinality"] for row in shares} == {"1:1"}


def test_09_a_split_that_differs_while_the_total_agrees_is_one_t11_naming_both_accounts(day: Outcome) -> None:
    (row,) = [row for row in day.breaks if str(row["account_id"]).startswith("S09")]
    assert row["code"] == "T11"
    for words in (row["headline"], row["left_value"] + row["right_value"]):
        assert "S09-A" in words and "S09-B" in words


def test_10_a_trade_at_the_wrong_broker_is_one_t12(day: Outcome) -> None:
    (row,) = day.of("S10")
    assert (row["code"], row["left_value"], row["right_value"]) == ("T12", "ALPHA", "BRAVO")


def test_11_pence_are_pounds_and_a_hundredfold_price_says_so(day: Outcome) -> None:
    assert day.of("S11") == []
    (row,) = day.of("S11-WRONG")
    assert row["code"] == "T06" and "pence taken for pounds" in row["headline"]


def test_12_a_pair_told_the_other_way_round_is_the_same_trade(day: Outcome) -> None:
    assert day.of("S12") == []
    assert len(day.grouped("E12")) == 1


def test_13_interest_of_another_day_points_to_the_date(day: Outcome) -> None:
    date_differs, interest = day.of("S13")
    assert (date_differs["code"], interest["code"]) == ("T14", "T19")
    assert interest["explains"] == date_differs["break_id"]


def test_14_a_settlement_date_is_held_against_the_calendar(october: Outcome) -> None:
    (row,) = october.breaks
    assert (row["code"], row["left_value"], row["right_value"]) == ("T14", "2025-10-14", "2025-10-13")
    assert "ours is right by the calendar, 2025-10-14" in row["headline"]
    assert "XFED closed Mon 13 Oct: Columbus Day" in row["headline"] and "calendar version" in row["headline"]


def test_15_sell_against_sell_short_is_for_compliance(day: Outcome) -> None:
    (row,) = day.of("S15")
    assert (row["code"], row["owner"]) == ("T08", "internal compliance")
    assert "Reg SHO" in row["next_step"]


def test_the_whole_day_has_no_other_break(day: Outcome) -> None:
    told = {"S02", "S03", "S05-ONE", "S06-44", "S06-42", "S09-A", "S10", "S11-WRONG", "S13", "S15"}
    assert {row["account_id"] for row in day.breaks} == told
    assert day.summary["rows"]["complete"] and day.quarantine == []
