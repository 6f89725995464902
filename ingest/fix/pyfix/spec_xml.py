"""Reading a QuickFIX dictionary's XML safely: no entities, no doctype, a bound on size and depth."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

XML_BYTES_MAX = 64 * 1024 * 1024
XML_DEPTH_MAX = 64


def read_xml(xml_file: Any) -> Element:
    """The root element of a file, given by path or as an open file.

    Raises OSError where it cannot be read, ValueError where it is too large, too deep, no XML, or declares entities.
    """
    data = xml_file.read(XML_BYTES_MAX + 1) if hasattr(xml_file, "read") else _read(Path(xml_file))
    if len(data) > XML_BYTES_MAX:
        raise ValueError(f"{_name(xml_file)}: larger than {XML_BYTES_MAX} bytes")
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > XML_DEPTH_MAX:
            raise ValueError(f"{_name(xml_file)}: more than {XML_DEPTH_MAX} elements deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: Any) -> None:
        raise ValueError(
            f"{_name(xml_file)}: declares a document type or entities, which a FIX dictionary has no use for"
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"{_name(xml_file)}: not readable as XML: {error}") from None
    return builder.close()


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(XML_BYTES_MAX + 1)


def _name(xml_file: Any) -> str:
    return str(getattr(xml_file, "name", xml_file))
