"""XML from outside as a plain tree: no document type, no entities, limits on size and depth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_BYTES = 64 * 1024 * 1024
MAX_ELEMENTS = 2_000_000
MAX_DEPTH = 64


class XmlRefused(ValueError):
    """The text is no XML, or XML that is not read; the message says why and where."""


@dataclass(slots=True)
class Element:
    """One element: its name without a namespace, its attributes, its children; text is not kept."""

    name: str
    attributes: Mapping[str, str]
    children: list["Element"] = field(default_factory=list)

    def get(self, attribute: str) -> str:
        """The attribute, empty where absent."""
        return self.attributes.get(attribute, "")

    def child(self, name: str) -> "Element | None":
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)

    def within(self, name: str) -> list["Element"]:
        """The children of the first child of that name; none where there is no such child."""
        found = self.child(name)
        return found.children if found else []


def parse_tree(data: bytes, leave_out: frozenset[str] = frozenset()) -> Element:
    """The document's root, without the elements named in `leave_out`. Raises XmlRefused."""
    if len(data) > MAX_BYTES:
        raise XmlRefused(f"{len(data)} bytes are more than the {MAX_BYTES} that are read")
    builder = _Builder(leave_out)
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlRefused(f"not XML: {error}") from None
    except (LookupError, ValueError) as error:
        raise error if isinstance(error, XmlRefused) else XmlRefused(f"not XML: {error}") from None
    return builder.root


class _Builder:
    def __init__(self, leave_out: frozenset[str]) -> None:
        self._leave_out = leave_out
        self._open: list[Element] = []
        self._skipped = self._count = 0
        self.root = Element("", {})

    def doctype(self, *_: object) -> None:
        raise XmlRefused("the document declares a document type; such files are not read")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        plain = name.rpartition(":")[2]
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) + self._skipped >= MAX_DEPTH:
            raise XmlRefused(f"more than {MAX_ELEMENTS} elements, or deeper than {MAX_DEPTH}")
        if self._skipped or plain in self._leave_out:
            self._skipped += 1
            return
        element = Element(plain, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _: str) -> None:
        if self._skipped:
            self._skipped -= 1
        else:
            self._open.pop()
