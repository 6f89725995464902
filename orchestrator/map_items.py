"""What a Map goes over: elements of an array, pairs of an object, and what each tells in the context object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FROM_STATE = "STATE_DATA"


@dataclass(frozen=True, slots=True)
class Item:
    """One item: what an iteration is given, its value, the key it had in an object, and where it came from."""

    given: Any
    value: Any
    source: str = FROM_STATE
    key: str | None = None

    def context(self, context: Mapping[str, Any], index: int) -> dict[str, Any]:
        """The context object an iteration over this item sees."""
        pair = {} if self.key is None else {"Key": self.key}
        told = {"Index": index, **pair, "Value": self.value, "Source": self.source}
        return {**context, "Map": {"Item": told}}


def listed(found: Sequence[Any] | Mapping[str, Any], source: str = FROM_STATE) -> list[Item]:
    """The items of an array, or the pairs of an object as `{"Key": ..., "Value": ...}`."""
    if isinstance(found, Mapping):
        return [Item({"Key": key, "Value": value}, value, source, key) for key, value in found.items()]
    return [Item(value, value, source) for value in found]
