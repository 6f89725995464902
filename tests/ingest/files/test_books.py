"""Positions, cash, settlement and affirmations of files: rows of their tables, stored once, bad rows set aside."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from ingest.feeds import Feed, FeedSlot
from ingest.files.arrival import arrival
from ingest.files.batch import FileBatch, batch_from_file, received
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import file_dialect
from ingest.normalise_reference import AccountMatch, Reference
from ingest.store import store
from ingest.symbology import Validity
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

POSITIONS = (
    "Report Date,Account Number,Security ISIN,CUSIP Number,SEDOL,Security Symbol,Security Description,Long Shares,"
    "Short Shares,Trade or Settle Date,Market Price,Currency Code,Market Value\n"
)
LONG = "2026-11-20,4QM1,US0846707026,,,BRK/B,Berkshire,100,0,TRADE_DATE,500.25,USD,50025.00\n"
CASH = "Entry Id,Statement Date,Account,Currency,Entry Type,Value Date,Amount,Reference,Symbol\n"
SETTLES = (
    "Trade Id,Account,Settlement Status,Reason Code,Settlement Date,Settled Quantity,Remaining Quantity,"
    "Place of Settlement,SSI Id,Status Time\n"
)
AFFIRMS = "Confirm Id,Trade Id,Account,Affirmation Status,Affirmed At\n"
REFERENCE = Reference(
    {},
    accounts={("NG", "4QM1"): (AccountMatch("FUND-1", "NG"),)},
    instruments={("4", "US0846707026"): (Validity("I-77"),)},
)
SLOT = FeedSlot(name="morning", at="06:30", zone="America/New_York")


def read(text: str, dialect: str, role: str = "PB", slots: tuple[FeedSlot, ...] = ()) -> FileBatch:
    feed = Feed(name="NG", role=role, party="NG", dialect=dialect, slots=slots)  # type: ignore[arg-type]
    batch = batch_from_file(text.encode(), "f.csv", feed, CsvMap(), REFERENCE, dialect=file_dialect(dialect))
    return received(batch, feed)[0]


def facts(batch: FileBatch, table: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = batch.normalised.facts[table].to_pylist()
    return found


def test_positions() -> None:
    batch = read(POSITIONS + LONG, "csv_positions", slots=(SLOT,))
    (row,) = facts(batch, "position_snapshot")
    assert (row["account_id"], row["instrument_id"], row["pb_id"], row["snapshot_type"], row["basis"]) == (
        "FUND-1", "I-77", "NG", "EOD", "TRADE_DATE",
    )  # fmt: skip
    assert (row["long_qty"], row["short_qty"], row["price"]) == (100, 0, Decimal("500.25"))
    # Friday's positions come on Monday morning.
    assert str(row["recv_time_utc"]) == "2026-11-23 11:30:00" and row["line"] == 2


def test_our_own_positions_name_the_broker_by_the_account_map() -> None:
    assert facts(read(POSITIONS + LONG, "csv_positions", "INTERNAL"), "position_snapshot")[0]["pb_id"] == "NG"


def test_signed_quantities_become_long_and_short() -> None:
    text = "As Of Date\tAccount Number\tCUSIP\tQuantity\tPrice\n11/20/2026\t4QM1\t037833100\t-25\t230\n"
    (row,) = facts(read(text, "gs_tab_positions"), "position_snapshot")
    assert (row["long_qty"], row["short_qty"], row["as_of_date"]) == (0, 25, date(2026, 11, 20))


def test_cash() -> None:
    rows = [
        ",2026-11-20,4QM1,USD,OPENING BALANCE,2026-11-20,10.5,,",
        "E1,2026-11-20,4QM1,USD,DIVIDEND,2026-11-20,-3,DIV X,",
        "E2,2026-11-20,4QM1,USD,WIRE,,2,W 1,",
    ]  # fmt: skip
    found = facts(read(CASH + "\n".join(rows), "csv_cash"), "cash_entry")
    assert [(row["entry_type"], row["amount"]) for row in found] == [
        ("OPENING_BALANCE", Decimal("10.5")), ("DIVIDEND", -3), ("WIRE", 2),
    ]  # fmt: skip
    assert found[2]["value_date"] == date(2026, 11, 20) and found[1]["entry_uid"] == "E1" and found[0]["entry_uid"]


def test_settlement_and_affirmations() -> None:
    text = SETTLES + "T1,4QM1,FAILED,LACK,2026-11-23,0,100,DTCYUS33,SSI-1,2026-11-23T21:00:00Z\n"
    (row,) = facts(read(text, "csv_settlement"), "settlement_status")
    assert (row["trade_uid"], row["settle_status"], row["reason_code"], row["remaining_qty"]) == (
        "T1", "FAILED", "LACK", 100,
    )  # fmt: skip
    text = AFFIRMS + "C1,T1,4QM1,AFFIRMED,2026-11-20T20:00:00Z\nC2,T2,4QM1,PENDING,\n"
    first, second = facts(read(text, "csv_affirmations"), "affirmation")
    assert (first["affirm_status"], second["affirm_status"]) == ("AFFIRMED", "PENDING")
    assert second["event_time_utc"] == first["event_time_utc"] == second["recv_time_utc"]


@pytest.mark.parametrize(
    ("dialect", "text", "reason"),
    [
        ("csv_positions", POSITIONS + LONG.replace("100,0", "x,0"), "bad_number"),
        ("csv_positions", POSITIONS + LONG.replace("100,0", ","), "missing_required_field"),
        ("csv_positions", POSITIONS + LONG.replace("TRADE_DATE", "BOTH"), "enum_unmapped"),
        ("csv_positions", POSITIONS + LONG.replace("US0846707026,,,BRK/B", ",,,"), "missing_required_field"),
        ("csv_positions", POSITIONS + LONG.replace("4QM1", ""), "missing_required_field"),
        ("csv_cash", CASH + "E1,2026-11-20,4QM1,USD,GIFT,2026-11-20,1,,", "enum_unmapped"),
        ("csv_cash", CASH + "E1,2026-11-20,4QM1,US,WIRE,2026-11-20,1,,", "bad_currency"),
        ("csv_cash", CASH + "E1,2026-13-20,4QM1,USD,WIRE,,1,,", "bad_date"),
        ("csv_settlement", SETTLES + "T1,4QM1,LOST,,2026-11-23,0,1,,,2026-11-23T21:00:00Z", "enum_unmapped"),
        ("csv_affirmations", AFFIRMS + "C1,T1,4QM1,AFFIRMED,yesterday", "bad_time"),
        ("csv_affirmations", AFFIRMS + ",T1,4QM1,AFFIRMED,", "missing_required_field"),
    ],
)
def test_a_bad_row_is_set_aside(dialect: str, text: str, reason: str) -> None:
    batch = read(text, dialect)
    assert batch.normalised.quarantine["reason"].to_pylist() == [reason]
    assert [rows.num_rows for rows in batch.normalised.facts.values()] == [0]


def test_the_same_rows_again_change_nothing() -> None:
    warehouse = DuckDbWarehouse()
    migrate(warehouse)
    first = store(warehouse, read(POSITIONS + LONG + LONG, "csv_positions").normalised, "e1")
    assert (first.facts, first.duplicates) == (1, 1)
    again = batch_from_file(
        (POSITIONS + LONG).encode(), "again.csv", Feed(name="NG", role="PB", party="NG"), CsvMap(), REFERENCE,
        dialect=file_dialect("csv_positions"),
    )  # fmt: skip
    again, _ = received(again, Feed(name="NG", role="PB", party="NG"))
    second = store(warehouse, again.normalised, "e2")
    assert (second.facts, second.duplicates) == (0, 1)
    assert warehouse.query("SELECT count(*) AS n FROM position_snapshot")["n"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("latest", "day", "told"),
    [
        ("2026-11-20T15:00:00", None, "2026-11-23T11:30:00"),
        ("2026-11-20T11:30:00", None, "2026-11-20T11:30:00"),
        (None, date(2026, 11, 25), "2026-11-27T11:30:00"),
        (None, date(2026, 7, 1), "2026-07-02T10:30:00"),
    ],
)
def test_a_file_came_at_the_first_slot_after_what_it_knows(latest: str | None, day: date | None, told: str) -> None:
    feed = Feed(name="F", role="PB", party="F", slots=(SLOT,))
    found = arrival(feed, int(np.datetime64(latest, "ns").astype(int)) if latest else None, day)
    assert found is not None and found.at_ns == int(np.datetime64(told, "ns").astype(int)) and found.slot == "morning"
    assert arrival(feed.model_copy(update={"slots": ()}), 0, day) is None and arrival(feed, None, None) is None
