"""What is said about each break of a trade: the fact, what its numbers suggest, the next step."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType

_HUNDRED = Decimal(100)
_CLOSE = Decimal("0.005")

FACTS: Mapping[str, str] = MappingProxyType(
    {
        "T01": "{pb} has not booked our trade: we {trade} at {price} in {account}",
        "T02": "{pb} booked a trade we do not have: {trade} at {price} in {account}",
        "T03": "{pb} booked the same trade twice: {trade} at {price} in {account}",
        "T04": "We booked the same trade twice: {trade} at {price} in {account}",
        "T05": "{pb} booked {theirs} where we traded {ours} {where}: {gap}",
        "T06": "{pb} booked {where} at {theirs}, we traded at {ours}",
        "T07": "{pb} booked the other side of our trade: {theirs} where we {trade} in {account}",
        "T08": "{pb} marks {qty} {where} {theirs} where we marked {ours}",
        "T09": "{pb} booked {theirs} where we traded {ours}: {qty} in {account}",
        "T10": "{pb} booked {qty} {what} in {theirs} where it belongs in {ours}",
        "T11": "{pb} split {where} otherwise, the total agrees: {theirs} where we allocated {ours}",
        "T12": "{theirs} booked a trade that belongs at {ours}: we {trade} in {account}",
        "T13": "{pb} books {qty} {where} for trade date {theirs}, ours is {ours}",
        "T14": "{pb} settles {qty} {where} on {theirs}, we on {ours}",
        "T15": "{pb} booked {qty} {where} in {theirs}, we in {ours}",
        "T16": "{pb} shows commission {theirs}, we have {ours} on {qty} {where}",
        "T17": "{pb} shows other fees than we on {qty} {where}, {fee}: {theirs} in all, ours {ours}",
        "T18": "{pb} shows net money {theirs}, we have {ours} on {qty} {where}; {detail} is explained by no part of it",
        "T19": "{pb} shows accrued interest {theirs}, we have {ours} on {qty} {where}",
        "T20": "{pb} settles {qty} {where} at the rate {theirs}, we at {ours}",
        "T21": "{pb} counts {theirs} where we count {ours} on {where}: the contract size differs",
        "T23": "{pb} and we stand on different versions of {qty} {where}: {theirs} there, {ours} here",
        "T24": "A cancellation or correction of {where} refers to a trade nobody has told of",
        "T25": "{pb} refused {qty} {where}",
        "T26": "{pb} names executing broker {theirs}, we {ours} on {qty} {where}",
        "T27": "{pb} has not affirmed {qty} {where}",
        "T29": "{pb} booked {where} at {theirs}, we traded at {ours}: rounding, too little money to matter",
        "T30": "{pb} shows {term} {theirs}, we have {ours} on {qty} {where}",
    }
)  # fmt: skip

# Our executions of an order against our own allocation of it.
ORDER_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "T01": "Executions of our order are not allocated yet: we {trade} in {account}",
        "T05": "We executed {ours} {where} and allocated {theirs}: {gap}",
        "T06": "We executed {where} at {ours} and allocated at {theirs}",
    }
)

STEPS: Mapping[str, str] = MappingProxyType(
    {
        "T01": "see whether {pb} got the allocation and refused it, re-send it, and call before the cut-off",
        "T02": "ask the trader whether it is ours and book it; refuse it (DK) at {pb} if nobody knows it",
        "T03": "ask {pb} to cancel the second booking",
        "T04": "cancel our second booking; nothing goes to {pb}",
        "T05": "compare the executions one by one and have the side that is wrong amend the quantity",
        "T06": "compare the average price and what it contains, and have the side that is wrong amend it",
        "T07": "cancel and rebook at once: the position is off by twice the quantity",
        "T08": "compliance decides which mark is right (Reg SHO) before anything is amended; not to be closed in bulk",
        "T09": "compare identifiers and share line, then cancel and rebook on the right one",
        "T10": "re-allocate to {ours} and check the account map for {theirs}",
        "T11": "re-send the allocation as a replacement so that both accounts get their share",
        "T12": "have {theirs} cancel and {ours} book",
        "T13": "rebook as of the right trade date",
        "T14": "agree on the settlement date and have the side that is wrong amend it before the affirmation cut-off",
        "T15": "check share line and settlement election, then amend the currency",
        "T16": "compare with the agreed rate and minimum ticket, claim the difference or update our schedule",
        "T17": "compare rate and base of the fee named, claim the difference or update our schedule",
        "T18": "ask {pb} what the net amount is made of",
        "T19": "recompute with day count, last coupon and settlement date; a wrong date explains wrong interest",
        "T20": "compare fixing source and time, and whether one side shows the inverse",
        "T21": "correct the contract size in the security master, or have {pb} correct theirs",
        "T22": "forward the cancellation to the side that has not got it",
        "T23": "re-send the newest version to the side that stands on an old one",
        "T24": "held and tried again; then ask the sender for the original",
        "T25": "call {pb} about the reason, repair and send again",
        "T26": "add the name to the broker's aliases, or have the give-up corrected",
        "T27": "get the trade affirmed before the cut-off, else tell settlements",
        "T29": "nothing to do: accepted within the limit, with its reason on record",
        "T30": "affirm the terms on the platform; its record is the truth",
    }
)  # fmt: skip


def _price(ratio: Decimal, size: str | None) -> str:
    if abs(ratio - _HUNDRED) <= _CLOSE * _HUNDRED:
        return " (a hundred times: pence taken for pounds?)"
    return _units(ratio, size)


def _units(ratio: Decimal, size: str | None) -> str:
    if size is not None and abs(ratio - Decimal(size)) <= _CLOSE:
        return f" ({size} times: the contract size)"
    return ""


HINTS: Mapping[str, Callable[[Decimal, str | None], str]] = MappingProxyType(
    {"T05": _units, "T06": _price, "T21": _units}
)
