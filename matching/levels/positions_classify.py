"""Names for lines that differ, P01 to P08: a pure function of the lines and of what is known about them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from matching.levels.books import ZERO, BookFinding, Broken, money, plain, product, share

Key = tuple[str, str, str]
LEVEL = "POSITION"
# What is priced by the unit, whatever the contract.
_PER_UNIT = ("EQUITY", "ETF")
# An option symbol: root (a digit after the letters marks an adjusted series), expiry, right, strike.
_OPTION = re.compile(r"([A-Z]{1,5})\d? *\d{6}([CP])\d{8}")


@dataclass(frozen=True, slots=True)
class Split:
    """A split that counts: `ratio` new for one old; `opening` is our position on the morning it took effect."""

    ratio: Decimal
    opening: Decimal


@dataclass(slots=True)
class Line:
    """One account's holding of one instrument at one broker as both sides show it; lists are record ids."""

    pb: str
    account: str
    instrument: str
    day: date
    row: Mapping[str, Any]
    left: list[str] = field(default_factory=list)
    right: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Line":
        """A line from a row of LINES."""
        return cls(row["pb_id"], row["account_id"], row["instrument_id"], row["as_of_date"], row)

    @property
    def key(self) -> Key:
        """Broker, account, instrument."""
        return self.pb, self.account, self.instrument

    @property
    def ours(self) -> Decimal:
        """Our net quantity."""
        made: Decimal = self.row["l_long"] - self.row["l_short"]
        return made

    @property
    def theirs(self) -> Decimal:
        """The broker's net quantity."""
        made: Decimal = self.row["r_long"] - self.row["r_short"]
        return made

    @property
    def ccy(self) -> str | None:
        """The currency of its price, as we show it, else as they do."""
        found: str | None = self.row["l_price_ccy"] or self.row["r_price_ccy"]
        return found


@dataclass(frozen=True, slots=True)
class Known:
    """What may explain a difference; `pending` is unsettled quantity by source role, `renames` new id → ratio."""

    broken: Mapping[tuple[str | None, str, str], Broken]
    splits: Mapping[tuple[str, str | None, str], Split]
    pending: Mapping[Key, Mapping[str, Decimal]]
    renames: Mapping[str, Mapping[str, Decimal]]
    instruments: Mapping[str, Mapping[str, Any]]
    price_ratio: Decimal


def classify(lines: Sequence[Line], known: Known, component: str) -> list[BookFinding]:
    """One finding per difference: of quantity (a finding may take two lines together) and of value."""
    desk = _Desk(known, component)
    for line in lines:
        if line.ours != line.theirs:
            desk.off[line.key] = line
            desk.differing.add(line.key)
        elif line.row["l_long"] != line.row["r_long"]:
            desk.say("P04", [line], both(line, "l"), both(line, "r"), line.row["r_long"] - line.row["l_long"])
        desk.value(line)
    for step in (desk.explained, desk.renamed, desk.split, desk.unsettled, desk.exercised, desk.in_transit, desk.rest):
        step()
    return desk.found


def both(line: Line, leg: str) -> str:
    """Long and short quantity in words."""
    return f"long {plain(line.row[f'{leg}_long'])}, short {plain(line.row[f'{leg}_short'])}"


def _apart(line: Line) -> Decimal | None:
    """What the prices leave between the values of equal quantities; of a value only they state, their price's share."""
    row = line.row
    if line.ours != line.theirs:
        return None
    if row["l_value"] or not row["r_price"]:
        apart: Decimal = abs(row["r_value"] - row["l_value"])
        return apart
    return abs(share(row["r_value"], row["r_price"] - row["l_price"], row["r_price"]))


class _Desk:
    """Lines whose quantity is still unnamed, and what was named."""

    def __init__(self, known: Known, component: str) -> None:
        self.known, self.component = known, component
        self.off: dict[Key, Line] = {}
        self.differing: set[Key] = set()
        self.found: list[BookFinding] = []

    def residual(self, line: Line) -> Decimal:
        """What theirs is more than ours besides the effect of trade breaks."""
        broken = self.known.broken.get(line.key)
        return line.theirs - line.ours - (broken.qty if broken else ZERO)

    def amounts(self, line: Line) -> tuple[Decimal, ...]:
        """What theirs may be more than ours for another reason: besides the effect of trade breaks, and as it is."""
        return tuple(dict.fromkeys((self.residual(line), line.theirs - line.ours)))

    def breaks(self, line: Line) -> tuple[str, ...]:
        broken = self.known.broken.get(line.key)
        return tuple(sorted(broken.breaks)) if broken else ()

    def explained(self) -> None:
        """P01 whose trades say it all: the money is counted there."""
        for line in self._open():
            if self.breaks(line) and self.residual(line) == 0:
                self.say("P01", [line], amount=ZERO)

    def renamed(self) -> None:
        """P03: they still hold under the old name what we hold under the new one."""
        for old in self._open():
            if old.left:
                continue
            name = old.instrument.split(":", 1)[-1]
            for new_id, ratio in sorted(self.known.renames.get(name, {}).items()):
                new = self.off.get((old.pb, old.account, new_id))
                if new is None or new.key == old.key:
                    continue
                if -product(old.theirs, ratio) in self.amounts(new):
                    self.say("P03", [new, old], new.instrument, name, ZERO)
                    break

    def split(self) -> None:
        """P02: one side has not applied the split yet."""
        for line in self._open():
            split = self.known.splits.get((line.pb, line.account, line.instrument))
            if split is None or not split.opening:
                continue
            after, offs = split.opening, self.amounts(line)
            # Theirs unadjusted: their opening x ratio is ours; ours unadjusted: our opening x ratio is theirs.
            fraction = max(split.ratio, Decimal(1))
            theirs_late = any(abs(product(after + off, split.ratio) - after) < fraction for off in offs)
            ours_late = any(abs(product(after, split.ratio) - (after + off)) < fraction for off in offs)
            if theirs_late or ours_late:
                told = f" before split {plain(split.ratio)}:1"
                left = plain(line.ours) + (told if ours_late and not theirs_late else "")
                right = plain(line.theirs) + (told if theirs_late else "")
                self.say("P02", [line], left, right)

    def unsettled(self) -> None:
        """P05: one side shows by settlement date what the other shows by trade date."""
        for line in self._open():
            waiting = set(self.known.pending.get(line.key, {}).values()) - {ZERO}
            offs = self.amounts(line)
            if any(off in waiting or -off in waiting for off in offs):
                basis = "settlement date" if any(-off in waiting for off in offs) else "trade date"
                self.say("P05", [line], plain(line.ours), f"{plain(line.theirs)} by {basis}", ZERO)

    def exercised(self) -> None:
        """P06: options are gone at the broker, and the shares came or went with them; or they have expired."""
        for line in self._open():
            about = self.known.instruments.get(line.instrument, {})
            option = _OPTION.fullmatch(line.instrument)
            if about.get("asset_class") != "OPTION" and option is None:
                continue
            for gone in (-off for off in self.amounts(line)):
                if not gone or (gone > 0) != (line.ours > 0) or abs(gone) > abs(line.ours):
                    continue
                shares = self._shares(line, gone, option, about)
                if shares is not None:
                    self.say("P06", [line, shares])
                    break
            else:
                if self._gone(line, about, option):
                    self.say("P06", [line])

    def _shares(self, line: Line, gone: Decimal, option: re.Match[str] | None, about: Mapping[str, Any]) -> Line | None:
        """The line that moved by what the exercise of `gone` options delivers."""
        size = about.get("multiplier") or Decimal(100)
        moved = product(gone, size)
        for other in self._open():
            if (other.pb, other.account) != (line.pb, line.account) or other is line:
                continue
            offs = self.amounts(other)
            if option is not None:
                expected = moved if option[2] == "C" else -moved
                if self._symbol(other) == option[1] and expected in offs:
                    return other
            elif self._asset(other) in ("EQUITY", "ETF") and (moved in offs or -moved in offs):
                return other
        return None

    def _gone(self, line: Line, about: Mapping[str, Any], option: re.Match[str] | None) -> bool:
        """Expired, or fewer while what the shares did cannot be seen, because their line is disputed as well."""
        until = about.get("valid_to")
        if line.theirs == 0 and until is not None and until <= line.day:
            return True
        fewer = any(off and (off < 0) == (line.ours > 0) and abs(off) <= abs(line.ours) for off in self.amounts(line))
        broken = self.known.broken.get(line.key)
        if option is None or not fewer or (broken and broken.qty):
            return False
        disputed = {*self.differing, *(key for key, one in self.known.broken.items() if one.disputed and key[0])}
        return any(key[:2] == line.key[:2] and self._symbol_of(key[2]) == option[1] for key in disputed)

    def in_transit(self) -> None:
        """P08: equal and opposite at two brokers: moved in one side's books, on its way in the other's."""
        sending: dict[tuple[str, Decimal], list[Line]] = {}
        lines = list(self._open())
        for line in lines:
            for off in self.amounts(line):
                if off > 0:
                    sending.setdefault((line.instrument, off), []).append(line)
        for line in lines:
            for off in self.amounts(line):
                waiting = sending.get((line.instrument, -off), [])
                other = next((one for one in waiting if one.pb != line.pb and one.key in self.off), None)
                if other is not None and line.key in self.off:
                    self.say("P08", [other, line])

    def rest(self) -> None:
        """P01: nothing says why, or not all of it; at risk is what trade breaks leave over, if that is less."""
        for line in self._open():
            off = min((abs(off) for off in self.amounts(line) if off), default=ZERO)
            self.say("P01", [line], at_risk=off)

    def value(self, line: Line) -> None:
        """P07: price, or value where quantities agree, further off than the rules allow."""
        row = line.row
        if row["rolled"] or not (line.left and line.right) or row["l_price_ccy"] != row["r_price_ccy"]:
            return
        ours, theirs = row["l_price"], row["r_price"]
        if ours and theirs is not None and self._far(ours, theirs):
            self.say("P07", [line], plain(ours), plain(theirs), _apart(line), "price")
        elif (
            line.ours == line.theirs and row["l_value"] and row["r_value"] and self._far(row["l_value"], row["r_value"])
        ):
            left, right = plain(row["l_value"]), plain(row["r_value"])
            self.say("P07", [line], left, right, abs(row["r_value"] - row["l_value"]), "price")

    def _far(self, ours: Decimal, theirs: Decimal) -> bool:
        return abs(theirs - ours) > product(abs(ours), self.known.price_ratio)

    def say(
        self, code: str, lines: Sequence[Line], left: str | None = None, right: str | None = None,
        amount: Decimal | None = None, family: str = "qty", at_risk: Decimal | None = None,
    ) -> None:  # fmt: skip
        """Name the lines, which are then settled; without `amount` the exposure is the quantity `at_risk`, else the
        difference, at its price: unknown where nobody says one."""
        first = lines[0]
        if family == "qty":
            for line in lines:
                self.off.pop(line.key, None)
        if amount is None and family == "qty":
            amount = self._worth(first, abs(first.theirs - first.ours) if at_risk is None else at_risk)
        elif amount is not None and code == "P04":
            amount = self._worth(first, abs(amount))
        about = self.known.instruments.get(first.instrument, {})
        self.found.append(
            BookFinding(
                level=LEVEL, anchor="|".join(first.key), family=family, code=code, component=self.component,
                rule_id=f"books-{code}", pb=first.pb, account=first.account, trade_date=first.day,
                instrument=first.instrument, symbol=about.get("symbol"), ccy=first.ccy or about.get("ccy"),
                exposure=money(amount), left_value=plain(first.ours) if left is None else left,
                right_value=plain(first.theirs) if right is None else right,
                delta=money(first.theirs - first.ours), qty=first.ours, price=first.row["l_price"],
                left=tuple(one for line in lines for one in line.left),
                right=tuple(one for line in lines for one in line.right),
                explains=tuple(dict.fromkeys(one for line in lines for one in self.breaks(line))),
            )
        )  # fmt: skip

    def _open(self) -> Iterator[Line]:
        return (line for key, line in sorted(self.off.items()) if key in self.off)  # may be named meanwhile

    def _worth(self, line: Line, qty: Decimal) -> Decimal | None:
        """What so many units are worth; None where nobody says."""
        unit = self._unit(line) if qty else ZERO
        return None if unit is None else product(qty, unit)

    def _unit(self, line: Line) -> Decimal | None:
        for leg, held in (("l", line.ours), ("r", line.theirs)):
            if line.row[f"{leg}_value"] and held:
                return abs(share(line.row[f"{leg}_value"], Decimal(1), held))
        if self._asset(line) not in _PER_UNIT:
            return None
        known: list[Decimal] = [price for price in (line.row["l_price"], line.row["r_price"]) if price]
        return known[0] if known else None

    def _asset(self, line: Line) -> str | None:
        found: str | None = self.known.instruments.get(line.instrument, {}).get("asset_class")
        return found

    def _symbol(self, line: Line) -> str | None:
        return self._symbol_of(line.instrument)

    def _symbol_of(self, instrument: str) -> str | None:
        found: str | None = self.known.instruments.get(instrument, {}).get("symbol")
        return found or instrument
