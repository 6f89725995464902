"""Data flow of a state: InputPath, Parameters, ResultSelector, ResultPath, OutputPath and payload templates."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import StateFailure, runtime
from orchestrator.intrinsics import evaluate
from orchestrator.paths import read, write

PAYLOAD_LIMIT_BYTES = 262_144


def template(value: Any, data: Any, context: Any, seed: str) -> Any:
    """A payload template resolved: keys ending in `.$` hold a path or an intrinsic function."""
    if isinstance(value, Mapping):
        found = {}
        for key, item in value.items():
            if isinstance(key, str) and key.endswith(".$"):
                found[key[:-2]] = expression(item, data, context, f"{seed}|{key}")
            else:
                found[key] = template(item, data, context, f"{seed}|{key}")
        return found
    if isinstance(value, list):
        return [template(item, data, context, f"{seed}|{n}") for n, item in enumerate(value)]
    return value


def expression(text: Any, data: Any, context: Any, seed: str) -> Any:
    """A path's or an intrinsic function's value; raises StateFailure naming what could not be found."""
    if not isinstance(text, str):
        raise runtime("The value of a field ending in '.$' must be a string")
    if text.lstrip().startswith("States."):
        return evaluate(text, data, context, seed)
    try:
        return read(text, data, context)
    except StateFailure as failure:
        if failure.error != "States.Runtime":
            raise
        raise StateFailure(
            "States.ParameterPathFailure", f"The JSONPath '{text}' could not be found in the input"
        ) from None


def effective_input(state: Mapping[str, Any], data: Any, context: Any, seed: str) -> Any:
    """What the state works on: InputPath, then Parameters."""
    value = _input(state, data, context)
    if "Parameters" in state:
        value = template(state["Parameters"], value, context, seed + "|p")
    return value


def _input(state: Mapping[str, Any], data: Any, context: Any) -> Any:
    path = state.get("InputPath", "$")
    return {} if path is None else data if path == "$" else read(path, data, context)


def result_output(state: Mapping[str, Any], data: Any, result: Any, context: Any, seed: str) -> Any:
    """The state's output from its raw input and result: ResultSelector, ResultPath, OutputPath."""
    if "ResultSelector" in state:
        result = template(state["ResultSelector"], result, context, seed + "|r")
    return output(state, place(state, data, result), context)


def place(state: Mapping[str, Any], data: Any, result: Any) -> Any:
    """The result put into the raw input by ResultPath (null: the result is dropped)."""
    path = state.get("ResultPath", "$")
    return data if path is None else write(path, data, result)


def output(state: Mapping[str, Any], value: Any, context: Any) -> Any:
    """OutputPath applied, and the size limit checked."""
    path = state.get("OutputPath", "$")
    value = {} if path is None else value if path == "$" else read(path, value, context)
    check_size(value)
    return value


def check_size(value: Any) -> None:
    """Raises StateFailure States.DataLimitExceeded above 262,144 bytes of UTF-8 JSON."""
    if (
        len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
        > PAYLOAD_LIMIT_BYTES
    ):
        raise StateFailure(
            "States.DataLimitExceeded",
            "The state/task returned a result with a size exceeding the maximum number of bytes service limit.",
        )
