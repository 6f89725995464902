"""Data flow of a state: InputPath, Parameters, ResultSelector, ResultPath, OutputPath and payload templates."""

import json
from collections.abc import Callable, Mapping
from json import encoder
from typing import Any

from orchestrator.errors import StateFailure, runtime
from orchestrator.intrinsics import evaluate
from orchestrator.paths import Surroundings, find, is_missing, is_past_the_end, read, write

PAYLOAD_LIMIT_BYTES = 262_144
_VARIABLES_LIMIT_BYTES = 10 << 20
_OVER, _SIZE = "The state/task", " returned a result with a size exceeding the maximum number of bytes service limit."


def _encoder() -> Callable[[Any], str]:
    """One encoder for every value: json.dumps makes a new one each time, which takes longer than the work itself."""
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    chunks = make(None, json.JSONEncoder().default, encoder.encode_basestring, None, ":", ",", False, False, True)
    return lambda value: "".join(chunks(value, 0))


_encode = _encoder()
# The last two values shown and their texts: a state's result is its output and the next state's input.
_recent: list[tuple[Any, str]] = [(None, ""), (None, "")]


def text(value: Any) -> str:
    """JSON text as the history shows it."""
    first, second = _recent
    if first[0] is value and value is not None:
        return first[1]
    if second[0] is value and value is not None:
        return second[1]
    shown = _encode(value)
    if type(value) is dict or type(value) is list:
        _recent[:] = (value, shown), first
    return shown


def forget() -> None:
    """What was shown may be changed by others from here on: a task's function has its input, a caller the machine's."""
    _recent[:] = (None, ""), (None, "")


def template(value: Any, data: Any, around: Surroundings, seed: str) -> Any:
    """A payload template resolved: keys ending in `.$` hold a path or an intrinsic function."""
    if isinstance(value, str):
        return value
    if type(value) is dict or isinstance(value, Mapping):
        found = {}
        for key, item in value.items():
            if isinstance(key, str) and key.endswith(".$"):
                found[key[:-2]] = expression(item, data, around, f"{seed}|{key}", key)
            else:
                found[key] = item if isinstance(item, str) else template(item, data, around, f"{seed}|{key}")
        return found
    if isinstance(value, list):
        return [template(item, data, around, f"{seed}|{n}") for n, item in enumerate(value)]
    return value


def expression(words: Any, data: Any, around: Surroundings, seed: str, field: str) -> Any:
    """The value of a path or an intrinsic function. Raises StateFailure (States.Runtime) naming the field."""
    if not isinstance(words, str):
        raise runtime(f"The value of the field '{field}' must be a string")
    if words.lstrip().startswith("States."):
        return evaluate(words, data, around, seed)
    value = find(words, data, around)
    if is_missing(value):
        if is_past_the_end(words, data, around):
            return None
        raise runtime(
            f"The JSONPath '{words}' specified for the field '{field}' could not be found in the input '{text(data)}'"
        )
    return value


def input_path(state: Mapping[str, Any], data: Any, around: Surroundings) -> Any:
    """The state's input with InputPath applied; null gives an empty object."""
    path = state.get("InputPath", "$")
    return {} if path is None else data if path == "$" else read(path, data, around)


def effective_input(state: Mapping[str, Any], data: Any, around: Surroundings, seed: str) -> Any:
    """What the state works on: InputPath, then Parameters."""
    value = input_path(state, data, around)
    if "Parameters" in state:
        value = template(state["Parameters"], value, around, seed + "|p")
    return value


def selected(state: Mapping[str, Any], result: Any, around: Surroundings, seed: str) -> Any:
    """The result with ResultSelector applied."""
    return template(state["ResultSelector"], result, around, seed + "|r") if "ResultSelector" in state else result


def place(state: Mapping[str, Any], data: Any, result: Any) -> Any:
    """The result put into the raw input by ResultPath (null: the result is dropped)."""
    path = state.get("ResultPath", "$")
    return data if path is None else write(path, data, result)


def output(state: Mapping[str, Any], value: Any, around: Surroundings) -> Any:
    """OutputPath applied, and the size limit checked."""
    path = state.get("OutputPath", "$")
    value = {} if path is None else value if path == "$" else read(path, value, around)
    check_size(value)
    return value


def check_size(value: Any, what: str = "") -> None:
    """Raises StateFailure States.DataLimitExceeded above 262,144 bytes of UTF-8 JSON; `what` returned it."""
    shown = text(value)
    # No character takes more than four bytes, and most values are far below the limit.
    if len(shown) * 4 > PAYLOAD_LIMIT_BYTES and len(shown.encode("utf-8", "replace")) > PAYLOAD_LIMIT_BYTES:
        raise StateFailure("States.DataLimitExceeded", _OVER + _SIZE if not what else f"{_OVER} '{what}'{_SIZE}")


def check_assigned(variables: Mapping[str, Any], held: Mapping[str, Any]) -> None:
    """Raises StateFailure States.DataLimitExceeded: an Assign holds as much as a payload, all variables 10 MiB.

    `held` are those that are there before.
    """
    if not variables:
        return
    check_size(variables)
    # As no Assign is larger than a payload, few variables cannot be too many.
    if (len(held) + len(variables)) * PAYLOAD_LIMIT_BYTES > _VARIABLES_LIMIT_BYTES:
        total = sum(len(_encode(value).encode("utf-8", "replace")) for value in {**held, **variables}.values())
        if total > _VARIABLES_LIMIT_BYTES:
            raise StateFailure(
                "States.DataLimitExceeded", f"The variables hold more than {_VARIABLES_LIMIT_BYTES:,} bytes."
            )


def named(failure: StateFailure, what: str) -> StateFailure:
    """The failure, and if it is a size that does not say whose, with the state or task it is."""
    if failure.error == "States.DataLimitExceeded" and failure.cause == _OVER + _SIZE:
        failure.cause = f"{_OVER} '{what}'{_SIZE}"
    return failure
