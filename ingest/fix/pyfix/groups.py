"""Repeating groups as lists, walking messages in depth, and BodyLength(9) and CheckSum(10) of a message."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ingest.fix.pyfix.wire import UTF8, Encodings, byte_sum, join_fields, value_bytes

STRSUM = sum
# SOH, '9' and '=': what BodyLength adds to the sum besides its digits.
_LENGTH_FIELD_SUM = 119


def find_paths(fields: Mapping[Any, Any], tag: Any) -> Iterator[list[Any]]:
    """Paths to every appearance of `tag`: keys and list indices from `fields` down to the tag itself."""
    if tag in fields:
        yield [tag]
    for key, value in list(fields.items()):
        if isinstance(value, list):
            for path in find_group_paths(value, tag):
                yield [key, *path]


def find_group_paths(group: Iterable[Any], tag: Any) -> Iterator[list[Any]]:
    """Paths to every appearance of `tag` in a group's entries, each starting with the entry's index."""
    for index, member in enumerate(group):
        if isinstance(member, Mapping):
            for path in find_paths(member, tag):
                yield [index, *path]


def has_tag(fields: Mapping[Any, Any], tag: Any) -> bool:
    """Whether `tag` is in the fields or in any group below them."""
    return next(find_paths(fields, tag), None) is not None


def iter_tags(fields: Mapping[Any, Any]) -> Iterator[Any]:
    """Every tag of the fields and the groups below them; a tag may come more than once."""
    for tag, value in list(fields.items()):
        if isinstance(value, list):
            for member in value:
                if isinstance(member, Mapping):
                    yield from iter_tags(member)
        yield tag


class RepeatingGroup(list[Any]):
    """A repeating group: the list of its entries, kept in the message under the tag that counts them.

    `number_tag` counts the entries, `first_tag` begins each of them; `standard` is kept for callers.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number_tag: Any = None
        self.standard = True
        self.first_tag: Any = None

    @property
    def entry_tag(self) -> tuple[Any, int]:
        """The counting tag and its value."""
        return self.number_tag, len(self)

    @classmethod
    def create_repeating_group(cls, tag: Any, standard: bool = True, first_tag: Any = None) -> "RepeatingGroup":
        """An empty group counted by `tag`."""
        group = cls()
        group.number_tag = tag
        group.standard = standard
        group.first_tag = first_tag
        return group

    def __add__(self, other: Iterable[Any]) -> "RepeatingGroup":
        """A new group: these entries, then the other's."""
        return RepeatingGroupFactory(self.number_tag, self.standard, self.first_tag).get_r_group(*self, *other)

    def find_all(self, tag: Any) -> Iterator[list[Any]]:
        """Paths to every appearance of `tag`, each starting with the entry's index."""
        return find_group_paths(self, tag)

    def all_tags(self) -> list[Any]:
        """Every tag of any entry, once; the counting tag belongs to the parent."""
        return list(dict.fromkeys(tag for member in self for tag in iter_tags(member)))

    def length(self) -> int:
        """Bytes of the entries on the wire, without the counting field."""
        return sum(len_and_chsum(member)[0] for member in self)


class RepeatingGroupFactory:
    """Makes groups counted by one tag."""

    def __init__(self, tag: Any, standard: bool = True, first_tag: Any = None) -> None:
        self.tag = tag
        self.standard = standard
        self.first_tag = first_tag

    def get_r_group(self, *fix_messages: Any) -> RepeatingGroup:
        """A group of these entries."""
        group = RepeatingGroup.create_repeating_group(self.tag, self.standard, self.first_tag)
        group.extend(fix_messages)
        return group


def _flatten(fields: Mapping[Any, Any], out: list[tuple[Any, Any]]) -> None:
    for tag, value in fields.items():
        if isinstance(value, list):
            out.append((tag, len(value)))
            for member in value:
                _flatten(member, out)
        else:
            out.append((tag, value))


_FRAMING = frozenset((8, 9, 10, "8", "9", "10", b"8", b"9", b"10"))


def len_and_chsum(msg: Mapping[Any, Any], group: bool = False, encodings: Encodings = UTF8) -> tuple[int, int]:
    """BodyLength(9) in bytes, and the byte sum whose value modulo 256 is CheckSum(10).

    With `group` the fields are a group's entry: neither BeginString nor BodyLength is added to the sum. Raises
    TypeError, ValueError or UnicodeEncodeError for a value that cannot be written.
    """
    fields: list[tuple[Any, Any]] = []
    _flatten({tag: value for tag, value in msg.items() if tag not in _FRAMING}, fields)
    body = join_fields(fields, "=", "\x01", encodings)
    total = byte_sum(body)
    for tag in (8, "8", b"8"):
        if tag in msg:
            total += byte_sum(b"8=%b\x01" % value_bytes(8, msg[tag], encodings))
            break
    if not group:
        total += _LENGTH_FIELD_SUM + byte_sum(b"%d" % len(body))
    return len(body), total
