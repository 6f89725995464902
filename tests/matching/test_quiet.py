"""What needs no comparison is filed as the passes would have filed it, and only what needs none."""

from itertools import pairwise
from pathlib import Path

import pytest

from matching.quiet import spares_equals
from matching.rules import RuleSet, load_rules
from matching.tables import prepare
from tests.matching.desk import LATE, SECOND, T0, Desk, Row, ours, theirs
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Params

TABLES = (
    "match_group", "match_member", "recon_break", "recon_break_member", "break_change", "timer", "trade_state",
    "match_duo",
)  # fmt: skip
# The same trade told by both sides in every way that says the same, and in ways that say something else.
PAIRS = (
    {},
    {"side": "SELL_SHORT_EXEMPT"},
    {"multiplier": "100", "gross_money": "105000.00"},
    {"multiplier": "100"},
    {"price": "0", "multiplier": "10"},
    {"qty": "20000000000"},
    {"commission": None, "exec_broker_id": "GSCO", "uti": "U1", "fx_rate": "1.1", "settle_ccy": "EUR"},
    {"net_money": "-1051.00", "gross_money": "1050.00", "accrued_interest": "2.50"},
    {"asset_class": "FX_SPOT", "net_money": "1051.00", "settle_ccy": "EUR"},
)
OTHER = ({"price": "10.55"}, {"commission": "9.00"}, {"uti": "U2"}, {"settle_date": None}, {"side": "BUY_COVER"})


def _rows() -> tuple[list[Row], list[Row]]:
    left, right = [], []
    for number, said in enumerate([*PAIRS, *PAIRS, *OTHER]):
        name, block = f"F{number:02d}", {"client_order_id": f"C{number:02d}", "instrument_id": f"I{number % 4}"}
        left.append(ours(name, **block, **(said if number < 2 * len(PAIRS) else {"uti": "U1"})))
        right.append(theirs(f"B{number:02d}", name, **block, **said))
    lone = [ours("F90", instrument_id="I9", asset_class="FX_FWD", settle_ccy="EUR", gross_money="-5.00")]
    return [*left, *lone], [*right, theirs("B91", "F91", instrument_id="I8", feed="charlie")]


@pytest.mark.parametrize("cuts", [(0, 1, 2), (0, 2), (0, 1, 1, 2)])
def test_deriving_everything_the_long_way_changes_nothing(desk: Desk, cuts: tuple[int, ...]) -> None:
    left, right = _rows()
    both = [left[:12] + right[12:], right[:12] + left[12:]]
    for step, (start, end) in enumerate(pairwise(cuts)):
        desk.match([row for part in both[start:end] for row in part], as_of=T0 + step * SECOND)
    quick = desk.dump(*TABLES)
    assert len(quick["match_group"]) == len(left) - 1 and "EXPECTED" in str(quick["recon_break"])
    desk.match(as_of=T0 + 2 * SECOND, scope="all")
    assert desk.dump(*TABLES) == quick
    desk.match(as_of=LATE)
    assert {"T01", "T02", "T06"} <= set(desk.breaks())


def test_only_a_difference_in_what_is_compared_is_looked_at(desk: Desk) -> None:
    left, right = _rows()
    desk.match([*left, *right])
    with desk.warehouse.transaction():  # the session's own tables
        quiet = {row["left_id"] for row in desk.table("select left_id from work_quiet")}
    uids = {row["record_id"]: row["trade_uid"] for row in left}
    loud = {uid for record, uid in uids.items() if record not in quiet}
    # Contract sizes without a gross amount, a price of nothing, too wide, and what differs.
    odd = {index for index, said in enumerate(PAIRS) if index in (3, 4, 5)}
    assert {f"F{index + turn:02d}" for index in odd for turn in (0, len(PAIRS))} <= loud
    assert {f"F{2 * len(PAIRS) + index:02d}" for index in range(len(OTHER))} <= loud
    assert "F00" in {uids[record] for record in quiet}


@pytest.mark.parametrize(
    ("when", "spared"),
    [
        ("l.account <> r.account", True),
        ("d.price > t.price and d.qty = 0", True),
        ("d.qty > 0 or l.ccy <> r.ccy", True),
        ("d.scaled = 2", True),
        ("d.qty = 0", False),
        ("d.qty >= 0", False),
        ("l.n = 1", False),
        ("d.qty > 0 or l.n = 1", False),
        ("not (d.qty > 0)", False),
        ("l.qty <> r.price", False),
        ("d.price > t.net", False),
        ("d.qty > -1", False),
    ],
)
def test_a_rule_that_holds_for_equals_takes_the_long_way(rules: RuleSet, when: str, spared: bool) -> None:
    one = rules.breaks[0].model_copy(update={"when": when})
    assert spares_equals(rules.model_copy(update={"breaks": (one,)})) is spared
    assert spares_equals(rules)


def test_tables_of_another_shape_are_made_anew_and_filled(tmp_path: Path) -> None:
    left, right = _rows()
    opened = DuckDbWarehouse(tmp_path / "one.duckdb")
    migrate(opened)
    desk = Desk(load_rules(), opened)
    desk.match([*left, *right])
    before = desk.dump(*TABLES)
    opened.execute("alter table match_version drop column terms")
    opened.close()
    again = DuckDbWarehouse(tmp_path / "one.duckdb")
    late = Desk(load_rules(), again)
    late.match(execution="later", as_of=T0)
    assert late.dump(*TABLES) == before
    again.close()


class _Dies(DuckDbWarehouse):
    """Its process ends once the first table of another shape is made anew."""

    dropped = False

    def execute(self, sql: str, params: Params | None = None) -> int:
        rows = super().execute(sql, params)
        if self.dropped and sql.lower().startswith("create table"):
            raise SystemExit
        self.dropped |= sql.startswith("drop table")
        return rows


def test_who_dies_while_tables_are_made_anew_derives_everything_the_next_time(tmp_path: Path) -> None:
    opened = DuckDbWarehouse(tmp_path / "one.duckdb")
    migrate(opened)
    desk = Desk(load_rules(), opened)
    desk.match([ours("E1"), theirs("B1", "E1")])
    before = desk.dump(*TABLES, "match_link")
    opened.execute("alter table match_link drop column met_key")
    opened.close()
    with pytest.raises(SystemExit):
        prepare(dies := _Dies(tmp_path / "one.duckdb"))
    dies.close()
    again = DuckDbWarehouse(tmp_path / "one.duckdb")
    late = Desk(load_rules(), again)
    late.match(execution="later", as_of=T0)
    assert late.dump(*TABLES, "match_link") == before
    again.close()
