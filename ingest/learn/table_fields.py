"""Which column holds which field, by what the cells are: check digits, codes, dates, ids that refer to each other."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ingest.files import codes
from ingest.files.aliases import key_of
from ingest.learn.markets import COUNTRY_ZONES, CURRENCIES, CURRENCY_ZONES, MINOR_UNITS, VENUE_ZONES
from ingest.learn.ours import Ours
from ingest.learn.proposal import share
from ingest.learn.table_amounts import Offer
from ingest.learn.table_sample import Column, Sample, as_date, is_cusip, is_isin, is_sedol

_UTI = re.compile(r"[A-Z0-9]{18}[0-9]{2}[A-Z0-9]{1,32}")
_KINDS_OF_SECURITY = """
equity eq eqty stk stock etf option opt optn future fut futr fx fxspot fxfwd fxndf fxsp fxfw fxnd cash bond cds crds trs
trsw cs fund adr corp govt swap fixedincome commonstock
"""
_ASSETS = frozenset(_KINDS_OF_SECURITY.split())
VERSION_PATTERN = r"\.(\d{1,4})$"
VERSIONED = re.compile(VERSION_PATTERN)
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./ _-]{0,40}")
_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,11}")
_OURS_FIELDS = ("client_order_id", "order_id", "account_raw", "block_id", "symbol", "cross_uid")
_NAMES: Mapping[str, str] = MappingProxyType({"account_raw": "account"})
_WORDS: Mapping[str, str] = MappingProxyType(
    {"client_order_id": "ClOrdIDs", "order_id": "OrderIDs", "account_raw": "accounts", "block_id": "AllocIDs",
     "symbol": "symbols", "cross_uid": "trade ids"}
)  # fmt: skip


def is_side(cell: str) -> bool:
    """A usual word for a side; digits count too."""
    return codes.side_of(cell, {}).side is not None


def is_status(cell: str) -> bool:
    """A usual word for new, corrected, cancelled or rejected."""
    return codes.status_of(cell, {}) is not None


def is_currency(cell: str) -> bool:
    """A currency we know, or a code for its hundredth."""
    return cell in CURRENCIES or cell in MINOR_UNITS


def is_asset(cell: str) -> bool:
    """A usual word for a kind of security."""
    return key_of(cell) in _ASSETS


# What the cells of a field must be; a header alone does not make it that field.
_KINDS: Mapping[str, Callable[[Column], float]] = MappingProxyType(
    {
        "isin": lambda c: c.part(is_isin), "cusip": lambda c: c.part(is_cusip), "sedol": lambda c: c.part(is_sedol),
        "side": lambda c: c.part(is_side), "status": lambda c: c.part(is_status),
        "trade_ccy": lambda c: c.part(is_currency), "settle_ccy": lambda c: c.part(is_currency),
        "trade_date": lambda c: max(c.dated, c.clocked), "settle_date": lambda c: max(c.dated, c.clocked),
        "event_time": lambda c: max(c.clocked, c.part(_clock_only)),
        **{
            name: (lambda c: c.numeric)
            for name in ("qty", "price", "gross_money", "net_money", "commission", "accrued_interest", "multiplier")
        },
        "uti": lambda c: c.part(lambda cell: bool(_UTI.fullmatch(cell))),
    }
)  # fmt: skip


def _clock_only(cell: str) -> bool:
    return bool(re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?|\d{6}", cell))


def fits(name: str, column: Column) -> float | None:
    """Share of the column's values that the field could hold; None where any text would do or nothing is filled."""
    kind = _KINDS.get(name)
    return kind(column) if kind and column.filled else None


def content_offers(sample: Sample, ours: Ours) -> dict[str, list[Offer]]:
    """Offers by field from the cells alone (amounts excepted)."""
    found: dict[str, list[Offer]] = defaultdict(list)
    columns = [column for column in sample.columns.values() if column.filled]
    for column in columns:
        _securities(column, found)
        _codes(column, found)
        _of_ours(column, ours, found)
    _currencies(sample, columns, found)
    _dates(columns, found)
    _references(columns, found)
    _versions(columns, found)
    _symbols(sample, columns, found)
    _accounts(columns, found)
    return found


def _securities(column: Column, found: dict[str, list[Offer]]) -> None:
    for name, right in (("isin", is_isin), ("cusip", is_cusip), ("sedol", is_sedol)):
        part = column.part(right)
        letters = column.part(lambda cell: not cell.isdigit() or len(cell) == 9)
        if part >= 0.9 and len(column.values) > 1 and (name != "sedol" or letters > 0.3) and column.dated < 0.5:
            text = f"check digits hold for {share(round(part * len(column.filled)), len(column.filled))} values"
            found[name].append(Offer(column.header, 0.98 * part, text))
    uti = column.part(lambda cell: bool(_UTI.fullmatch(cell)))
    if uti >= 0.9 and column.part(is_isin) < 0.5:
        found["uti"].append(Offer(column.header, 0.9, "an LEI and a number behind it, as UTIs are written"))


def _codes(column: Column, found: dict[str, list[Offer]]) -> None:
    values = column.values
    if 1 < len(values) <= 10 and column.fill >= 0.95:
        sides = {codes.side_of(cell, {}).side for cell in values}
        if column.part(is_side) >= 0.95 and "BUY" in sides and len(sides) > 1:
            sure = 0.93 if any(not cell.isdigit() for cell in values) else 0.6
            found["side"].append(Offer(column.header, sure, f"sides: {', '.join(sorted(values)[:6])}"))
        states = {codes.status_of(cell, {}) for cell in values}
        if column.part(is_status) >= 0.95 and states & {"CANCEL", "CORRECT"} and column.part(is_side) < 0.95:
            found["status"].append(Offer(column.header, 0.92, f"statuses: {', '.join(sorted(values)[:6])}"))
    rare = 0 < column.fill < 0.3 and len(values) <= 6 and all(len(cell) <= 12 for cell in values)
    if rare and any(codes.status_of(cell, {}) == "CANCEL" for cell in values):
        found["status"].append(Offer(column.header, 0.6, f"mostly empty, with a word for cancel: {', '.join(values)}"))
    if len(values) <= 15 and column.part(is_asset) >= 0.9:
        found["asset_class"].append(Offer(column.header, 0.9, f"kinds of security: {', '.join(sorted(values)[:5])}"))
    if column.part(lambda cell: cell in VENUE_ZONES) >= 0.7 and column.part(lambda cell: len(cell) == 4) >= 0.95:
        found["venue_mic"].append(Offer(column.header, 0.92, "market identifier codes"))


def _of_ours(column: Column, ours: Ours, found: dict[str, list[Offer]]) -> None:
    for name in _OURS_FIELDS:
        part = ours.overlap(name, column.values)
        if part >= 0.3 and len(column.values) > 1:
            text = f"{share(round(part * len(column.values)), len(column.values))} values are our {_WORDS[name]}"
            found[_NAMES.get(name, name)].append(Offer(column.header, 0.85 + 0.13 * part, text))


def _currencies(sample: Sample, columns: Sequence[Column], found: dict[str, list[Offer]]) -> None:
    """Of two currency columns the one that agrees with the country of the ISIN is the trade's."""
    mine = [column for column in columns if column.part(is_currency) >= 0.98 and column.fill >= 0.9]
    if not mine:
        return
    isins = next((column for column in columns if column.part(is_isin) >= 0.9), None)
    score = {column.header: _at_home(column, isins) for column in mine}
    minor = [column for column in mine if any(value in MINOR_UNITS for value in column.values)]
    ordered = sorted(mine, key=lambda column: (column in minor, score[column.header]), reverse=True)
    text = f"currency codes; of the country of the ISIN on {100 * score[ordered[0].header]:.0f}% of rows"
    if len(ordered) == 1:
        found["trade_ccy"].append(Offer(ordered[0].header, 0.9, text))
        return
    first, second = ordered[0], ordered[1]
    clear = first in minor or score[first.header] > score[second.header]
    found["trade_ccy"].append(Offer(first.header, 0.85 if clear else 0.55, text))
    found["settle_ccy"].append(Offer(second.header, 0.85 if clear else 0.55, "currency codes, the other such column"))


def _at_home(column: Column, isins: Column | None) -> float:
    if isins is None:
        return 0.0
    cases = [
        CURRENCY_ZONES.get(cell) == COUNTRY_ZONES[isin[:2]]
        for cell, isin in zip(column.cells, isins.cells, strict=True)
        if isin[:2] in COUNTRY_ZONES
    ]
    return sum(cases) / len(cases) if cases else 0.0


def _dates(columns: Sequence[Column], found: dict[str, list[Offer]]) -> None:
    """Trade date before settlement date, both on every row; a column with the time of day is the time of trade."""
    full = [column for column in columns if column.dated >= 0.95 and column.fill >= 0.9]
    for column in columns:
        if column.clocked >= 0.9 and column.fill >= 0.5:
            found["event_time"].append(Offer(column.header, 0.88, "date and time of day"))
    if len(full) == 1:
        found["trade_date"].append(Offer(full[0].header, 0.8, "the only date on every row"))
    for first in full:
        for second in full:
            if first is second:
                continue
            early, soon, count = max(_apart(first, second, order) for order in (True, False))
            if count and early >= 0.97 * count and soon >= 0.5 * count:
                text = f"{share(soon, count)} rows: one to ten days apart"
                found["trade_date"].append(Offer(first.header, 0.92, f"the earlier of two dates, {text}"))
                found["settle_date"].append(Offer(second.header, 0.92, f"the later of two dates, {text}"))


def _apart(first: Column, second: Column, day_first: bool) -> tuple[int, int, int]:
    """(rows whose first date is not after the second, rows with one to ten days between, rows with both)."""
    cells = list(zip(first.cells, second.cells, strict=True))[:500]
    days = [
        (two - one).days
        for a, b in cells
        if (one := as_date(a, day_first)) is not None and (two := as_date(b, day_first)) is not None
    ]
    return sum(gap >= 0 for gap in days), sum(0 < gap <= 10 for gap in days), len(days)


def _references(columns: Sequence[Column], found: dict[str, list[Offer]]) -> None:
    """An id of its own on every row, and a column that is mostly empty and names such ids."""
    ids = [column for column in columns if column.identifying >= 0.95]
    for column in ids:
        if column.fill >= 0.98 and column.distinct >= 0.85 and column.part(is_isin) < 0.5:
            for other in ids:
                named = [value for value in other.values if value in column.values]
                if (
                    other is not column
                    and other.fill < 0.5
                    and len(named) >= 0.6 * len(other.values)
                    and len(named) > 1
                ):
                    text = f"{share(len(named), len(other.values))} values are ids of other rows ({column.header})"
                    found["prev_uid"].append(Offer(other.header, 0.93, text))
                    found["trade_uid"].append(
                        Offer(column.header, 0.95, f"an id of its own, and {other.header} refers to it")
                    )
            text = f"an id of its own on {share(len(column.values), len(column.filled))} rows"
            found["trade_uid"].append(Offer(column.header, 0.7, text))


def _versions(columns: Sequence[Column], found: dict[str, list[Offer]]) -> None:
    """Ids of rows that end in a number, the same stem several times with another number."""
    for column in columns:
        if column.fill < 0.95 or column.numeric > 0.5 or column.part(lambda cell: bool(VERSIONED.search(cell))) < 0.95:
            continue
        stems: dict[str, set[str]] = defaultdict(set)
        for cell in column.values:
            stems[VERSIONED.sub("", cell)].add(cell)
        again = sum(len(mine) > 1 for mine in stems.values())
        if again and len(stems) > len(column.values) // 2 and column.distinct >= 0.9:
            text = f"{again} of {len(stems)} ids come again with another number behind the last point"
            found["version"].append(Offer(column.header, 0.85, text))


def _symbols(sample: Sample, columns: Sequence[Column], found: dict[str, list[Offer]]) -> None:
    """Short codes that go with one ISIN each."""
    isins = next((column for column in columns if column.part(is_isin) >= 0.9), None)
    if isins is None:
        return
    for column in columns:
        if column.fill < 0.9 or len(column.values) < 3 or column.part(lambda cell: bool(_SYMBOL.fullmatch(cell))) < 0.9:
            continue
        if (
            column.part(is_isin) > 0.5
            or column.part(is_sedol) > 0.5
            or column.numeric > 0.6
            or column.part(is_asset) > 0.5
        ):
            continue
        seen: dict[str, set[str]] = defaultdict(set)
        for cell, isin in zip(column.cells, isins.cells, strict=True):
            if cell and isin:
                seen[cell].add(isin)
        single = sum(len(told) == 1 for told in seen.values())
        spread = len(seen) / max(len(isins.values), 1)
        if seen and single >= 0.9 * len(seen) and 0.5 <= spread <= 3:
            found["symbol"].append(Offer(column.header, 0.82, f"goes with one ISIN each: {share(single, len(seen))}"))


def _accounts(columns: Sequence[Column], found: dict[str, list[Offer]]) -> None:
    """A handful of codes on every row that are nothing else we know."""
    for column in columns:
        few = 1 < len(column.values) <= max(10, len(column.filled) // 8)
        if not few or column.fill < 0.98 or (column.numeric > 0.9 and column.part(lambda cell: len(cell) >= 5) < 0.9):
            continue
        other = (is_currency, is_side, is_status, is_asset, lambda cell: cell in VENUE_ZONES)
        if any(column.part(right) >= 0.8 for right in other) or column.dated > 0.5:
            continue
        if column.part(lambda cell: bool(re.search(r"[-_]|\d", cell))) >= 0.9:
            text = f"{len(column.values)} codes on every row, none of another kind"
            found["account"].append(Offer(column.header, 0.6, text))
        elif column.part(lambda cell: bool(_CODE.fullmatch(cell))) >= 0.95:
            text = f"{len(column.values)} short codes on every row, without digits"
            found["exec_broker_id"].append(Offer(column.header, 0.55, text))
