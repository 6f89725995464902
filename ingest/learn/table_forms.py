"""How the cells of a mapped table are written: date order, zone, decimal mark, signs, codes, and what a row is."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from ingest.files import codes
from ingest.learn import zones
from ingest.learn.markets import COUNTRY_ZONES, CURRENCY_ZONES, home_zone
from ingest.learn.ours import Ours
from ingest.learn.proposal import Proposal, share
from ingest.learn.table_fields import VERSION_PATTERN, VERSIONED
from ingest.learn.table_sample import Column, Sample, as_date, as_moment

_NUMERIC_FORMS = ("DD/MM/YYYY", "MM/DD/YYYY")
_CASES_MIN = 5


def form_proposals(sample: Sample, columns: Mapping[str, str], ours: Ours) -> list[Proposal]:
    """Proposals for date_format, zone, decimal, signs, sides, statuses and level."""
    dates = _date_format(sample, columns)
    day_first = dates.value == "DD/MM/YYYY"
    return [
        dates,
        *_zone(sample, columns, ours, day_first),
        _decimal(sample, columns),
        *_codes(sample.column(columns.get("side")), "sides"),
        *_codes(sample.column(columns.get("status")), "statuses"),
        *_signs(sample, columns),
        *_version_pattern(sample.column(columns.get("version"))),
        _level(sample, columns),
    ]


def _date_format(sample: Sample, columns: Mapping[str, str]) -> Proposal:
    cells = [
        cell for name in ("trade_date", "settle_date", "event_time")
        if (column := sample.column(columns.get(name))) for cell in column.filled
    ]  # fmt: skip
    key = "date_format"
    if not cells:
        return Proposal(key, "", 0.5, "no date column was found", True)
    if any(cell[:4].isdigit() and cell[4:5] in "-/." for cell in cells[:1]):
        return Proposal(key, "YYYY-MM-DD", 0.99, f"year first, as in {cells[0]!r}")
    if cells[0][:8].isdigit():
        return Proposal(key, "YYYYMMDD", 0.99, f"eight digits, as in {cells[0]!r}")
    if any(char.isalpha() for char in cells[0][:11]):
        form = "DD-MMM-YYYY" if cells[0][0].isdigit() else "MMM DD, YYYY"
        return Proposal(key, form, 0.97, f"the month in letters, as in {cells[0]!r}")
    if cells[0][:5].isdigit():
        return Proposal(key, "EXCEL", 0.8, f"day numbers of a spreadsheet, as in {cells[0]!r}")
    return _day_or_month(sample, columns, cells)


def _day_or_month(sample: Sample, columns: Mapping[str, str], cells: list[str]) -> Proposal:
    """03/04/2026: proved by a number above 12, else by weekdays and the distance of trade and settlement."""
    # A column of times of day has no dates, and a cell that is none in either order says nothing about the order.
    example, cells = cells[0], [cell for cell in cells if as_date(cell, True) or as_date(cell, False)]
    if not cells:
        return Proposal("date_format", "", 0.3, f"{example!r} is no date that can be told: ask", True)
    read = {
        True: sum(as_date(cell, True) is None for cell in cells),
        False: sum(as_date(cell, False) is None for cell in cells),
    }
    for day_first, form in ((True, "DD/MM/YYYY"), (False, "MM/DD/YYYY")):
        if read[day_first] == 0 and read[not day_first]:
            wrong = share(read[not day_first], len(cells))
            other = _NUMERIC_FORMS[day_first]
            return Proposal("date_format", form, 0.99, f"read as {other}, {wrong} dates would not exist")
    scores = {}
    for day_first in (True, False):
        days = [day for cell in cells if (day := as_date(cell, day_first))]
        gaps = _gaps(sample, columns, day_first)
        scores[day_first] = sum(day.weekday() < 5 for day in days) / max(len(days), 1) + sum(
            0 <= gap <= 10 for gap in gaps
        ) / max(len(gaps), 1)
    best = max(scores, key=lambda one: scores[one])
    form = "DD/MM/YYYY" if best else "MM/DD/YYYY"
    if abs(scores[True] - scores[False]) < 0.1:
        return Proposal("date_format", form, 0.3, f"{cells[0]!r} could be either and no row settles it: ask")
    text = "only so do trades fall on weekdays and settle within ten days"
    return Proposal("date_format", form, 0.8, text)


def _gaps(sample: Sample, columns: Mapping[str, str], day_first: bool) -> list[int]:
    trade, settle = sample.column(columns.get("trade_date")), sample.column(columns.get("settle_date"))
    if trade is None or settle is None:
        return []
    pairs = [(as_date(a, day_first), as_date(b, day_first)) for a, b in zip(trade.cells, settle.cells, strict=True)]
    return [(two - one).days for one, two in pairs if one and two]


def _zone(sample: Sample, columns: Mapping[str, str], ours: Ours, day_first: bool) -> list[Proposal]:
    column = sample.column(columns.get("event_time"))
    if column is None:
        return []
    moments = [as_moment(cell, day_first) for cell in column.cells]
    stated = sum(cell.endswith("Z") or "UTC" in cell or "+" in cell[-6:] for cell in column.filled)
    if stated * 2 > len(column.filled):
        return [Proposal("zone", "", 0.95, f"{share(stated, len(column.filled))} times say their zone", True)]
    currencies, isins = _cells(sample, columns, "trade_ccy"), _cells(sample, columns, "isin")
    home, _, _ = home_zone(_cells(sample, columns, "venue_mic"), currencies, isins)
    mine = _known_moments(sample, columns, moments, ours)
    found = zones.by_ours(mine, home, timedelta(minutes=2)) if mine else None
    if found is None:
        rows = zip(moments, isins or currencies, currencies or isins, strict=True)
        markets = [(at, market) for at, isin, ccy in rows if at and (market := _market(isin, ccy))]
        found = zones.by_hours(markets, home)
    if found is None:
        return [Proposal("zone", "", 0.3, "nothing tells the zone of the times: ask")]
    return [Proposal("zone", found.zone, found.confidence, found.evidence)]


def _market(isin: str, ccy: str) -> str | None:
    """The zone of the market, where ISIN and currency agree on it."""
    zone = COUNTRY_ZONES.get(isin[:2])
    return zone if zone and zone == CURRENCY_ZONES.get(ccy, zone) else None


def _known_moments(
    sample: Sample, columns: Mapping[str, str], moments: list[datetime | None], ours: Ours
) -> list[tuple[datetime, datetime]]:
    """(our time, theirs) where a cell names one of our trades, or of our orders: then the last of its fills."""
    for name in ("cross_uid", "client_order_id"):
        column = sample.column(columns.get(name))
        if column is None or not ours.known:
            continue
        known = ours.moments(name)
        found = [(known[cell], at) for cell, at in zip(column.cells, moments, strict=True) if at and cell in known]
        if len(found) >= _CASES_MIN:
            return found
    return []


def _decimal(sample: Sample, columns: Mapping[str, str]) -> Proposal:
    names = ("qty", "price", "gross_money", "net_money", "commission")
    cells = [cell for name in names if (column := sample.column(columns.get(name))) for cell in column.filled]
    point = sum("." in cell and cell.rfind(".") > cell.rfind(",") for cell in cells)
    comma = sum(
        "," in cell and cell.rfind(",") > cell.rfind(".") and len(cell) - cell.rfind(",") != 4 for cell in cells
    )
    mark, count = (",", comma) if comma > point else (".", point)
    sure = 0.98 if count and not min(comma, point) else 0.6 if count else 0.5
    return Proposal("decimal", mark, sure, f"{share(count, len(cells))} amounts have it before their last digits")


def _codes(column: Column | None, section: str) -> list[Proposal]:
    """Codes that are no usual words: they have to be said."""
    if column is None:
        return []
    known = codes.side_of if section == "sides" else None
    found = []
    for value, count in column.values.most_common(12):
        right = known(value, {}).side if known else codes.status_of(value, {})
        if right is None:
            word = next((word for word in _STATUS_WORDS if word.startswith(value.casefold())), "")
            if known is None and len(value) > 1 and word:
                text = f"{count} rows; the beginning of {word!r}"
                found.append(Proposal(f"{section}.{value}", _STATUS_WORDS[word], 0.6, text))
            else:
                found.append(
                    Proposal(f"{section}.{value}", None, 0.3, f"{count} rows, no usual word: ask what it means")
                )
    return found


_STATUS_WORDS = {
    "correction": "CORRECT", "amended": "CORRECT", "cancelled": "CANCEL", "rejected": "REJECT", "rj": "REJECT",
    "cx": "CANCEL", "new": "NEW",
}  # fmt: skip


def _version_pattern(column: Column | None) -> list[Proposal]:
    """How the version is found in its column, where it is the end of an id."""
    if column is None or column.part(lambda cell: bool(VERSIONED.search(cell))) < 0.95 or column.numeric > 0.9:
        return []
    return [Proposal("version_pattern", VERSION_PATTERN, 0.9, "the number behind the last point of the id")]


def _signs(sample: Sample, columns: Mapping[str, str]) -> list[Proposal]:
    """Whether a sign tells the side, and what a negative purchase means."""
    column, side = sample.column(columns.get("qty")), sample.column(columns.get("side"))
    if column is None:
        return []
    negative = [at for at, value in enumerate(column.numbers) if value is not None and value < 0]
    text = f"{share(len(negative), len(column.filled))} quantities are negative"
    if side is None:
        return [Proposal("signed_quantity", True, 0.85 if negative else 0.3, f"no side column; {text}")]
    found = [Proposal("signed_quantity", False, 0.97, f"a side on every row; {text}", True)]
    bought = [at for at in negative if codes.side_of(side.cells[at], {}).side in ("BUY", "BUY_COVER")]
    if not bought:
        return [*found, Proposal("negative_buy", "", 0.97, f"{text}, none of them a purchase", True)]
    status, marked = sample.column(columns.get("status")), 0
    for at in bought:
        said = codes.status_of(status.cells[at], {}) == "CANCEL" if status else False
        marked += said or codes.side_of(side.cells[at], {}).is_cancel
    meaning = "CANCEL" if marked * 2 > len(bought) else "SELL"
    text = f"{len(bought)} purchases are negative, {marked} of them marked as cancels"
    return [*found, Proposal("negative_buy", meaning, 0.8 if meaning == "CANCEL" else 0.4, text)]


def _level(sample: Sample, columns: Mapping[str, str]) -> Proposal:
    """One row per order and account is an allocation at the average price, several are fills, one per order a total."""
    order = sample.column(columns.get("client_order_id")) or sample.column(columns.get("order_id"))
    account, status = sample.column(columns.get("account")), sample.column(columns.get("status"))
    if order is None or account is None:
        return Proposal("level", "FILL", 0.5, "no order ids to tell fills from totals", True)
    per_share: Counter[tuple[str, str]] = Counter()
    accounts: dict[str, set[str]] = defaultdict(set)
    for at, cell in enumerate(order.cells):
        if cell and (status is None or codes.status_of(status.cells[at], {}) == "NEW"):
            per_share[cell, account.cells[at]] += 1
            accounts[cell].add(account.cells[at])
    single = sum(count == 1 for count in per_share.values())
    split = sum(len(mine) > 1 for mine in accounts.values())
    text = f"one row per order and account on {share(single, len(per_share))} of them"
    text += f"; {share(split, len(accounts))} orders go to several accounts"
    if not per_share or single < 0.8 * len(per_share):
        return Proposal("level", "FILL", 0.85, text, True)
    if split >= 0.03 * len(accounts):
        return Proposal("level", "ALLOCATION", 0.9, text)
    return Proposal("level", "ORDER", 0.6, text)


def _cells(sample: Sample, columns: Mapping[str, str], name: str) -> tuple[str, ...]:
    column = sample.column(columns.get(name))
    return column.cells if column else ("",) * sample.rows
