"""What is said about an execution beside its drop copy: the fact and the next step."""

from collections.abc import Mapping
from types import MappingProxyType

LEVEL = "COPY"

FACTS: Mapping[str, str] = MappingProxyType(
    {
        "T01": "{pb} has told of no execution like ours: we {trade} at {price} in {account}",
        "T02": "{pb} tells of an execution we do not have: {trade} at {price}",
        "T05": "{pb} executed {theirs} where we have {ours} {where}: {gap}",
        "T06": "{pb} executed {where} at {theirs}, we have {ours}",
        "T07": "{pb} tells of the other side, {theirs}: we {trade} in {account}",
        "T09": "{pb} executed {qty} of {theirs} where we have {ours} in {account}",
        "T13": "{pb} executed {qty} {where} on {theirs}, we have {ours}",
        "T14": "{pb} settles its execution of {qty} {where} on {theirs}, we on {ours}",
        "T15": "{pb} executed {qty} {where} in {theirs}, we have {ours}",
    }
)
_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "T01": "ask {pb} whether it executed this and why its drop copy does not say so",
        "T02": "ask the trader and {pb} whose execution it is and book it, before anything is allocated",
        "T22": "send the bust to the side that has not got it",
    }
)
_OTHERWISE = (
    "compare the execution reports with {pb} and have the side that is wrong correct it, before it is allocated"
)


def copy_step(code: str, words: Mapping[str, str]) -> str:
    """What to do: executions are settled with the broker that made them, whoever clears them."""
    return f"Internal ops with {words['pb']}: {_STEPS.get(code, _OTHERWISE).format_map(words)}."


def copy_fact(row: Mapping[str, object], words: Mapping[str, str]) -> str | None:
    """One clause; None for a break of another level."""
    if row.get("level") != LEVEL:
        return None
    if row["code"] == "T22":
        here = row["left_value"] != "cancelled"
        told = "{pb} busted, but we still show" if here else "{pb} still shows what we busted,"
        return f"{told} an execution: {{qty}} {{where}}".format_map(words)
    return FACTS[str(row["code"])].format_map(words)
