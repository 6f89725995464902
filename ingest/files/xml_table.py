"""XML statements as columns of text: one row per element, its attributes the cells. No entity is ever expanded."""

import xml.parsers.expat as expat
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import pyarrow as pa

from ingest.files.file_dialect import XmlLayout
from ingest.files.read import FileRefused
from ingest.files.table import CsvTable, Span

_MAX_DEPTH = 64
_MAX_ATTRIBUTES = 1000
_MAX_CELLS = 20_000_000
_PIECE = 1 << 20


@dataclass(slots=True)
class _Seen:
    """What the parser met so far."""

    rows: list[dict[str, str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    names: dict[str, None] = field(default_factory=dict)
    depth: int = 0
    open_at: int = -1
    closed: bool = False


class _Refuse(Exception):
    """Something no statement needs: a document type, an entity, endless nesting."""


def read_xml(data: bytes, file: str, layout: XmlLayout) -> CsvTable:
    """The elements called `layout.record`, in document order; the header is their attributes' names.

    Raises FileRefused (`not_xml`) when the document is not well-formed to its end, is another document than the
    layout's, or declares a document type or entities: a statement needs none, and they are how XML does harm.
    """
    seen = _Seen()
    parser = _parser(seen, layout)
    try:
        for start in range(0, len(data), _PIECE):
            parser.Parse(data[start : start + _PIECE], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        told = f"not well-formed XML: {expat.ErrorString(error.code)}"
        raise FileRefused(file, error.lineno, "not_xml", told) from None
    except _Refuse as error:
        raise FileRefused(file, parser.CurrentLineNumber, "not_xml", str(error)) from None
    except (LookupError, ValueError) as error:
        raise FileRefused(file, 1, "not_xml", f"the XML cannot be read: {error}") from None
    if seen.closed:
        seen.ends.append(len(data))
    header = tuple(seen.names)
    columns = {
        f"c{at}": pa.array([" ".join(row.get(name, "").split()) for row in seen.rows], pa.string())
        for at, name in enumerate(header)
    }
    raws = tuple(data[start:end] for start, end in zip(seen.starts, seen.ends, strict=True))
    nothing: tuple[Span, ...] = ()
    return CsvTable(
        header, 1, b"", "", pa.table(columns), np.array(seen.lines, dtype=np.int64), raws, nothing, nothing, None
    )


def _parser(seen: _Seen, layout: XmlLayout) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def passed(*_: object) -> None:
        # Whatever comes after an element says where its bytes ended.
        if seen.closed:
            seen.ends.append(parser.CurrentByteIndex)
            seen.closed = False

    def begin(name: str, attributes: dict[str, str]) -> None:
        passed()
        seen.depth += 1
        _check_depth(seen.depth, name, layout)
        if name != layout.record:
            return
        if seen.open_at >= 0:
            raise _Refuse(f"a {layout.record!r} inside a {layout.record!r}")
        seen.names.update(dict.fromkeys(attributes))
        if len(seen.names) > _MAX_ATTRIBUTES:
            raise _Refuse(f"more than {_MAX_ATTRIBUTES} different attributes")
        seen.rows.append(attributes)
        if len(seen.rows) * len(seen.names) > _MAX_CELLS:
            raise _Refuse(f"more than {_MAX_CELLS:,} cells")
        seen.lines.append(parser.CurrentLineNumber)
        seen.starts.append(parser.CurrentByteIndex)
        seen.open_at = seen.depth

    def end(_: str) -> None:
        passed()
        if seen.depth == seen.open_at:
            seen.open_at, seen.closed = -1, True
        seen.depth -= 1

    def refuse(*_: object) -> NoReturn:
        raise _Refuse("it declares a document type or an entity, which no statement needs")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = parser.CommentHandler = parser.ProcessingInstructionHandler = passed
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    return parser


def _check_depth(depth: int, name: str, layout: XmlLayout) -> None:
    if depth > _MAX_DEPTH:
        raise _Refuse(f"elements are nested deeper than {_MAX_DEPTH}")
    if depth == 1 and layout.root and name != layout.root:
        raise _Refuse(f"the document is a {name[:60]!r}, expected {layout.root!r}")
