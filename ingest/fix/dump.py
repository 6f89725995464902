"""FIX messages for a reader: every field in wire order with its name, and what is odd about the message."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ingest.fix.flags import Flag, shown
from ingest.fix.index import FieldIndex, index_fields
from ingest.fix.sniff import Found, find_messages, is_wire_form, looks_damaged, to_wire
from ingest.fix.tags import MESSAGE_TYPES, tag_name
from ingest.fix.values import as_text
from ingest.quarantine import MISSING_FIELD, UNDECODABLE

_ENCODINGS: Mapping[str, str] = MappingProxyType(
    {"ISO-2022-JP": "iso2022_jp", "EUC-JP": "euc_jp", "SHIFT_JIS": "cp932", "SHIFT-JIS": "cp932", "UTF-8": "utf-8",
     "GB2312": "gb18030", "GBK": "gb18030", "BIG5": "big5", "EUC-KR": "euc_kr", "WINDOWS-1252": "cp1252"}
)  # fmt: skip
_ENCODED = frozenset({349, 351, 353, 355, 357, 359, 361, 363, 365, 446, 619, 622})


@dataclass(frozen=True, slots=True)
class DecodedField:
    """One field; `tag` is -1 for a token that is no field, `name` empty for a tag without one."""

    tag: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """One message of a file: `line` counts from 1, `prefix` is what stood before it, `flags` what is odd about it.

    `error` is the reason it cannot be used (as in the quarantine), None for a message with a type; then `fields` holds
    what could be read, nothing for bytes that are no message.
    """

    line: int
    prefix: str
    begin_string: str
    msg_type: str
    name: str
    flags: tuple[str, ...]
    fields: tuple[DecodedField, ...]
    raw: bytes
    error: str | None = None


def decode_lines(data: bytes) -> Iterator[DecodedMessage]:
    """Every FIX message in a log, a paste or a capture, whatever separates its fields.

    A line that seems to be a damaged message comes out with its error; other text is skipped.
    """
    for found in find_messages(data):
        wire = found.raw if is_wire_form(found.raw) else to_wire(found.raw) if found.is_message else None
        if wire is not None:
            yield _decoded(found, wire)
        elif found.is_message or looks_damaged(found.raw):
            prefix = as_text(found.prefix).strip()
            yield DecodedMessage(found.line, prefix, "", "", "", (), (), found.raw, UNDECODABLE)


def _decoded(found: Found, wire: bytes) -> DecodedMessage:
    index = index_fields([wire])
    encoding = _encoding(index)
    # Nothing between two separators is told by the flag alone.
    fields = tuple(_field(index, n, encoding) for n in range(len(index.tag)) if index.start[n] < index.value_end[n])
    kind = next((field.value for field in fields if field.tag == 35), "")
    flags = int(index.flags[0]) | (0 if wire is found.raw else int(Flag.SEPARATOR))
    flags |= int(Flag.LOG_PREFIX) if found.prefix.strip() else 0
    return DecodedMessage(
        found.line,
        as_text(found.prefix).strip(),
        next((field.value for field in fields if field.tag == 8), ""),
        kind,
        MESSAGE_TYPES.get(kind, ""),
        tuple(shown(flags)),
        fields,
        found.raw,
        None if kind else MISSING_FIELD,
    )


def _encoding(index: FieldIndex) -> str | None:
    """The codec of MessageEncoding(347), if it names one of those FIX allows."""
    for field in np.flatnonzero(index.tag == 347).tolist():
        return _ENCODINGS.get(index.value(field).decode("latin-1").strip().upper())
    return None


def _field(index: FieldIndex, field: int, encoding: str | None) -> DecodedField:
    tag, value = int(index.tag[field]), index.value(field)
    text = as_text(value)
    if encoding is not None and (tag in _ENCODED or not value.isascii()):
        with suppress(UnicodeDecodeError):
            text = value.decode(encoding)
    return DecodedField(tag, tag_name(tag), text)
