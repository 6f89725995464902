"""Codec: tag=value FIX to dicts and back, with repeating groups where a FixSpec tells them."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ingest.fix.pyfix.codecs.group_reader import Field, read_groups
from ingest.fix.pyfix.codecs.tokens import plain_fields, split_fields
from ingest.fix.pyfix.reference import HEADER_SORT_MAP, HEADER_TAGS, TRAILER_RANK
from ingest.fix.pyfix.util import int_or_str
from ingest.fix.pyfix.wire import ASCII_LIKE, encodings_of, join_fields, value_text

SEPARATOR = "\1"
DELIMITER = "="
MICROSECONDS = 0
MILLISECONDS = 1

_HEADER = {str(tag).encode() for tag in HEADER_TAGS}
# MsgType(35) is looked for in this many leading fields.
_MSG_TYPE_WITHIN = 4
_UNKNOWN_RANK = 1_000_000_000


class Codec:
    """Reads and writes tag=value FIX.

    `spec` tells which tags count repeating groups; without it (or with `no_groups`) messages are flat.
    `fragment_class` is the dict type of messages and of entries. `decode_as` is the encoding of text (default UTF-8),
    both ways. The Encoded* fields are in the encoding that MessageEncoding(347) names; with `decode_all_as_347` every
    field is.
    """

    def __init__(
        self,
        spec: Any = None,
        no_groups: bool = False,
        fragment_class: Callable[..., Any] = dict,
        decode_as: str | None = None,
        decode_all_as_347: bool = False,
    ) -> None:
        self.encoding = decode_as
        self.decode_all_as_347 = decode_all_as_347
        self.spec = spec
        self._no_groups = spec is None or no_groups
        self._frg_class = fragment_class

    def parse(self, buff: Any, delimiter: str = DELIMITER, separator: str = SEPARATOR) -> Any:
        """A message as `fragment_class`: tags as int (text where they are no numbers), values as str, groups as lists.

        `buff` is bytes or str; fields need a separator behind them. Raises ValueError for another type,
        UnicodeDecodeError and LookupError (unknown encoding) naming the tag.
        """
        if delimiter.isalnum() or separator.isalnum():
            raise AssertionError("delimiter and separator must not be letters or digits")
        fields = self._fields(buff, delimiter, separator)
        msg_type = None
        if not self._no_groups and self.spec is not None:
            for tag, value in fields[:_MSG_TYPE_WITHIN]:
                if tag == 35:
                    msg_type = self.spec.msg_types.get(value)
        if msg_type is None:
            return self._frg_class(fields)
        return read_groups(fields, msg_type, self._frg_class)

    def _fields(self, buff: Any, delimiter: str, separator: str) -> list[Field]:
        if isinstance(buff, str):
            for name, given in (("decode_as", self.encoding), ("decode_all_as_347", self.decode_all_as_347)):
                if given:
                    warnings.warn(f"{name}={given} is ignored: the message is text already", stacklevel=3)
            return _text_fields(buff, delimiter, separator)
        if not isinstance(buff, bytes | bytearray | memoryview):
            raise ValueError(f"Unsupported type of input: {type(buff)}")
        buff = bytes(buff)
        # ISO-2022-JP is ASCII bytes too, so a message that names an encoding is decoded value by value.
        if buff.isascii() and b"347" not in buff and (self.encoding or "utf-8").lower() in ASCII_LIKE:
            return _text_fields(buff.decode("ascii"), delimiter, separator)
        raw = split_fields(buff, delimiter.encode("ascii"), separator.encode("ascii"))
        encodings = encodings_of({347: _message_encoding(raw)}, self.encoding, self.decode_all_as_347)
        fields = []
        for name, value in raw:
            tag = _tag(name)
            fields.append((tag, value_text(tag, value, encodings.of(tag))))
        return fields

    def _unmap(self, msg: Mapping[Any, Any]) -> list[Field]:
        """Tags and values in wire order: the spec's; without one the header, then by number, then the trailer.

        Tags the order does not know come behind it by number, tags that are no numbers behind those.
        """
        msg_types = self.spec.msg_types if self.spec is not None else {}
        msg_type = msg_types.get(msg.get(35))
        out: list[Field] = []
        _flatten(msg, _HEADER_RANKS if msg_type is None else _Ranks(msg_type.sorting_key), msg_type, out)
        return out

    def serialise(
        self,
        msg: Mapping[Any, Any],
        separator: str = SEPARATOR,
        delimiter: str = DELIMITER,
        encoding: str | None = None,
    ) -> bytes:
        """The message as bytes; `encoding` overrides the codec's. BodyLength and CheckSum are written as they are.

        Raises TypeError, ValueError, UnicodeEncodeError or LookupError, naming the tag, for what cannot be written.
        """
        encodings = encodings_of(msg, self.encoding, self.decode_all_as_347, encoding)
        return join_fields(self._unmap(msg), delimiter, separator, encodings)


def _text_fields(text: str, delimiter: str, separator: str) -> list[Field]:
    plain = plain_fields(text, delimiter, separator)
    if plain is not None:
        return plain
    return [(int_or_str(tag), value) for tag, value in split_fields(text, delimiter, separator)]


def _tag(name: bytes) -> Any:
    try:
        return int_or_str(name, "ascii")
    except UnicodeDecodeError:
        return name.strip()


def _message_encoding(fields: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """MessageEncoding(347), which stands in the header."""
    for tag, value in fields:
        if tag == b"347":
            return value
        if tag not in _HEADER:
            return None
    return None


class _Ranks(dict[Any, float]):
    """Ranks of tags: of those the order does not know by number behind all but the trailer, of other keys last."""

    def __missing__(self, tag: Any) -> float:
        return min(_UNKNOWN_RANK + tag, TRAILER_RANK - 2) if isinstance(tag, int) else TRAILER_RANK - 1


_HEADER_RANKS = _Ranks(HEADER_SORT_MAP)


def _flatten(fields: Mapping[Any, Any], order: _Ranks | None, spec: Any, out: list[Field]) -> None:
    """Append the fields in this order (as they come where it is None), groups with their count before the entries."""
    tags = list(fields) if order is None else sorted(fields, key=order.__getitem__)
    groups = getattr(spec, "groups", {})
    for tag in tags:
        value = fields[tag]
        if not isinstance(value, list):
            out.append((tag, value))
            continue
        out.append((tag, len(value)))
        group = groups.get(tag)
        order_inside = _entry_order(value, group)
        for member in value:
            _flatten(member, order_inside, group, out)


def _entry_order(entries: Any, group: Any) -> _Ranks | None:
    """The order of a group's entries; a first tag that the spec does not know still begins each of them."""
    if group is None:
        return None
    order = _Ranks(group.sorting_key)
    first = getattr(entries, "first_tag", None)
    if first is not None and first not in order:
        order[first] = -1
    return order
