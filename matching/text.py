"""Sentences about breaks that an analyst understands without a manual: headline and next step."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from domain.taxonomy import taxonomy
from matching.text_books import book_fact, book_step
from matching.text_status import status_fact

Row = Mapping[str, Any]
_EASTERN = ZoneInfo("America/New_York")
_VERBS = {
    "BUY": "bought", "BUY_COVER": "bought to cover", "SELL": "sold", "SELL_SHORT": "sold short",
    "SELL_SHORT_EXEMPT": "sold short exempt",
}  # fmt: skip


def number(value: Decimal | str | None) -> str:
    """A quantity or price with thousands separators and no idle zeros; `?` where unknown."""
    if value is None:
        return "?"
    try:
        exact = Decimal(value)
    except ArithmeticError:
        return str(value)
    text = f"{exact:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _trade(row: Row) -> str:
    verb = _VERBS.get(row["side"] or "", "traded")
    return f"{verb} {number(row['qty'])} {row['symbol'] or row['instrument_id']}"


def _fact(row: Row) -> str:
    """What is wrong, who shows what; one clause."""
    ours, theirs, pb = row["left_value"], row["right_value"], row["pb_id"] or "the prime broker"
    what = row["symbol"] or row["instrument_id"]
    where = f"{what} in {row['account_id']}"
    match row["code"]:
        case "T01":
            return f"{pb} has not booked our trade: we {_trade(row)} at {number(row['price'])} in {row['account_id']}"
        case "T02":
            return f"{pb} booked a trade we do not have: {_trade(row)} at {number(row['price'])} in {row['account_id']}"
        case "T03":
            return f"{pb} booked the same trade twice: {_trade(row)} at {number(row['price'])} in {row['account_id']}"
        case "T04":
            return f"We booked the same trade twice: {_trade(row)} at {number(row['price'])} in {row['account_id']}"
        case "T05":
            return f"{pb} booked {number(theirs)} where we traded {number(ours)} {where}: {_gap(row)}"
        case "T06":
            return f"{pb} booked {where} at {number(theirs)}, we traded at {number(ours)}"
        case "T12":
            return f"{theirs} booked a trade that belongs at {ours}: we {_trade(row)} in {row['account_id']}"
        case "T16" | "T18":
            kind = "commission" if row["code"] == "T16" else "net money"
            return f"{pb} shows {kind} {number(theirs)}, we have {number(ours)} on {number(row['qty'])} {where}"
        case "T22":
            live = f"{pb} still shows" if theirs != "cancelled" else f"{pb} cancelled, but we still show"
            tail = " which we cancelled" if theirs != "cancelled" else ""
            return f"{live} a trade{tail}: {number(row['qty'])} {where}"
        case code:
            name = taxonomy()[code].name.replace("_", " ").lower()
            return f"{pb} shows {theirs or '?'} where we have {ours or '?'} ({name}) on {number(row['qty'])} {where}"


def _gap(row: Row) -> str:
    delta = row["delta"]
    if delta is None:
        return "quantities differ"
    return f"{number(abs(delta))} {'short' if delta < 0 else 'too many'}"


def headline(row: Row, deadline_ns: int | None, as_of_ns: int) -> str:
    """One sentence: who booked what, what it may cost, and by when it must be fixed."""
    parts = [status_fact(row) or book_fact(row) or _fact(row)]
    if row["exposure"]:
        parts.append(f"{row['ccy']} {row['exposure']:,.2f} at risk")
    if deadline_ns is not None:
        parts.append(_by(deadline_ns, as_of_ns))
    return ", ".join(parts)


def _by(deadline_ns: int, as_of_ns: int) -> str:
    due = datetime.fromtimestamp(deadline_ns // 1_000_000_000, _EASTERN)
    now = datetime.fromtimestamp(as_of_ns // 1_000_000_000, _EASTERN)
    if due <= now:
        return "to be fixed at once"
    day = "today" if due.date() == now.date() else f"{due:%a} {due.day} {due:%b}"
    return f"fix by {due:%H:%M} ET {day}"


def next_step(row: Row) -> str:
    """What to do and whose turn it is, from the taxonomy."""
    if (told := book_step(row)) is not None:
        return told
    code = taxonomy()[row["code"]]
    owner = {"PB": row["pb_id"] or "the prime broker", "both": f"internal ops with {row['pb_id'] or 'the PB'}",
             "EB": "the executing broker", "EB/PB": f"the executing broker or {row['pb_id'] or 'the PB'}"}  # fmt: skip
    return f"{owner.get(code.owner, code.owner).capitalize() if code.owner not in owner else owner[code.owner]}: " + (
        f"{code.auto_action}."
    )
