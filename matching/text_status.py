"""What is wrong, for breaks about status and ingest: orphans, refusals, affirmations, quarantine, gaps, feeds."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
_VERBS = {"CANCEL": "cancelled", "CORRECT": "corrected", "NEW": "continued"}


def status_fact(row: Row) -> str | None:
    """One clause saying what is wrong and who shows it; None for a break of another kind."""
    if row["code"].startswith("I"):
        return _ingest(row, row["left_value"] or row["right_value"] or "?")
    shown, pb = row["right_value"], row["pb_id"] or "The prime broker"
    match row["code"]:
        case "T24":
            who = "We" if row["left_value"] else pb
            kind, _, of = str(row["left_value"] or shown or "").partition(" of ")
            return f"{who} {_VERBS.get(kind, 'changed')} {_line(row)}, but nobody here has seen {of or 'the original'}"
        case "T25" if shown == "REJECTED" and row["left_value"] == "AFFIRMED":
            return f"{pb} refused to affirm {_line(row)}"
        case "T25":
            why = str(shown or "").partition(": ")[2]
            what = (
                f"our trade: {row['left_value']} {_where(row)}"
                if row["left_value"]
                else f"what it was sent {_where(row)}"
            )
            return f"{pb} rejected {what}" + (f" ({why})" if why else "")
        case "T27":
            said = {"nothing said": "said nothing", "REJECTED": "refused"}.get(str(shown), f"said {str(shown).lower()}")
            return f"{pb} has not affirmed {_line(row)} by the cut-off: it {said}"
    return None


def _ingest(row: Row, shown: str) -> str:
    who = row["pb_id"] or "our own side"
    match row["code"]:
        case "I01":
            return f"A message from {who} could not be read: {shown}"
        case "I02":
            return f"Wrong in a message from {who}, which could be read all the same: {shown}"
        case "I03":
            return f"Nobody here knows instrument {shown}: its trades cannot be matched for certain"
        case "I04":
            return f"Nobody here knows account {shown} of {who}: what it trades and holds cannot be matched for certain"
        case "I05":
            return f"Messages from {who} are missing: {shown}"
        case "I06":
            return f"What {who} should have sent is not there: {shown}"
        case _:
            return f"A file from {who} is laid out differently: {shown}"


def _line(row: Row) -> str:
    qty = row["qty"]
    amount = f"{_plain(qty)} " if qty is not None else ""
    return f"{amount}{_where(row)}"


def _where(row: Row) -> str:
    what = row["symbol"] or row["instrument_id"] or "a trade"
    return f"{what} in {row['account_id']}" if row["account_id"] else str(what)


def _plain(value: Decimal) -> str:
    text = f"{Decimal(value):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
