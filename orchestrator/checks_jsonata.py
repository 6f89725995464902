"""What can be wrong with the expressions of a JSONata state."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.jsonata import NO_LIBRARY, check, is_expression
from orchestrator.problem import Problem

_EVALUATED = (
    "Arguments", "Output", "Assign", "Items", "ItemSelector", "Seconds", "Timestamp", "TimeoutSeconds",
    "HeartbeatSeconds", "MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage", "Error", "Cause",
    "Credentials", "ItemReader", "ItemBatcher", "ResultWriter",
)  # fmt: skip


_WITH_RESULT = frozenset({"Task", "Parallel", "Map"})
_RESULT = re.compile(r"\{%.*\$states\.result\b")


def is_open(value: Any) -> bool:
    """Whether a field's value is only known at run time."""
    return isinstance(value, str) and is_expression(value)


def fields(state: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Every expression of a state that is none."""
    for field in _EVALUATED:
        if field in state:
            yield from expressions(state[field], f"{path}/{field}")
            yield from _no_error_output(state[field], f"{path}/{field}")
            if field not in ("Output", "Assign") or state.get("Type") not in _WITH_RESULT:
                yield from _no_result(state[field], f"{path}/{field}")
    if "Items" in state and not (isinstance(state["Items"], list) or is_open(state["Items"])):
        yield Problem(f"{path}/Items", "Items is an array or an expression that gives one")
    for field in ("Seconds", "MaxConcurrency", "ToleratedFailureCount"):
        value = state.get(field, 0)
        if not is_open(value) and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            yield Problem(f"{path}/{field}", f"{field} is a whole number from 0 or an expression that gives one")
    for field in ("Error", "Cause"):
        if not isinstance(state.get(field, ""), str):
            yield Problem(f"{path}/{field}", f"{field} is a string")


def rule(given: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """What is wrong with a rule of a Choice."""
    condition = given.get("Condition")
    if not isinstance(condition, bool) and not is_open(condition):
        yield Problem(f"{path}/Condition", "a rule needs a Condition: true, false or an expression {% ... %}")
    yield from parts(given, path, ("Condition", "Assign", "Output"))


def parts(given: Mapping[str, Any], path: str, names: tuple[str, ...]) -> Iterator[Problem]:
    """The expressions in these fields of a rule or a catcher."""
    for name in names:
        yield from expressions(given.get(name), f"{path}/{name}")


def _no_result(value: Any, path: str) -> Iterator[Problem]:
    """Only a state that does something has a result to read, once it did."""
    if _RESULT.search(json.dumps(value, default=str)):
        yield Problem(
            path, "Reference to '$states.result' is only supported in Output and Assign of a Task, Parallel or Map"
        )


def _no_error_output(value: Any, path: str) -> Iterator[Problem]:
    """Only a catcher has an error to read."""
    if "$states.errorOutput" in json.dumps(value, default=str):
        yield Problem(path, "Reference to '$states.errorOutput' is only supported in a catcher's Assign and Output")


def expressions(value: Any, path: str) -> Iterator[Problem]:
    """The expressions anywhere in a value that cannot be read."""
    if isinstance(value, str) and not is_expression(value):
        opened, closed = value.strip().startswith("{%"), value.strip().endswith("%}")
        if opened is not closed:
            yield Problem(path, "an expression starts with {% and ends with %}")
    elif isinstance(value, str):
        wrong = check(value[2:-2].strip())
        if wrong:
            yield Problem(path, wrong if wrong == NO_LIBRARY else f"the JSONata expression cannot be read: {wrong}")
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from expressions(item, f"{path}/{key}")
