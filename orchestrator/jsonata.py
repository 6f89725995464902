"""JSONata expressions, `{% ... %}`: evaluated without a look at clock or chance, so that a replay gives the same."""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from orchestrator.dataflow import text
from orchestrator.errors import EvaluationFailure, StateFailure, runtime
from orchestrator.jsonata_functions import NULL, BadCall, functions
from orchestrator.paths import Surroundings

_EVALUATION_MAX_MILLISECONDS = 2_000
_TOO_DEEP = "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive"
_PLURALS = MappingProxyType(
    {"a": "arrays", "b": "booleans", "f": "functions", "n": "numbers", "o": "objects", "s": "strings"}
)
# Three braces hold what stands there as it is, two what is told as JSON.
_PLACE = re.compile(r"\{(\{)?\{\w+\}\}(?(1)\})")
_SEEN_THROUGH = frozenset({"binary", "condition", "bind", "block", "unary", "function", "apply", "partial"})
NO_LIBRARY = "JSONata needs the extra `jsonata` of this installation (the package jsonata-python)"
_KINDS: Mapping[str, type | tuple[type, ...]] = MappingProxyType(
    {"array": list, "object": Mapping, "string": str, "boolean": bool, "number": (int, float)}
)


@dataclass(frozen=True, slots=True)
class Query:
    """What the expressions of one attempt of a state see: `$states`, the variables, and nothing else."""

    around: Surroundings
    input: Any
    seed: str
    more: Mapping[str, Any] = field(default_factory=dict)

    def value(self, given: Any, place: str) -> Any:
        """A value with every expression in it evaluated; `place` is its field. Raises EvaluationFailure."""
        if isinstance(given, str):
            return self._evaluated(given[2:-2].strip(), place) if is_expression(given) else given
        if isinstance(given, Mapping):
            return {key: self.value(item, f"{place}/{key}") for key, item in given.items()}
        if isinstance(given, list):
            return [self.value(item, f"{place}[{number}]") for number, item in enumerate(given)]
        return given

    def typed(self, given: Any, place: str, kind: str) -> Any:
        """As `value`, of a kind of JSON value: array, object, string, boolean or number."""
        found = self.value(given, place)
        actual = kind_of(found)
        if actual != kind:
            words = given[2:-2].strip() if isinstance(given, str) and is_expression(given) else text(given)
            raise EvaluationFailure(
                f"The JSONata expression '{words}' specified for the field '{place}' returned an unexpected result "
                f"type. Expected '{kind}', but was '{actual}' for value: {text(found)}",
                place,
            )
        return found

    def _evaluated(self, words: str, place: str) -> Any:
        about = f"The JSONata expression '{words}' specified for the field '{place}'"
        try:
            found = _run(words, self._bindings(), f"{self.seed}|{place}", self._now_ms())
        except _Refused as error:
            raise EvaluationFailure(f"{about} threw an error during evaluation{error}", place) from None
        if found is _UNDEFINED:
            raise EvaluationFailure(f"{about} returned nothing (undefined).", place)
        return found

    def _bindings(self) -> dict[str, Any]:
        states = {"input": self.input, "context": self.around.context, **self.more}
        return {**self.around.variables, "states": states}

    def _now_ms(self) -> int:
        """The time of expressions: when the state was entered, the same on every replay."""
        told = self.around.context.get("State", {}).get("EnteredTime")
        return round(datetime.fromisoformat(told).timestamp() * 1000) if told else 0


def is_expression(value: str) -> bool:
    """Whether a string is an expression; a blank before `{%` makes it a literal."""
    return value.startswith("{%") and value.endswith("%}") and len(value) >= 4


def kind_of(value: Any) -> str:
    """The kind of a JSON value in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return next((name for name, kind in _KINDS.items() if isinstance(value, kind)), "undefined")


def check(words: str) -> str:
    """What is wrong with an expression's syntax; empty when nothing is, or when it cannot be told here."""
    try:
        library = _library()
    except StateFailure as failure:
        return failure.cause
    try:
        program = library.Jsonata(words)
    except Exception as error:
        return _said(error).lstrip(".: ")
    if program.get_errors():
        return "a syntax error"
    names = sorted(_unrooted(program.ast))
    return f"Reference to '{names[0]}' at the top level is not supported." if names else ""


def _unrooted(node: Any) -> set[str]:
    """The names an expression reads from nowhere: it has no value to start from but $states and the variables."""
    kind = getattr(node, "type", None)
    if kind == "name":
        return {str(node.value)}
    if kind == "variable":
        return {"$$"} if node.value == "$" else set()
    if kind == "path":
        return _unrooted(node.steps[0])
    if kind not in _SEEN_THROUGH:
        return set()
    parts = [getattr(node, name, None) for name in ("condition", "then", "_else", "expression", "rhs")]
    if kind != "bind":
        parts.append(getattr(node, "lhs_object" if kind == "unary" and node.value == "{" else "lhs", None))
    for several in ("expressions", "arguments", "lhs_object"):
        held = getattr(node, several, None)
        for item in held if isinstance(held, list) else ():
            parts += item if isinstance(item, list | tuple) else [item]
    return {name for part in parts if part is not None and not isinstance(part, list) for name in _unrooted(part)}


class _Undefined:
    pass


class _Refused(Exception):
    pass


_UNDEFINED = _Undefined()


def _library() -> Any:
    try:
        return importlib.import_module("jsonata.jsonata")
    except ImportError:
        raise runtime(NO_LIBRARY) from None


def _run(words: str, bindings: Mapping[str, Any], seed: str, now_ms: int) -> Any:
    library = _library()
    null = library.utils.Utils.NULL_VALUE
    shown = library.functions.Functions.datetime_from_millis
    try:
        program = library.Jsonata(words, timeout=_EVALUATION_MAX_MILLISECONDS)
        program.set_output_convert_nulls(False)
        for name, (function, most) in functions(seed, now_ms, shown).items():
            program.register_function(name, _native(library, function, most, null))
        # Step Functions has no $eval.
        program.assign("eval", null)
        found = program.evaluate(None, {name: _given(value, null) for name, value in bindings.items()})
        return _UNDEFINED if found is None else _taken(found, null)
    except Exception as error:
        # The library raises errors of its own, and Python's where an expression surprises it.
        raise _Refused(_said(error)) from None


def _said(error: Exception) -> str:
    """The end of the sentence that tells of an error: a coded one is a sentence of its own."""
    code = getattr(error, "error", "")
    if isinstance(error, RecursionError) or code == "D1011":
        return f": {_TOO_DEEP}"
    if code == "D1012":
        return ": Expression evaluation timeout: Check for infinite loop"
    words = getattr(error, "error_codes", {}).get(code)
    if not words:
        return f": {error}"
    given = [getattr(error, name, None) for name in ("current", "expected", "extra")]
    if code == "T0412":
        given[2] = _PLURALS.get(str(given[2]), given[2])
    elif code == "D1002":
        given[0] = given[1]
    told = iter(given)

    def filled(match: re.Match[str]) -> str:
        value = next(told, None)
        is_plain = value is None or isinstance(value, str | bool | int | float)
        return str(value) if match.group(1) else text(value if is_plain else str(value))

    words = words.replace(" Object ", " function ").replace("Object signature", "function signature")
    return f". {code}: {_PLACE.sub(filled, words)}"


def _native(library: Any, function: Any, most: int, null: Any) -> Any:
    def call(*arguments: Any) -> Any:
        given = [_taken(argument, null) if argument is not None else None for argument in arguments[:most]]
        found = function(*given, *[None] * (most - len(given)))
        return null if found is NULL else None if found is None else _given(found, null)

    return library.Jsonata.JLambda(call)


def _given(value: Any, null: Any) -> Any:
    """A JSON value as the library takes it: null is a value of its own there, None is nothing at all."""
    if value is None:
        return null
    if isinstance(value, Mapping):
        return {key: _given(item, null) for key, item in value.items()}
    return [_given(item, null) for item in value] if isinstance(value, list) else value


def _taken(value: Any, null: Any) -> Any:
    """What the library gave as a JSON value; raises BadCall for what is none, a function for one."""
    if value is null or value is None:
        return None
    if isinstance(value, Mapping):
        return {str(key): _taken(item, null) for key, item in value.items()}
    if isinstance(value, list):
        return [_taken(value[number], null) for number in range(len(value))]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, str | bool | int | float):
        return value
    raise BadCall("a function is not a JSON value")
