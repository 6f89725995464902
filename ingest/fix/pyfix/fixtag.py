"""FixTag and TagsReference: a tag's name, number, type and enumerated values, found by either."""

from typing import Any


class FixTag:
    """A tag: `name`, `tag` (its number), `type` as in QuickFIX's files, and the values it may have."""

    def __init__(
        self, name: Any, tag: int, tagtype: str | None = None, values: tuple[tuple[Any, Any], ...] = ()
    ) -> None:
        """`values` are pairs of value and name."""
        self.name = name
        self.tag = tag
        self.type = tagtype
        self._values = tuple(values)

    def __repr__(self) -> str:
        return f"FixTag({self.name!r}, {self.tag})"

    def add_enum_value(self, name: Any, value: Any) -> None:
        """Add a value; raises KeyError for a name that is there."""
        if any(known == name for _, known in self._values):
            raise KeyError(f"Name {name} is already known in tag {self.tag}'s enum")
        self._values = (*self._values, (value, name))

    def del_enum_value(self, name: Any = None, value: Any = None) -> None:
        """Delete a value, by its name or itself. Raises KeyError for an unknown one, ValueError if both do not meet."""
        if name is None and value is None:
            raise TypeError("either name or value is required")
        if name and value and self.enum_by_name(name) != value:
            raise ValueError(f"{name} of tag {self.tag} is {self.enum_by_name(name)}, not {value}")
        at = 1 if name else 0
        wanted = name or value
        if all(pair[at] != wanted for pair in self._values):
            raise KeyError(f"{wanted} is not known as a {('value', 'name')[at]} for tag {self.tag}")
        self._values = tuple(pair for pair in self._values if pair[at] != wanted)

    def enum_by_name(self, name: Any) -> Any:
        """The value of this name; raises KeyError."""
        return {known: value for value, known in self._values}[name]

    def enum_by_value(self, value: Any) -> Any:
        """The name of this value, given as text or bytes; raises KeyError."""
        return dict(self._values)[value.decode() if isinstance(value, bytes) else value]


class TagsReference:
    """Tags, found by name and by number."""

    def __init__(self, tags: set[FixTag], eager: bool = False) -> None:
        self.tags = tags
        self._by_name: dict[Any, FixTag] = {}
        self._by_tag: dict[Any, FixTag] = {}
        if eager:
            self._index()

    def _index(self) -> None:
        self._by_name = {tag.name: tag for tag in self.tags}
        self._by_tag = {tag.tag: tag for tag in self.tags}

    def add_tag(self, tag: int, name: Any) -> None:
        """Add a tag of your own."""
        new = FixTag(name=name, tag=tag)
        self.tags.add(new)
        if self._by_name:
            self._by_name[name] = self._by_tag[tag] = new

    def by_name(self, name: Any) -> FixTag:
        """The tag of this name; raises KeyError."""
        if not self._by_name:
            self._index()
        return self._by_name[name]

    def by_tag(self, tag: int) -> FixTag:
        """The tag of this number; raises KeyError."""
        if not self._by_tag:
            self._index()
        return self._by_tag[tag]
