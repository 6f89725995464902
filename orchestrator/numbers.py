"""Numbers and times that fields of a state name: what they must be, and the words Step Functions fails with."""

from typing import Any

from orchestrator.choice import is_timestamp
from orchestrator.dataflow import text
from orchestrator.errors import StateFailure, runtime

_MAX_WAIT_SECONDS = 99_999_999


def read_number(name: str, path: str, value: Any) -> float:
    """The number a Path field found; a string that spells one is accepted, but not for a time limit."""
    if name in ("TimeoutSeconds", "HeartbeatSeconds"):
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise runtime(f"The {name}Path parameter is not a positive integer: {path} == {text(value)}")
        return float(value)
    kind, word = (float, "float") if name == "ToleratedFailurePercentage" else (int, "integer")
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        if kind is int and isinstance(value, float) and value % 1:
            raise ValueError
        return kind(value)
    except ValueError:
        shown = value if isinstance(value, str) else text(value)
        raise runtime(f'The {name}Path field refers to value "{shown}" which is not a valid {word}: {path}') from None


def seconds(value: Any, path: str | None) -> float:
    """The whole seconds a Wait lasts."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value % 1:
        raise runtime(f"The SecondsPath parameter cannot be parsed as a long value: {path} == {text(value)}")
    if value > _MAX_WAIT_SECONDS:
        raise too_long()
    return float(value)


def timestamp(value: Any, path: str | None) -> str:
    """The RFC 3339 time a Wait ends."""
    if not is_timestamp(value):
        shown = value if isinstance(value, str) else text(value)
        raise runtime(
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            f"{path} == {shown}"
        )
    return str(value)


def too_long() -> StateFailure:
    """A Wait beyond what Step Functions waits."""
    return runtime("Wait state delay is too long.")


def concurrency(most: float | None) -> int:
    """How many iterations may run at once, 0 where nothing is said."""
    if most is not None and most < 0:
        raise runtime("MaxConcurrency cannot be negative.")
    return int(most or 0)


def tolerated(count: float | None, share: float | None, length: int) -> float | None:
    """How many of `length` iterations may fail, None where nothing is said; of two limits the tighter holds."""
    if count is not None and count < 0:
        raise runtime("ToleratedFailureCount cannot be negative.")
    if share is not None and not 0 <= share <= 100:
        raise runtime("ToleratedFailurePercentage must be between 0 and 100.")
    given = [] if count is None else [count]
    return min([*given, *([] if share is None else [length * share / 100])], default=None)
