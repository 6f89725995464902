"""FIX fields that several emitters write alike: contract terms, money, miscellaneous fees, parties, custom tags."""

from typing import Any

import numpy as np
import pyarrow as pa

from simulator import ids
from simulator.emit.context import Context, currency, has, is_empty, money, shown_net, uti
from simulator.emit.text import SOH, Pair, choose, coded, date, decimal, glue, padded, plain
from simulator.market.world import Asset
from simulator.records import I64, MONEY_UNIT, PRICE_UNIT, Bool, Records, Status

# Tag of the amount paid upfront for credit protection: FIX 4.4 has none of its own.
UPFRONT = 9623
# MiscFeeType(139): regulatory (the SEC's), exchange, stamp duty and the like.
_REGULATORY, _EXCHANGE, _STAMP = "1", "4", "5"
_COUPON_UNIT = 10_000
_PRICE_TYPES = {Asset.BOND: "1", Asset.FX_SPOT: "20", Asset.FX_FWD: "20", Asset.FX_NDF: "20", Asset.CDS: "23"}
_PADDED_PRICE = 13
# Custom tags some bookings carry and nobody asked for.
_CHATTER = (9730, 20015)


def status_codes(records: Records, new: str, correct: str, cancel: str) -> pa.StringArray:
    """The code of the record's status; a rejected booking is written as a new one that says so elsewhere."""
    return coded(records.status, (new, correct, cancel, new))


def rejected(records: Records) -> Bool:
    """Where the broker refused the booking."""
    found: Bool = records.status == Status.REJECT
    return found


def side(records: Records) -> pa.StringArray:
    """Side(54)."""
    return ids.number_text(records.side.astype(np.int64))


def instrument_pairs(context: Context, records: Records, alias: Bool, other: Bool, split: bool = False) -> list[Pair]:
    """Symbol, identifier, security type and contract terms; `split` writes the expiry the FIX 4.2 way (200, 205)."""
    identifier, source = context.security(records, other)
    derivative = context.derivative(records)
    expiry = context.term(records, "expiry").astype(np.int32)
    strike = context.term(records, "strike").astype(np.int64)
    expires = date(np.where(expiry > 0, expiry, 0))
    terms: list[Pair] = [(541, expires)]
    if split:
        month, day = date(np.where(derivative, expiry, 0), "%Y%m"), date(np.where(derivative, expiry, 0), "%d")
        terms = [(200, month), (205, day), (541, choose(derivative, "", expires))]
    return [
        (55, context.symbol(records, alias)),
        (48, identifier),
        (22, source),
        (167, context.security_type(records)),
        *terms,
        (201, coded(context.term(records, "put_call") + 1, ("", "0", "1"))),
        (202, choose(strike > 0, plain(strike, PRICE_UNIT), "")),
        (231, choose(records.multiplier > 1, ids.number_text(records.multiplier), "")),
        (223, choose(records.coupon != 0, plain(records.coupon.astype(np.int64), _COUPON_UNIT), "")),
    ]


def price_type(context: Context, records: Records) -> pa.StringArray:
    """PriceType(423): percentage of par, rate or points upfront; empty for prices per unit."""
    return coded(context.term(records, "asset"), [_PRICE_TYPES.get(asset, "") for asset in Asset])


def price_text(records: Records, scale: "int | I64" = 1) -> pa.StringArray:
    """The price with the decimals the record shows, in a unit `scale` (1 or 100) times smaller.

    With N14 leading zeros fill it up.
    """
    hundredths = np.asarray(scale) == 100
    digits = np.maximum(records.price_dp.astype(np.int64) - np.where(hundredths, 2, 0), 0)
    text = decimal(records.price * scale, PRICE_UNIT, digits)
    filled = has(records, 14)
    return choose(filled, padded(text, _PADDED_PRICE), text) if filled.any() else text


def settle_pairs(records: Records) -> list[Pair]:
    """Settlement currency and the rate into it, where there is one."""
    rate = choose(records.fx_rate != 0, plain(records.fx_rate, PRICE_UNIT), "")
    return [(120, currency(records.settle_ccy)), (155, rate)]


def cost_pairs(records: Records, scale: "int | I64" = 1, known: Bool | None = None) -> list[Pair]:
    """Commission, gross, accrued interest and net money; `known` is off where nothing is said of money."""
    shown: Any = np.ones(len(records), dtype=np.bool_) if known is None else known
    commission, gross = money(records.commission * scale), money(records.gross * scale)
    net, accrued = money(shown_net(records)), money(records.accrued * scale)
    return [
        (12, choose(shown, commission, "")),
        (13, choose(shown, "3", "")),
        (381, choose(shown, gross, "")),
        (159, choose(records.accrued != 0, accrued, "")),
        (118, choose(shown, net, "")),
    ]


def fee_group(records: Records) -> pa.StringArray:
    """NoMiscFees(136) with an entry per fee that is not zero; empty where all are."""
    kinds = ((records.fee_sec, _REGULATORY), (records.fee_exchange, _EXCHANGE), (records.tax, _STAMP))
    count = np.sum([amounts != 0 for amounts, _ in kinds], axis=0)
    if not count.any():
        return pa.array([""] * len(records), pa.string())
    parts: list[Any] = []
    ccy = currency(records.ccy)
    for amounts, kind in kinds:
        some = amounts != 0
        if some.any():
            entry = glue("137=", money(amounts), f"{SOH}138=", ccy, f"{SOH}139={kind}{SOH}")
            parts.append(choose(some, entry, ""))
    heads = coded(count, ("", *(f"136={number}{SOH}" for number in (1, 2, 3))))
    return glue(heads, *parts)


def otc_pairs(records: Records) -> list[Pair]:
    """Unique trade identifier and the amount paid upfront."""
    return [
        (1903, uti(records)),
        (UPFRONT, choose(records.upfront != 0, plain(records.upfront, MONEY_UNIT, 2), "")),
    ]


def chatter(records: Records) -> list[Pair]:
    """With N23: custom tags of the broker's own, of no meaning to anybody else."""
    on = has(records, 23)
    if not on.any():
        return []
    desk = coded(records.serial % 3, ("PB-DESK-1", "PB-DESK-2", "EMEA"))
    return [(_CHATTER[0], choose(on, desk, "")), (_CHATTER[1], choose(on, ids.number_text(records.serial % 977), ""))]


def parties(*entries: tuple[Any, str, str]) -> pa.StringArray:
    """NoPartyIDs(453) of (id, source, role) entries; an entry whose id is empty in a row is left out there."""
    rows = [np.atleast_1d(~is_empty(text)) for text, _, _ in entries]
    count = np.sum(rows, axis=0)
    parts: list[Any] = []
    for (text, source, role), present in zip(entries, rows, strict=True):
        entry = glue("448=", text, f"{SOH}447={source}{SOH}452={role}{SOH}")
        parts.append(entry if present.all() else choose(present, entry, ""))
    heads = coded(count, ("", *(f"453={number}{SOH}" for number in range(1, len(entries) + 1))))
    return glue(heads, *parts)
