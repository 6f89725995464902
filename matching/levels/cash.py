"""L6: cash entries and balances of both sides, account by account and currency by currency."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from matching.levels import books, cash_expected
from matching.levels.books import Row
from matching.levels.cash_classify import Account, CashKnown, classify
from matching.levels.cash_sql import (
    ANY_TRADE,
    BALANCES,
    COVERED,
    EXPECTED,
    LEFT_OVER,
    POSITION_BREAKS,
    TOUCH,
    TOUCH_ALL,
    TOUCH_BY_TRADES,
)
from matching.levels.port import Run


class Cash:
    """One component per broker, account and currency."""

    @property
    def name(self) -> str:
        """Short name, for messages."""
        return "cash"

    def touch(self, run: Run) -> None:
        """Accounts with new entries, and those whose payments for trades are open while trades arrive."""
        if "cash_entry" in run.told.present:
            run.warehouse.execute(TOUCH)
            learnt = books.grown(run, self.name, ("account_map",))
            if learnt:
                run.warehouse.execute(TOUCH_ALL)
            cash_expected.touch(run, learnt=learnt)
            if books.has(run, ANY_TRADE):
                run.warehouse.execute(TOUCH_BY_TRADES)

    def find(self, run: Run) -> None:
        """Entries that differ or stand alone, balances that entries do not explain."""
        if run.touched("C|"):
            expected = cash_expected.expected_in(run)
            accounts = _accounts(run, expected.rows)
            books.write(run, classify(accounts, _known(run, accounts, expected.spans or {})))


def _accounts(run: Run, expected: Sequence[Row]) -> list[Account]:
    found: dict[str, Account] = {}
    entries = [*run.warehouse.query(LEFT_OVER).to_pylist(), *expected]
    for row in entries + (balances := run.warehouse.query(BALANCES).to_pylist()):
        if row["component"] not in found:
            found[row["component"]] = Account(row["component"], row["pb_id"] or "", row["account_id"], row["ccy"])
    for row in entries:
        found[row["component"]].entries.append(row)
    for row in balances:
        found[row["component"]].balances.append(row)
    return [found[name] for name in sorted(found)]


def _known(run: Run, accounts: Sequence[Account], spans: Mapping[str, tuple[date, date]]) -> CashKnown:
    covered = {
        (row["pb_id"], row["account_id"], row["source_role"]): (row["first_day"], row["day"])
        for row in run.warehouse.query(COVERED).to_pylist()
    }
    positions: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for row in run.warehouse.query(POSITION_BREAKS).to_pylist():
        key = (row["pb_id"] or "", row["account_id"], row["instrument_id"] or "")
        positions[key] = (*positions.get(key, ()), row["break_id"])
    expected = _expected(run, accounts)
    return CashKnown(covered, spans, expected, _trades(run), positions, run.rules.books.cash, run.tenant)


def _trades(run: Run) -> Mapping[tuple[str, str, date | None], tuple[str, ...]]:
    """Trade breaks by account, currency and settlement day of any of their records."""
    found: dict[tuple[str, str, date | None], dict[str, None]] = {}
    for row in books.trade_effects(run):
        for ccy in {row["trade_ccy"], row["settle_ccy"]}:
            found.setdefault((row["account_id"], ccy, row["settle_date"]), {})[row["break_id"]] = None
    return {key: tuple(ids) for key, ids in found.items()}


def _expected(run: Run, accounts: Sequence[Account]) -> Mapping[tuple[str, str, str, date], Decimal]:
    """What our live trades pay on the days for which only the broker shows payments for trades."""
    days = {row["value_date"] for one in accounts for row in one.entries if row["entry_type"] == "TRADE"}
    if not days:
        return {}
    span = {"first": min(days).isoformat(), "last": max(days).isoformat()}
    return {
        (row["pb_id"], row["account_id"], row["ccy"], row["settle_date"]): row["amount"]
        for row in run.warehouse.query(EXPECTED, span).to_pylist()
    }
