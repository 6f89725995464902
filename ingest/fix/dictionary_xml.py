"""FIX dictionaries people have, read into ours: QuickFIX's XML and FIX Orchestra's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from ingest.fix.dictionary import Dictionary, FieldSpec, Layout, MessageSpec
from ingest.fix.tags import SESSION_TYPES
from ingest.fix.xml_tree import Element, XmlRefused, parse_tree

_K = TypeVar("_K")
_V = TypeVar("_V")
_MAX_DEPTH = 12
_MAX_FIELDS = 20_000  # of one message, with all its groups
_Resolve = Callable[[Element], "tuple[str, int, Element | None]"]  # kind, tag and, for groups and components, the body


def read_dictionary(data: bytes) -> Dictionary:
    """A dictionary from QuickFIX or Orchestra XML. Raises XmlRefused (a ValueError) saying what is wrong with it."""
    root = parse_tree(data, frozenset({"annotation", "documentation", "metadata"}))
    if root.name == "fix":
        return _quickfix(root)
    if root.name == "repository":
        return _orchestra(root)
    raise XmlRefused(f"the root element is {root.name!r}: neither QuickFIX's fix nor Orchestra's repository")


def _quickfix(root: Element) -> Dictionary:
    fields: dict[int, FieldSpec] = {}
    for item in root.within("fields"):
        values = {value.get("enum"): value.get("description").replace("_", " ") for value in item.children}
        number = _number(item, "number")
        fields[number] = FieldSpec(number, _name(item), item.get("type").upper() or "STRING", MappingProxyType(values))
    numbers = {spec.name: spec.number for spec in fields.values()}
    components = {part.get("name"): part for part in root.within("components")}

    def resolve(item: Element) -> tuple[str, int, Element | None]:
        if item.name == "component":
            return "component", 0, _known(components, item.get("name"), "component")
        tag = _known(numbers, item.get("name"), "field")
        return item.name, tag, item if item.name == "group" else None

    def layout(body: Element | None) -> Layout:
        return _Reader(resolve, lambda item: item.get("required") == "Y").layout(body.children if body else ())

    messages = {}
    for item in root.within("messages"):
        kind = item.get("msgtype")
        messages[kind] = MessageSpec(kind, _name(item), item.get("msgcat") == "admin", layout(item))
    version = f"{root.get('type') or 'FIX'}.{root.get('major')}.{root.get('minor')}"
    pack = root.get("servicepack")
    version += f"SP{pack}" if pack not in ("", "0") else ""
    return _dictionary(version, fields, messages, layout(root.child("header")), layout(root.child("trailer")))


def _orchestra(root: Element) -> Dictionary:
    codes, bases = {}, {}
    for item in root.within("codeSets"):
        name = item.get("name")
        if item.name == "codeSet" and name not in codes:
            codes[name] = {code.get("value"): code.get("name") for code in item.children if code.name == "code"}
            bases[name] = item.get("type")
    fields: dict[int, FieldSpec] = {}
    for item in root.within("fields"):
        # Before Orchestra 1.1 the type of a coded field is its code set.
        named = item.get("codeSet") or item.get("type")
        number = _number(item, "id")
        kind = bases.get(named, named).upper() or "STRING"
        fields.setdefault(number, FieldSpec(number, _name(item), kind, MappingProxyType(codes.get(named, {}))))
    parts = {kind: _first(root.within(kind), "id") for kind in ("components", "groups")}
    # In the first drafts groups stood among the components.
    groups = {**{key: e for key, e in parts["components"].items() if e.name == "group"}, **parts["groups"]}
    standard = frozenset(p.get("id") for p in parts["components"].values() if p.get("name") in _STANDARD)

    def resolve(item: Element) -> tuple[str, int, Element | None]:
        if item.name == "fieldRef":
            tag = _number(item, "id")
            _known(fields, tag, "field")
            return ("field", tag, None) if item.get("presence") not in ("forbidden", "ignored") else ("none", 0, None)
        if item.name == "groupRef":
            body = _known(groups, item.get("id"), "group")
            count = body.child("numInGroup")
            if count is None:
                raise XmlRefused(f"group {body.get('name')!r} has no numInGroup")
            return "group", _number(count, "id"), body
        if item.name == "componentRef" and item.get("id") not in standard:
            return "component", 0, _known(parts["components"], item.get("id"), "component")
        return "none", 0, None

    def layout(children: Sequence[Element]) -> Layout:
        return _Reader(resolve, lambda item: item.get("presence") in ("required", "constant")).layout(children)

    messages = {}
    for kind, item in _first(root.within("messages"), "msgType").items():
        session = item.get("category") == "Session" or kind in SESSION_TYPES
        messages[kind] = MessageSpec(kind, _name(item), session, layout(item.within("structure")))
    frames = {
        part.get("name"): layout(part.children) for part in parts["components"].values() if part.get("id") in standard
    }
    header, trailer = (frames.get(name, Layout()) for name in _STANDARD)
    return _dictionary(root.get("version").partition("_EP")[0], fields, messages, header, trailer)


_STANDARD = ("StandardHeader", "StandardTrailer")


class _Reader:
    """Resolves the references of one message into a layout, refusing circles and runaway sizes."""

    def __init__(self, resolve: _Resolve, required: Callable[[Element], bool]) -> None:
        self._resolve, self._required = resolve, required
        self._read = 0

    def layout(self, items: Sequence[Element], depth: int = 0) -> Layout:
        """The layout of these children."""
        fields: dict[int, None] = {}
        needed: set[int] = set()
        groups: dict[int, Layout] = {}
        for item, required, body, tag in self._flat(items, True, depth):
            fields[tag] = None
            if required:
                needed.add(tag)
            if body is not None:
                children = [child for child in body.children if child.name != "numInGroup"]
                groups[tag] = self.layout(children, depth + 1)
                if not groups[tag].fields:
                    raise XmlRefused(f"group {item.get('name') or tag!r} has no fields")
        return Layout(tuple(fields), frozenset(needed), MappingProxyType(groups), complete=True)

    def _flat(
        self, items: Sequence[Element], required: bool, depth: int
    ) -> Iterator[tuple[Element, bool, Element | None, int]]:
        if depth > _MAX_DEPTH:
            raise XmlRefused(f"components or groups are nested deeper than {_MAX_DEPTH}; do they hold each other?")
        for item in items:
            kind, tag, body = self._resolve(item)
            needed = required and self._required(item)
            if kind == "component" and body is not None:
                yield from self._flat(body.children, needed, depth + 1)
            elif tag:
                self._read += 1
                if self._read > _MAX_FIELDS:
                    raise XmlRefused(f"a message holds more than {_MAX_FIELDS} fields")
                yield item, needed, body, tag


def _dictionary(
    version: str, fields: Mapping[int, FieldSpec], messages: Mapping[str, MessageSpec], header: Layout, trailer: Layout
) -> Dictionary:
    if not fields:
        raise XmlRefused("it defines no fields")
    wrong = next((kind for kind in messages if not kind or not kind.isascii() or not kind.isalnum()), None)
    if wrong is not None:
        raise XmlRefused(f"MsgType {wrong!r} is not letters and digits")
    # Nothing said about header or trailer does not mean that they are empty.
    header, trailer = (frame if frame.fields else Layout() for frame in (header, trailer))
    return Dictionary(version, MappingProxyType(fields), MappingProxyType(messages), header, trailer, complete=True)


def _first(elements: Sequence[Element], key: str) -> dict[str, Element]:
    """By key; of several scenarios the one called base, else the first."""
    found: dict[str, Element] = {}
    for element in elements:
        name = element.get(key)
        if name not in found or (
            element.get("scenario") in ("", "base") and found[name].get("scenario") not in ("", "base")
        ):
            found[name] = element
    return found


def _known(table: Mapping[_K, _V], key: _K, what: str) -> _V:
    if key not in table:
        raise XmlRefused(f"{what} {key!r} is used but not defined")
    return table[key]


def _number(element: Element, attribute: str) -> int:
    text = element.get(attribute)
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise XmlRefused(f"{element.name} {element.get('name')!r}: {attribute} {text!r} is not a tag number")
    return int(text)


def _name(element: Element) -> str:
    name = element.get("name")
    if not name or not name.isprintable() or " " in name or len(name) > 200:
        raise XmlRefused(f"{element.name} name {name!r} cannot be used")
    return name
