"""Reports, allocations and confirmations: repeating groups to rows."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ingest.feeds import Feed
from ingest.normalise import Normalised

ALPHA = Feed(name="ALPHA", role="PB", party="ALPHA", dialect="alpha_ae44")
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


AE_HEAD = (
    "35=AE|49=ALPHA|56=TIEOUT|34=2|52=20260604-13:30:05|571=T1|487=0|856=0|32=100|31=187.25|15=USD|75=20260604"
    "|64=20260605|60=20260604-13:30:01|55=AAPL|48=US0378331005|22=4|"
)


def test_alpha_reports_one_row_per_side(run: Run, frame: Make) -> None:
    body = (
        AE_HEAD
        + "527=ME-1|552=2|54=1|37=O1|11=C1|453=1|448=EB9|447=D|452=1|1=A1|12=1.5|13=3|136=2|137=0.1|139=4|137=0.2"
        "|138=USD|139=7|54=2|1=A2|12=2.5|"
    )
    result = run([frame(body)], ALPHA)
    buy, sell = result.trades.to_pylist()
    assert (buy["trade_uid"], buy["cross_uid"], buy["account_id"], buy["side"], buy["commission"]) == (
        "T1",
        "ME-1",
        "A1",
        "BUY",
        Decimal("1.5"),
    )
    assert (sell["trade_uid"], sell["cross_uid"], sell["account_id"], sell["side"], sell["commission"]) == (
        "T1",
        "ME-1",
        "A2",
        "SELL",
        Decimal("2.5"),
    )
    assert (buy["order_id"], sell["order_id"], buy["exec_broker_id"], sell["exec_broker_id"]) == (
        "O1",
        None,
        "EB9",
        None,
    )
    assert {buy["pb_id"], sell["pb_id"]} == {"ALPHA"}
    assert buy["record_id"] != sell["record_id"]
    assert buy["event_key"] != sell["event_key"]
    fees = [
        (row["record_id"], row["ordinal"], row["amount"], row["ccy"], row["fee_type"])
        for row in result.fees.to_pylist()
    ]
    assert fees == [(buy["record_id"], 0, Decimal("0.1"), None, "4"), (buy["record_id"], 1, Decimal("0.2"), "USD", "7")]
    assert buy["raw_end"] == sell["raw_start"]


def test_a_side_need_not_start_with_54_and_root_fields_may_follow_the_group(run: Run, frame: Make) -> None:
    head = AE_HEAD.replace("75=20260604|", "").replace("60=20260604-13:30:01|", "")
    body = head + "552=2|37=O1|54=1|1=A1|37=O2|54=2|1=A2|75=20260604|60=20260604-13:30:01|"
    rows = run([frame(body)], ALPHA).trades.to_pylist()
    assert [(row["order_id"], row["side"], row["account_id"]) for row in rows] == [
        ("O1", "BUY", "A1"),
        ("O2", "SELL", "A2"),
    ]
    assert {row["trade_date"] for row in rows} == {date(2026, 6, 4)}


def test_a_group_that_does_not_hold_what_it_announces_is_refused(run: Run, frame: Make) -> None:
    reason, detail = refusal(run([frame(AE_HEAD + "552=3|54=1|1=A1|54=2|1=A2|")], ALPHA))
    assert (reason, detail) == ("group_count_mismatch", "Group 552 announces 3 entries but holds 2.")


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("487=0", "487=1|572=T0", "CANCEL"), ("487=0", "487=2|572=T0", "CORRECT"), ("856=0", "856=6|572=T0", "CANCEL")],
)
def test_reports_are_cancelled_and_replaced(run: Run, frame: Make, old: str, new: str, status: str) -> None:
    trade = only(run([frame(AE_HEAD.replace(old, new) + "552=1|54=1|1=A1|")], ALPHA))
    assert (trade["status"], trade["prev_uid"]) == (status, "T0")


def test_a_cancel_may_come_without_economics(run: Run, frame: Make) -> None:
    head = AE_HEAD.replace("487=0", "487=1|572=T0").replace("32=100|31=187.25|", "")
    trade = only(run([frame(head + "552=1|54=1|1=A1|")], ALPHA))
    assert (trade["qty"], trade["price"], trade["flags"]) == (0, 0, "NO_ECONOMICS")


ALLOCATION_HEAD = (
    "35=AS|49=CHARLIE|56=TIEOUT|34=2|52=20260604-21:00:00|755=R1|70=B1|71=0|87=0|73=1|11=C1|37=O1|54=1|55=AAPL"
    "|48=US0378331005|22=4|53=300|6=187.2550|15=USD|75=20260604|60=20260604-20:59:00|64=20260605|118=56000|12=9|"
)


def test_charlie_allocates_a_block_one_row_per_account(run: Run, frame: Make) -> None:
    body = ALLOCATION_HEAD + "78=2|79=A1|80=100|153=187.2550|154=18727|12=1.5|13=3|79=A2|467=ID7|80=200|"
    first, second = run([frame(body)], CHARLIE).trades.to_pylist()
    assert (first["level"], first["trade_uid"], first["block_id"], first["order_id"], first["client_order_id"]) == (
        "ALLOCATION", "B1/A1", "B1", "O1", "C1",
    )  # fmt: skip
    assert (first["qty"], first["price_scale"], first["net_money"], first["commission"]) == (
        100,
        4,
        -18727,
        Decimal("1.5"),
    )
    assert (second["trade_uid"], second["alloc_id"], second["price"]) == ("B1/ID7", "ID7", Decimal("187.255"))
    assert (second["net_money"], second["commission"]) == (None, None)
    assert (first["account_id"], second["account_id"]) == ("A1", "A2")


def test_a_replaced_block_chains_by_allocation(run: Run, frame: Make) -> None:
    body = ALLOCATION_HEAD.replace("70=B1|71=0", "70=B2|71=1|72=B1") + "78=1|79=A1|80=300|"
    trade = only(run([frame(body)], CHARLIE))
    assert (trade["trade_uid"], trade["prev_uid"], trade["status"]) == ("B2/A1", "B1/A1", "CORRECT")


def test_a_block_without_allocations_and_a_rejected_one(run: Run, frame: Make) -> None:
    assert refusal(run([frame(ALLOCATION_HEAD)], CHARLIE))[0] == "missing_required_field"
    refused = only(run([frame(ALLOCATION_HEAD.replace("87=0", "87=1") + "78=1|79=A1|80=300|")], CHARLIE))
    assert (refused["status"], refused["trade_uid"]) == ("REJECT", "B1/A1")


def test_one_account_twice_in_a_block_stays_two_events(run: Run, frame: Make) -> None:
    rows = run([frame(ALLOCATION_HEAD + "78=2|79=A1|80=150|79=A1|80=150|")], CHARLIE).trades.to_pylist()
    assert len({row["event_key"] for row in rows}) == 2
    assert [row["trade_uid"] for row in rows] == ["B1/A1", "B1/A1#2"]


def test_a_confirmation(run: Run, frame: Make) -> None:
    body = (
        "35=AK|49=EB|56=TIEOUT|34=2|52=20260604-21:00:00|664=CF1|666=0|773=1|665=4|60=20260604-20:59:00|75=20260604"
        "|55=AAPL|48=US0378331005|22=4|54=2|80=300|79=A1|6=187.2550|15=USD|381=56176.50|118=56170|70=B1|"
    )
    trade = only(run([frame(body)], Feed(name="EB", role="EB", party="EB1")))
    assert (trade["level"], trade["trade_uid"], trade["qty"], trade["block_id"], trade["side"]) == (
        "CONFIRM",
        "CF1",
        300,
        "B1",
        "SELL",
    )
    assert trade["net_money"] == Decimal(56170)
