"""Names for cash that differs, C01 to C05: a pure function of entries, balances and what may explain them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from matching.levels.books import ZERO, BookFinding, Row, money, plain, tolerance
from matching.profiles import MoneyTolerance

LEVEL = "CASH"
_CODES = {"DIVIDEND": "C02", "COUPON": "C02", "INTEREST": "C03", "MARGIN": "C04"}
_DAYS_APART = 7


@dataclass(slots=True)
class Account:
    """One account's cash in one currency at one broker: entries no equal was found for, and balances."""

    component: str
    pb: str
    account: str
    ccy: str
    entries: list[Row] = field(default_factory=list)
    balances: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CashKnown:
    """What may explain a difference: keys are (broker, account) and what follows.

    `covered` is by role the first and last day of its statements, `spans` by kind of payment the days for which
    expected cash is told, `expected` what our trades say is paid by currency and day, `trades` trade breaks by currency
    and settlement day, `positions` position breaks by instrument.
    """

    covered: Mapping[tuple[str, str, str], tuple[date, date]]
    spans: Mapping[str, tuple[date, date]]
    expected: Mapping[tuple[str, str, str, date], Decimal]
    trades: Mapping[tuple[str, str, date | None], tuple[str, ...]]
    positions: Mapping[tuple[str, str, str], tuple[str, ...]]
    rule: MoneyTolerance
    tenant: str


def classify(accounts: Iterable[Account], known: CashKnown) -> list[BookFinding]:
    """One finding per entry that differs or stands alone, and one per balance that entries do not explain."""
    found: list[BookFinding] = []
    for account in accounts:
        found += _Till(account, known).findings()
    return found


def total(rows: Iterable[Row], role: str | None = None) -> Decimal:
    """The sum of amounts, of one role if given."""
    return sum((row["amount"] for row in rows if role is None or row["source_role"] == role), ZERO)


class _Till:
    def __init__(self, account: Account, known: CashKnown) -> None:
        self.account, self.known = account, known
        self.open = list(account.entries)
        self.found: list[BookFinding] = []

    def findings(self) -> list[BookFinding]:
        """Pair what is left step by step, the surest first; name the differences, then what stands alone."""
        self._pair(lambda row: row["reference"] and (row["entry_type"], row["reference"]))
        self._pair(lambda row: row["instrument_id"] and (row["entry_type"], row["instrument_id"], row["value_date"]))
        self._shifted()
        self._pair(lambda row: (row["entry_type"], row["value_date"]), alone=True)
        self._paid_by_trades()
        for row in self.open:
            if self._covers(row):
                self._say([row])
        self._balance()
        self._accrued()
        return self.found

    def _accrued(self) -> None:
        """Interest is off where an earlier break of the same balance is: it points there."""
        ids = [(one.trade_date, one.break_id(self.known.tenant)) for one in self.found if one.code != "C03"]
        for at, one in enumerate(self.found):
            behind = tuple(dict.fromkeys(name for day, name in ids if day < one.trade_date))
            if one.code == "C03" and behind:
                self.found[at] = replace(one, explains=behind)

    def _pair(self, key: Callable[[Row], object], alone: bool = False) -> None:
        """Entries that share a key are about one payment; with `alone` only where each side has just one."""
        groups: dict[object, list[Row]] = {}
        for row in self.open:
            if name := key(row):
                groups.setdefault(name, []).append(row)
        for rows in groups.values():
            ours = [row for row in rows if row["source_role"] == "INTERNAL"]
            if not ours or len(ours) == len(rows) or (alone and len(rows) != 2):
                continue
            self._settle(rows)
            if abs(total(rows, "PB") - total(ours)) > tolerance(self.known.rule, self.account.ccy, total(ours)):
                self._say(rows)

    def _settle(self, rows: Sequence[Row]) -> None:
        done = {row["record_id"] for row in rows}
        self.open = [row for row in self.open if row["record_id"] not in done]

    def _shifted(self) -> None:
        """The same amount some days apart is the same payment."""
        for theirs in [row for row in self.open if row["source_role"] == "PB"]:
            for ours in self.open:
                if (
                    ours["source_role"] == "INTERNAL"
                    and (ours["entry_type"], ours["amount"]) == (theirs["entry_type"], theirs["amount"])
                    and abs((ours["value_date"] - theirs["value_date"]).days) <= _DAYS_APART
                ):
                    self._settle([ours, theirs])
                    break

    def _paid_by_trades(self) -> None:
        """Where we send no entries for trades, the trades themselves say what is to be paid."""
        days: dict[date, list[Row]] = {}
        for row in self.open:
            if row["entry_type"] == "TRADE":
                days.setdefault(row["value_date"], []).append(row)
        for day, rows in days.items():
            expected = self.known.expected.get((self.account.pb, self.account.account, self.account.ccy, day))
            if expected is None or any(row["source_role"] != "PB" for row in rows):
                continue
            if abs(total(rows) - expected) <= tolerance(self.known.rule, self.account.ccy, expected):
                self._settle(rows)

    def _covers(self, row: Row) -> bool:
        """Whether the other side has told its cash of the entry's day, or what it expects of this kind.

        What is expected on a day before their first statement was never theirs to show.
        """
        other = "INTERNAL" if row["source_role"] == "PB" else "PB"
        day = row["day"] or row["value_date"]
        span = self.known.covered.get((self.account.pb, self.account.account, other))
        if span is not None and day <= span[1] and (day >= span[0] or not row.get("expected")):
            return True
        told = self.known.spans.get(row["entry_type"]) if other == "INTERNAL" else None
        return told is not None and told[0] <= row["value_date"] <= told[1]

    def _say(self, rows: Sequence[Row]) -> None:
        ours = [row for row in rows if row["source_role"] == "INTERNAL"]
        theirs = [row for row in rows if row["source_role"] == "PB"]
        first = (ours or theirs)[0]
        off = total(theirs) - total(ours)
        explains = self._why(first)
        code = _CODES.get(first["entry_type"], "C01")
        if first["entry_type"] == "WIRE" and not ours:
            code = "C05"
        named = first["reference"] or first["instrument_id"] or ""
        anchor = "|".join((self.account.component, first["entry_type"], named, first["value_date"].isoformat()))
        again = sum(one.anchor.split("#")[0] == anchor for one in self.found)
        self.found.append(
            self._finding(
                code, f"{anchor}#{again}" if again else anchor, "amount", first, off,
                money(ZERO if explains and code == "C01" else abs(off)),
                plain(total(ours)) if ours else None, plain(total(theirs)) if theirs else None,
                [row["record_id"] for row in ours if not row.get("expected")], [row["record_id"] for row in theirs],
                explains,
            )
        )  # fmt: skip

    def _why(self, row: Row) -> tuple[str, ...]:
        """Breaks of trades that settle with this payment, or of the position it is paid on."""
        if row["entry_type"] == "TRADE":
            return self.known.trades.get((self.account.account, self.account.ccy, row["value_date"]), ())
        return self.known.positions.get((self.account.pb, self.account.account, row["instrument_id"] or ""), ())

    def _balance(self) -> None:
        """C01: what the newest common closing balances differ by besides all entries that differ."""
        days: dict[date, dict[str, Row]] = {}
        for row in self.account.balances:
            if row["entry_type"] == "BALANCE":
                days.setdefault(row["value_date"], {})[row["source_role"]] = row
        common = [day for day, sides in days.items() if len(sides) == 2]
        if not common:
            return
        day = max(common)
        ours, theirs = days[day]["INTERNAL"], days[day]["PB"]
        # What is only expected is in nobody's books: it explains nothing of their balance.
        booked = [row for row in self.account.entries if not row.get("expected")]
        told = [row for row in booked if (row["day"] or row["value_date"]) <= day]
        due = [row for row in told if row["value_date"] <= day]
        apart = theirs["amount"] - ours["amount"]
        # Some close by trade date, some by value date: an entry to come is in the balance or not yet.
        left = min((apart - total(rows, "PB") + total(rows, "INTERNAL") for rows in (told, due)), key=abs)
        if abs(left) > tolerance(self.known.rule, self.account.ccy, ZERO):
            self.found.append(
                self._finding(
                    "C01", self.account.component, "balance", {**ours, "day": day}, left, money(abs(left)),
                    plain(ours["amount"]), plain(theirs["amount"]), [ours["record_id"]], [theirs["record_id"]], (),
                )
            )  # fmt: skip

    def _finding(
        self, code: str, anchor: str, family: str, row: Row, off: Decimal, exposure: Decimal | None, left: str | None,
        right: str | None, ours: Sequence[str], theirs: Sequence[str], explains: tuple[str, ...],
    ) -> BookFinding:  # fmt: skip
        return BookFinding(
            level=LEVEL, anchor=anchor, family=family, code=code, component=self.account.component,
            rule_id=f"books-{code}", pb=self.account.pb, account=self.account.account,
            trade_date=row["day"] or row["value_date"], settle_date=row["value_date"],
            instrument=row.get("instrument_id"), symbol=row.get("reference") or row["entry_type"],
            ccy=self.account.ccy, exposure=exposure, left_value=left, right_value=right, delta=money(off),
            left=tuple(ours), right=tuple(theirs), explains=explains,
        )  # fmt: skip
