"""Open breaks weighed again once exchange rates came: money in base currency, severity, and the sentence that says so.

A break is priced by the newest rate valid on its trade date that was known when the run ran. Rates that come later give
an open break the exposure and severity it would have had, whichever came first; the change is told like any other.
"""

from decimal import Decimal

from domain.derived import BREAK_CHANGE, RECON_BREAK
from domain.schema import arrow_schema
from domain.taxonomy import taxonomy
from matching.accept import accept
from matching.finish import FxRates, Row, change_row, fx_rates, minutes_left, rows_of, table_of
from matching.levels.port import Run
from matching.rules import RuleSet
from matching.text import at_risk
from warehouse.port import Warehouse
from warehouse.sql import timestamp

_LEVEL = "rates"
_COUNT = f"""
select count(*) as n, (select max(r.n) from match_reference r where r.level = '{_LEVEL}') as seen
from fx_rate f where f.known_at is null or f.known_at <= cast(:known_by as timestamp_ntz(9))
"""
_FORGET = f"delete from match_reference where level = '{_LEVEL}'"
_NOTE = f"insert into match_reference (level, name, n) values ('{_LEVEL}', 'fx_rate', :n)"
_PRICED = """
select b.break_id, b.ccy, b.trade_date, b.exposure, b.exposure_base from recon_break b
where b.state = 'OPEN' and b.exposure is not null and b.ccy is not null
  and (b.ccy <> :base or not equal_null(b.exposure, b.exposure_base))
"""
_COLUMNS = ", ".join(RECON_BREAK.columns)
_CHANGED = f"""
insert into work_diff ({_COLUMNS}, kind, differs)
select {", ".join(f"b.{name}" for name in RECON_BREAK.columns)}, 'CHANGED', true from recon_break b
where b.break_id in (select k.break_id from work_known k)
"""
_BEFORE = "select d.* from work_diff d order by d.break_id"
_REPLACED = "delete from recon_break where break_id in (select k.break_id from work_known k)"


def rates_came(warehouse: Warehouse, known_by_ns: int) -> int | None:
    """How many rates are known by then (UTC ns), None where the breaks have been weighed by so many."""
    found = warehouse.query(_COUNT, {"known_by": timestamp(known_by_ns)}).to_pylist()[0]
    return None if int(found["n"]) == int(found["seen"] or 0) else int(found["n"])


def revalue(run: Run) -> int:
    """Weigh every open break again where there are other rates than at the last run; returns how many changed."""
    warehouse = run.warehouse
    count = rates_came(warehouse, run.rates_by_ns)
    if count is None:
        return 0
    warehouse.execute(_FORGET)
    warehouse.execute(_NOTE, {"n": count})
    rates = fx_rates(warehouse, run.rules.base_ccy, run.rates_by_ns)
    moved = _moved(warehouse, rates)
    if moved:
        _write(run, moved)
    return len(moved)


def _moved(warehouse: Warehouse, rates: FxRates) -> dict[str, Decimal | None]:
    """Breaks whose money in base currency is another by these rates, and what it is."""
    rows = warehouse.query(_PRICED, {"base": rates.base_ccy}).to_pylist()
    now = {row["break_id"]: rates.convert(row["exposure"], row["ccy"], row["trade_date"]) for row in rows}
    return {row["break_id"]: now[row["break_id"]] for row in rows if now[row["break_id"]] != row["exposure_base"]}


def _write(run: Run, moved: dict[str, Decimal | None]) -> None:
    warehouse = run.warehouse
    breaks, changes = arrow_schema(RECON_BREAK), arrow_schema(BREAK_CHANGE)
    for scratch in ("work_diff", "work_known"):
        warehouse.execute(f"delete from {scratch}")
    warehouse.append(
        "work_known", table_of([{"break_id": name} for name in moved], breaks.empty_table().select(["break_id"]).schema)
    )
    warehouse.execute(_CHANGED)
    rows, log = [], []
    for before in rows_of(warehouse.query(_BEFORE)):
        row = {name: before[name] for name in RECON_BREAK.columns}
        _weigh(row, moved[row["break_id"]], run.rules, run.as_of_ns)
        rows.append(row)
        log.append(change_row(row, before, "CHANGED", run.as_of_ns, run.execution))
    warehouse.execute(_REPLACED)
    warehouse.append("recon_break", table_of(rows, breaks))
    warehouse.append("break_change", table_of(log, changes))
    accept(warehouse, run.rules, as_of_ns=run.as_of_ns, execution=run.execution)


def _weigh(row: Row, base: Decimal | None, rules: RuleSet, as_of_ns: int) -> None:
    told = at_risk(row)
    row.update(exposure_base=base, changed_at=as_of_ns)
    severity = rules.severity.of(
        taxonomy()[row["code"]].severity, base, minutes_left(row["deadline_at"], row["opened_at"])
    )
    row.update(severity=int(severity))
    if told and row["headline"]:
        row["headline"] = row["headline"].replace(told, at_risk(row))
