"""What is wrong and what to do next, for breaks of positions, cash and settlement."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Row = Mapping[str, Any]


def book_fact(row: Row) -> str | None:
    """One clause saying what is wrong and who shows what; None for a break of another kind."""
    match row["code"][0]:
        case "P":
            return _position(row)
        case "C":
            return _cash(row)
        case "S":
            return _settlement(row)
    return None


def book_step(row: Row) -> str | None:
    """What to do and whose turn it is; None where the taxonomy's own words do."""
    if row["code"][0] not in "PCS":
        return None
    pb = row["pb_id"] or "the prime broker"
    behind = "the break" if row["explains"] and "," not in row["explains"] else "the breaks"
    match row["code"]:
        case "P01" | "C01" | "S01" if row["explains"] and not row["exposure"]:
            return f"Nothing by itself: it ends with {behind} it follows from."
        case "P01":
            return f"Internal ops: compare trades and transfers with {pb} since the two last agreed."
        case "P02":
            side = "We" if "before split" in str(row["left_value"]) else pb
            return f"{side}: apply the corporate action, then the positions agree."
        case "P03":
            return f"Ref data: tell {pb} the new identifier, or map {row['right_value']} to {row['left_value']}."
        case "P05":
            return "Nothing: it ends when the trades settle."
        case "P06":
            return "Internal ops: book the exercise, assignment or expiry, or ask why there is one."
        case "P07":
            return f"Valuation: challenge the price with {pb} if ours has the better source."
        case "P08":
            return "Internal ops: track the transfer until both brokers show it."
        case "C05":
            return f"Treasury: have {pb} freeze the payment and call back; nobody here instructed it."
        case "S03":
            return f"Settlements: have {pb} replace the instruction before the settlement day ends."
    return None


def _position(row: Row) -> str:
    pb, ours, theirs = row["pb_id"] or "The prime broker", _number(row["left_value"]), _number(row["right_value"])
    what = f"{row['symbol'] or row['instrument_id']} in {row['account_id']}"
    match row["code"]:
        case "P02":
            return f"{pb} holds {_unsplit(theirs)} {what}, we {_unsplit(ours)}: one side has not applied the split"
        case "P03":
            return f"{pb} still shows {row['right_value']} where we hold {row['left_value']} in {row['account_id']}"
        case "P04":
            return f"{pb} shows {what} {row['right_value']}, we {row['left_value']}: the net is the same"
        case "P05":
            return f"{pb} shows {theirs} {what}, we {ours}: the difference is still to settle"
        case "P06":
            return f"{pb} holds {theirs} {what}, we {ours}: options exercised, assigned or expired there"
        case "P07":
            return f"{pb} values {what} at {theirs}, we at {ours}"
        case "P08":
            return f"{pb} holds {theirs} {what}, we {ours}: the rest is on its way to or from another broker"
        case _:
            behind = "trades that differ explain it" if not row["exposure"] else "trades differ too, but not by this"
            tail = f": {behind}" if row["explains"] else ""
            return f"{pb} holds {theirs} {what}, we {ours}{tail}"


def _unsplit(text: str) -> str:
    number, _, ratio = text.partition(" before split ")
    return f"{_number(number)} (before {ratio})" if ratio else text


def _cash(row: Row) -> str:
    pb, ccy = row["pb_id"] or "The prime broker", row["ccy"]
    ours, theirs = row["left_value"], row["right_value"]
    where = f"in {row['account_id']}"
    if row["field_family"] == "balance":
        off = _money(abs(row["delta"]))
        shown = f"{pb} closes at {ccy} {_money(theirs)}, we at {_money(ours)} {where}"
        return f"{shown}: {ccy} {off} that no entry explains"
    kind = {"C02": "a dividend or coupon", "C03": "interest", "C04": "margin", "C05": "a wire"}.get(row["code"], "cash")
    name = f" ({row['symbol']})" if row["symbol"] else ""
    if row["code"] == "C05":
        moved = "received" if Decimal(theirs) > 0 else "paid out"
        return f"{pb} {moved} a wire of {ccy} {_money(abs(Decimal(theirs)))} {where} that nobody here instructed{name}"
    if ours is None:
        return f"{pb} posted {kind} of {ccy} {_money(theirs)} {where} that we do not expect{name}"
    if theirs is None:
        return f"{pb} has not posted {kind} of {ccy} {_money(ours)} {where} that we expect{name}"
    return f"{pb} posted {kind} of {ccy} {_money(theirs)} {where} where we expect {_money(ours)}{name}"


def _settlement(row: Row) -> str:
    pb, qty = row["pb_id"] or "The prime broker", _number(row["qty"])
    what = f"{qty} {row['symbol'] or row['instrument_id'] or ''} in {row['account_id'] or 'an unknown account'}"
    match row["code"]:
        case "S02":
            return f"{_number(row['right_value'])} of {what} settled at {pb}, the rest is open"
        case "S03":
            right = f", not {row['left_value']}" if row["left_value"] else ", which is not this account's"
            return f"{pb} settles {what} by instruction {row['right_value']}{right}"
        case _:
            return f"{what} did not settle at {pb} on its day ({row['right_value']})"


def _number(value: Decimal | str | None) -> str:
    """With thousands separators; anything else as it is."""
    try:
        text = f"{Decimal(str(value).partition(' by ')[0]):,f}"
    except InvalidOperation:
        return "none" if value is None else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money(value: Decimal | str | None) -> str:
    return "?" if value is None else f"{Decimal(value):,.2f}"
