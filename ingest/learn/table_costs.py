"""Fees by kind, signs of costs, and how bonds and currency trades are written, of a table whose columns are known."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from ingest.files.aliases import key_of
from ingest.learn.proposal import Proposal, share
from ingest.learn.table_fields import is_asset
from ingest.learn.table_sample import Column, Sample

_CENT = Decimal("0.011")
_CASES_MIN = 3
# MiscFeeType(139) by what a header says, the first word that fits.
_KINDS = (
    ("TOTAL", r"total"), ("1", r"\bsec\b|^sec|regulat"), ("4", r"exch"), ("5", r"stamp|tax|duty|ftt|levy"),
    ("TAF", r"taf"), ("ORF", r"orf"), ("7", r"fee|charge|cost"),
)  # fmt: skip
_BOND = frozenset({"bond", "corp", "govt", "fixedincome"})
_FX = frozenset({"fx", "fxspot", "fxfwd", "fxndf", "fxsp", "fxfw", "fxnd", "cash"})


def cost_proposals(sample: Sample, columns: Mapping[str, str]) -> list[Proposal]:
    """Proposals for fees, cost_sign, bond_forms, coupon_percent and fx_pairs, where the sample has anything of it."""
    fees = _fees(sample, columns)
    return [
        *fees,
        *_sign(sample, columns, fees),
        *_bonds(sample, columns),
        *_coupons(sample, columns),
        *_pairs(sample, columns),
        *_assets(sample, columns),
    ]


def _fees(sample: Sample, columns: Mapping[str, str]) -> list[Proposal]:
    """Unused amounts that are part of what net and gross differ by; the kind is what the header says."""
    gross, net = sample.column(columns.get("gross_money")), sample.column(columns.get("net_money"))
    used = set(columns.values())
    if gross is None or net is None:
        return []
    gaps = _gaps(sample, columns, gross, net)
    found: dict[str, Proposal] = {}
    for column in sample.columns.values():
        kind = next((kind for kind, words in _KINDS if re.search(words, _words(column.header))), "")
        if column.header in used or column.numeric < 0.97 or not column.filled or column.dated > 0.5:
            continue
        charged = [at for at in gaps if (column.numbers[at] or 0) != 0]
        inside = sum(abs(column.numbers[at] or Decimal(0)) <= gaps[at] + _CENT for at in charged)
        exact = sum(abs(abs(column.numbers[at] or Decimal(0)) - gaps[at]) <= _CENT for at in charged)
        text = f"not above what commission leaves of net and gross on {share(inside, len(charged))} rows"
        if len(charged) >= _CASES_MIN and inside >= 0.9 * len(charged) and exact >= 0.3 * len(charged):
            sure = 0.93 if kind else 0.7
            kind = kind or f"FEE_{'ABCDEFGHIJ'[len(found) % 10]}"
        elif kind and not charged:
            sure, text = 0.6, "its header says so; it is nothing in all rows"
        elif kind and inside >= 0.5 * len(charged):
            sure, text = 0.75, f"its header says so; {text}"
        else:
            continue
        if kind in found:
            kind = f"{kind}_{len(found)}"
        found[kind] = Proposal(f"fees.{kind}", column.header, sure, text)
    return list(found.values())


def _words(header: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_\W]+", " ", header).casefold()


def _gaps(sample: Sample, columns: Mapping[str, str], gross: Column, net: Column) -> dict[int, Decimal]:
    paid, accrued = sample.column(columns.get("commission")), sample.column(columns.get("accrued_interest"))
    same = _same_currency(sample, columns)
    found: dict[int, Decimal] = {}
    for at in range(sample.rows):
        total, told = gross.numbers[at], net.numbers[at]
        if total and told is not None and same(at):
            costs = abs((paid.numbers[at] if paid else None) or Decimal(0))
            interest = abs((accrued.numbers[at] if accrued else None) or Decimal(0))
            gap = abs(abs(told) - abs(total) - interest) - costs
            if gap >= -_CENT and gap <= abs(total) / 20:
                found[at] = gap
    return found


def _same_currency(sample: Sample, columns: Mapping[str, str]) -> Callable[[int], bool]:
    trade, settle = sample.column(columns.get("trade_ccy")), sample.column(columns.get("settle_ccy"))
    return lambda at: trade is None or settle is None or not settle.cells[at] or trade.cells[at] == settle.cells[at]


def _sign(sample: Sample, columns: Mapping[str, str], fees: Sequence[Proposal]) -> list[Proposal]:
    headers = [columns.get("commission"), *(str(fee.value) for fee in fees)]
    amounts = [value for name in headers if (column := sample.column(name)) for value in column.numbers if value]
    if not amounts:
        return []
    negative = sum(value < 0 for value in amounts)
    sign = "negative" if negative * 2 > len(amounts) else "positive"
    agree = max(negative, len(amounts) - negative)
    return [Proposal("cost_sign", sign, 0.98 * agree / len(amounts), f"{share(agree, len(amounts))} costs are {sign}")]


def _of_kind(sample: Sample, columns: Mapping[str, str], kinds: frozenset[str]) -> list[int]:
    column = sample.column(columns.get("asset_class"))
    if column is None:
        return []
    return [at for at, cell in enumerate(column.cells) if key_of(cell) in kinds and is_asset(cell)]


def _bonds(sample: Sample, columns: Mapping[str, str]) -> list[Proposal]:
    """How a bond's quantity and price make its gross amount: per cent, a part of one, or face in thousands."""
    qty, price = sample.column(columns.get("qty")), sample.column(columns.get("price"))
    gross = sample.column(columns.get("gross_money"))
    rows = _of_kind(sample, columns, _BOND)
    if qty is None or price is None or gross is None or not rows:
        return []
    seen = {"PERCENT": 0, "FRACTION": 0, "THOUSANDS": 0}
    for at in rows:
        amount, each, total = qty.numbers[at], price.numbers[at], gross.numbers[at]
        if amount and each and total:
            ratio = abs(total) / abs(amount * each)
            for form, want in (("PERCENT", Decimal("0.01")), ("FRACTION", Decimal(1)), ("THOUSANDS", Decimal(10))):
                seen[form] += abs(ratio - want) < want / 50
    forms = [form for form, count in seen.items() if count]
    told = ", ".join(f"{form} on {seen[form]}" for form in forms)
    if not forms:
        return []
    if forms == ["PERCENT"]:
        return [Proposal("bond_forms", (), 0.95, f"per cent, as usual: by the gross amount of {len(rows)} bonds", True)]
    return [Proposal("bond_forms", tuple(forms), 0.95, f"by the gross amount of {len(rows)} bonds: {told}")]


def _coupons(sample: Sample, columns: Mapping[str, str]) -> list[Proposal]:
    column = sample.column(columns.get("coupon"))
    values = [value for value in column.numbers if value] if column else []
    if not values:
        return []
    percent = sum(value >= 1 for value in values) * 2 > len(values)
    text = f"coupons like {max(values).normalize():f}"
    return [Proposal("coupon_percent", percent, 0.95, text, not percent)]


def _pairs(sample: Sample, columns: Mapping[str, str]) -> list[Proposal]:
    rows = _of_kind(sample, columns, _FX)
    if not rows:
        return []
    return [Proposal("fx_pairs", True, 0.9, f"{len(rows)} currency trades; pairs are compared the market's way")]


def _assets(sample: Sample, columns: Mapping[str, str]) -> list[Proposal]:
    """Codes for kinds of security that are not our own words."""
    column = sample.column(columns.get("asset_class"))
    found = []
    for code, count in column.values.most_common(20) if column else []:
        asset = _ASSETS.get(key_of(code))
        if asset is None:
            found.append(
                Proposal(f"asset_classes.{code}", None, 0.3, f"{count} rows, no usual word: ask what it means")
            )
        else:
            text = f"{count} rows, a usual word for it"
            found.append(Proposal(f"asset_classes.{code}", asset, 0.92, text, asset == code))
    return found


_WORDS = """
EQUITY: equity eq eqty stk stock cs adr commonstock
ETF: etf fund
OPTION: option opt optn fop
FUTURE: future fut futr
BOND: bond corp govt fixedincome
FX_SPOT: fxspot fxsp cash fx
FX_FWD: fxfwd fxfw
FX_NDF: fxndf fxnd
CDS: cds crds
TRS: trs trsw swap
CFD: cfd
"""
_ASSETS = {word: asset for asset, _, words in (line.partition(":") for line in _WORDS.strip().splitlines())
           for word in words.split()}  # fmt: skip
