"""Sentences about breaks that an analyst understands without a manual: headline and next step."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from domain.taxonomy import taxonomy
from matching.text_books import book_fact, book_step
from matching.text_copies import LEVEL as COPY
from matching.text_copies import copy_fact, copy_step
from matching.text_status import status_fact
from matching.text_trades import FACTS, HINTS, ORDER_FACTS, STEPS

Row = Mapping[str, Any]
_EASTERN = ZoneInfo("America/New_York")
_VERBS = {
    "BUY": "bought", "BUY_COVER": "bought to cover", "SELL": "sold", "SELL_SHORT": "sold short",
    "SELL_SHORT_EXEMPT": "sold short exempt",
}  # fmt: skip
_OWNERS = {"EB": "the executing broker", "ref data": "reference data", "internal ops": "internal ops"}


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


def _words(row: Row) -> dict[str, str]:
    """What the sentences are made of."""
    verb = _VERBS.get(row["side"] or "", "traded")
    what = row["symbol"] or row["instrument_id"] or "this line"
    return {
        "pb": row["pb_id"] or "The prime broker",
        "what": what,
        "where": f"{what} in {row['account_id']}" if row["account_id"] else what,
        "account": row["account_id"] or "our account",
        "trade": f"{verb} {number(row['qty'])} {what}",
        "qty": number(row["qty"]),
        "price": number(row["price"]),
        "ours": number(row["left_value"]),
        "theirs": number(row["right_value"]),
        "gap": _gap(row),
        "detail": row.get("detail") or "",
        "term": {"uti": "trade identifier", "upfront": "upfront payment", "coupon": "coupon"}.get(
            row.get("detail") or "", "terms"
        ),
        "fee": {"total": "fees", "tax": "tax", "regulatory": "regulatory fee", "exchange": "exchange fee"}.get(
            row.get("detail") or "", "fees"
        ),
    }


def _fact(row: Row) -> str:
    """What is wrong, who shows what; one clause."""
    code, words = row["code"], _words(row)
    if code == "T22":
        live = "{pb} still shows" if row["right_value"] != "cancelled" else "{pb} cancelled, but we still show"
        tail = " which we cancelled" if row["right_value"] != "cancelled" else ""
        return f"{live} a trade{tail}: {{qty}} {{where}}".format_map(words)
    pattern = ORDER_FACTS.get(code) if row.get("level") == "ORDER" else None
    pattern = pattern or FACTS.get(code)
    if pattern is None:
        name = taxonomy()[code].name.replace("_", " ").lower()
        pattern = f"{{pb}} shows {{theirs}} where we have {{ours}} ({name}) on {{qty}} {{where}}"
    return pattern.format_map(words) + _hint(row)


def _hint(row: Row) -> str:
    """What the numbers themselves suggest."""
    hint = HINTS.get(row["code"])
    ratio = _ratio(row)
    if hint is None or ratio is None:
        return ""
    return hint(ratio, row.get("detail"))


def _ratio(row: Row) -> Decimal | None:
    """The greater value by the lesser; None where either is no positive number."""
    try:
        ours, theirs = Decimal(row["left_value"] or ""), Decimal(row["right_value"] or "")
    except ArithmeticError:
        return None
    return max(ours, theirs) / min(ours, theirs) if ours > 0 and theirs > 0 else None


def _gap(row: Row) -> str:
    delta = row["delta"]
    if delta is None:
        return "quantities differ"
    return f"{number(abs(delta))} {'short' if delta < 0 else 'too many'}"


def headline(row: Row, deadline_ns: int | None, as_of_ns: int, more: str | None = None) -> str:
    """One sentence: who booked what, `more` that is known about it, what it may cost, by when it must be fixed."""
    fact = copy_fact(row, _words(row)) or status_fact(row) or book_fact(row) or _fact(row)
    # What a reader said of a message may be a sentence already.
    parts = [fact.removesuffix(".")]
    if more:
        parts.append(more)
    if row["exposure"]:
        parts.append(at_risk(row))
    elif row["exposure"] is None and row["code"][0] in "TP":
        parts.append("exposure unknown")
    if deadline_ns is not None:
        parts.append(_by(deadline_ns, as_of_ns))
    return ", ".join(parts)


def at_risk(row: Row) -> str:
    """What a break may cost, and where no rate is known, that its size is not; empty where nothing is at risk."""
    if not row["exposure"]:
        return ""
    unpriced = "" if row.get("exposure_base") is not None else f" (no rate for {row['ccy']}: size unknown)"
    return f"{row['ccy']} {row['exposure']:,.2f} at risk{unpriced}"


def _by(deadline_ns: int, as_of_ns: int) -> str:
    due = datetime.fromtimestamp(deadline_ns // 1_000_000_000, _EASTERN)
    now = datetime.fromtimestamp(as_of_ns // 1_000_000_000, _EASTERN)
    if due <= now:
        return "to be fixed at once"
    day = "today" if due.date() == now.date() else f"{due:%a} {due.day} {due:%b}"
    return f"fix by {due:%H:%M} ET {day}"


def next_step(row: Row) -> str:
    """What to do and whose turn it is: as written for the code, else from the taxonomy."""
    if (told := book_step(row)) is not None:
        return told
    if row.get("level") == COPY:
        return copy_step(row["code"], _words(row))
    code = taxonomy()[row["code"]]
    pb = row["pb_id"] or "the prime broker"
    owners = {**_OWNERS, "PB": pb, "both": f"internal ops with {pb}", "EB/PB": f"the executing broker or {pb}"}
    owner = owners.get(code.owner, code.owner)
    step = STEPS.get(row["code"], code.auto_action).format_map({**_words(row), "pb": pb})
    return f"{owner[0].upper()}{owner[1:]}: {step}."
