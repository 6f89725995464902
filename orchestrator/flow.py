"""How one attempt of a state reads its fields: the JSONPath way, and which of the two ways a state goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator import numbers
from orchestrator.choice import holds
from orchestrator.dataflow import (
    check_assigned,
    check_size,
    effective_input,
    expression,
    input_path,
    output,
    place,
    selected,
    template,
    text,
)
from orchestrator.errors import StateFailure, runtime
from orchestrator.paths import Surroundings, read

_JSON = Mapping[str, Any]
# What a state that produces a result of its own is finished with; the others pass on what they were given.
ABSENT: Any = object()


class Flow(Protocol):
    """The fields of a state in one query language; every failure is a StateFailure."""

    @property
    def state(self) -> _JSON:
        """The state."""

    @property
    def around(self) -> Surroundings:
        """The context object and the variables."""

    def given(self) -> Any:
        """What the state works on."""

    def passed(self, given: Any) -> Any:
        """The result of a Pass, ABSENT where it has none."""

    def number(self, name: str, base: Any, part: _JSON | None = None) -> float | None:
        """A number field of the state, or of a `part` of it, None where it is absent; `base` as `base` gives it."""

    def filled(self, value: Any, base: Any, place: str) -> Any:
        """A value with every path or expression in it resolved."""

    def base(self) -> Any:
        """What the paths of number fields and items are read in."""

    def items(self, base: Any, may_be_object: bool = False) -> list[Any] | _JSON:
        """What a Map goes over: an array, or an object where it may be one."""

    def item(self, base: Any, around: Surroundings, value: Any, seed: str) -> Any:
        """What an iteration is given."""

    def pause(self, given: Any) -> tuple[float | None, str | None]:
        """Seconds, or the RFC 3339 time, a Wait lasts."""

    def chosen(self, given: Any) -> tuple[str | None, _JSON]:
        """The next state of a Choice and the rule, or the state, that decided it."""

    def failure(self) -> StateFailure:
        """What a Fail state fails with."""

    def finish(self, given: Any, result: Any, decided: _JSON) -> tuple[dict[str, Any], Any]:
        """The variables assigned and the output; `decided` is the state, or the rule of a Choice."""

    def caught(self, catcher: _JSON, failure: StateFailure) -> tuple[dict[str, Any], Any]:
        """The variables a catcher assigns and the next state's input."""


@dataclass(frozen=True, slots=True)
class PathFlow:
    """The JSONPath way: InputPath, Parameters, ResultSelector, ResultPath, OutputPath."""

    state: _JSON
    value: Any
    around: Surroundings
    seed: str

    def given(self) -> Any:
        """InputPath, then Parameters."""
        return effective_input(self.state, self.value, self.around, self.seed)

    def passed(self, given: Any) -> Any:
        """Result, or what it was given."""
        return self.state.get("Result", given)

    def base(self) -> Any:
        """InputPath only."""
        return input_path(self.state, self.value, self.around)

    def filled(self, value: Any, base: Any, place: str) -> Any:
        """A payload template."""
        return template(value, base, self.around, f"{self.seed}|{place}")

    def number(self, name: str, base: Any, part: _JSON | None = None) -> float | None:
        """As written, or what its Path finds."""
        part = self.state if part is None else part
        path = part.get(name + "Path")
        if path is None:
            return part.get(name)
        return numbers.read_number(name, path, read(path, base, self.around))

    def items(self, base: Any, may_be_object: bool = False) -> list[Any] | _JSON:
        """What ItemsPath finds."""
        path = self.state.get("ItemsPath", "$")
        found = read(path, base, self.around)
        if isinstance(found, list) or (may_be_object and isinstance(found, Mapping)):
            return found
        raise runtime(f'Reference path "{path}" must point to array.')

    def item(self, base: Any, around: Surroundings, value: Any, seed: str) -> Any:
        """The item, or what ItemSelector makes of it."""
        selector = self.state.get("ItemSelector", self.state.get("Parameters"))
        return value if selector is None else template(selector, base, around, seed)

    def pause(self, given: Any) -> tuple[float | None, str | None]:
        """Seconds or Timestamp, as written or by path."""
        state, name = self.state, "Seconds" if "Seconds" in self.state or "SecondsPath" in self.state else "Timestamp"
        path = state.get(f"{name}Path")
        value = read(path, given, self.around) if path is not None else state[name]
        return (numbers.seconds(value, path), None) if name == "Seconds" else (None, numbers.timestamp(value, path))

    def chosen(self, given: Any) -> tuple[str | None, _JSON]:
        """The first rule that holds."""
        for rule in self.state["Choices"]:
            if holds(rule, given, self.around):
                return str(rule["Next"]), rule
        return default(self.state)

    def failure(self) -> StateFailure:
        """Error and Cause, as written, by path or by intrinsic function."""
        given = self.given()

        def told(name: str) -> str:
            path = self.state.get(f"{name}Path")
            if path is None:
                return str(self.state.get(name, ""))
            value = expression(path, given, self.around, self.seed, f"{name}Path")
            return value if isinstance(value, str) else text(value)

        return StateFailure(told("Error"), told("Cause"))

    def finish(self, given: Any, result: Any, decided: _JSON) -> tuple[dict[str, Any], Any]:
        """ResultSelector, Assign, ResultPath, OutputPath."""
        seed = self.seed
        if result is ABSENT:
            assigned = template(decided.get("Assign", {}), given, self.around, seed + "|a")
            check_assigned(assigned, self.around.variables)
            return assigned, output(self.state, given, self.around)
        result = selected(self.state, result, self.around, seed)
        check_size(result)
        assigned = template(self.state.get("Assign", {}), result, self.around, seed + "|a")
        check_assigned(assigned, self.around.variables)
        return assigned, output(self.state, place(self.state, self.value, result), self.around)

    def caught(self, catcher: _JSON, failure: StateFailure) -> tuple[dict[str, Any], Any]:
        """ResultPath of the catcher puts the error into the state's input."""
        told = {"Error": failure.error, "Cause": failure.cause}
        assigned = template(catcher.get("Assign", {}), told, self.around, self.seed + "|c")
        check_assigned(assigned, self.around.variables)
        return assigned, output({}, place(catcher, self.value, told), self.around)


def default(state: _JSON) -> tuple[str, _JSON]:
    """A Choice's Default; raises States.NoChoiceMatched without one."""
    if "Default" not in state:
        raise StateFailure("States.NoChoiceMatched", "No choice rule matched and no Default is given")
    return str(state["Default"]), state
