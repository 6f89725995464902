"""Which columns are quantity, price, gross, commission and net: found by the arithmetic between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations

from ingest.learn.proposal import share
from ingest.learn.table_sample import Column, Sample

_ROWS = 400
_CANDIDATES = 14
_CENT = Decimal("0.011")
_CASES_MIN = 5


@dataclass(frozen=True, slots=True)
class Offer:
    """A column for a field: the header, how sure (0 to 1) and why."""

    header: str
    score: float
    evidence: str


Offers = Mapping[str, Sequence[Offer]]


def amount_offers(sample: Sample) -> dict[str, list[Offer]]:
    """Offers for qty, price, gross_money, multiplier, net_money, commission and accrued_interest."""
    columns = [
        column for column in sample.columns.values()
        if column.numeric >= 0.97 and column.fill >= 0.5 and len(column.values) > 1 and column.dated < 0.5
    ][:_CANDIDATES]  # fmt: skip
    rows = range(min(sample.rows, _ROWS))
    found: dict[str, list[Offer]] = {}
    product = _product(sample, columns, rows)
    if product is None:
        return found
    qty, price, gross, factor, right = product
    told = f"quantity x price{' x multiplier' if factor else ''} = gross on {share(right, len(rows))} rows"
    sure = 0.6 + 0.35 * right / len(rows)
    found["qty"], found["price"] = [Offer(qty.header, sure, told)], [Offer(price.header, sure, told)]
    found["gross_money"] = [Offer(gross.header, sure, told)]
    if factor:
        found["multiplier"] = [Offer(factor.header, sure, told)]
    used = {qty.header, price.header, gross.header}
    rest = [column for column in sample.columns.values() if column.numeric >= 0.97 and column.header not in used]
    net = _net(gross, rest, rows)
    if net:
        found["net_money"] = [net]
        others = [column for column in rest if column.header != net.header]
        found |= _costs(gross, sample.columns[net.header], others, rows)
    return found


def _product(
    sample: Sample, columns: Sequence[Column], rows: range
) -> tuple[Column, Column, Column, Column | None, int] | None:
    """The columns whose product is a third, with a multiplier where that explains more rows."""
    small = [
        column for column in sample.columns.values()
        if column.numeric >= 0.97 and column.fill >= 0.95 and 1 < len(column.values) <= 12
        and all(value is None or (value > 0 and value == value.to_integral_value()) for value in column.numbers)
        and column.values.get("1", 0) * 2 > len(column.filled)
    ]  # fmt: skip
    best: tuple[Column, Column, Column, Column | None, int] | None = None
    for first, second, third in permutations(columns, 3):
        if first.header > second.header:
            continue
        for factor in (None, *small):
            if factor in (first, second, third):
                continue
            right = sum(_is_product(first, second, third, factor, row) for row in rows)
            if right >= _CASES_MIN and right > 0.5 * len(rows) and (best is None or right > best[4]):
                qty, price = (first, second) if _wholeness(first) >= _wholeness(second) else (second, first)
                best = (qty, price, third, factor, right)
    return best


def _wholeness(column: Column) -> float:
    return column.part(lambda cell: "." not in cell)


def _is_product(first: Column, second: Column, third: Column, factor: Column | None, row: int) -> bool:
    left, right, told = first.numbers[row], second.numbers[row], third.numbers[row]
    times = factor.numbers[row] if factor else Decimal(1)
    if not left or not right or not told or times is None or min(abs(left), abs(right)) == 1:
        return False
    return abs(abs(left * right * times) - abs(told)) <= max(_CENT, abs(told) / 20_000)


def _net(gross: Column, rest: Sequence[Column], rows: range) -> Offer | None:
    """The column close to gross in size and rarely the same."""
    best: Offer | None = None
    for column in rest:
        near = same = count = 0
        for row in rows:
            total, told = gross.numbers[row], column.numbers[row]
            if total and told is not None:
                count += 1
                near += abs(abs(told) - abs(total)) <= abs(total) / 25
                same += abs(told) == abs(total)
        if count >= _CASES_MIN and near >= 0.8 * count and same < 0.9 * count:
            score = 0.55 + 0.4 * near / count
            if best is None or score > best.score:
                best = Offer(column.header, score, f"within 4% of gross on {share(near, count)} rows, seldom the same")
    return best


def _costs(gross: Column, net: Column, rest: Sequence[Column], rows: range) -> dict[str, list[Offer]]:
    """Commission is the cost most rows have; accrued interest is what is left where there are coupons."""
    gaps = {
        row: abs(abs(told) - abs(total)) for row in rows
        if (total := gross.numbers[row]) and (told := net.numbers[row]) is not None
    }  # fmt: skip
    found: dict[str, list[Offer]] = {}
    exact: list[tuple[int, int, Column]] = []
    for column in rest:
        amounts = {row: abs(value) for row in gaps if (value := column.numbers[row])}
        hits = sum(abs(gaps[row] - value) <= _CENT for row, value in amounts.items())
        exact.append((hits, len(amounts), column))
    exact.sort(key=lambda one: one[0], reverse=True)
    if exact and exact[0][0] >= max(_CASES_MIN, 0.3 * len(gaps)):
        hits, count, column = exact[0]
        text = f"the whole difference of gross and net on {share(hits, count)} rows"
        found["commission"] = [Offer(column.header, 0.6 + 0.35 * hits / max(count, 1), text)]
        _accrued(found, gaps, column, [one for one in rest if one is not column], rows)
    return found


def _accrued(
    found: dict[str, list[Offer]], gaps: Mapping[int, Decimal], paid: Column, rest: Sequence[Column], rows: range
) -> None:
    for column in rest:
        charged = [row for row in rows if row in gaps and (column.numbers[row] or 0) != 0]
        if not 3 <= len(charged) <= 0.3 * len(rows):
            continue
        told = [abs(column.numbers[row] or Decimal(0)) + abs(paid.numbers[row] or Decimal(0)) for row in charged]
        hits = sum(abs(gaps[row] - amount) <= _CENT for row, amount in zip(charged, told, strict=True))
        if hits >= 0.8 * len(charged):
            text = (
                f"with the commission the difference of gross and net on {share(hits, len(charged))} rows that have it"
            )
            found.setdefault("accrued_interest", []).append(Offer(column.header, 0.55, text))
