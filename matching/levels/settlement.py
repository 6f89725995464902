"""L6: what did not settle on its day (S01), settled in part (S02) or went to another instruction than ours (S03)."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from matching.levels import books
from matching.levels.books import ZERO, BookFinding, Row, money, plain, share
from matching.levels.port import Run
from matching.levels.settlement_sql import (
    ANY_TRADE,
    STATUSES,
    TOUCH,
    TOUCH_BOOKED,
    TOUCH_BY_TRADES,
    TOUCH_INSTRUCTED,
)

LEVEL = "SETTLEMENT"
_UNSETTLED = pa.array(["PARTIAL", "FAILED"])
# Breaks of the trade for which a booking cannot settle: dates, terms or sides that disagree.
_EXPLAINS_A_FAIL = frozenset({"T05", "T07", "T09", "T10", "T12", "T13", "T14", "T15", "T22"})


class Settlement:
    """One component per booking that a broker reports on."""

    @property
    def name(self) -> str:
        """Short name, for messages."""
        return "settlement"

    def touch(self, run: Run) -> None:
        """Bookings newly reported as not settled, told or instructed since, and those with a break on record."""
        if "settlement_status" in run.told.present:
            run.warehouse.execute(TOUCH)
            if books.grown(run, self.name, ("ssi",)):
                run.warehouse.execute(TOUCH_INSTRUCTED)
            if books.has(run, ANY_TRADE):
                run.warehouse.execute(TOUCH_BOOKED)
                run.warehouse.execute(TOUCH_BY_TRADES)

    def find(self, run: Run) -> None:
        """The newest status of each touched booking, and what its instruction should be."""
        if run.touched("S|"):
            told = run.warehouse.query(STATUSES)
            # Nearly all have settled where and when they should.
            odd = pc.or_(pc.is_in(told["settle_status"], _UNSETTLED), pc.or_(told["late"], told["misdirected"]))
            books.write(run, classify(told.filter(odd).to_pylist(), _reasons(run), run.tenant))


def _reasons(run: Run) -> Mapping[str, tuple[str, ...]]:
    """Trade breaks that may keep a booking from settling, by its record."""
    found: dict[str, dict[str, None]] = {}
    for row in books.trade_effects(run):
        if row["code"] in _EXPLAINS_A_FAIL and row["leg"] == "R":
            found.setdefault(row["record_id"], {})[row["break_id"]] = None
    return {record: tuple(ids) for record, ids in found.items()}


def classify(rows: Iterable[Row], reasons: Mapping[str, tuple[str, ...]], tenant: str) -> list[BookFinding]:
    """Findings of the newest status of each booking; a fail points to the wrong instruction or the trade break."""
    found: list[BookFinding] = []
    for row in rows:
        explains = reasons.get(row["booking_id"] or "", ())
        if row["misdirected"]:
            wrong = _finding(row, "S03", "ssi", row["right_ssi"], row["ssi_id"], row["qty"], ())
            found.append(wrong)
            explains = (wrong.break_id(tenant), *explains)
        if row["settle_status"] == "PARTIAL":
            rest = row["remaining_qty"]
            shown = plain(row["settled_qty"] or ZERO)
            found.append(_finding(row, "S02", "settlement", _text(row["qty"]), shown, rest, explains))
        elif row["settle_status"] == "FAILED" or row["late"]:
            shown = " ".join(filter(None, (row["settle_status"], row["reason_code"])))
            found.append(_finding(row, "S01", "settlement", "SETTLED", shown, row["remaining_qty"], explains))
    return found


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _finding(
    row: Row, code: str, family: str, left: str | None, right: str | None, qty: Decimal | None,
    explains: tuple[str, ...],
) -> BookFinding:  # fmt: skip
    """What has not settled at the booking's price; money that a trade break or an instruction tells counts there."""
    amount = None
    if row["gross_money"] is not None and row["qty"] and qty is not None:
        amount = abs(share(row["gross_money"], qty, row["qty"]))
    day = row["settle_date"] or row["booked_date"] or row["event_time_utc"].date()
    return BookFinding(
        level=LEVEL, anchor=row["component"], family=family, code=code, component=row["component"],
        rule_id=f"books-{code}", pb=row["pb_id"] or "", account=row["account_id"] or "",
        trade_date=row["trade_date"] or day, settle_date=day, instrument=row["instrument_id"], symbol=row["symbol"],
        ccy=row["trade_ccy"], side=row["side"], exposure=ZERO if explains else money(amount), left_value=left,
        right_value=right, qty=row["qty"], price=row["price"], left=(),
        right=(row["record_id"], *filter(None, (row["booking_id"],))), explains=explains,
    )  # fmt: skip
