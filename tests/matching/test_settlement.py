"""Settlement: fails, parts and wrong instructions, each once and until a later report says otherwise."""

from datetime import date
from decimal import Decimal

from tests.matching.books import ACCOUNT, found, reference, run, status, store
from tests.matching.desk import LATE, T0, Desk, ours, theirs

AFTER = T0 + 3 * 86_400 * 1_000_000_000


def booked(desk: Desk, **more: object) -> None:
    desk.match([ours("A1"), theirs("B1", "A1", gross_money="1050", **more)], as_of=LATE)


def one(desk: Desk) -> dict[str, object]:
    rows = desk.table("select * from recon_break where level = 'SETTLEMENT' and state = 'OPEN'")
    assert len(rows) == 1
    return rows[0]


def test_settled_and_pending_before_its_day_is_no_break(desk: Desk) -> None:
    booked(desk)
    run(desk, [status("B1", "SETTLED"), status("B2", "PENDING", settle_date=date(2027, 1, 4))], "s1")
    assert found(desk) == []


def test_a_fail_is_s01_until_it_settles(desk: Desk) -> None:
    booked(desk)
    run(desk, [status("B1", "FAILED", reason_code="LACK", settled_qty="0", remaining_qty="100")], "s1")
    assert (one(desk)["code"], one(desk)["exposure"]) == ("S01", Decimal(1050))
    assert "did not settle at ALPHA on its day (FAILED LACK)" in str(one(desk)["headline"])
    run(desk, [status("B1", "SETTLED", event_time_utc=AFTER)], "s2")
    assert found(desk) == [] and found(desk, "CURED") == ["S01"]


def test_pending_after_its_day_is_a_fail_and_a_part_is_s02_with_the_rest(desk: Desk) -> None:
    booked(desk)
    run(desk, [status("B1", "PENDING", settled_qty="0", remaining_qty="100")], "s1")
    assert one(desk)["code"] == "S01"
    run(desk, [status("B1", "PARTIAL", settled_qty="60", remaining_qty="40", event_time_utc=AFTER)], "s2")
    assert (one(desk)["code"], one(desk)["right_value"], one(desk)["exposure"]) == ("S02", "60", Decimal(420))


def test_another_accounts_instruction_is_s03_and_explains_the_fail(desk: Desk) -> None:
    for name, account in (("MINE", ACCOUNT), ("OTHER", "MERID-EQ-02")):
        reference(desk, "ssi", ssi_id=name, party="ALPHA", account_id=account, market="US",
                  place_of_settlement="DTCYUS33")  # fmt: skip
    booked(desk)
    told = {"place_of_settlement": "DTCYUS33", "ssi_id": "OTHER", "remaining_qty": "100"}
    run(desk, [status("B1", "FAILED", **told)], "s1")
    rows = desk.table("select * from recon_break where level = 'SETTLEMENT' and state = 'OPEN' order by code desc")
    assert [row["code"] for row in rows] == ["S03", "S01"]
    assert (rows[0]["left_value"], rows[0]["right_value"]) == ("MINE", "OTHER")
    assert (rows[1]["explains"], rows[1]["exposure"]) == (rows[0]["break_id"], Decimal(0))
    run(desk, [status("B1", "SETTLED", **{**told, "ssi_id": "MINE"}, event_time_utc=AFTER)], "s2")
    assert found(desk) == []


def test_a_fail_over_the_settlement_date_points_to_the_trade_break(desk: Desk) -> None:
    booked(desk, settle_date=date(2026, 11, 27))
    run(desk, [status("B1", "FAILED", settle_date=date(2026, 11, 27), remaining_qty="100")], "s1")
    trade = desk.table("select break_id from recon_break where code = 'T14'")[0]["break_id"]
    assert one(desk)["explains"] == trade


def test_a_status_before_its_trade_finds_it_later(desk: Desk) -> None:
    run(desk, [status("B1", "FAILED", remaining_qty="100")], "s1")
    assert one(desk)["exposure"] is None
    booked(desk)
    assert (one(desk)["exposure"], one(desk)["account_id"]) == (Decimal(1050), ACCOUNT)


def test_nothing_runs_where_no_such_fact_exists(desk: Desk) -> None:
    booked(desk)
    store(desk, [], "none")
    assert not desk.table("select * from recon_break where level in ('POSITION', 'CASH', 'SETTLEMENT')")


def test_a_wrong_instruction_is_found_whichever_of_status_booking_and_instructions_came_last(desk: Desk) -> None:
    def instructed() -> None:
        for name, account in (("MINE", ACCOUNT), ("OTHER", "MERID-EQ-02")):
            reference(desk, "ssi", ssi_id=name, party="ALPHA", account_id=account, market="US")

    def booked(uid: str) -> None:
        desk.match([ours(f"E{uid}"), theirs(uid, f"E{uid}")], as_of=LATE)

    run(desk, [status("B1", "SETTLED", ssi_id="OTHER")], "status", as_of=LATE)
    booked("B1")
    assert found(desk) == []
    instructed()
    desk.match(as_of=LATE)
    assert found(desk) == ["S03"], "the instructions came last"
    run(desk, [status("B2", "SETTLED", ssi_id="OTHER")], "status 2", as_of=LATE)
    booked("B2")
    assert found(desk) == ["S03", "S03"], "the booking came last"
