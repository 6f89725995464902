"""Exchange rates that come after the breaks they price: the end is as if they had been there, whichever came first."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain.reference import FX_RATE
from domain.schema import arrow_schema
from matching.rebuild import rebuild
from matching.rules import RuleSet, load_rules
from tests.matching.desk import DAY, FEEDS, LATE, SECOND, T0, Desk, Row, emptied, ours, theirs
from tests.matching.test_motion import DERIVED
from warehouse.duckdb import DuckDbWarehouse

EURO, YEN = {"trade_ccy": "EUR"}, {"trade_ccy": "JPY"}
ROWS: list[Row] = [
    ours("E1", **EURO, qty="900000"),
    theirs("A1", "E1", **EURO, qty="300000"),
    ours("E2", **EURO),
    theirs("A2", "E2", **EURO, price="10.60"),
    ours("E3", **YEN, qty="70000"),
    ours("E4", qty="500"),
    theirs("A4", "E4", qty="900"),
    theirs("A5", **EURO, qty="33"),
]
# The newest rate by the trade date counts, not one of the day after.
RATES = (
    ("EUR", "1.10", DAY - timedelta(days=1)),
    ("EUR", "1.25", DAY),
    ("EUR", "9", DAY + timedelta(days=1)),
    ("JPY", "0.0065", DAY - timedelta(days=3)),
)


def learn(desk: Desk, rate: tuple[str, str, date], at: int | None) -> None:
    ccy, price, day = rate
    row: dict[str, Any] = {"from_ccy": ccy, "to_ccy": "USD", "rate": Decimal(price), "valid_from": day}
    desk.warehouse.append("fx_rate", pa.Table.from_pylist([{**row, "known_at": at}], schema=arrow_schema(FX_RATE)))


def weighed(desk: Desk) -> list[Row]:
    return desk.table(
        "select break_id, code, state, severity, exposure, exposure_base, deadline_at, opened_at, headline"
        " from recon_break where state <> 'CURED' order by break_id"
    )


@pytest.fixture(scope="module")
def known_before(rules: RuleSet, one_warehouse: DuckDbWarehouse) -> list[Row]:
    desk = Desk(rules, emptied(one_warehouse))
    for rate in RATES:
        learn(desk, rate, None)
    desk.match(ROWS, as_of=LATE)
    return weighed(desk)


def test_a_rate_that_comes_later_prices_what_is_open_and_is_told(desk: Desk, known_before: list[Row]) -> None:
    desk.match(ROWS, as_of=LATE)
    unknown = [row for row in weighed(desk) if row["exposure_base"] is None]
    before = max(unknown, key=lambda row: row["exposure"] if row["code"] == "T05" else 0)
    assert "no rate for EUR: size unknown" in before["headline"]
    for rate in RATES:
        learn(desk, rate, LATE + SECOND)
    # Not known yet when this one runs.
    assert desk.match(as_of=LATE).changes == 0
    result = desk.match(as_of=LATE + SECOND)
    assert weighed(desk) == known_before
    (after,) = [row for row in known_before if row["break_id"] == before["break_id"]]
    assert after["severity"] > before["severity"] and "no rate" not in after["headline"]
    assert after["exposure_base"] == after["exposure"] * Decimal("1.25")
    assert result.changed_ids == tuple(sorted(
        row["break_id"] for row in known_before if row["exposure_base"] not in (None, row["exposure"])
    ))  # fmt: skip
    (told,) = desk.table(
        "select before, after from break_change where kind = 'CHANGED' and break_id = :b", {"b": before["break_id"]}
    )
    assert "exposure_base" not in told["before"] and '"exposure_base":"7875000.000000"' in told["after"]
    assert desk.match(as_of=LATE + 2 * SECOND).changes == 0


def test_where_files_are_tied_out_rates_count_all_along(desk: Desk, known_before: list[Row]) -> None:
    for rate in RATES:
        learn(desk, rate, LATE + SECOND)
    desk.match(ROWS, as_of=LATE, every_rate=True)
    assert weighed(desk) == known_before


def one_way(desk: Desk, known_before: list[Row], steps: Sequence[int], cuts: set[int]) -> None:
    """Trades and rates in that order and those batches, then rebuilt, then matched whole."""
    waiting, at = list[Row](), T0
    for place, step in enumerate(steps):
        at += SECOND
        if step < len(ROWS):
            waiting.append(ROWS[step])
        else:
            learn(desk, RATES[step - len(ROWS)], at)
        if place in cuts:
            desk.match(waiting, as_of=at)
            waiting = []
    desk.match(waiting, as_of=at)
    desk.match(as_of=LATE)
    assert [ended(row) for row in weighed(desk)] == [ended(row) for row in known_before]
    incremental = desk.dump(*DERIVED)
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump(*DERIVED) == incremental
    desk.match(as_of=LATE, scope="all")
    assert desk.dump(*DERIVED) == incremental


def ended(row: Row) -> Row:
    """A break without what depends on when it opened."""
    return {name: value for name, value in row.items() if name not in ("opened_at", "headline", "severity")}


def test_in_another_order_the_end_is_the_same_and_a_rebuild_tells_the_same_history(
    desk: Desk, known_before: list[Row]
) -> None:
    one_way(desk, known_before, [8, 0, 1, 3, 7, 10, 2, 6, 4, 9, 5, 11], {4, 8})


@pytest.mark.heavy
@settings(max_examples=30, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(steps=st.permutations(range(len(ROWS) + len(RATES))), cuts=st.sets(st.integers(1, len(ROWS) + 3), max_size=3))
def test_in_any_order_the_end_is_the_same(
    rules: RuleSet, one_warehouse: DuckDbWarehouse, known_before: list[Row], steps: list[int], cuts: set[int]
) -> None:
    one_way(Desk(rules, emptied(one_warehouse)), known_before, steps, cuts)


def test_what_is_accepted_follows_the_rate(one_warehouse: DuckDbWarehouse) -> None:
    rules = load_rules()
    limits = {"T16": Decimal("2")}
    rules = rules.model_copy(update={"acceptance": rules.acceptance.model_copy(update={"limits": limits})})
    desk = Desk(rules, emptied(one_warehouse))
    desk.match([ours("E1", **EURO, commission="1.00"), theirs("A1", "E1", **EURO, commission="2.70")], as_of=LATE)
    accepted = "select amount_base from break_acceptance"
    assert (desk.breaks(), desk.table(accepted)) == (["T16"], [])
    learn(desk, RATES[0], LATE)
    desk.match(as_of=LATE + SECOND)
    assert desk.table(accepted) == [{"amount_base": Decimal("1.87")}]
    learn(desk, RATES[1], LATE + 2 * SECOND)
    desk.match(as_of=LATE + 2 * SECOND)
    assert desk.table(accepted) == []
