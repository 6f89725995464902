"""The functions Step Functions adds to JSONata, and those it may not take from the outside world: time and chance."""

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from orchestrator.json_text import parsed

_MAX_RANGE = 1_000
_MASK = (1 << 48) - 1
_HASHES = MappingProxyType(
    {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
)


NULL: Any = object()
"""What a function returns for JSON's null; None is nothing at all."""


class BadCall(Exception):
    """A function was called with what it cannot take."""


def _partition(items: Any, size: Any) -> Any:
    if items is None:
        return None
    chunk = _whole(size, "$partition: the chunk size")
    if chunk <= 0:
        raise BadCall("$partition: the chunk size must be positive")
    whole = items if isinstance(items, list) else [items]
    return [list(whole[n : n + chunk]) for n in range(0, len(whole), chunk)]


def _range(first: Any, last: Any, step: Any) -> Any:
    if first is None or last is None or step is None:
        return None
    start, end, pace = (_number(value, "$range: an argument") for value in (first, last, step))
    if pace == 0:
        raise BadCall("$range: the step must not be 0")
    found: list[Any] = []
    value = start
    while value <= end if pace > 0 else value >= end:
        found.append(value)
        if len(found) > _MAX_RANGE:
            raise BadCall(f"$range: more than {_MAX_RANGE} elements")
        value = start + pace * len(found)
    # A sequence, as JSONata's own: one element is told as itself.
    return found[0] if len(found) == 1 else found


def _hash(content: Any, algorithm: Any) -> Any:
    if content is None:
        return None
    name = _HASHES.get(algorithm)
    if name is None:
        raise BadCall(f"$hash: the algorithm must be one of {', '.join(_HASHES)}")
    text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _parse(text: Any) -> Any:
    if text is None:
        return None
    if not isinstance(text, str):
        raise BadCall("$parse: the argument must be a string")
    try:
        found = parsed(text)
        return NULL if found is None else found
    except (ValueError, RecursionError) as error:
        raise BadCall(f"$parse: {error}") from None


def _java_random(seed: int) -> float:
    """The first draw of Java's generator, which Step Functions uses for a seed."""
    state, found = (seed ^ 0x5DEECE66D) & _MASK, 0
    for bits in (26, 27):
        state = (state * 0x5DEECE66D + 0xB) & _MASK
        found = (found << 27) + (state >> (48 - bits))
    return found / (1 << 53)


def _whole(value: Any, what: str) -> int:
    number = _number(value, what)
    if number % 1:
        raise BadCall(f"{what} must be a whole number")
    return int(number)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadCall(f"{what} must be a number")
    return value


def functions(
    seed: str, now_ms: int, formatted: Callable[[int, str | None, str | None], str | None]
) -> Mapping[str, tuple[Callable[..., Any], int]]:
    """Each function and how many arguments it takes; equal seeds give equal draws, `formatted` prints a time."""
    chance = random.Random(seed)

    def drawn(own_seed: Any) -> float:
        return chance.random() if own_seed is None else _java_random(_whole(own_seed, "$random: the seed"))

    def shuffled(items: Any) -> Any:
        if items is None:
            return None
        copy = list(items) if isinstance(items, list) else [items]
        chance.shuffle(copy)
        return copy

    return {
        "partition": (_partition, 2),
        "range": (_range, 3),
        "hash": (_hash, 2),
        "parse": (_parse, 1),
        "random": (drawn, 1),
        "uuid": (lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)), 0),
        "shuffle": (shuffled, 1),
        "millis": (lambda: now_ms, 0),
        "now": (lambda picture, zone: formatted(now_ms, picture, zone), 2),
    }
