"""The books on Snowflake: positions, cash and settlement of one day end alike on both warehouses."""

from collections.abc import Iterator
from datetime import date

import pytest

from app.named_books import grown, name_books, seen
from app.reference_cache import ReferenceCache
from app.settings import Settings
from domain.schema import TABLES
from matching.rules import RuleSet
from matching.tables import OWN_TABLES, prepare
from tests.matching.books import ACCOUNT, cash, found, position, reference, run, statement, status
from tests.matching.desk import DAY, LATE, Desk, ours, theirs
from tests.matching.test_late import FEEDS as SLOTS
from tests.matching.test_late import MORNING, late, traded
from warehouse.port import Warehouse


@pytest.fixture
def snowflake(snowflake_warehouse: Warehouse) -> Iterator[Warehouse]:
    """The fake account, emptied before and after."""
    prepare(snowflake_warehouse)
    for _ in range(2):
        for name in (*TABLES, *(table.name for table in OWN_TABLES)):
            snowflake_warehouse.execute(f"delete from {name}")
        if _ == 0:
            yield snowflake_warehouse


def the_day(desk: Desk) -> tuple[list[str], list[str]]:
    reference(desk, "ssi", ssi_id="MINE", party="ALPHA", account_id=ACCOUNT, market="US")
    reference(desk, "ssi", ssi_id="OTHER", party="ALPHA", account_id="MERID-EQ-02", market="US")
    reference(desk, "corporate_action", action_id="S", instrument_id="SPLIT-ID", action_type="SPLIT", ex_date=DAY,
              ratio="2")  # fmt: skip
    desk.match([ours("A1"), theirs("B1", "A1", gross_money="1050")], execution="t1", as_of=LATE)
    lines = [position(True, "1100"), position(False, "900"), position(False, "5", "Y"),
             position(True, "200", "SPLIT-ID", snapshot_type="SOD"), position(True, "200", "SPLIT-ID"),
             position(False, "100", "SPLIT-ID")]  # fmt: skip
    mine = statement(True, "100", cash(True, "DIVIDEND", "7", reference="D"))
    wires = (cash(False, "WIRE", "-9", flags="I04_ACCOUNT"), cash(False, "WIRE", "8", ccy="EUR"))
    other = statement(False, "50", cash(False, "DIVIDEND", "6", reference="D"), *wires)
    told = status("B1", "FAILED", remaining_qty="100", ssi_id="OTHER", settle_date=date(2026, 11, 25))
    run(desk, [*lines, *mine, *other, told], "b1", as_of=LATE)
    sql = (
        "select code || ' ' || anchor || ' ' || coalesce(cast(exposure as varchar), '') || ' ' || headline as told"
        " from recon_break where state = 'OPEN' order by 1"
    )
    return found(desk), [row["told"] for row in desk.table(sql)]


@pytest.mark.heavy
def test_the_books_end_alike_on_both_warehouses(desk: Desk, rules: RuleSet, snowflake: Warehouse) -> None:
    other = Desk(rules)
    other.warehouse.close()
    other.warehouse = snowflake  # type: ignore[assignment]
    codes, told = the_day(desk)
    assert codes == ["C01", "C02", "C05", "C05", "P01", "P01", "P02", "S01", "S03"]
    assert the_day(other)[0] == codes
    for one in (desk, other):
        reference(one, "fx_rate", from_ccy="EUR", to_ccy="USD", rate="1.25")
        assert one.match(as_of=LATE).changes == 1
    sql = (
        "select code, anchor, exposure, exposure_base, explains, headline from recon_break where state = 'OPEN'"
        " order by 1, 2"
    )
    # The account that nobody knows is no break of the books.
    assert other.table(sql) == desk.table(sql) and len(told) == len(codes) + 1


@pytest.mark.heavy
def test_late_books_and_names_that_come_later_end_alike_on_snowflake(rules: RuleSet, snowflake: Warehouse) -> None:
    other = Desk(rules)
    other.warehouse.close()
    other.warehouse = snowflake  # type: ignore[assignment]
    other.match(traded(), feeds=SLOTS)
    run(
        other,
        [position(False, "100", "ISIN:X", flags="I03_ID_UNKNOWN"), cash(False, "BALANCE", "7")],
        "b1",
        feeds=SLOTS,
    )
    other.match(as_of=MORNING, feeds=SLOTS)
    assert late(other) == ["alpha_settlement", "oms_position"]
    reference = ReferenceCache(snowflake).current()
    assert name_books(Settings(), snowflake, reference, execution="names", at_ns=MORNING) == 0
    counts = grown(snowflake)
    assert counts is not None
    seen(snowflake, counts)
    assert grown(snowflake) is None
