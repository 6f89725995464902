"""Where a `States` map runs: its states, context object, variables, and the keys that tell its visits apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Progress:
    """How many history events an execution has told."""

    events: int = 0


@dataclass(slots=True)
class Scope:
    """One run of a `States` map: the machine itself, a branch or an iteration. `prefix` keeps keys apart."""

    states: Mapping[str, Any]
    context: Mapping[str, Any]
    variables: dict[str, Any]
    prefix: str
    seed: str
    language: str
    progress: Progress
    entered: int = 0
    visits: dict[str, int] = field(default_factory=dict)

    def visit(self, name: str) -> str:
        """The key of the next visit of a state."""
        self.visits[name] = self.visits.get(name, 0) + 1
        return f"{self.prefix}{name}@{self.visits[name]}"

    def inside(self, key: str) -> "Scope":
        """A scope below the attempt `key` of a state here; it sees a copy of the variables."""
        return Scope({}, self.context, dict(self.variables), f"{key}/", self.seed, self.language, self.progress)

    def part(self, number: int, machine: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> "Scope":
        """The scope of one branch or iteration."""
        language = str(machine.get("QueryLanguage", self.language))
        prefix = f"{self.prefix}{number}/"
        given = context or self.context
        return Scope(machine["States"], given, dict(self.variables), prefix, self.seed, language, self.progress)
