"""Messages to canonical trades: both generations of fills, reports, allocations, confirmations, and what is refused."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from domain.ids import digest128, record_id
from domain.schema import TABLES, arrow_schema
from ingest.dialects.dialect import Dialect
from ingest.feeds import Feed
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference, build_reference
from ingest.normalise_trades import EVENT_KEY_FIELDS

ALPHA = Feed(name="ALPHA", role="PB", party="ALPHA", dialect="alpha_ae44")
BRAVO = Feed(name="BRAVO", role="PB", party="BRAVO", dialect="bravo_er42")
CHARLIE = Feed(name="CHARLIE", role="PB", party="CHARLIE", dialect="charlie_as44")
Run = Callable[..., Normalised]
Make = Callable[..., bytes]


def only(result: Normalised) -> dict[str, Any]:
    """The one trade of a result in which nothing was refused."""
    assert result.quarantine.to_pylist() == []
    assert result.trades.num_rows == 1
    row: dict[str, Any] = result.trades.to_pylist()[0]
    return row


def refusal(result: Normalised) -> tuple[str, str]:
    """Reason and detail of the one refused message."""
    assert result.trades.num_rows == 0
    assert result.messages["outcome"].to_pylist() == ["QUARANTINE"]
    row = result.quarantine.to_pylist()[0]
    assert row["code"] == "I01"
    return row["reason"], row["detail"]


def outcome(result: Normalised) -> str:
    assert result.quarantine.num_rows == result.trades.num_rows == 0
    return str(result.messages["outcome"][0].as_py())


def test_a_fill_fills_the_record(run: Run, fill: Make) -> None:
    raw = fill()
    result = run([raw])
    trade = only(result)
    assert result.trades.schema == arrow_schema(TABLES["trade_event"])
    expected = {
        "feed": "OMS", "source_role": "INTERNAL", "level": "FILL", "trade_uid": "E1", "order_id": "O1",
        "client_order_id": "C1", "status": "NEW", "version": 1, "event_time_precision": "ms", "side": "BUY",
        "trade_date": date(2026, 6, 4), "settle_date": date(2026, 6, 5), "qty": Decimal(100), "qty_unit": "UNITS",
        "price": Decimal("187.25"), "price_scale": 2, "price_type": "PER_UNIT", "multiplier": Decimal(1),
        "trade_ccy": "USD", "settle_ccy": "USD", "gross_money": Decimal(18725), "commission": Decimal("1.5"),
        "net_money": None, "instrument_id": "ISIN:US0378331005", "isin": "US0378331005", "symbol": "AAPL",
        "account_id": "MERID-EQ-01", "account_raw": "MERID-EQ-01", "pb_id": "ALPHA", "flags": None, "ext": None,
        "tz_source": "utc", "raw_start": 0, "raw_end": len(raw), "message_id": "OMS->TIEOUT:1", "prev_uid": None,
    }  # fmt: skip
    assert {name: trade[name] for name in expected} == expected
    assert (
        trade["event_time_utc"].value
        == int(datetime(2026, 6, 4, 13, 30, 1, tzinfo=UTC).timestamp()) * 10**9 + 123 * 10**6
    )
    assert trade["record_id"] == record_id("OMS", trade["raw_sha256"], 0, "trade_event")
    content = [result.trades[name].cast(pa.string())[0].as_py() or "" for name in EVENT_KEY_FIELDS]
    assert trade["event_key"] == digest128(*content)
    assert result.identifiers.to_pylist() == [
        {"record_id": trade["record_id"], "id_source": "4", "id_value": "US0378331005"}
    ]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({150: "F"}, "NEW"),
        ({150: "G", 19: "E0"}, "CORRECT"),
        ({150: "H", 19: "E0"}, "CANCEL"),
        ({20: "0", 150: "2"}, "NEW"),
        ({20: "0", 150: "1", 39: "1"}, "NEW"),
        ({20: "1", 150: "2", 19: "E0"}, "CANCEL"),
        ({20: "2", 150: "2", 19: "E0"}, "CORRECT"),
        ({150: "2"}, "NEW"),
        ({150: None, 39: "1"}, "NEW"),
    ],
)
def test_both_generations_of_fills(run: Run, fill: Make, changes: dict[int, str | None], status: str) -> None:
    trade = only(run([fill(changes)]))
    assert (trade["status"], trade["version"]) == (status, 1 if status == "NEW" else 2)
    assert trade["prev_uid"] == changes.get(19)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({20: "3", 150: "2"}, "IGNORED"),
        ({150: "0"}, "IGNORED"),
        ({150: "I"}, "IGNORED"),
        ({20: "0", 150: "4"}, "IGNORED"),
        ({35: "D"}, "IGNORED"),
        ({35: "AD"}, "IGNORED"),
        ({35: "0"}, "SESSION"),
        ({35: "A"}, "SESSION"),
        ({35: "5"}, "SESSION"),
    ],
)
def test_messages_without_a_trade(run: Run, fill: Make, changes: dict[int, str | None], expected: str) -> None:
    assert outcome(run([fill(changes)])) == expected


@pytest.mark.parametrize(
    ("changes", "reason", "named"),
    [
        ({32: "XXXX"}, "placeholder_value", "LastQty(32)"),
        ({60: "<TIME>"}, "placeholder_value", "TransactTime(60)"),
        ({60: "00000000-00:00:00.000"}, "placeholder_value", "TransactTime(60)"),
        ({17: "<EXECID>"}, "placeholder_value", "ExecID(17)"),
        ({75: "20120802721=P-DEA30E"}, "suspect_missing_delimiter", "TradeDate(75)"),
        ({1: "FixKevindemo1=2005"}, "suspect_missing_delimiter", "Account(1)"),
        ({54: "0"}, "side_unmapped", "'0'"),
        ({54: "-1"}, "side_unmapped", "Side(54)"),
        ({54: None}, "missing_required_field", "Side(54)"),
        ({31: None}, "missing_required_field", "LastPx(31)"),
        ({32: ""}, "missing_required_field", "LastQty(32)"),
        ({1: None}, "missing_required_field", "Account(1)"),
        ({15: None}, "missing_required_field", "default_ccy"),
        ({17: None}, "missing_required_field", "ExecID(17)"),
        ({55: "[N/A]", 48: None}, "missing_required_field", "Symbol(55)"),
        ({35: None}, "missing_required_field", "MsgType(35)"),
        ({150: None, 39: None}, "missing_required_field", "ExecType(150)"),
        ({150: "Z"}, "enum_unmapped", "ExecType(150)"),
        ({20: "7"}, "enum_unmapped", "ExecTransType(20)"),
        ({31: "1.2345678901234"}, "value_not_exact", "1.2345678901234"),
        ({32: "1234567890123456789"}, "value_not_exact", "LastQty(32)"),
        ({31: "1,187.25"}, "value_unreadable", "1,187.25"),
        ({31: "NaN"}, "value_unreadable", "NaN"),
        ({32: "0"}, "quantity_not_positive", "LastQty(32)"),
        ({32: "-5"}, "quantity_not_positive", "-5"),
        ({64: "20260230"}, "value_unreadable", "SettlDate(64)"),
    ],
)
def test_what_is_refused_says_why(
    run: Run, fill: Make, changes: dict[int, str | None], reason: str, named: str
) -> None:
    # From a file, where framing proves nothing: MsgType may be missing.
    found, detail = refusal(run([fill(changes)], live=False))
    assert found == reason
    assert named in detail


def test_placeholders_in_fields_nobody_needs_are_tolerated(run: Run, fill: Make) -> None:
    assert only(run([fill({58: "<TEXT>", 50: "XXXX"})]))["trade_uid"] == "E1"


def test_numbers_are_read_by_value_and_shown_scale_is_kept(run: Run, fill: Make) -> None:
    trades = run(
        [fill({31: shown, 17: f"E{n}"}) for n, shown in enumerate(["000187.2500", "1.8725E2", "187.25", "187"])]
    )
    assert trades.trades["price"].to_pylist() == [Decimal("187.25")] * 3 + [Decimal(187)]
    assert trades.trades["price_scale"].to_pylist() == [4, 2, 2, 0]


def test_gross_is_exact_and_rounded_once_half_to_even(run: Run, fill: Make) -> None:
    cases = [("3", "0.1234565", None), ("1", "0.0000005", None), ("1", "0.0000015", None), ("7", "2.5", "100"),
             ("123456789012345678", "999999999.999999999999", None), ("5", "10", "1.000001")]  # fmt: skip
    result = run([fill({32: q, 31: p, 231: m, 17: f"E{n}"}) for n, (q, p, m) in enumerate(cases)])
    assert result.trades["gross_money"].to_pylist() == [
        Decimal("0.370370"), Decimal("0.000000"), Decimal("0.000002"), Decimal(1750), None, Decimal("50.00005"),
    ]  # fmt: skip


def test_gross_of_a_bond_is_a_percentage_of_par(run: Run, fill: Make) -> None:
    trade = only(run([fill({167: "CORP", 32: "1000000", 31: "99.5", 541: "20310115", 223: "4.25"})]))
    assert (trade["gross_money"], trade["price_type"], trade["qty_unit"]) == (
        Decimal(995_000),
        "PERCENT_PAR",
        "NOTIONAL",
    )
    assert (trade["maturity"], trade["coupon"]) == (date(2031, 1, 15), Decimal("4.25"))


def test_reported_gross_wins_and_net_is_signed_from_the_account(run: Run, fill: Make) -> None:
    bought, sold = run(
        [fill({381: "18725.01", 118: "18726.51"}), fill({54: "5", 118: "18723.50", 17: "E2"})]
    ).trades.to_pylist()
    assert (bought["gross_money"], bought["net_money"]) == (Decimal("18725.01"), Decimal("-18726.51"))
    assert (sold["side"], sold["net_money"]) == ("SELL_SHORT", Decimal("18723.50"))


def test_commission_types(run: Run, fill: Make) -> None:
    result = run(
        [fill({12: "0.005", 13: "1"}), fill({12: "0.1", 13: "2", 17: "E2"}), fill({12: "7", 13: None, 17: "E3"})]
    )
    assert result.trades["commission"].to_pylist() == [Decimal("0.5"), Decimal("18.725"), Decimal(7)]


@pytest.mark.parametrize(("code", "major"), [("GBX", "GBP"), ("GBp", "GBP"), ("ZAc", "ZAR"), ("ILA", "ILS")])
def test_minor_units_are_folded(run: Run, fill: Make, code: str, major: str) -> None:
    trade = only(run([fill({15: code, 31: "725.5", 12: "150"})]))
    assert (trade["trade_ccy"], trade["settle_ccy"], trade["price"], trade["price_scale"]) == (
        major,
        major,
        Decimal("7.255"),
        3,
    )
    assert (trade["gross_money"], trade["commission"]) == (Decimal("725.5"), Decimal("1.5"))


def test_a_minor_price_that_cannot_be_folded_exactly_is_refused(run: Run, fill: Make) -> None:
    reason, detail = refusal(run([fill({15: "GBX", 31: "1.00000000001"})]))
    assert (reason, "LastPx(31)" in detail) == ("value_not_exact", True)


def test_sides_and_position_effect(run: Run, fill: Make) -> None:
    changes = [
        {54: "1", 77: "C"},
        {54: "1", 77: "C", 167: "OPT", 201: "1", 202: "50.5", 541: "20260619"},
        {54: "6"},
        {54: "4"},
    ]
    result = run([fill({**change, 17: f"E{n}"}) for n, change in enumerate(changes)])
    assert result.trades["side"].to_pylist() == ["BUY_COVER", "BUY", "SELL_SHORT_EXEMPT", "SELL"]
    option = result.trades.to_pylist()[1]
    assert (option["expiry"], option["strike"], option["put_call"], option["qty_unit"]) == (
        date(2026, 6, 19), Decimal("50.5"), "CALL", "CONTRACTS",
    )  # fmt: skip


def test_trade_date_without_75_is_the_market_day(run: Run, fill: Make) -> None:
    late = fill({75: None, 60: "20260605-02:00:00", 35: "8"})
    assert only(run([late]))["trade_date"] == date(2026, 6, 5)
    assert only(run([late], ALPHA))["trade_date"] == date(2026, 6, 4)


def test_flags_and_replays(run: Run, fill: Make) -> None:
    replay = fill({43: "Y", 122: "20260604-13:30:01.000", 52: "20260604-15:00:00"})
    trade = only(run([replay]))
    assert trade["flags"] == "POSS_DUP"
    assert trade["sent_time_utc"].strftime("%H:%M:%S") == "13:30:01"
    assert only(run([fill({97: "Y"})]))["flags"] == "POSS_RESEND"


def test_a_garbled_live_message_is_refused_and_a_logged_one_is_marked(run: Run, fill: Make) -> None:
    edited = fill().replace(b"31=187.25", b"31=187.26")
    reason, detail = refusal(run([edited]))
    assert (reason, "CHECKSUM" in detail) == ("garbled", True)
    assert only(run([edited], live=False))["flags"] == "I02_CHECKSUM"
    pasted = fill().replace(b"\x01", b"|").replace(b"|10=", b"|10=9")
    trade = only(run([b"2026 INFO [in] " + pasted], live=False))
    assert trade["flags"] == "I02_CHECKSUM,SEPARATOR"
    assert trade["raw_start"] is None


def test_undecodable_bytes_are_refused_with_a_preview(run: Run) -> None:
    for raw in (b"\x00\xff\xfe garbage", b"hello", b""):
        for live in (True, False):
            reason, detail = refusal(run([raw], live=live))
            assert reason == "undecodable"
            assert raw[:4].hex(" ") in detail


def test_text_that_is_not_utf8_keeps_every_byte(run: Run, fill: Make) -> None:
    trade = only(run([fill({76: "Müller & Söhne"})]))  # framed as Latin-1
    assert trade["exec_broker_id"] == "Müller & Söhne"


def test_custom_tags_become_json(run: Run, fill: Make) -> None:
    plain, odd, none = run(
        [fill({9001: "1.5", 9730: "A"}), fill({9001: 'say "hi"', 17: "E2"}), fill({17: "E3"})]
    ).trades["ext"].to_pylist()  # fmt: skip
    assert json.loads(plain) == {"9001": "1.5", "9730": "A"}
    assert json.loads(odd) == {"9001": 'say "hi"'}
    assert none is None


def test_instruments_agree_across_identifier_styles(run: Run, fill: Make) -> None:
    changes: list[dict[int, str | None]] = [
        {55: "BRK/B", 48: None, 22: None}, {55: "BRK.B", 48: None, 22: None}, {55: "BRK", 65: "B", 48: None, 22: None},
        {55: "[N/A]"}, {48: "2046251", 22: "2"}, {48: "037833100", 22: "1"}, {48: "AAPL.O", 22: "5"},
    ]  # fmt: skip
    result = run([fill({**change, 17: f"E{n}"}) for n, change in enumerate(changes)])
    assert result.trades["instrument_id"].to_pylist() == [
        "SYM:BRKB", "SYM:BRKB", "SYM:BRKB", "ISIN:US0378331005", "SEDOL:2046251", "CUSIP:037833100", "RIC:AAPL.O",
    ]  # fmt: skip


def test_security_master_and_account_map_are_effective_dated(
    run: Run, fill: Make, dialects: Mapping[str, Dialect]
) -> None:
    accounts = [
        {"account_id": "OLD", "valid_from": date(2020, 1, 1), "valid_to": date(2026, 1, 1)},
        {"account_id": "MERID-EQ-01", "pb_id": "BRAVO", "valid_from": date(2026, 1, 1)},
    ]
    accounts = [{"alias": "BR-7701", "party": "BRAVO", **row} for row in accounts]
    identifiers = [
        {"instrument_id": "I-1", "id_source": "4", "id_value": "US0378331005", "valid_from": date(2020, 1, 1)},
        {"instrument_id": "I-1", "id_source": "2", "id_value": "2046251", "valid_from": date(2020, 1, 1)},
    ]
    known = build_reference(
        dialects,
        pa.Table.from_pylist(accounts, schema=arrow_schema(TABLES["account_map"])),
        pa.Table.from_pylist(identifiers, schema=arrow_schema(TABLES["identifier_history"])),
    )
    messages = [
        fill({1: "BR-7701"}),
        fill({1: "BR-7701", 75: "20251231", 17: "E2", 48: "2046251", 22: "2"}),
        fill({1: "BR-9999", 17: "E3"}),
    ]
    rows = run(messages, BRAVO, against=known).trades.to_pylist()
    assert [row["account_id"] for row in rows] == ["MERID-EQ-01", "OLD", "BR-9999"]
    assert [row["flags"] for row in rows] == [None, "AS_OF", "I04_ACCOUNT"]
    assert {row["instrument_id"] for row in rows} == {"I-1"}
    assert {row["pb_id"] for row in rows} == {"BRAVO"}


def test_bravo_books_in_local_time_with_custom_tags(run: Run, fill: Make) -> None:
    changes = {
        20: "0",
        150: "2",
        60: "20260604-09:30:01",
        9001: "0.42",
        9002: "ME-1",
        453: None,
        448: None,
        447: None,
        452: None,
    }
    result = run([fill(changes, "FIX.4.2")], BRAVO)
    trade = only(result)
    assert (trade["cross_uid"], trade["pb_id"], trade["tz_source"]) == ("ME-1", "BRAVO", "America/New_York")
    assert trade["event_time_utc"].strftime("%H:%M:%S") == "13:30:01"
    fee = {"ordinal": 0, "fee_type": "TOTAL", "ccy": None, "amount": Decimal("0.42"), "basis": None}
    assert result.fees.to_pylist() == [{"record_id": trade["record_id"], **fee}]


def test_feeds_of_one_lane_are_read_in_their_own_dialects(
    make_batch: Callable[..., RawBatch], reference: Reference, fill: Make
) -> None:
    local = {60: "20260604-09:30:01", 453: None, 448: None, 447: None, 452: None}
    messages = [fill({17: f"E{n}", **(local if n % 2 else {})}) for n in range(6)] + [b"junk"]
    batch = replace(make_batch(messages), feeds=[ALPHA, BRAVO, ALPHA, BRAVO, ALPHA, BRAVO, BRAVO])
    result = normalise(batch, reference)
    assert result.trades["trade_uid"].to_pylist() == [f"E{n}" for n in range(6)]
    assert result.trades["pb_id"].to_pylist() == ["ALPHA", "BRAVO"] * 3
    assert {at.strftime("%H:%M:%S") for at in result.trades["event_time_utc"].to_pylist()} == {"13:30:01"}
    assert result.messages["feed"].to_pylist() == ["ALPHA", "BRAVO"] * 3 + ["BRAVO"]
    assert result.quarantine["feed"].to_pylist() == ["BRAVO"]


def test_exec_id_suffixes_are_versions(run: Run, fill: Make) -> None:
    rule = Dialect(name="ib", exec_id_version_suffix=r"\.(\d+)$")
    feed = Feed(name="IB", role="EB", party="IB", dialect="ib")
    rows = run(
        [fill({17: "0001.01.01"}), fill({17: "0001.01.02"})], feed, against=Reference({"ib": rule})
    ).trades.to_pylist()
    assert [(row["status"], row["version"], row["prev_uid"]) for row in rows] == [
        ("NEW", 1, None),
        ("CORRECT", 2, "0001.01.01"),
    ]


def test_dialect_rules_for_accounts_sides_and_signed_quantities(run: Run, fill: Make) -> None:
    rule = Dialect(
        name="d", account_pattern="^0*([1-9].*)-", side={"B": "BUY", "SS": "SELL_SHORT"}, qty_sign="signed",
        default_ccy="EUR", custom={9100: "strategy"},
    )  # fmt: skip
    feed = Feed(name="D", role="PB", party="D", dialect="d")
    trade = only(
        run([fill({1: "007-X", 54: "SS", 32: "-5", 15: None, 9100: "ALGO"})], feed, against=Reference({"d": rule}))
    )
    assert (trade["account_id"], trade["account_raw"], trade["side"], trade["qty"]) == ("7", "007-X", "SELL_SHORT", 5)
    assert (trade["trade_ccy"], trade["strategy"]) == ("EUR", "ALGO")
