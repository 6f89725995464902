"""JSON text read strictly: what Python takes beside JSON, and numbers no JSON number can hold, are errors."""

import json
import math
from typing import Any, NoReturn


def parsed(text: str | bytes) -> Any:
    """The value. Raises ValueError, also for NaN, Infinity and numbers that would become one; RecursionError."""
    return json.loads(text, parse_constant=_refused, parse_float=_finite)


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(word: str) -> float:
    found = float(word)
    if math.isinf(found):
        raise ValueError(f"{word[:40]} is too large a number")
    return found
