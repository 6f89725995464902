"""FIX messages for a reader: every field in wire order with its name, and what is odd about the message."""

from collections.abc import Iterator
from dataclasses import dataclass

from ingest.fix.index import FieldIndex, Flag, index_fields
from ingest.fix.sniff import find_messages, is_wire_form, to_wire
from ingest.fix.tags import MESSAGE_TYPES, tag_name
from ingest.fix.values import as_text


@dataclass(frozen=True, slots=True)
class DecodedField:
    """One field; `tag` is -1 for a token that is no field, `name` empty for a tag without one."""

    tag: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """One message of a file: `line` counts from 1, `prefix` is what stood before it, `flags` what is odd about it."""

    line: int
    prefix: str
    msg_type: str
    name: str
    flags: tuple[str, ...]
    fields: tuple[DecodedField, ...]
    raw: bytes


def decode_lines(data: bytes) -> Iterator[DecodedMessage]:
    """Every FIX message in a log, a paste or a capture, whatever separates its fields; other text is skipped."""
    for found in find_messages(data):
        if not found.is_message:
            continue
        wire = found.raw if is_wire_form(found.raw) else to_wire(found.raw)
        if wire is None:
            continue
        index = index_fields([wire])
        fields = tuple(_field(index, n) for n in range(len(index.tag)))
        kind = next((field.value for field in fields if field.tag == 35), "")
        flags = Flag(int(index.flags[0])) | (Flag(0) if wire is found.raw else Flag.SEPARATOR)
        yield DecodedMessage(
            found.line,
            as_text(found.prefix).strip(),
            kind,
            MESSAGE_TYPES.get(kind, ""),
            tuple(str(flag.name) for flag in Flag if flag & flags),
            fields,
            found.raw,
        )


def _field(index: FieldIndex, field: int) -> DecodedField:
    tag = int(index.tag[field])
    return DecodedField(tag, tag_name(tag), as_text(index.value(field)))
