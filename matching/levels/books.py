"""What position, cash and settlement findings share: identity, rows, and the trade breaks that may explain them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Any

import pyarrow as pa

from domain.ids import digest128
from domain.schema import TYPES
from domain.taxonomy import taxonomy
from matching.levels.port import Run
from matching.profiles import MoneyTolerance
from warehouse.port import Warehouse

Row = dict[str, Any]
ZERO = Decimal(0)
_EXACT = Context(prec=60)
_MONEY = Decimal("0.000001")
_MOST_MONEY = Decimal(10) ** 22
_ABOUT_QUANTITY = frozenset(
    {"T01", "T02", "T03", "T04", "T05", "T07", "T09", "T10", "T11", "T12", "T13", "T22", "T23", "T24"}
)

# Every trade break of this run or still open on record, with the records it is about: on record a duplicate has its
# twin beside it, which is matched and moves nothing.
_TRADE_BREAKS = """
select f.break_id, f.code, m.record_id from work_finding f join work_member m on m.group_key = f.group_key
where f.code like 'T%' and f.level <> 'COPY'
union
select b.break_id, b.code, m.record_id from recon_break b join recon_break_member m on m.break_id = b.break_id
where b.code like 'T%' and b.level <> 'COPY' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component)
  and not (b.group_id is null and exists (select 1 from match_member g where g.record_id = m.record_id))
"""

# What those records do to a line: ours and the brokers' live ones, by account, instrument and settlement day.
TRADE_EFFECTS = f"""
with broken as ({_TRADE_BREAKS})
select t.break_id, t.code, e.record_id, case when e.source_role = 'INTERNAL' then 'L' else 'R' end as leg,
  coalesce(e.pb_id, f.party) as pb_id, e.account_id, e.instrument_id, e.trade_ccy,
  coalesce(e.settle_ccy, e.trade_ccy) as settle_ccy, e.trade_date, e.settle_date, coalesce(s.is_live, false) as is_live,
  case when e.side in ('BUY', 'BUY_COVER') then e.qty else -e.qty end as qty
from broken t join trade_event e on e.record_id = t.record_id
  left join work_feed f on f.feed = e.feed left join trade_state s on s.record_id = e.record_id
order by t.break_id, e.record_id
"""


_UNTIL_NOW = """(
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w)))"""


def told(table: str) -> str:
    """A table of books as the run sees it, as SQL: what runs up to its own brought, so that a replay sees no more.

    What named a stranger is left out where it stands there again under the name it has by now.
    """
    seen = f"select f.* from {table} f where f.execution in {_UNTIL_NOW}"
    if table == "settlement_status":
        return f"({seen})"
    return f"({seen} and f.record_id not in (select n.replaces from book_named n where n.execution in {_UNTIL_NOW}))"


def grown(run: Run, level: str, tables: Sequence[str]) -> bool:
    """Whether reference data that a level reads has rows the level has not seen; it counts as seen from now on."""
    counts = reference_counts(run.warehouse, tables)
    kept = run.warehouse.query("select name, n from match_reference where level = :level", {"level": level})
    if {row["name"]: row["n"] for row in kept.to_pylist()} == counts:
        return False
    note_reference(run.warehouse, level, counts)
    return True


def reference_counts(warehouse: Warehouse, tables: Sequence[str]) -> Mapping[str, int]:
    """Rows of reference tables, which only ever grow."""
    sql = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in tables)
    return {row["name"]: row["n"] for row in warehouse.query(sql).to_pylist()}


def note_reference(warehouse: Warehouse, level: str, counts: Mapping[str, int]) -> None:
    """Remember how much of the reference data a level has seen."""
    warehouse.execute("delete from match_reference where level = :level", {"level": level})
    rows = {"level": [level] * len(counts), "name": list(counts), "n": list(counts.values())}
    warehouse.append("match_reference", pa.table(rows))


@dataclass(frozen=True, slots=True)
class BookFinding:
    """One break of the books. `left` and `right` are record ids of facts; money is in `ccy`, exposure None unknown."""

    level: str
    anchor: str
    family: str
    code: str
    component: str
    rule_id: str
    pb: str
    account: str
    trade_date: date
    instrument: str | None = None
    symbol: str | None = None
    settle_date: date | None = None
    ccy: str | None = None
    side: str | None = None
    exposure: Decimal | None = None
    left_value: str | None = None
    right_value: str | None = None
    delta: Decimal | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()

    def break_id(self, tenant: str) -> str:
        """Stable as long as it is about the same thing: code, amount and members may change."""
        return digest128("break", tenant, self.level, self.anchor, self.family)


_FINDING = {
    "level": "str", "anchor": "str", "family": "str", "code": "str", "component": "str", "rule_id": "str", "pb": "str",
    "account": "str", "trade_date": "date", "instrument": "str", "symbol": "str", "settle_date": "date", "ccy": "str",
    "side": "str", "exposure": "money", "left_value": "str", "right_value": "str", "delta": "money", "qty": "qty",
    "price": "price",
}  # fmt: skip


def write(run: Run, findings: Sequence[BookFinding]) -> None:
    """Append the findings and their members for the run's diff with the breaks on record."""
    if not findings:
        return
    ids = [one.break_id(run.tenant) for one in findings]
    codes = taxonomy()
    columns = {
        name: pa.array([getattr(one, name) for one in findings], TYPES[kind].arrow) for name, kind in _FINDING.items()
    }
    columns |= {
        "break_id": pa.array(ids, pa.string()),
        "group_key": pa.array(ids, pa.string()),
        "pass_id": pa.array([one.rule_id for one in findings], pa.string()),
        "severity": pa.array([int(codes[one.code].severity) for one in findings], pa.int64()),
        "explains": pa.array([",".join(one.explains) or None for one in findings], pa.string()),
    }
    run.warehouse.append("work_finding", pa.table(columns))
    members = [
        (record, leg, key, one.rule_id, one.code)
        for key, one in zip(ids, findings, strict=True)
        for leg, records in (("L", one.left), ("R", one.right))
        for record in dict.fromkeys(records)
    ]
    names = ("record_id", "leg", "group_key", "pass_id", "code")
    rows = list(zip(*members, strict=True)) or [()] * len(names)
    run.warehouse.append(
        "work_member", pa.table({n: pa.array(v, pa.string()) for n, v in zip(names, rows, strict=True)})
    )


@dataclass(slots=True)
class Broken:
    """What trade breaks do to one line: the signed quantity theirs has more than ours, and the breaks' ids.

    `disputed` says that one of them is about what was traded where, not only about money, dates and terms.
    """

    qty: Decimal = ZERO
    breaks: dict[str, None] = field(default_factory=dict)
    disputed: bool = False


def trade_effects(run: Run) -> list[Row]:
    """The records of all open trade breaks (see TRADE_EFFECTS)."""
    rows: list[Row] = run.warehouse.query(TRADE_EFFECTS).to_pylist()
    return rows


def by_line(effects: Iterable[Row]) -> Mapping[tuple[str | None, str, str], Broken]:
    """Broker, account and instrument → what trade breaks do there; a record counts once however many breaks name it."""
    found: dict[tuple[str | None, str, str], Broken] = {}
    counted: set[str] = set()
    for row in effects:
        line = found.setdefault((row["pb_id"], row["account_id"], row["instrument_id"]), Broken())
        line.breaks[row["break_id"]] = None
        line.disputed |= row["code"] in _ABOUT_QUANTITY
        if row["is_live"] and row["record_id"] not in counted:
            counted.add(row["record_id"])
            line.qty += row["qty"] if row["leg"] == "R" else -row["qty"]
    return found


def tolerance(rule: MoneyTolerance, ccy: str | None, ours: Decimal) -> Decimal:
    """How much money is no difference beside our own amount."""
    absolute = rule.absolute.get(ccy or "", rule.absolute["default"])
    return max(absolute, abs(ours) * rule.ratio)


def product(*factors: Decimal) -> Decimal:
    """Their exact product."""
    made = Decimal(1)
    for one in factors:
        made = _EXACT.multiply(made, one)
    return made


def money(amount: Decimal | None) -> Decimal | None:
    """The amount as money has it; None where no money column could hold it."""
    if amount is None or abs(amount) >= _MOST_MONEY:
        return None
    with localcontext(_EXACT):
        return amount.quantize(_MONEY, ROUND_HALF_EVEN)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """`amount` x `part` / `whole`."""
    return _EXACT.divide(_EXACT.multiply(amount, part), whole)


def plain(value: Decimal) -> str:
    """A decimal as text without idle zeros."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def has(run: Run, sql: str) -> bool:
    """Whether the query finds anything; it should stop at one row."""
    return bool(run.warehouse.query(sql).num_rows)


def add_components(run: Run, names: Iterable[str]) -> None:
    """Mark components to be derived in this run."""
    fresh = sorted(set(names))
    if fresh:
        run.warehouse.append("work_component", pa.table({"component": fresh}))
