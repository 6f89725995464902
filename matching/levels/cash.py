"""L6: cash entries and balances of both sides, account by account and currency by currency."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from matching.levels import books
from matching.levels.cash_classify import Account, CashKnown, classify
from matching.levels.cash_sql import (
    ANY_CASH,
    ANY_COMPONENT,
    ANY_TRADE,
    BALANCES,
    COVERED,
    EXPECTED,
    LEFT_OVER,
    POSITION_BREAKS,
    TOUCH,
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
        if books.has(run, ANY_CASH):
            run.warehouse.execute(TOUCH)
            if books.has(run, ANY_TRADE):
                run.warehouse.execute(TOUCH_BY_TRADES)

    def find(self, run: Run) -> None:
        """Entries that differ or stand alone, balances that entries do not explain."""
        if books.has(run, ANY_COMPONENT):
            accounts = _accounts(run)
            books.write(run, classify(accounts, _known(run, accounts)))


def _accounts(run: Run) -> list[Account]:
    found: dict[str, Account] = {}
    for sql in (LEFT_OVER, BALANCES):
        for row in run.warehouse.query(sql).to_pylist():
            account = found.get(row["component"])
            if account is None:
                account = Account(row["component"], row["pb_id"] or "", row["account_id"], row["ccy"])
                found[row["component"]] = account
            (account.entries if sql is LEFT_OVER else account.balances).append(row)
    return [found[name] for name in sorted(found)]


def _known(run: Run, accounts: Sequence[Account]) -> CashKnown:
    covered = {
        (row["pb_id"], row["account_id"], row["source_role"]): row["day"]
        for row in run.warehouse.query(COVERED).to_pylist()
    }
    positions: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for row in run.warehouse.query(POSITION_BREAKS).to_pylist():
        key = (row["pb_id"] or "", row["account_id"], row["instrument_id"] or "")
        positions[key] = (*positions.get(key, ()), row["break_id"])
    return CashKnown(covered, _expected(run, accounts), _trades(run), positions, run.rules.books.cash, run.tenant)


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
