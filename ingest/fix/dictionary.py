"""What a FIX dictionary says: fields with their types and values, messages with their required fields and groups."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# MultipleStringValue and its older spellings: several codes separated by blanks.
_MULTIPLE = frozenset({"MULTIPLEVALUESTRING", "MULTIPLESTRINGVALUE", "MULTIPLECHARVALUE"})


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: its FIX data type in upper case and, where they are listed, its values with their meaning."""

    number: int
    name: str
    type: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def allows(self, value: str) -> bool:
        """Whether the value is one of the listed ones; always true where none are listed."""
        if not self.values:
            return True
        if self.type in _MULTIPLE:
            return all(part in self.values for part in value.split(" "))
        return value in self.values


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of a message, a header, a trailer or one group entry.

    `fields` are the tags of this level in order of definition, counting tags among them; `required` those that must
    be there; `groups` gives the layout of one entry per counting tag. Unless `complete`, other fields may appear too:
    the table names only what Tieout reads or must have.
    """

    fields: tuple[int, ...] = ()
    required: frozenset[int] = frozenset()
    groups: Mapping[int, "Layout"] = field(default_factory=lambda: MappingProxyType({}))
    complete: bool = False

    @property
    def delimiter(self) -> int | None:
        """The tag that opens an entry, where this is the layout of a group."""
        return self.fields[0] if self.fields else None

    @property
    def tags(self) -> frozenset[int]:
        """Every tag of this level and of the groups below it."""
        return frozenset(self._all())

    def _all(self) -> Iterator[int]:
        yield from self.fields
        for group in self.groups.values():
            yield from group._all()


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """One message type; `session` marks the session level (admin) ones."""

    type: str
    name: str
    session: bool
    layout: Layout


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A version of FIX as one party uses it.

    `complete` is true for an imported dictionary: a field or message type it does not hold does not exist there. Our
    own table (`ingest.fix.own`) is complete for the session level only, message by message (`Layout.complete`).
    """

    version: str
    fields: Mapping[int, FieldSpec]
    messages: Mapping[str, MessageSpec]
    header: Layout
    trailer: Layout
    complete: bool = False

    def name(self, tag: int) -> str:
        """The tag's name, empty where it is not known."""
        found = self.fields.get(tag)
        return found.name if found else ""

    def message_name(self, kind: str) -> str:
        """The name of a MsgType(35), empty where it is not known."""
        found = self.messages.get(kind)
        return found.name if found else ""

    def meaning(self, tag: int, value: str) -> str:
        """What a coded value means, empty where it is not listed."""
        found = self.fields.get(tag)
        return found.values.get(value, "") if found else ""

    def where(self, tag: int) -> tuple[str, ...]:
        """The message types that hold the tag, their groups included, in order of definition."""
        return tuple(kind for kind, message in self.messages.items() if tag in message.layout.tags)
