"""Acceptance scenarios about files: replays, splits, statements with rebookings, files that changed, late or empty."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.journeys.scenes import ALPHA, DAY, NOON, OMS, Folder, Outcome, booking, filed, fill, seconds, uids

HOLDINGS = "As Of Date,Account,Symbol,Long Quantity,Short Quantity,Basis,Price,Currency,Market Value,Snapshot\n"
SPLIT = (
    "action_id,instrument_id,action_type,ex_date,record_date,pay_date,ratio,amount,ccy,new_instrument_id,valid_from\n"
    f"CA-1,US67066G1040,SPLIT,{DAY},{DAY},{DAY},2,,,,{DAY}\n"
)
NAMES = (
    "instrument_id,id_source,id_value,valid_from\n"
    "US67066G1040,8,NVDA,2015-01-01\nUS67066G1040,4,US67066G1040,2015-01-01\n"
    "US0378331005,8,AAPL,2015-01-01\nUS0378331005,4,US0378331005,2015-01-01\n"
)
ACCOUNTS = "alias,party,account_id,fund,pb_id,valid_from\nMER-LS-01,*,MER-LS-01,MERIDIAN,ALPHA,2015-01-01\n"
POSITIONS = {"dialect": "csv_positions", "contents": "positions", "grace_seconds": 60}
STILL = ("break_id", "code", "left_value", "right_value", "delta", "exposure_base")


def holdings(*rows: tuple[str, int, int, str, str]) -> str:
    """A position file: symbol, long, short, price and snapshot of MER-LS-01."""
    return HOLDINGS + "".join(
        f"{DAY},MER-LS-01,{symbol},{long},{short},TRADE_DATE,{price},USD,{long * float(price):.2f},{snapshot}\n"
        for symbol, long, short, price, snapshot in rows
    )


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """The day before and after: everything is replayed, and the broker's position file comes again, adjusted."""
    ours = {"name": "OWN_POSITIONS", "role": "INTERNAL", "party": "MERIDIAN", "path_glob": "own/*.csv"}
    theirs = {"name": "ALPHA_POSITIONS", "role": "PB", "party": "ALPHA", "path_glob": "alpha/pos_*.csv"}
    feeds = [filed(OMS), filed(ALPHA), {**POSITIONS, **ours}, {**POSITIONS, **theirs}]
    tables = {"corporate_action": "ca.csv", "identifier_history": "names.csv", "account_map": "accounts.csv"}
    folder = Folder(tmp_path_factory.mktemp("twice"), feeds, reference=tables)
    folder.write("accounts.csv", ACCOUNTS)
    folder.write("ca.csv", SPLIT)
    folder.write("names.csv", NAMES)

    def fills(mark: str = "") -> list[bytes]:
        corrected = fill("E3X", "3", {19: "E3", 150: "G", 32: "500"}, mark=mark)
        return [fill("E1", "1", mark=mark), fill("E2", "2", {32: "300"}, mark=mark),
                fill("E3", "3", {32: "700"}, mark=mark), corrected]  # fmt: skip

    def bookings(mark: str = "") -> list[bytes]:
        return [booking("R1", "E1", "1", mark=mark), booking("R2", "E2", "2", {32: "250"}, mark=mark)]

    folder.log("OMS", [(NOON, raw) for raw in fills()])
    folder.log("ALPHA", [(NOON, raw) for raw in bookings()])
    folder.write("own/day.csv", holdings(("NVDA", 2_000, 0, "60", "SOD"), ("AAPL", 0, 0, "227.48", "SOD")))
    folder.write("alpha/pos_1.csv", holdings(("NVDA", 1_000, 0, "60", "EOD"), ("AAPL", 350, 0, "227.48", "EOD")))
    before = folder.tie()
    later = NOON + seconds(3_600)
    for mark in ("43=Y|", "97=Y|", ""):
        folder.log("OMS", [(later, raw) for raw in fills(mark)])
        folder.log("ALPHA", [(later, raw) for raw in bookings(mark)])
    folder.write("alpha/pos_2.csv", holdings(("NVDA", 2_000, 0, "60", "EOD"), ("AAPL", 350, 0, "227.48", "EOD")))
    return before, folder.tie()


def test_04_a_session_replayed_in_three_ways_changes_nothing(twice: tuple[Outcome, Outcome]) -> None:
    before, after = twice
    first, second = (
        [{name: row[name] for name in STILL} for row in part.breaks if row["code"] != "P02"] for part in twice
    )
    assert first == second and {row["code"] for row in first} == {"T01", "T05", "P01"}
    assert [row["group_id"] for row in before.groups] == [row["group_id"] for row in after.groups]
    assert before.summary["rows"]["duplicates"] == 0 and after.summary["rows"]["duplicates"] >= 18


def test_16_an_unadjusted_position_is_a_p02_with_the_factor_until_the_broker_adjusts(
    twice: tuple[Outcome, Outcome],
) -> None:
    before, after = twice
    (row,) = [row for row in before.breaks if row["code"] == "P02"]
    assert "2:1" in row["headline"] and row["right_value"].startswith("1000 before split")
    assert "P02" not in after.codes()


STATEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<FlexQueryResponse queryName="TRADES" type="AF"><FlexStatements count="1">
<FlexStatement accountId="F1" fromDate="20261120" toDate="20261120" period="LastBusinessDay"><Trades>
{rows}</Trades></FlexStatement></FlexStatements></FlexQueryResponse>
"""


def flex(version: int, kind: str, note: str, side: str, qty: str, commission: str) -> str:
    """A Trade element of tradeID 77."""
    return (
        f'<Trade accountId="MER-LS-01" tradeID="77" transactionID="{version}" ibExecID="0000e.77.01.0{version}" '
        f'transactionType="{kind}" notes="{note}" assetCategory="STK" symbol="AAPL" isin="US0378331005" '
        f'currency="USD" buySell="{side}" openCloseIndicator="O" quantity="{qty}" tradePrice="227.48" multiplier="1" '
        f'dateTime="20261120;120000" tradeDate="20261120" settleDateTarget="20261123" netCash="" proceeds="" '
        f'ibCommission="{commission}" orderReference="C1" levelOfDetail="EXECUTION" />\n'
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A pasted log of ours, a statement with a rebooking, a file that changed its looks and one that lost a column."""
    feeds = [filed(OMS),
             {"name": "ECHO", "role": "PB", "party": "ECHO", "dialect": "echo_flex", "path_glob": "echo/*.xml"},
             {"name": "NORTH", "role": "PB", "party": "NORTH", "path_glob": "north/*.csv"},
             {"name": "SOUTH", "role": "PB", "party": "SOUTH", "path_glob": "south/*.csv"}]  # fmt: skip
    folder = Folder(tmp_path_factory.mktemp("files"), feeds)
    pasted = fill("E17", "1", {448: "ECHO", 12: "9.00"}).replace(b"\x01", b"|")
    wrong = fill("E18", "18", {1: "MER-N", 448: "NORTH", 32: "40"}).replace(b"\x01", b"|")
    folder.write("oms/pasted.fix", pasted[:-4] + b"999|\n" + wrong[:-4] + b"998|\n")
    folder.write("echo/flex.xml", STATEMENT.format(rows=(
        flex(1, "ExchTrade", "", "BUY", "100", "-1.00") + flex(2, "TradeCancel", "Ca", "BUY (Ca.)", "-100", "")
        + flex(3, "ExchTrade", "", "BUY", "100", "")
    )))  # fmt: skip
    header = "Trade ID,Desk,Account,Side,Symbol,ISIN,Qty,Price,Ccy,Trade Date,Settle Date,Commission\n"
    row = "N1,LDN,MER-N,BUY,AAPL,US0378331005,{qty},227.48,USD,2026-11-20,2026-11-23,1.00\n"
    folder.write(
        "north/day.csv",
        f"Northgate trades\nas of 2026-11-20\n\n{header}{row.format(qty=40)}{header}Total,,,,,,40,,,,,\n",
    )
    folder.write("south/day.csv", header.replace("Qty,", "") + row.format(qty="")[:-1].replace(",,", ",") + "\n")
    return folder.tie()


def test_17_a_cancel_and_rebook_under_one_id_counts_once_and_keeps_its_commission(files: Outcome) -> None:
    (group,) = files.grouped("77")
    assert (uids(group["left"]), uids(group["right"])) == (["E17"], ["77"])
    assert files.codes("MER-LS-01") == ["I02", "T16"]
    (row,) = [row for row in files.breaks if row["code"] == "T16"]
    assert (row["left_value"], row["right_value"]) == ("9", "1"), "the commission of the original counts"


def test_18_a_file_is_read_by_its_names_or_stopped_whole(files: Outcome) -> None:
    (group,) = files.grouped("N1")
    assert (uids(group["left"]), uids(group["right"])) == (["E18"], ["N1"])
    assert set(files.codes("MER-N")) == {"I02"}
    (held,) = files.quarantine
    assert (held["code"], held["file"]) == ("I07", "south/day.csv")
    assert "I07" in files.codes()
    assert "SOUTH" not in {member["source"] for row in (*files.groups, *files.breaks) for member in row["right"]
                           if row.get("code") != "I07"}  # fmt: skip


def test_21_a_pasted_log_with_wrong_checksums_is_used_and_marked(files: Outcome) -> None:
    assert len(files.grouped("E17", "E18")) == 2
    marked = [row for row in files.breaks if row["code"] == "I02"]
    assert sorted(uid for row in marked for uid in uids(row["left"])) == ["E17", "E18"]
    assert {row["severity"] for row in marked} == {"INFO"}


@pytest.mark.parametrize("late", ["empty", "yesterday"])
def test_19_an_empty_or_old_file_is_critical_and_nothing_says_all_matched(tmp_path: Path, late: str) -> None:
    slots = [{"name": "eod", "at": "18:30", "zone": "America/New_York"}]
    north = {"name": "NORTH", "role": "PB", "party": "NORTH", "path_glob": "north/*.csv", "slots": slots,
             "grace_seconds": 600, "calendar": "XNYS"}  # fmt: skip
    folder = Folder(tmp_path, [filed(OMS), filed(ALPHA), north])
    folder.log("OMS", [(NOON, fill("E1", "1")), (NOON, fill("E2", "2", {448: "NORTH"}))])
    folder.log("ALPHA", [(NOON, booking("R1", "E1", "1"))])
    header = "Trade ID,Account,Side,Symbol,ISIN,Qty,Price,Ccy,Trade Date,Settle Date\n"
    old = f"OLD,MER-LS-01,BUY,AAPL,US0378331005,5,227.48,USD,{DAY - timedelta(days=1)},{DAY}\n"
    folder.write("north/day.csv", header + (old if late == "yesterday" else ""))
    told = folder.tie("--as-of", f"{DAY}T23:46:00Z")
    rows = [row for row in told.breaks if row["code"] == "I06"]
    assert rows and {(row["severity"], row["owner"]) for row in rows} == {("CRITICAL", "support")}
    assert all("NORTH" in row["headline"] for row in rows)
    assert "all matched" not in told.said.lower() and "ties out" not in told.said.lower()
