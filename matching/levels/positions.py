"""L5: what both sides hold at the newest common close, line by line; what explains a difference names the break."""

from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa

from matching.levels import books
from matching.levels.port import Run
from matching.levels.positions_classify import Known, Line, Split, classify
from matching.levels.positions_sql import (
    INSTRUMENTS,
    LATE_TRADES,
    LINES,
    NEW_POSITIONS,
    PENDING,
    RENAMES,
    SPLITS,
)

COMPONENT = "P|positions"


class Positions:
    """Positions of all accounts as one component: a transfer or a merger joins any two lines."""

    @property
    def name(self) -> str:
        """Short name, for messages."""
        return "positions"

    def touch(self, run: Run) -> None:
        """New snapshots, reference data that explains them, or trades of a day whose snapshots are here."""
        if "position_snapshot" not in run.told.present:
            return
        learnt = books.grown(run, self.name, _READS)
        if learnt or books.has(run, NEW_POSITIONS) or (books.has(run, _ANY_TRADE) and books.has(run, LATE_TRADES)):
            books.add_components(run, [COMPONENT])

    def find(self, run: Run) -> None:
        """Every line that differs, under the code of what explains it."""
        if run.touched("P|"):
            lines = _lines(run)
            if lines:
                books.write(run, classify(lines, _known(run, lines), COMPONENT))


# Reference data that explains a difference, or is our price.
_READS = ("corporate_action", "identifier_history", "instrument", "close_price")
_ANY_TRADE = "select 1 as found from work_version limit 1"


def _lines(run: Run) -> list[Line]:
    """The lines that differ, with their records."""
    ratio = run.rules.books.price_ratio
    places = max(0, -int(ratio.as_tuple().exponent))
    params = {"of": 10**places, "most": int(ratio.scaleb(places))}
    found: dict[tuple[str, str, str], Line] = {}
    for row in run.warehouse.query(LINES, params).to_pylist():
        key = (row["pb_id"], row["account_id"], row["instrument_id"])
        line = found.get(key)
        if line is None:
            line = found[key] = Line.of(row)
        (line.left if row["source_role"] == "INTERNAL" else line.right).append(row["record_id"])
    return list(found.values())


def _known(run: Run, lines: list[Line]) -> Known:
    """What may explain the differences."""
    warehouse = run.warehouse
    broken = books.by_line(books.trade_effects(run))
    instruments = sorted({*(line.instrument for line in lines), *(key[2] for key in broken)})
    warehouse.append("work_line", pa.table({"instrument_id": instruments}))
    splits: dict[tuple[str, str | None, str], Split] = {}
    for row in warehouse.query(SPLITS, {"days": run.rules.books.action_days}).to_pylist():
        key = (row["pb_id"], row["account_id"], row["instrument_id"])
        splits[key] = Split(row["ratio"], row["qty"] or Decimal(0))
    pending: dict[tuple[str, str, str], dict[str, Decimal]] = {}
    for row in warehouse.query(PENDING).to_pylist():
        key = (row["pb_id"], row["account_id"], row["instrument_id"])
        pending.setdefault(key, {})[row["source_role"]] = row["qty"]
    renames: dict[str, Mapping[str, Decimal]] = {}
    for row in warehouse.query(RENAMES).to_pylist():
        renames[row["old_id"]] = {**renames.get(row["old_id"], {}), row["new_id"]: row["ratio"]}
    return Known(
        broken=broken,
        splits=splits,
        pending=pending,
        renames=renames,
        instruments={row["instrument_id"]: row for row in warehouse.query(INSTRUMENTS).to_pylist()},
        price_ratio=run.rules.books.price_ratio,
    )
