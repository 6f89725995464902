"""How one attempt of a state reads its fields the JSONata way: Arguments, Output, Assign, Items, Condition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.choice import is_timestamp
from orchestrator.dataflow import check_assigned, check_size, text
from orchestrator.errors import EvaluationFailure, StateFailure
from orchestrator.flow import ABSENT, default
from orchestrator.jsonata import Query
from orchestrator.numbers import too_long
from orchestrator.paths import Surroundings

_JSON = Mapping[str, Any]
_MAX_WAIT_SECONDS = 99_999_999
_SHARE = "ToleratedFailurePercentage"


@dataclass(frozen=True, slots=True)
class JsonataFlow:
    """The JSONata way; a field without an expression is taken as it is."""

    state: _JSON
    value: Any
    around: Surroundings
    seed: str

    def _query(self, **more: Any) -> Query:
        return Query(self.around, self.value, self.seed, more)

    def given(self) -> Any:
        """Arguments, or the state's input."""
        return self._query().value(self.state["Arguments"], "Arguments") if "Arguments" in self.state else self.value

    def passed(self, given: Any) -> Any:
        """Nothing: Output says all."""
        return ABSENT

    def base(self) -> Any:
        """The state's input; expressions see it as $states.input."""
        return self.value

    def filled(self, value: Any, base: Any, place: str) -> Any:
        """Its expressions."""
        return self._query().value(value, place)

    def number(self, name: str, base: Any, part: _JSON | None = None) -> float | None:
        """A number, whole unless it is a percentage; a time limit is positive."""
        part = self.state if part is None else part
        if name not in part:
            return None
        found = self._query().typed(part[name], name, "number")
        least = 1 if name.endswith("Seconds") else 0
        if found < least or (name == _SHARE and found > 100) or (name != _SHARE and found % 1):
            what = "a number from 0 to 100" if name == _SHARE else f"a whole number from {least}"
            raise EvaluationFailure(f"The {name} field must be {what} but was: {text(found)}", name)
        return float(found)

    def items(self, base: Any, may_be_object: bool = False) -> list[Any] | _JSON:
        """Items, or the state's input."""
        if "Items" in self.state:
            query, given = self._query(), self.state["Items"]
            if may_be_object:
                found: list[Any] | _JSON = query.value(given, "Items")
                if isinstance(found, Mapping):
                    return found
            return list(query.typed(given, "Items", "array"))
        if may_be_object and isinstance(self.value, Mapping):
            return self.value
        if not isinstance(self.value, list):
            raise EvaluationFailure(f"Map state input must be an array but was: {text(self.value)}")
        return self.value

    def item(self, base: Any, around: Surroundings, value: Any, seed: str) -> Any:
        """The item, or what ItemSelector makes of it."""
        selector = self.state.get("ItemSelector")
        return value if selector is None else Query(around, self.value, seed).value(selector, "ItemSelector")

    def pause(self, given: Any) -> tuple[float | None, str | None]:
        """Seconds or Timestamp."""
        if "Seconds" in self.state:
            found = self._query().typed(self.state["Seconds"], "Seconds", "number")
            if found < 0 or found % 1:
                raise EvaluationFailure(f"The Seconds field must be a whole number from 0 but was: {found}", "Seconds")
            if found > _MAX_WAIT_SECONDS:
                raise too_long()
            return float(found), None
        until = self._query().typed(self.state["Timestamp"], "Timestamp", "string")
        if not is_timestamp(until):
            raise EvaluationFailure(
                f"The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {until}",
                "Timestamp",
            )
        return None, until

    def chosen(self, given: Any) -> tuple[str | None, _JSON]:
        """The first rule whose Condition is true."""
        for number, rule in enumerate(self.state["Choices"]):
            if self._query().typed(rule["Condition"], f"Choices[{number}]/Condition", "boolean"):
                return str(rule["Next"]), rule
        return default(self.state)

    def failure(self) -> StateFailure:
        """Error and Cause."""
        told = [
            self._query().typed(self.state[name], name, "string") if name in self.state else ""
            for name in ("Error", "Cause")
        ]
        return StateFailure(*told)

    def finish(self, given: Any, result: Any, decided: _JSON) -> tuple[dict[str, Any], Any]:
        """Assign and Output; both see the variables as they were."""
        query = self._query() if result is ABSENT else self._query(result=result)
        return self._told(query, decided, given if result is ABSENT else result)

    def caught(self, catcher: _JSON, failure: StateFailure) -> tuple[dict[str, Any], Any]:
        """Assign and Output of the catcher; without an Output the error is the next state's input."""
        told = {"Error": failure.error, "Cause": failure.cause}
        return self._told(self._query(errorOutput=told), catcher, told)

    def _told(self, query: Query, part: _JSON, otherwise: Any) -> tuple[dict[str, Any], Any]:
        place = self._place(part)
        assigned = query.value(part.get("Assign", {}), f"{place}Assign")
        value = query.value(part["Output"], f"{place}Output") if "Output" in part else otherwise
        check_assigned(assigned, self.around.variables)
        check_size(value)
        return assigned, value

    def _place(self, part: _JSON) -> str:
        """Where a rule or a catcher stands in the state; nothing for the state itself."""
        for group in ("Choices", "Catch"):
            for number, item in enumerate(self.state.get(group, ())):
                if item is part:
                    return f"{group}[{number}]/"
        return ""
