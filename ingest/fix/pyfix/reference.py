"""FixSpec: a FIX version as QuickFIX's XML files describe it: tags, messages, components, repeating groups."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeVar
from xml.etree.ElementTree import Element

from ingest.fix.pyfix.fixtag import FixTag, TagsReference
from ingest.fix.pyfix.spec_xml import read_xml
from ingest.fix.pyfix.wire import ENCODED_DATA_TAGS

__all__ = [
    "ENCODED_DATA_TAGS", "HEADER_SORT_MAP", "HEADER_TAGS", "TRAILER_RANK", "TRAILER_TAGS", "Component", "FixSpec",
    "FixTag", "Group", "MessageType", "TagsReference",
]  # fmt: skip

# Header and trailer where the file has none, as from FIX 5.0 on (they are in FIXT's file). Hops are left out.
HEADER_TAGS = [
    8, 9, 35, 1128, 1156, 1129, 49, 56, 115, 128, 90, 91, 34, 50, 142, 57, 143, 116, 144, 129, 145, 43, 97, 52, 122,
    212, 213, 347, 369, 370,
]  # fmt: skip
TRAILER_TAGS = [93, 89, 10]
_LAST_RANK = 10_000_000_000
# Every rank from here on is the trailer's.
TRAILER_RANK = _LAST_RANK - 1_000
HEADER_SORT_MAP: dict[Any, float] = {
    **{tag: rank for rank, tag in enumerate(HEADER_TAGS)},
    **{tag: _LAST_RANK - rank for rank, tag in enumerate(reversed(TRAILER_TAGS))},
}

Composition = list[tuple[Any, bool]]
_Item = TypeVar("_Item")


class FixSpec:
    """A FIX version: `tags` by name and number, `msg_types` by MsgType(35) as text and as bytes.

    `version` is FIX4.2 for major 4, minor 2; `header_tags` and `trailer_tags` are FixTags in order.
    """

    def __init__(self, xml_file: Any, eager: bool = False) -> None:
        """Read a QuickFIX XML file, given by path or open. `eager` makes the lookups of tags now, not at first use.

        Raises OSError where it cannot be read, ValueError where it is no such dictionary.
        """
        self.source = xml_file
        self.tree: Element | None = read_xml(xml_file)
        self._eager = eager
        self._open: list[str] = []
        self.version = f"FIX{self.tree.get('major')}.{self.tree.get('minor')}"
        self.tags = TagsReference({_tag_of(field) for field in self.tree.findall("fields/field")}, eager)
        self._components = {one.get("name"): one for one in self.tree.findall("components/component")}
        types = [MessageType(one, self) for one in self.tree.findall("messages/message")]
        self.msg_types: dict[Any, MessageType] = {one.msgtype: one for one in types}
        self.msg_types |= {one.msgtype.encode(): one for one in types}
        self.header_tags = [self.named(field) for field in self.tree.findall("header/field")]
        self.trailer_tags = [self.named(field) for field in self.tree.findall("trailer/field")]
        self.tree = None
        self._components = {}

    def named(self, element: Element) -> FixTag:
        """The tag an element names; raises ValueError for one the fields do not have."""
        try:
            return self.tags.by_name(element.get("name"))
        except KeyError:
            raise ValueError(f"{self.source}: no field is named {element.get('name')!r}") from None

    def composition(self, element: Element) -> Composition:
        """What a message, component or group is made of, in order: FixTag, Component or Group, and if required."""
        made = {"field": self.named, "component": lambda e: Component(e, self), "group": self._group}
        found: Composition = []
        for one in element:
            if one.tag not in made:
                raise ValueError(f"{self.source}: Could not process element '{one.tag}'")
            found.append((made[one.tag](one), one.get("required") == "Y"))
        return found

    def component(self, name: str) -> Composition:
        """What the component of this name is made of; raises ValueError for an unknown one, or one within itself."""
        if name not in self._components:
            raise ValueError(f"{self.source}: no component is named {name!r}")
        if name in self._open:
            raise ValueError(f"{self.source}: the component {name!r} contains itself")
        self._open.append(name)
        try:
            return self.composition(self._components[name])
        finally:
            self._open.pop()

    def _group(self, element: Element) -> "Group":
        return Group.from_element(element, self)


def _tag_of(field: Element) -> FixTag:
    number = field.get("number", "")
    if not number.isdigit():
        raise ValueError(f"the field {field.get('name')!r} has the number {number!r}")
    values = tuple((value.get("enum"), value.get("description")) for value in field.findall("value"))
    return FixTag(field.get("name"), int(number), field.get("type"), values)


def _items(composition: Composition, kind: type[_Item]) -> Iterator[_Item]:
    """Members of one kind, those in components too, those in groups not."""
    for item, _ in composition:
        if isinstance(item, kind):
            yield item
        elif isinstance(item, Component):
            yield from _items(item.composition, kind)


def _members(composition: Composition) -> Iterator[int]:
    """Numbers of tags and of counting tags, in order, with components in their place."""
    for item, _ in composition:
        if isinstance(item, Component):
            yield from _members(item.composition)
        else:
            yield item.count_tag.tag if isinstance(item, Group) else item.tag


class _Composed:
    """What has a composition: the order its members are written in."""

    composition: Composition
    _spec: FixSpec

    @cached_property
    def sorting_key(self) -> dict[Any, float]:
        """The rank of each tag: header, members in the order of the spec, trailer."""
        trailer = [tag.tag for tag in self._spec.trailer_tags] or TRAILER_TAGS
        header = [tag.tag for tag in self._spec.header_tags] or HEADER_TAGS
        order: dict[Any, float] = {35: 0, 10: _LAST_RANK}
        order |= {tag: _LAST_RANK - rank for rank, tag in enumerate(reversed(trailer))}
        order |= {tag: rank for rank, tag in enumerate(header)}
        return order | {tag: rank for rank, tag in enumerate(_members(self.composition), len(header))}


class _WithGroups(_Composed):
    groups: dict[Any, "Group"]

    def add_group(self, count_tag: FixTag, composition: Composition, insert_at: int | None = None) -> None:
        """Add a repeating group of your own; `insert_at` is its rank in `sorting_key`, by number behind all if None."""
        self.groups[count_tag.tag] = Group(count_tag, composition, self._spec)
        if insert_at:
            self.sorting_key[count_tag.tag] = insert_at


class Group(_WithGroups):
    """A repeating group: `count_tag` counts it, `tags` are its members' numbers, `groups` the groups within it."""

    def __init__(self, count_tag: FixTag, composition: Composition, spec: FixSpec) -> None:
        self.composition = composition
        self.count_tag = count_tag
        self.name = count_tag.name
        self.tags = {tag.tag for tag in _items(composition, FixTag)}
        self.groups = {group.count_tag.tag: group for group in _items(composition, Group)}
        self._spec = spec

    @classmethod
    def from_element(cls, element: Element, spec: FixSpec) -> "Group":
        """The group an XML element describes."""
        return cls(spec.named(element), spec.composition(element), spec)


class Component(_Composed):
    """A component: fields that messages and groups share."""

    def __init__(self, element: Element, spec: FixSpec) -> None:
        self.name = element.get("name", "")
        self.composition = spec.component(self.name)
        self._spec = spec


class MessageType(_WithGroups):
    """A message type: `msgtype` as in MsgType(35), `name`, `composition`, and its `groups` by counting tag."""

    def __init__(self, element: Element, spec: FixSpec) -> None:
        self.msgtype = element.get("msgtype", "")
        self.name = element.get("name", "")
        self.composition = spec.composition(element)
        self.groups = {group.count_tag.tag: group for group in _items(self.composition, Group)}
        self._spec = spec

    @cached_property
    def known_tags(self) -> frozenset[int]:
        """Tags that stand outside its groups: its own, the header's and the trailer's."""
        around = [tag.tag for tag in (*self._spec.header_tags, *self._spec.trailer_tags)]
        return frozenset((*around, *HEADER_TAGS, *TRAILER_TAGS, *_members(self.composition)))
