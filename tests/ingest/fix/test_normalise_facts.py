"""Answers (AR, P, AT, AU, Q), positions (AP) and refused trades: facts of their own, findable, stored once."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ingest.dialects.dialect import Dialect
from ingest.feeds import Feed
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import AccountMatch, Reference
from ingest.store import store
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

ALPHA = Feed(name="ALPHA", role="PB", party="ALPHA", dialect="alpha_ae44")
HEAD = "49=ALPHA|56=TIEOUT|34=2|52=20260604-13:30:05|60=20260604-13:30:01|"
Run = Callable[..., Normalised]
Make = Callable[..., bytes]


def rows(result: Normalised, table: str) -> list[dict[str, Any]]:
    """The table's rows of a result in which nothing was refused."""
    assert result.quarantine.to_pylist() == []
    assert set(result.messages["outcome"].to_pylist()) == {"FACT"}
    found: list[dict[str, Any]] = result.facts[table].to_pylist() if table in result.facts else []
    return found


@pytest.mark.parametrize(
    ("body", "subject", "uid", "status", "reason"),
    [
        ("35=AR|571=T1|939=0|", "TRADE", "T1", "ACCEPTED", None),
        ("35=AR|571=T1|939=1|751=2|58=who is that|", "TRADE", "T1", "REJECTED", "2"),
        ("35=AR|571=T1|150=F|", "TRADE", "T1", "RECEIVED", None),
        ("35=AR|571=T1|150=F|751=0|", "TRADE", "T1", "RECEIVED", "0"),
        ("35=AR|571=T1|150=F|751=99|", "TRADE", "T1", "REJECTED", "99"),
        ("35=AR|571=T1|150=8|", "TRADE", "T1", "REJECTED", None),
        ("35=AR|571=T1|939=Z|", "TRADE", "T1", "RECEIVED", None),
        ("35=P|70=B1|75=20260604|87=3|", "ALLOCATION", "B1", "RECEIVED", None),
        ("35=P|70=B1|75=20260604|87=1|88=8|", "ALLOCATION", "B1", "REJECTED", "8"),
        ("35=AT|755=R1|70=B1|87=0|", "ALLOCATION", "R1", "ACCEPTED", None),
        ("35=AT|70=B1|87=5|", "ALLOCATION", "B1", "REJECTED", None),
        ("35=AU|664=C1|75=20260604|940=2|774=7|", "CONFIRMATION", "C1", "REJECTED", "7"),
        ("35=Q|37=O1|17=E1|127=D|54=1|", "TRADE", "E1", "REJECTED", "D"),
    ],
)
def test_an_answer_is_a_fact(
    run: Run, frame: Make, body: str, subject: str, uid: str, status: str, reason: str | None
) -> None:
    kind, _, rest = body.partition("|")
    (row,) = rows(run([frame(f"{kind}|{HEAD}{rest}")], ALPHA), "acknowledgement")
    assert (row["subject"], row["trade_uid"], row["status"], row["reason_code"]) == (subject, uid, status, reason)
    assert (row["feed"], row["source_role"], row["pb_id"], row["msg_type"]) == ("ALPHA", "PB", "ALPHA", kind[3:])
    assert row["event_time_utc"].isoformat() == "2026-06-04T13:30:01"


def test_an_allocation_answered_by_account(run: Run, frame: Make) -> None:
    body = f"35=P|{HEAD}70=B1|75=20260604|87=2|78=2|79=A1|467=X|79=A2|776=0|161=no such account|"
    first, second = rows(run([frame(body)], ALPHA), "acknowledgement")
    assert (first["account_raw"], first["status"], first["reason_code"]) == ("A1", "ACCEPTED", None)
    assert (second["account_raw"], second["status"], second["reason"]) == ("A2", "REJECTED", "no such account")


def test_an_answer_survives_a_group_that_does_not_add_up(run: Run, frame: Make) -> None:
    (row,) = rows(run([frame(f"35=P|{HEAD}70=B1|75=20260604|87=1|78=3|79=A1|79=A2|")], ALPHA), "acknowledgement")
    assert row["status"] == "REJECTED"


def test_an_answer_to_nothing_is_quarantined(run: Run, frame: Make) -> None:
    (refused,) = run([frame(f"35=AR|{HEAD}939=1|")], ALPHA).quarantine.to_pylist()
    assert refused["reason"] == "missing_required_field"
    assert refused["detail"].startswith("TradeReportID(571) or TradeID(1003)")


@pytest.mark.parametrize(("code", "status"), [("1", "PENDING"), ("2", "REJECTED"), ("3", "AFFIRMED")])
def test_a_confirmation_ack_is_an_affirmation_too(run: Run, frame: Make, code: str, status: str) -> None:
    result = run([frame(f"35=AU|{HEAD}664=C1|75=20260604|940={code}|")], ALPHA)
    (row,) = rows(result, "affirmation")
    assert (row["confirm_id"], row["affirm_status"], row["message_id"]) == ("C1", status, "OMS->TIEOUT:1")


POSITION = (
    f"35=AP|{HEAD}721=P1|728=0|715=20260603|453=1|448=ALPHA|447=D|452=4|1=A1|581=1|55=AAPL|48=US0378331005|22=4|15=USD"
    "|730=187.25|731=1|734=186.1|702=3|703=SOD|704=100|703=ETR|704=50|703=TOT|704=150|705=20"
    "|753=2|707=TVAR|708=1.5|707=FMTM|708=24342.50|"
)


def test_a_position_report_gives_a_row_per_holding(run: Run, frame: Make) -> None:
    accounts = {("ALPHA", "A1"): (AccountMatch("FUND-1", "ALPHA"),)}
    reference = Reference({"alpha_ae44": Dialect(name="alpha_ae44")}, accounts)
    begun, ended = rows(run([frame(POSITION)], ALPHA, against=reference), "position_snapshot")
    assert (begun["snapshot_type"], begun["long_qty"], begun["short_qty"]) == ("SOD", Decimal(100), None)
    assert (ended["snapshot_type"], ended["long_qty"], ended["short_qty"]) == ("EOD", Decimal(150), Decimal(20))
    assert (ended["account_id"], ended["as_of_date"], ended["price"]) == ("FUND-1", date(2026, 6, 3), Decimal("187.25"))
    assert (ended["price_ccy"], ended["market_value"], ended["pb_id"]) == ("USD", Decimal("24342.50"), "ALPHA")
    assert ended["instrument_id"] == "ISIN:US0378331005" or "US0378331005" in ended["instrument_id"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("702=3|", "702=4|"), "group_count_mismatch"),
        (("|715=20260603", ""), "missing_required_field"),
        (("|1=A1", ""), "missing_required_field"),
        (("55=AAPL|48=US0378331005|22=4|", ""), "missing_required_field"),
        (("703=TOT|704=150|705=20", "703=TOT|704=1x0"), "value_unreadable"),
        (("703=SOD|704=100|703=ETR|704=50|703=TOT|704=150|705=20", "703=ETR|703=AS|703=EX"), "missing_required_field"),
    ],
)
def test_a_position_report_that_cannot_be_used_is_quarantined(
    run: Run, frame: Make, change: tuple[str, str], reason: str
) -> None:
    result = run([frame(POSITION.replace(*change))], ALPHA)
    assert [row["reason"] for row in result.quarantine.to_pylist()] == [reason]
    assert "position_snapshot" not in result.facts


def test_a_request_for_positions_that_found_none_is_not_for_us(run: Run, frame: Make) -> None:
    assert run([frame(POSITION.replace("728=0", "728=2"))], ALPHA).messages["outcome"].to_pylist() == ["IGNORED"]


@pytest.mark.parametrize(
    "changes",
    [{150: "8", 39: "8"}, {150: None, 39: "8"}, {20: "3", 150: "8"}, {20: "0", 150: "8"}],
)
def test_a_rejected_report_with_its_economics_is_a_trade_of_status_reject(
    run: Run, fill: Make, changes: Mapping[int, str | None]
) -> None:
    result = run([fill(changes)])
    assert [row["status"] for row in result.trades.to_pylist()] == ["REJECT"]
    assert result.facts == {} and result.quarantine.num_rows == 0


def test_a_rejected_order_without_a_fill_is_kept_as_a_refusal(run: Run, fill: Make) -> None:
    result = run([fill({150: "8", 39: "8", 32: "0", 31: "0", 103: "99", 58: "account not enabled"})])
    (row,) = rows(result, "acknowledgement")
    assert (row["subject"], row["trade_uid"], row["status"], row["reason_code"]) == ("ORDER", "E1", "REJECTED", "99")
    assert row["reason"] == "account not enabled" and result.trades.num_rows == 0


def test_a_garbled_rejection_is_not_believed(run: Run, fill: Make) -> None:
    result = run([fill({150: "8", 39: "8", 32: "0"})[:-4] + b"999\x01"])
    assert [row["reason"] for row in result.quarantine.to_pylist()] == ["garbled"]
    assert result.facts == {}


@pytest.fixture
def warehouse() -> Iterator[DuckDbWarehouse]:
    opened = DuckDbWarehouse()
    migrate(opened)
    yield opened
    opened.close()


def test_facts_are_stored_once_whatever_is_repeated(
    warehouse: DuckDbWarehouse, make_batch: Callable[..., RawBatch], reference: Reference, frame: Make, fill: Make
) -> None:
    answer, affirmed = f"35=AR|{HEAD}571=T1|939=1|", f"35=AU|{HEAD}664=C1|75=20260604|940=3|"
    again = HEAD.replace("34=2", "34=9") + "43=Y|122=20260604-13:30:05|"
    messages = [frame(text) for text in (answer, affirmed, POSITION, answer.replace(HEAD, again))]
    counts = store(warehouse, normalise(make_batch(messages, ALPHA), reference), "x1")
    assert (counts.facts, counts.duplicates, counts.quarantined) == (3, 1, 0)
    later = store(warehouse, normalise(make_batch(messages[:3], ALPHA, first=10), reference), "x2")
    assert (later.facts, later.duplicates) == (0, 3)
    for table, expected in (("acknowledgement", 2), ("affirmation", 1), ("position_snapshot", 2)):
        stored = warehouse.query(f"SELECT * FROM {table}")
        assert stored.num_rows == expected and set(stored["execution"].to_pylist()) == {"x1"}
