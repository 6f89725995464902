"""What can be wrong with one state of a definition."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from orchestrator import checks_distributed, checks_jsonata, paths
from orchestrator.checks_jsonata import is_open
from orchestrator.choice import OPERATORS, is_timestamp
from orchestrator.errors import StateFailure
from orchestrator.intrinsics import check as check_intrinsic
from orchestrator.problem import Problem
from orchestrator.vocabulary import CATCH_FIELDS, LANGUAGES, RETRY_FIELDS, RULE_FIELDS, state_fields, unknown

TYPES = frozenset({"Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"})
_ENDLESS = frozenset({"Succeed", "Fail", "Choice"})
_PATHS = (
    "InputPath", "OutputPath", "ResultPath", "ItemsPath", "SecondsPath", "TimestampPath", "TimeoutSecondsPath",
    "HeartbeatSecondsPath", "MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath",
)  # fmt: skip
_TEMPLATES = (
    "Parameters", "ItemSelector", "ResultSelector", "Assign", "Credentials", "ItemReader", "ItemBatcher",
    "ResultWriter",
)  # fmt: skip
_EITHER = (
    "Cause", "Error", "TimeoutSeconds", "HeartbeatSeconds", "MaxConcurrency", "ToleratedFailureCount",
    "ToleratedFailurePercentage", "Seconds", "Timestamp",
)  # fmt: skip
_LABEL = re.compile(r"[^\s?*<>{}\[\]:;,\\|^~$#%&`\"\x00-\x1f\x7f-\x9f]{1,40}")
# The least and the most a retrier may say.
_RETRY_NUMBERS = MappingProxyType(
    {"IntervalSeconds": (1, 99_999_999), "MaxAttempts": (0, 99_999_999), "MaxDelaySeconds": (1, 31_622_399)}
)


def listed(value: Any) -> list[Any]:
    """The value when it is a list, otherwise nothing."""
    return value if isinstance(value, list) else []


def targets(state: Any) -> list[Any]:
    """The names of the states that may follow, as written."""
    if not isinstance(state, Mapping):
        return []
    found = [state[key] for key in ("Next", "Default") if key in state]
    items = [*listed(state.get("Choices")), *listed(state.get("Catch"))]
    return found + [item["Next"] for item in items if isinstance(item, Mapping) and "Next" in item]


def check_state(name: str, state: Any, states: Mapping[str, Any], path: str, language: str) -> Iterator[Problem]:
    """Everything wrong with one state itself; the machines inside it are not looked at. `language` is its machine's."""
    kind = state.get("Type") if isinstance(state, Mapping) else None
    if not isinstance(kind, str) or kind not in TYPES:
        yield Problem(path, f"Type must be one of {', '.join(sorted(TYPES))}")
        return
    own = state.get("QueryLanguage", language)
    if own not in LANGUAGES or (language == "JSONata" and own == "JSONPath"):
        yield Problem(f"{path}/QueryLanguage", f"QueryLanguage {own!r} is not one a state can have here")
        return
    yield from (Problem(path, message) for message in unknown(state, state_fields(kind, own), own))
    if len(name) > 80:
        yield Problem(path, "a state's name has at most 80 characters")
    for target in targets(state):
        if not isinstance(target, str) or target not in states:
            yield Problem(path, f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target}")
    if kind not in _ENDLESS and ("Next" in state) == bool(state.get("End")):
        yield Problem(path, "exactly one of Next and End is required")
    if kind in _ENDLESS and ("Next" in state or "End" in state):
        yield Problem(path, f"a {kind} has neither Next nor End")
    yield from checks_jsonata.fields(state, path) if own == "JSONata" else _fields(kind, state, path)
    yield from _own(kind, state, path, own)
    yield from _variables(state, path)
    if "Credentials" in state and not (isinstance(state["Credentials"], Mapping) and state["Credentials"]):
        yield Problem(f"{path}/Credentials", "Credentials must be an object with a RoleArn")
    if kind == "Map":
        yield from checks_distributed.fields(state, path, own)
    if "Retry" in state or "Catch" in state:
        yield from _handlers(kind, state, path, own)


def _fields(kind: str, state: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for field in _PATHS:
        if state.get(field) is not None:
            yield from _path(state[field], f"{path}/{field}")
    if isinstance(state.get("ResultPath"), str) and not paths.is_reference(state["ResultPath"]):
        yield Problem(f"{path}/ResultPath", "ResultPath is a reference path into the state's input")
    for field in _EITHER:
        if field in state and f"{field}Path" in state:
            yield Problem(path, f"only one of {field} and {field}Path is allowed")
    for field in _TEMPLATES:
        if field in state and (field != "Parameters" or kind != "Fail"):
            yield from _template(state[field], f"{path}/{field}")
    for field in ("ErrorPath", "CausePath"):
        if field in state:
            yield from _expression(state[field], f"{path}/{field}")


def _own(kind: str, state: Mapping[str, Any], path: str, language: str) -> Iterator[Problem]:
    def told_later(field: str) -> bool:
        return language == "JSONata" and is_open(state[field])

    if kind == "Task" and not isinstance(state.get("Resource"), str):
        yield Problem(f"{path}/Resource", "a Task needs a Resource")
    if kind == "Choice":
        if not listed(state.get("Choices")):
            yield Problem(f"{path}/Choices", "a Choice needs at least one rule")
        for number, rule in enumerate(listed(state.get("Choices"))):
            if not isinstance(rule, Mapping) or "Next" not in rule:
                yield Problem(f"{path}/Choices/{number}", "a rule needs Next")
            yield from _top_rule(rule, f"{path}/Choices/{number}", language)
    if kind == "Wait":
        if sum(key in state for key in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")) != 1:
            yield Problem(path, "a Wait needs exactly one of Seconds, SecondsPath, Timestamp and TimestampPath")
        if "Timestamp" in state and not (told_later("Timestamp") or is_timestamp(state["Timestamp"])):
            yield Problem(f"{path}/Timestamp", "String does not match RFC3339 timestamp")
        if "Seconds" in state and not (told_later("Seconds") or _whole(state["Seconds"], 0)):
            yield Problem(f"{path}/Seconds", "Seconds is a whole number from 0")
    if kind == "Parallel" and not listed(state.get("Branches")):
        yield Problem(f"{path}/Branches", "a Parallel needs branches")
    if kind == "Map" and "Label" in state:
        label = state["Label"]
        if not isinstance(label, str) or _LABEL.fullmatch(label) is None:
            yield Problem(f"{path}/Label", "a Label has at most 40 characters and no special ones")
    limit, beat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if isinstance(limit, int) and isinstance(beat, int) and beat >= limit:
        yield Problem(f"{path}/HeartbeatSeconds", "HeartbeatSeconds is smaller than TimeoutSeconds")
    for field in ("TimeoutSeconds", "HeartbeatSeconds"):
        if field in state and not (told_later(field) or _whole(state[field], 1)):
            yield Problem(f"{path}/{field}", f"{field} is a whole number from 1")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= 99_999_999


def _top_rule(rule: Any, path: str, language: str) -> Iterator[Problem]:
    if language == "JSONata" and isinstance(rule, Mapping):
        yield from (Problem(path, message) for message in unknown(rule, RULE_FIELDS[language], language))
        yield from checks_jsonata.rule(rule, path)
    else:
        yield from _rule(rule, path)
    if isinstance(rule, Mapping):
        yield from _variables(rule, path)


def _variables(part: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """The names a part assigns."""
    assigned = part.get("Assign", {})
    if not isinstance(assigned, Mapping):
        yield Problem(f"{path}/Assign", "Assign is an object")
        return
    for name in assigned:
        word = str(name).removesuffix(".$")
        if not word.isidentifier() or len(word) > 80 or word == "states":
            yield Problem(f"{path}/Assign/{name}", f"{word!r} is not a name a variable can have")


def _rule(rule: Any, path: str) -> Iterator[Problem]:
    if not isinstance(rule, Mapping):
        yield Problem(path, "a rule is an object")
        return
    yield from (Problem(path, message) for message in unknown(rule, RULE_FIELDS["JSONPath"], "JSONPath"))
    if "Not" in rule:
        yield from _rule(rule["Not"], f"{path}/Not")
    elif "And" in rule or "Or" in rule:
        word = "And" if "And" in rule else "Or"
        if not listed(rule[word]):
            yield Problem(f"{path}/{word}", f"{word} needs at least one rule")
        for number, item in enumerate(listed(rule[word])):
            yield from _rule(item, f"{path}/{word}/{number}")
    else:
        operators = [key for key in rule if key in OPERATORS]
        if "Variable" not in rule or len(operators) != 1:
            yield Problem(path, "a rule needs Variable and one comparison operator")
            return
        yield from _path(rule["Variable"], f"{path}/Variable")
        if operators[0].endswith("Path"):
            yield from _path(rule[operators[0]], f"{path}/{operators[0]}")
        elif not _fits(operators[0], rule[operators[0]]):
            yield Problem(f"{path}/{operators[0]}", f"{operators[0]} cannot compare with {rule[operators[0]]!r}")


def _fits(operator: str, value: Any) -> bool:
    if operator.startswith(("Is", "Boolean")):
        return isinstance(value, bool)
    if operator.startswith("Numeric"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return is_timestamp(value) if operator.startswith("Timestamp") else isinstance(value, str)


def _handlers(kind: str, state: Mapping[str, Any], path: str, language: str) -> Iterator[Problem]:
    for group in ("Retry", "Catch"):
        items = state.get(group, [])
        if kind not in ("Task", "Parallel", "Map") or not isinstance(items, list):
            yield Problem(f"{path}/{group}", f"{group} is a list of a Task, Parallel or Map")
            continue
        for number, item in enumerate(items):
            yield from _handler(group, item, number == len(items) - 1, f"{path}/{group}/{number}", language)


def _handler(group: str, item: Any, last: bool, path: str, language: str) -> Iterator[Problem]:
    errors = item.get("ErrorEquals") if isinstance(item, Mapping) else None
    if not listed(errors) or not all(isinstance(error, str) for error in listed(errors)):
        yield Problem(path, "ErrorEquals must not be empty")
        return
    known = RETRY_FIELDS if group == "Retry" else CATCH_FIELDS[language]
    yield from (Problem(path, message) for message in unknown(item, known, language))
    if "States.ALL" in listed(errors) and (len(listed(errors)) > 1 or not last):
        yield Problem(path, "States.ALL must stand alone and last")
    if group == "Catch":
        if "Next" not in item:
            yield Problem(path, "a catcher needs Next")
        yield from _variables(item, path)
        if language == "JSONata":
            yield from checks_jsonata.parts(item, path, ("Assign", "Output"))
            return
        if item.get("ResultPath") is not None:
            yield from _path(item["ResultPath"], f"{path}/ResultPath")
        yield from _template(item.get("Assign", {}), f"{path}/Assign")
        return
    for field, (least, most) in _RETRY_NUMBERS.items():
        if field in item and not (_whole(item[field], least) and item[field] <= most):
            yield Problem(f"{path}/{field}", f"{field} is a whole number from {least} to {most:,}")
    rate = item.get("BackoffRate", 1)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
        yield Problem(f"{path}/BackoffRate", "BackoffRate is a number from 1")
    longest, first = item.get("MaxDelaySeconds"), item.get("IntervalSeconds", 1)
    if _whole(longest, 1) and _whole(first, 1) and longest <= first:
        yield Problem(f"{path}/MaxDelaySeconds", "MaxDelaySeconds is larger than IntervalSeconds")
    if item.get("JitterStrategy", "NONE") not in ("NONE", "FULL"):
        yield Problem(f"{path}/JitterStrategy", "JitterStrategy is FULL or NONE")


def _template(value: Any, where: str) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not str(key).endswith(".$"):
                yield from _template(item, f"{where}/{key}")
                continue
            if key[:-2] in value:
                yield Problem(where, f"{key[:-2]!r} and {key!r} are one field")
            yield from _expression(item, f"{where}/{key}")
    for number, item in enumerate(listed(value)):
        yield from _template(item, f"{where}/{number}")


def _expression(value: Any, where: str) -> Iterator[Problem]:
    if isinstance(value, str) and value.lstrip().startswith("States."):
        try:
            check_intrinsic(value)
        except StateFailure as failure:
            yield Problem(where, failure.cause)
    else:
        yield from _path(value, where)


def _path(value: Any, where: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(where, "a path is a string")
        return
    try:
        paths.check(value)
    except StateFailure as failure:
        yield Problem(where, failure.cause)
