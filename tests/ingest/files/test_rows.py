"""Rows of delimited files as canonical trades: mapping, money, evidence, and what goes to quarantine."""

import json
from datetime import date, datetime
from decimal import Decimal

import pytest

from domain.schema import arrow_schema
from domain.trade import TRADE
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.files.aliases import aliases, guess
from ingest.files.batch import batch_from_file
from ingest.files.csv_map import CsvMap, parse_map
from ingest.files.read import FileRefused
from ingest.files.rows import CsvRows, rows_from_csv
from ingest.normalise_reference import AccountMatch, Reference
from ingest.symbology import Validity
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

FEED = Feed(name="NG", role="PB", party="NG")
HEADER = "Trade ID,Client Ref,Acct,B/S,Ticker,ISIN,Qty,Px,Ccy,Trade Date,Value Date,Exec Time,Comm,Net,Desk"
ROW = "N1,ME1,A1,B,BRK/B,US0846707026,150,472.6000,USD,2026-11-20,2026-11-23,14:52:30,0.75,70890.75,East"


def read(
    *rows: str, header: str = HEADER, mapping: CsvMap | None = None, reference: Reference | None = None
) -> CsvRows:
    data = "\n".join([header, *rows, ""]).encode()
    return rows_from_csv(data, "f.csv", FEED, mapping or CsvMap(), reference or Reference({}))


def problems(rows: CsvRows) -> list[tuple[int, str, str, str]]:
    return [(r.line, r.problem.code, r.problem.reason, r.problem.detail) for r in rows.received if r.problem]


def test_a_row_becomes_the_canonical_record() -> None:
    rows = read(ROW)
    assert rows.trades.schema == arrow_schema(TRADE)
    trade = rows.trades.to_pylist()[0]
    expected = {
        "trade_uid": "N1", "cross_uid": "ME1", "account_id": "A1", "side": "BUY", "status": "NEW", "symbol": "BRK/B",
        "instrument_id": "ISIN:US0846707026", "qty": Decimal(150), "price": Decimal("472.6"), "price_scale": 4,
        "trade_ccy": "USD", "settle_ccy": "USD", "trade_date": date(2026, 11, 20), "settle_date": date(2026, 11, 23),
        "commission": Decimal("0.75"), "net_money": Decimal("-70890.75"), "gross_money": Decimal(70890), "pb_id": "NG",
        "source_role": "PB", "level": "FILL", "file": "f.csv", "line": 2, "event_time_precision": "s",
        "ext": '{"Desk": "East"}',
    }  # fmt: skip
    assert {name: trade[name] for name in expected} == expected
    assert datetime.fromisoformat(str(trade["event_time_utc"])) == datetime(2026, 11, 20, 14, 52, 30)
    assert rows.unused == ("Desk",)
    assert rows.received[0].raw.decode() == f"{HEADER}\n{ROW}"
    assert rows.received[0].raw[trade["raw_start"] : trade["raw_end"]].decode() == ROW


def test_what_the_reference_data_does_not_know_is_marked_and_kept() -> None:
    known = Reference(
        {}, accounts={("NG", "A1"): (AccountMatch("FUND-1"),)}, instruments={("4", "US0846707026"): (Validity("I-1"),)},
        parties=frozenset({"NG"}), own_accounts=frozenset({"FUND-1", "FUND-2"}),
    )  # fmt: skip
    strange = ROW.replace("N1", "N2").replace(",A1,", ",A9,").replace("BRK/B,US0846707026", ",US0378331005")
    ours = ROW.replace("N1", "N3").replace(",A1,", ",FUND-2,").replace("US0846707026", "US0846707020")
    rows = read(ROW, strange, ours, reference=known).trades.to_pylist()
    assert [row["flags"] for row in rows] == [None, "I03_ID_UNKNOWN,I04_ACCOUNT", "I03_ID_UNKNOWN,ID_CHECK"]
    assert [row["instrument_id"] for row in rows] == ["I-1", "ISIN:US0378331005", "SYM:BRKB"]
    assert [row["account_id"] for row in rows] == ["FUND-1", "A9", "FUND-2"]


def test_the_same_row_has_the_same_identity_wherever_it_stands() -> None:
    other = ROW.replace("N1", "N2")
    first, second = read(ROW, other).trades, read(other, ROW).trades
    assert sorted(first["record_id"].to_pylist()) == sorted(second["record_id"].to_pylist())
    assert sorted(first["event_key"].to_pylist()) == sorted(second["event_key"].to_pylist())


@pytest.mark.parametrize(
    ("old", "new", "code", "reason", "detail"),
    [
        (",150,", ",15O,", "I01", "bad_number", "Qty '15O' is not a number"),
        (",150,", ",,", "I01", "missing_required_field", "Qty is empty"),
        (",150,", ",0,", "I01", "zero_quantity", "Qty '0' is no quantity"),
        (",150,", ",-150,", "I01", "negative_buy", "Set negative_buy in the map"),
        (",B,", ",Dividend,", "I01", "side_unmapped", "B/S 'Dividend' is not a known side"),
        ("N1,", ",", "I01", "missing_required_field", "Trade ID is empty"),
        ("2026-11-23", "2026-11-31", "I01", "bad_date", "Value Date '2026-11-31'"),
        ("14:52:30", "14h52", "I01", "bad_time", "Exec Time '14h52'"),
        ("USD", "US$", "I01", "bad_currency", "Ccy 'US$' is not a currency code"),
        ("BRK/B,US0846707026", ",US0846707027", "I03", "bad_identifier", "ISIN 'US0846707027' is not a valid ISIN"),
        ("472.6000", "472.1234567890123", "I01", "bad_number", "hold exactly"),
        (",East", "", "I01", "cell_count", "the row has 14 cells, the header 15"),
    ],
)
def test_a_bad_cell_sets_its_row_aside(old: str, new: str, code: str, reason: str, detail: str) -> None:
    rows = read(ROW.replace(old, new, 1), ROW.replace("N1", "N2"))
    assert rows.trades["trade_uid"].to_pylist() == ["N2"]
    ((line, found_code, found_reason, found_detail),) = problems(rows)
    assert (line, found_code, found_reason) == (2, code, reason)
    assert detail in found_detail
    assert [row.outcome for row in rows.received] == ["QUARANTINE", "FACT"]


def test_a_damaged_identifier_is_dropped_where_another_serves() -> None:
    rows = read(ROW.replace("US0846707026", "US0846707027"))
    assert rows.trades["instrument_id"].to_pylist() == ["SYM:BRKB"]
    assert rows.notes == ("1 ISIN failed the check digit and were not used",)


def test_pence_are_folded_and_gross_is_exact() -> None:
    rows = read(ROW.replace("USD", "GBX").replace("472.6000", "472.6125"))
    trade = rows.trades.to_pylist()[0]
    assert (trade["trade_ccy"], trade["price"], trade["price_scale"]) == ("GBP", Decimal("4.726125"), 6)
    assert trade["gross_money"] == Decimal("708.918750")


def test_map_reads_a_foreign_layout() -> None:
    mapping = parse_map(
        """
columns: {trade_uid: Nr, qty: Menge, price: Kurs, side: Art, trade_date: Tag, account: Depot, symbol: Titel}
constants: {trade_ccy: EUR}
date_format: DD/MM/YYYY
accounts: {D7: A1}
sides: {K: BUY, V: SELL}
skip_rows_where: {Typ: Dividende}
""",
        "m.yaml",
    )
    header = "Nr;Depot;Art;Titel;Menge;Kurs;Tag;Typ"
    rows = read(
        "1;D7;K;SAP;1.250;100,50;03/04/2026;Kauf", "2;D7;V;SAP;10;1.000,25;03/04/2026;Kauf",
        "3;D7;V;SAP;10;1;03/04/2026;Dividende", header=header, mapping=mapping,
    )  # fmt: skip
    found = rows.trades.select(["side", "qty", "price", "trade_date", "account_id", "trade_ccy"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("BUY", Decimal(1250), Decimal("100.5"), date(2026, 4, 3), "A1", "EUR"),
        ("SELL", Decimal(10), Decimal("1000.25"), date(2026, 4, 3), "A1", "EUR"),
    ]
    assert [row.outcome for row in rows.received] == ["FACT", "FACT", "IGNORED"]


def test_signed_quantities_and_cancels() -> None:
    header = HEADER.replace("B/S", "Who")
    mapping = CsvMap(signed_quantity=True)
    rows = read(ROW, ROW.replace(",150,", ",(150),"), header=header, mapping=mapping)
    assert rows.trades["side"].to_pylist() == ["BUY", "SELL"]
    assert rows.trades["qty"].to_pylist() == [Decimal(150), Decimal(150)]
    cancels = read(
        ROW.replace(",B,", ",BUY (Ca.),"), ROW.replace(",150,", ",-150,"), mapping=CsvMap(negative_buy="CANCEL")
    )
    assert cancels.trades["status"].to_pylist() == ["CANCEL", "CANCEL"]
    assert cancels.trades["side"].to_pylist() == ["BUY", "BUY"]


def test_sums_at_the_end_are_no_trade_even_without_a_word() -> None:
    rows = read(ROW, ",,,,,,150,,,,,,0.75,,")
    assert [row.outcome for row in rows.received] == ["FACT", "IGNORED"]


def test_missing_column_gives_a_draft_that_works_when_completed() -> None:
    header = HEADER.replace("Qty", "Menge")
    with pytest.raises(FileRefused, match=r"f\.csv:1: no column found for qty, a quantity") as caught:
        read(ROW, header=header)
    draft = caught.value.draft_map
    assert draft is not None
    assert '#   "Menge"' in draft
    completed = parse_map(draft.replace("# qty: ", 'qty: "Menge" #'), "m.yaml")
    assert read(ROW, header=header, mapping=completed).trades["qty"].to_pylist() == [Decimal(150)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("columns: [", "m.yaml:1: not YAML"),
        ("- a", "m.yaml:1: a map file is a YAML mapping"),
        ("columns: {menge: X}", "'menge' is not a column"),
        ("constants: {qty: 5}", "'qty' cannot be constant"),
        ("colums: {}", "colums: Extra inputs are not permitted"),
        ("date_format: DD.MM", "date_format: Input should be"),
        ("zone: Mars/Base", "zone: no such time zone: Mars/Base"),
    ],
)
def test_bad_maps_name_the_key(text: str, told: str) -> None:
    with pytest.raises(FileRefused) as caught:
        parse_map(text, "m.yaml")
    assert told in str(caught.value)


def test_account_map_and_security_master_are_used() -> None:
    reference = Reference(
        {},
        accounts={("NG", "A1"): (AccountMatch("FUND-1"),)},
        instruments={("4", "US0846707026"): (Validity("I-77"),)},
    )
    trade = read(ROW, reference=reference).trades.to_pylist()[0]
    assert (trade["account_id"], trade["account_raw"], trade["instrument_id"]) == ("FUND-1", "A1", "I-77")


def test_every_alias_leads_to_one_column_of_its_own() -> None:
    for name, keys in aliases().items():
        assert guess([keys[0]]) == {name: keys[0]}
    assert guess(["Action", "Side"]) == {"side": "Side", "status": "Action"}
    assert guess(["Our Ref", "Trade ID"]) == {"trade_uid": "Trade ID", "cross_uid": "Our Ref"}


def test_batch_has_an_outcome_for_every_row_and_fits_the_warehouse() -> None:
    data = "\n".join([HEADER, ROW, ROW.replace(",150,", ",x,"), "Total,,,,,,150,,,,,,,,"]).encode()
    batch = batch_from_file(data, "f.csv", FEED, CsvMap(), Reference({}))
    assert batch.normalised.messages["outcome"].to_pylist() == ["FACT", "QUARANTINE", "IGNORED"]
    assert batch.normalised.trades["message_id"].to_pylist() == ["NG/f.csv:1"]
    assert batch.lines == {"NG/f.csv:1": 2, "NG/f.csv:2": 3, "NG/f.csv:3": 4}
    warehouse = DuckDbWarehouse()
    migrate(warehouse)
    warehouse.append("trade_event", batch.normalised.trades)
    warehouse.append("quarantine", batch.normalised.quarantine)
    kept = warehouse.query("SELECT ext, qty FROM trade_event").to_pylist()[0]
    assert (json.loads(kept["ext"]), kept["qty"]) == ({"Desk": "East"}, Decimal(150))
    warehouse.close()


def test_log_text_is_ignored_and_a_damaged_message_is_not() -> None:
    fill = (
        "8=FIX.4.2|9=1|35=8|49=A|56=B|34=2|52=20261120-14:31:04|37=O|11=C|17=E1|20=0|150=2|39=2|1=ACC|55=IBM|54=1|38=5|"
        "32=5|31=9.5|14=5|151=0|6=9.5|15=USD|60=20261120-14:31:04|75=20261120|10=000|"
    )
    log = f"10:00 INFO connected\n10:01 {fill}\n10:02 35=8|49=A|56=B|34=3|55=IBM|\n"
    batch = batch_from_file(log.encode(), "a.log", FEED, CsvMap(), Reference(load_dialects()))
    assert batch.normalised.messages["outcome"].to_pylist() == ["IGNORED", "FACT", "QUARANTINE"]
    assert list(batch.lines.values()) == [1, 2, 3]
    assert batch.notes == ("1 line of log text without a message",)
