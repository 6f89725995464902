"""The intrinsic functions of Amazon States Language, deterministic: random ones are seeded by the caller."""

import base64
import hashlib
import json
import math
import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from orchestrator.errors import StateFailure
from orchestrator.json_text import parsed
from orchestrator.paths import Surroundings, read
from orchestrator.paths import check as check_path

_NAME = re.compile(r"\s*(States\.[A-Za-z0-9]+)\s*\(")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_ESCAPED = frozenset("'{}\\")
_WRITTEN, _GIVEN = re.compile(r"\\[{}\\]|\{\}|.", re.S), re.compile(r"\\[{}]|\{\}|.", re.S)
_MAX_DEPTH = 10
_MAX_RANGE = 1_000
_MAX_CHARACTERS = 10_000


def _fail(cause: str) -> StateFailure:
    return StateFailure("States.IntrinsicFailure", cause)


class _Template(str):
    """The first argument of States.Format as it was written, its escapes still in it."""


class _Reader:
    """A recursive-descent reader of `States.Name(argument, ...)`; without surroundings it only checks the syntax."""

    def __init__(self, text: str, data: Any, around: Surroundings | None, seed: str) -> None:
        self.text, self.data, self.around, self.seed, self.at = text, data, around, seed, 0
        self.depth = 0

    def call(self) -> Any:
        match = _NAME.match(self.text, self.at)
        if match is None or match.group(1) not in FUNCTIONS:
            raise _fail(f"Invalid intrinsic function: {self.text}")
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _fail(f"More than {_MAX_DEPTH} nested intrinsic functions: {self.text}")
        self.at = match.end()
        arguments = list(self._arguments(match.group(1)))
        self.depth -= 1
        if self.around is None:
            if match.group(1) == "States.MathAdd" and any(isinstance(value, str) for value in arguments):
                raise _fail(f"Invalid arguments in {match.group(1)}: numbers are expected")
            return None
        if match.group(1) in ("States.UUID", "States.MathRandom"):
            arguments = [f"{self.seed}|{self.at}", *arguments]
        try:
            return FUNCTIONS[match.group(1)](*arguments)
        except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
            raise _fail(f"Invalid arguments in {match.group(1)}: {error}") from None

    def _arguments(self, function: str) -> Iterator[Any]:
        if self.skip() == ")":
            self.at += 1
            return
        is_template = function == "States.Format"
        while True:
            yield self._argument(is_template)
            is_template = False
            mark = self.skip()
            self.at += 1
            if mark == ")":
                return
            if mark != ",":
                raise _fail(f"Invalid intrinsic function: {self.text}")

    def skip(self) -> str:
        """The next character that is no blank, empty at the end."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def _argument(self, is_template: bool) -> Any:
        mark = self.skip()
        if mark == "'":
            return self._string(is_template)
        if mark == "$":
            path = self._path()
            if self.around is None:
                check_path(path)
                return None
            return read(path, self.data, self.around)
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return float(number.group()) if number.group(1) or number.group(2) else int(number.group())
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self.call()

    def _string(self, is_template: bool) -> str:
        out, self.at = [], self.at + 1
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                if following not in _ESCAPED:
                    raise _fail(f"Invalid escape \\{following} in {self.text}")
                # A template keeps its escapes, so that Format can tell a brace from a placeholder.
                out.append("\\" + following if is_template and following != "'" else following)
                self.at += 2
                continue
            self.at += 1
            if char == "'":
                return _Template("".join(out)) if is_template else "".join(out)
            out.append(char)
        raise _fail(f"Unterminated string in {self.text}")

    def _path(self) -> str:
        start, depth, quote = self.at, 0, ""
        while self.at < len(self.text):
            char = self.text[self.at]
            if quote:
                quote = "" if char == quote else quote
            elif depth and char in "'\"":
                quote = char
            elif char in "[(":
                depth += 1
            elif depth and char in "])":
                depth -= 1
            elif not depth and char in ",)":
                break
            self.at += 1
        return self.text[start : self.at].strip()


def evaluate(text: str, data: Any, around: Surroundings, seed: str = "") -> Any:
    """The value of `States.…(...)`. Raises StateFailure States.IntrinsicFailure, or States.Runtime for a path."""
    return _read(_Reader(text, data, around, seed))


def check(text: str) -> None:
    """Raises StateFailure for what is not a call of a known function with readable arguments."""
    _read(_Reader(text, None, None, ""))


def _read(reader: _Reader) -> Any:
    value = reader.call()
    if reader.skip():
        raise _fail(f"Invalid intrinsic function: {reader.text}")
    return value


def _format(template: str, *values: Any) -> str:
    # What is written in the call may escape a backslash; one that comes from the data stands for itself.
    pieces = (_WRITTEN if isinstance(template, _Template) else _GIVEN).findall(template)
    if pieces.count("{}") != len(values):
        raise ValueError("number of arguments do not match the occurrences of {}")
    left = iter(values)
    return "".join(_shown(next(left)) if piece == "{}" else piece[-1] for piece in pieces)


def _shown(value: Any) -> str:
    # Step Functions prints nested values the way Java does.
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={_shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return _java(value) if isinstance(value, float) else str(value)


def _java(value: float) -> str:
    """A number as Java prints a double: with an exponent from 10^7 on and below 10^-3."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    mantissa, _, exponent = format(Decimal(repr(value)).normalize(), "e").partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return math.floor(value + 0.5)  # half up, as Java rounds


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("an array is expected")
    return value


def _item(items: Any, index: Any) -> Any:
    place = _whole(index)
    if place < 0:
        raise ValueError("the index must not be negative")
    return _array(items)[place]


def _string_to_json(text: str) -> Any:
    return parsed(text) if text.strip() else None


def _contains(items: Any, value: Any) -> bool:
    wanted = json.dumps(value, sort_keys=True)
    return any(json.dumps(item, sort_keys=True) == wanted for item in _array(items))


def _partition(items: Any, size: Any) -> list[list[Any]]:
    step = _whole(size)
    if step <= 0:
        raise ValueError("the chunk size must be positive")
    whole = _array(items)
    return [whole[n : n + step] for n in range(0, len(whole), step)]


def _range(first: Any, last: Any, step: Any) -> list[int]:
    pace = _whole(step)
    if pace == 0:
        raise ValueError("the step must not be 0")
    stop = _whole(last) + (1 if pace > 0 else -1)
    values = list(range(_whole(first), stop, pace))
    if len(values) > _MAX_RANGE:
        raise ValueError(f"more than {_MAX_RANGE} elements")
    return values


def _unique(items: Any) -> list[Any]:
    seen, kept = set(), []
    for item in _array(items):
        key = json.dumps(item, sort_keys=True)
        if key not in seen:
            seen.add(key)
            kept.append(item)
    return kept


def _encode(text: str) -> str:
    if len(text) > _MAX_CHARACTERS:
        raise ValueError("more than 10000 characters")
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    if len(text) > _MAX_CHARACTERS:
        raise ValueError("more than 10000 characters")
    # Padding may be left out, as Java's decoder has it.
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()


def _hash(text: Any, algorithm: str) -> str:
    names = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
    if not isinstance(text, str):
        text = json.dumps(text, separators=(",", ":"), ensure_ascii=False)
    if len(text) > _MAX_CHARACTERS:
        raise ValueError("more than 10000 characters")
    return hashlib.new(names[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def _merge(left: Any, right: Any, deep: Any) -> dict[str, Any]:
    if deep is not False:
        raise ValueError("only shallow merging (false) is supported")
    if not isinstance(left, Mapping) or not isinstance(right, Mapping):
        raise ValueError("two objects are expected")
    return {**left, **right}


def _random(seed: str, first: Any, last: Any, own_seed: Any = None) -> int:
    low, high = _whole(first), _whole(last)
    return random.Random(str(own_seed) if own_seed is not None else seed).randrange(low, high)


def _uuid(seed: str) -> str:
    return str(uuid.UUID(int=random.Random(seed).getrandbits(128), version=4))


def _split(text: str, separators: str) -> list[str]:
    parts = re.split("[" + re.escape(separators) + "]", text) if separators else [text]
    return [part for part in parts if part]


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "States.Format": _format,
        "States.StringToJson": _string_to_json,
        "States.JsonToString": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        "States.Array": lambda *values: list(values),
        "States.ArrayPartition": _partition,
        "States.ArrayContains": _contains,
        "States.ArrayRange": _range,
        "States.ArrayGetItem": _item,
        "States.ArrayLength": lambda items: len(_array(items)),
        "States.ArrayUnique": _unique,
        "States.Base64Encode": _encode,
        "States.Base64Decode": _decode,
        "States.Hash": _hash,
        "States.JsonMerge": _merge,
        "States.MathRandom": _random,
        "States.MathAdd": lambda left, right: _whole(left) + _whole(right),
        "States.StringSplit": _split,
        "States.UUID": _uuid,
    }
)
