"""What a counterparty's custom tags hold: an id of ours they quote, a fee, an identifier, or nothing we need."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ingest.fix.tags import TAGS
from ingest.learn.fix_sample import Row, decimal
from ingest.learn.markets import CURRENCIES, MINOR_UNITS, VENUE_ZONES
from ingest.learn.ours import Ours
from ingest.learn.proposal import Proposal, share

_USER_DEFINED = 5000
_CENT = Decimal("0.011")
_UTI = re.compile(r"[A-Z0-9]{18}[0-9]{2}[A-Z0-9]{1,32}")
_ID = re.compile(r"(?=.*[0-9])[A-Za-z0-9._:/-]{6,40}")
_CASES_MIN = 5
# Tags that already tell a field: a custom tag is needed only where they are missing.
_STANDARD: Mapping[str, tuple[int, ...]] = {
    "cross_uid": (527, 818), "order_id": (37, 198), "client_order_id": (11, 526), "block_id": (70, 466, 66),
    "account_raw": (1, 79), "uti": (1903,), "settle_ccy": (120,), "trade_ccy": (15,), "venue_mic": (30, 207),
    "commission": (12,), "net_money": (118, 119, 154), "gross_money": (381,), "qty": (32, 80, 1009),
    "price": (31, 153, 6),
}  # fmt: skip
_OURS = ("cross_uid", "order_id", "client_order_id", "block_id", "account_raw", "uti")


def custom_tags(rows: Sequence[Row]) -> list[int]:
    """Tags of the sample that FIX leaves to the parties or that no dictionary of ours has, in order."""
    seen = {tag for row in rows for tag in row.tags}
    return sorted(tag for tag in seen if tag >= _USER_DEFINED or tag not in TAGS)


def propose_custom(rows: Sequence[Row], ours: Ours) -> list[Proposal]:
    """One proposal per custom tag; value None: kept with the record, used for nothing."""
    tags = custom_tags(rows)
    held = {tag: [row for row in rows if row.tags.get(tag)] for tag in tags}
    missing = {name: _lacks(rows, standard) for name, standard in _STANDARD.items()}
    offers: dict[int, Proposal] = _fees(rows, held)
    for tag in tags:
        if tag not in offers and held[tag]:
            offers[tag] = _one(tag, held[tag], rows, missing, ours)
    taken: dict[str, Proposal] = {}
    for offer in offers.values():
        best = taken.get(str(offer.value))
        if offer.value is not None and (best is None or offer.confidence > best.confidence):
            taken[str(offer.value)] = offer
    return [_unless_taken(offers[tag], taken) for tag in tags if tag in offers]


def _unless_taken(offer: Proposal, taken: Mapping[str, Proposal]) -> Proposal:
    """Two tags cannot both be the same field: the better one has it."""
    if offer.value is None or taken[str(offer.value)] is offer or str(offer.value).startswith("fee."):
        return offer
    text = f"looks like {offer.value} too, which {taken[str(offer.value)].key} holds; {offer.evidence}"
    return Proposal(offer.key, None, 0.6, text)


def _lacks(rows: Sequence[Row], tags: tuple[int, ...]) -> bool:
    return sum(1 for row in rows if row.get(*tags)) < len(rows) // 2


def _one(tag: int, held: Sequence[Row], rows: Sequence[Row], missing: Mapping[str, bool], ours: Ours) -> Proposal:
    key = f"custom.{tag}"
    values = [row.tags[tag] for row in held]
    on = f"on {share(len(held), len(rows))} rows"
    for name in _OURS:
        part = ours.overlap(name, values)
        if missing[name] and part >= 0.5 and len(held) >= _CASES_MIN:
            text = f"{share(round(part * len(set(values))), len(set(values)))} values are our {_WORDS[name]}, {on}"
            return Proposal(key, name, min(0.99, 0.9 + part / 10), text)
    coded = _coded(key, values, missing, on)
    if coded:
        return coded
    money = _amount(key, tag, held, missing, on)
    if money:
        return money
    named = _quoted_id(key, tag, held, rows, missing, ours, on)
    if named:
        return named
    distinct = len(set(values))
    text = f"{on}, {distinct} different ({', '.join(sorted(set(values))[:3])}): agrees with nothing we match by"
    return Proposal(key, None, 0.95 if ours.known or distinct * 4 < len(values) else 0.8, text)


_WORDS: Mapping[str, str] = {
    "cross_uid": "ExecIDs or IndividualAllocIDs", "order_id": "OrderIDs", "client_order_id": "ClOrdIDs",
    "block_id": "AllocIDs", "account_raw": "accounts", "uti": "unique trade identifiers",
}  # fmt: skip


def _coded(key: str, values: Sequence[str], missing: Mapping[str, bool], on: str) -> Proposal | None:
    """Values of a known form: a UTI, currencies, venues."""
    distinct = set(values)
    if missing["uti"] and all(_UTI.fullmatch(value) for value in distinct):
        return Proposal(key, "uti", 0.93, f"an LEI and a number behind it, as UTIs are written, {on}")
    if all(value in CURRENCIES or value in MINOR_UNITS for value in distinct):
        for name, standard in (("trade_ccy", 15), ("settle_ccy", 120)):
            if missing[name]:
                return Proposal(key, name, 0.8, f"currency codes, and tag {standard} is missing, {on}")
    known = sum(value in VENUE_ZONES for value in distinct)
    if missing["venue_mic"] and known * 2 > len(distinct):
        return Proposal(key, "venue_mic", 0.9, f"market identifier codes ({known} known), and tag 30 is missing, {on}")
    return None


def _amount(key: str, tag: int, held: Sequence[Row], missing: Mapping[str, bool], on: str) -> Proposal | None:
    """Numbers that stand in a relation to the booking's other amounts, where a standard tag is missing."""
    for name in ("qty", "price", "gross_money", "net_money", "commission"):
        if not missing[name]:
            continue
        cases = [(row, decimal(row.tags[tag])) for row in held]
        right = [_relation(name, row, value) for row, value in cases if value is not None]
        known = [one for one in right if one is not None]
        if len(known) >= _CASES_MIN and sum(known) >= 0.8 * len(known):
            text = f"{_RELATIONS[name]} on {share(sum(known), len(known))} rows, and the standard tag is missing"
            return Proposal(key, name, 0.95 * sum(known) / len(known), text)
    return None


_RELATIONS: Mapping[str, str] = {
    "qty": "times price it is the gross amount", "price": "times quantity it is the gross amount",
    "gross_money": "it is quantity times price", "net_money": "it is the gross amount with the costs",
    "commission": "it lies between gross and net amount",
}  # fmt: skip


def _relation(name: str, row: Row, value: Decimal) -> bool | None:
    qty, price, gross = row.number(32, 80), row.number(31, 153, 6), row.number(381)
    net, paid = row.number(118, 154, 119), row.number(12) or Decimal(0)
    if name == "qty" and price and gross:
        return _near(abs(value) * price, gross)
    if name == "price" and qty and gross:
        return _near(abs(qty) * value, gross)
    if name == "gross_money" and qty and price:
        return _near(abs(qty) * price, abs(value))
    if name == "net_money" and (gross or (qty and price)):
        base = gross or (qty or Decimal(0)) * (price or Decimal(0))
        return not _near(base, value) and abs(abs(value) - base) <= base / 50 + paid
    if name == "commission" and gross and net and value:
        return abs(abs(abs(net) - gross) - value) <= _CENT
    return None


def _near(left: Decimal, right: Decimal) -> bool:
    return abs(left - right) <= max(_CENT, abs(right) / 5_000)


def _quoted_id(
    key: str, tag: int, held: Sequence[Row], rows: Sequence[Row], missing: Mapping[str, bool], ours: Ours, on: str
) -> Proposal | None:
    """An id of its own per booking that corrections and cancels repeat: how a broker quotes the client's."""
    values = [row.tags[tag] for row in held if not row.repeated]
    plain = sum(1 for value in values if _ID.fullmatch(value))
    if not missing["cross_uid"] or ours.known or plain < 0.95 * len(values) or len(held) < _CASES_MIN:
        return None
    fresh = [row.tags[tag] for row in held if row.status == "NEW" and not row.repeated]
    if len(set(fresh)) < 0.8 * len(fresh) or any(_same(held, tag, other) for other in (37, 11, 17, 571, 70)):
        return None
    by_uid = {row.get(17, 571, 70): row for row in rows}
    chained = [(row, by_uid.get(row.get(19, 572, 72))) for row in held if row.status in ("CORRECT", "CANCEL")]
    repeats = [row.tags[tag] == before.tags.get(tag) for row, before in chained if before is not None]
    text = f"an id that differs from booking to booking and is none of theirs, {on}"
    if repeats:
        text += f"; corrections and cancels repeat it ({share(sum(repeats), len(repeats))})"
    sure = 0.75 if repeats and sum(repeats) >= 0.8 * len(repeats) else 0.55
    return Proposal(key, "cross_uid", sure, text + "; a log of ours (--ours) would prove it")


def _same(rows: Sequence[Row], tag: int, other: int) -> bool:
    both = [row for row in rows if row.tags.get(other)]
    return bool(both) and sum(row.tags[tag] == row.tags[other] for row in both) * 2 > len(both)


def _fees(rows: Sequence[Row], held: Mapping[int, Sequence[Row]]) -> dict[int, Proposal]:
    """Tags that fill the gap between gross and net amount which commission and group 136 leave."""
    gaps = [(row, gap) for row in rows if (gap := _gap(row)) is not None]
    amounts = {
        tag: {id(row): value for row in mine if (value := decimal(row.tags[tag])) is not None and value >= 0}
        for tag, mine in held.items()
    }
    amounts = {tag: found for tag, found in amounts.items() if len(found) >= 0.95 * len(held[tag]) and held[tag]}
    alone = {tag: _explained([tag], amounts, gaps) for tag in amounts}
    best = max(alone, key=lambda tag: alone[tag][0] / max(alone[tag][1], 1), default=None)
    if best is not None and _proved(*alone[best]):
        return {best: _fee(best, "fee.TOTAL", alone[best])}
    chosen = [tag for tag in amounts if _within(amounts[tag], gaps)]
    together = _explained(chosen, amounts, gaps)
    if len(chosen) > 1 and _proved(*together):
        return {tag: _fee(tag, f"fee.{_kind(tag, amounts[tag], held[tag])}", together, 0.85) for tag in chosen}
    return {}


def _gap(row: Row) -> Decimal | None:
    """What net and gross differ by beyond commission, accrued interest and the standard fee group; None if not told."""
    gross, net, paid = row.number(381), row.number(118), row.number(12)
    if gross is None or net is None or row.get(13) not in ("", "3") or row.get(15) != row.get(120, 15):
        return None
    if row.get(15) in MINOR_UNITS:
        return None
    accrued = row.number(159) or Decimal(0)
    costs = abs(abs(net) - gross - accrued) - (paid or Decimal(0)) - row.fees
    return costs if abs(costs) < gross / 10 else None


def _explained(
    tags: Sequence[int], amounts: Mapping[int, Mapping[int, Decimal]], gaps: Sequence[tuple[Row, Decimal]]
) -> tuple[int, int]:
    """(rows whose gap these tags fill, rows where there is a gap or an amount to fill it)."""
    right = cases = 0
    for row, gap in gaps:
        told = sum((amounts[tag].get(id(row), Decimal(0)) for tag in tags), Decimal(0))
        if told > _CENT or gap > _CENT:
            cases += 1
            right += abs(told - gap) <= _CENT and told > 0
    return right, cases


def _within(amounts: Mapping[int, Decimal], gaps: Sequence[tuple[Row, Decimal]]) -> bool:
    told = [(amounts[id(row)], gap) for row, gap in gaps if amounts.get(id(row))]
    return bool(told) and sum(value <= gap + _CENT for value, gap in told) >= 0.9 * len(told)


def _proved(right: int, cases: int) -> bool:
    return right >= _CASES_MIN and right >= 0.8 * cases


def _fee(tag: int, target: str, found: tuple[int, int], sure: float = 0.98) -> Proposal:
    text = f"fills the gap between gross, commission and net on {share(*found)} rows with costs of that kind"
    return Proposal(f"custom.{tag}", target, sure * found[0] / max(found[1], 1) if found[1] else 0.5, text)


def _kind(tag: int, amounts: Mapping[int, Decimal], held: Sequence[Row]) -> str:
    """What one fee of several is, by when it is charged."""
    paying = [row for row in held if amounts.get(id(row))]
    sells = sum(row.get(54) in ("2", "5", "6") for row in paying)
    british = sum(row.get(15) in ("GBP", "GBX", "GBp") for row in paying)
    if paying and sells == len(paying):
        return "REGULATORY"
    if paying and not sells and british * 2 > len(paying):
        return "STAMP"
    counted: dict[str, int] = defaultdict(int)
    for row in paying:
        counted[row.get(30)] += 1
    return "EXCHANGE" if len(counted) > 1 else f"TAG_{_letters(tag)}"


def _letters(tag: int) -> str:
    return "".join(chr(ord("A") + int(digit)) for digit in str(tag))
