"""FixMessage and FixFragment: a FIX message as a dict of tag to value, with pyfixmsg's names and signatures."""

import decimal
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from operator import ge, gt, le, lt
from typing import Any, ClassVar, Self

from ingest.fix.pyfix.codecs.stringfix import Codec
from ingest.fix.pyfix.copying import copy_fields
from ingest.fix.pyfix.groups import find_paths, has_tag, iter_tags, len_and_chsum
from ingest.fix.pyfix.util import native_str, utc_now
from ingest.fix.pyfix.wire import Encodings, encodings_of

TAGS_AS_DATE = (432, 7509, 52)
GTD_EXPIRE_DATE_TAG = 432
TAGS_AS_DECIMAL = (31, 32, 151, 14, 6)
_FRAMING = (9, 10)


class FixFragment(dict[Any, Any]):
    """Tags and values; what the entries of repeating groups are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.typed_values = True

    @classmethod
    def from_dict(cls, tags_dict: Mapping[Any, Any]) -> Self:
        """A message with these tags and values."""
        msg = cls()
        msg.update(tags_dict)
        return msg

    def length(self) -> int:
        """BodyLength(9) in bytes."""
        return len_and_chsum(self)[0]

    def find_all(self, tag: Any) -> Iterator[list[Any]]:
        """Paths to every appearance of `tag`, here and in groups; a path is keys and indices down to the tag."""
        return find_paths(self, tag)

    def anywhere(self, tag: Any) -> bool:
        """Whether `tag` is here or in any group below."""
        return has_tag(self, tag)

    def all_tags(self) -> list[Any]:
        """Every tag here and in groups, once."""
        return list(dict.fromkeys(iter_tags(self)))


class FixMessage(FixFragment):
    """A FIX message: a dict of tag to value, repeating groups as lists under their counting tag.

    Attributes, all free to set: `process` (who received or made it), `separator` (of `fix`), `time` (created or
    received, a datetime), `recipient`, `direction` (0 received, 1 sent, None unknown), `raw_message` (the bytes it was
    read from, by `from_buffer`), `codec`. Messages sort by time. Two are equal if their tags (but for BodyLength(9) and
    CheckSum(10)), their time and their recipient are.
    """

    FragmentType: ClassVar[type[FixFragment]] = FixFragment

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.process: Any = ""
        self.separator = ";"
        self.time: datetime = utc_now()
        self.recipient: Any = ""
        self.direction: Any = None
        self.raw_message: Any = None
        self.codec: Any = Codec()
        source = args[0] if args else None
        self.tag_order = getattr(source, "tag_order", None) if isinstance(source, FixFragment) else None

    @classmethod
    def from_buffer(cls, msg_buffer: Any, fix_codec: Any) -> Self:
        """A message read from wire bytes, which are kept as `raw_message`."""
        msg = cls()
        msg.codec = fix_codec
        msg.raw_message = msg_buffer
        msg.from_wire(msg_buffer, fix_codec)
        return msg

    def __lt__(self, other: Any) -> bool:
        return bool(self.time < other.time)

    def __gt__(self, other: Any) -> bool:
        return bool(self.time > other.time)

    def __le__(self, other: Any) -> bool:
        return bool(self.time <= other.time)

    def __ge__(self, other: Any) -> bool:
        return bool(self.time >= other.time)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict) or not hasattr(other, "time"):
            return False
        mine, theirs = ({tag: v for tag, v in msg.items() if tag not in _FRAMING} for msg in (self, other))
        return bool(mine == theirs and self.time == other.time and self.recipient == getattr(other, "recipient", None))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Self:
        """A copy as if sent and received: numbers become text; codec, time and the other attributes are kept."""
        new = type(self)()
        new.codec = self.codec
        if isinstance(self.codec, Codec) and type(self.codec).parse is Codec.parse:
            new.update(copy_fields(self, self._encodings()))
        else:
            new.from_wire(self.to_wire())
        for name in ("time", "process", "recipient", "direction", "raw_message", "separator", "tag_order"):
            setattr(new, name, getattr(self, name))
        new.set_len_and_chksum()
        return new

    def copy(self) -> Self:
        """As copy.copy()."""
        return self.__copy__()

    @property
    def tags(self) -> Self:
        """The message itself. Deprecated in pyfixmsg."""
        warnings.warn("FixMessage.tags is deprecated", stacklevel=2)
        return self

    def set_or_delete(self, tag: Any, value: Any) -> None:
        """Set the tag; delete it where value is None or empty text. Top level only."""
        if value is not None and value != "":
            self[tag] = value
        else:
            self.pop(tag, None)

    def apply(self, update: Mapping[Any, Any]) -> None:
        """As `update`, but tags whose new value is None or empty text are deleted. Top level only."""
        for tag in update:
            self.set_or_delete(tag, update[tag])

    def load_fix(self, string: Any, process: Any = None, separator: str = ";") -> Self:
        """Read a message as people write it down, with `;` or another `separator`; returns the message itself.

        Raises UnicodeDecodeError, naming the tag, for text in another encoding than the codec's.
        """
        fields = self.codec.parse(string.strip(), separator=separator)
        self.update(fields)
        self.tag_order = getattr(fields, "tag_order", None)
        self.process = process
        return self

    @property
    def fix(self) -> bytes:
        """The message with `self.separator`."""
        return self.output_fix(self.separator)

    def output_fix(self, separator: str = ";", calc_checksum: bool = True, remove_length: bool = False) -> bytes:
        """The message as tag=value with `separator`; BodyLength and CheckSum are set first, for SOH as separator."""
        if calc_checksum:
            self.set_len_and_chksum()
        if remove_length:
            self.pop(9, None)
        return Codec(spec=getattr(self.codec, "spec", None)).serialise(self, separator, delimiter="=")

    def to_wire(self, codec: Any = None) -> bytes:
        """The message in wire form; sets BodyLength(9) and CheckSum(10) in the message, as counted on those bytes."""
        codec = codec or self.codec
        self._set_framing(self._encodings(codec))
        wire: bytes = codec.serialise(self)
        return wire

    def from_wire(self, msg: Any, codec: Any = None) -> None:
        """Take in the tags of a message in wire form."""
        codec = codec or self.codec
        self.update(codec.parse(msg))
        self.typed_values = not getattr(codec, "decoded_values_are_untyped", False)

    def get_raw_message(self) -> Any:
        """The bytes `from_buffer` read, else None."""
        return self.raw_message

    def __str__(self) -> str:
        return self.output_fix().decode("UTF-8", "backslashreplace")

    def calculate_checksum(self) -> str:
        """CheckSum(10): three digits."""
        return self.checksum()

    def checksum(self, value: int | None = None) -> str:
        """CheckSum(10) of this message, or of a byte sum: three digits."""
        if value is None:
            value = len_and_chsum(self, encodings=self._encodings())[1]
        return f"{value % 256:03d}"

    def set_len_and_chksum(self) -> None:
        """Set BodyLength(9) and CheckSum(10) from the contents."""
        self._set_framing(self._encodings())

    def _set_framing(self, encodings: Encodings) -> None:
        length, total = len_and_chsum(self, encodings=encodings)
        self[9] = str(length)
        self[10] = self.checksum(total)

    def _encodings(self, codec: Any = None) -> Encodings:
        codec = codec or self.codec
        return encodings_of(self, getattr(codec, "encoding", None), getattr(codec, "decode_all_as_347", False))

    def tag_exact(self, tag: Any, value: Any, case_insensitive: bool = False) -> bool:
        """Whether the tag is there and has exactly this value, both taken as text."""
        if tag not in self:
            return False
        mine, value = native_str(self[tag]), native_str(value)
        return bool(mine.lower() == value.lower() if case_insensitive else mine == value)

    def tag_iexact(self, tag: Any, value: Any) -> bool:
        """As `tag_exact`, upper and lower case alike."""
        return self.tag_exact(tag, value, case_insensitive=True)

    def tag_contains(self, tag: Any, value: Any, case_insensitive: bool = False) -> bool:
        """Whether the tag is there and its text contains this value."""
        if tag not in self:
            return False
        mine, value = native_str(self[tag]), native_str(value)
        return value.lower() in mine.lower() if case_insensitive else value in mine

    def tag_icontains(self, tag: Any, value: Any) -> bool:
        """As `tag_contains`, upper and lower case alike."""
        return self.tag_contains(tag, value, case_insensitive=True)

    def tag_exact_dict(self, dictionary: Mapping[Any, Any]) -> bool:
        """Whether every tag of the dictionary is there with its value."""
        return all(self.tag_exact(tag, value) for tag, value in dictionary.items())

    def tag_match_regex(self, tag: Any, regex: Any) -> bool:
        """Whether the tag is there and its text matches from its start."""
        return tag in self and re.match(native_str(regex), native_str(self[tag])) is not None

    def _compare(self, tag: Any, value: Any, holds: Callable[[Any, Any], bool]) -> bool:
        """As decimals where both are numbers, else as text; False where tag or value is absent or empty."""
        mine = self.get(tag)
        if not mine or not value:
            return False
        left, right = native_str(mine), native_str(value)
        try:
            numbers = decimal.Decimal(left), decimal.Decimal(right)
        except decimal.InvalidOperation:
            return holds(left, right)
        # NaN is a Decimal that has no order.
        return holds(left, right) if any(number.is_nan() for number in numbers) else holds(*numbers)

    def tag_lt(self, tag: Any, value: Any) -> bool:
        """Whether the tag is smaller: as decimals where both are, else as text. False if it is absent."""
        return self._compare(tag, value, lt)

    def tag_le(self, tag: Any, value: Any) -> bool:
        """Whether the tag is smaller or equal: as `tag_lt`."""
        return self._compare(tag, value, le)

    def tag_gt(self, tag: Any, value: Any) -> bool:
        """Whether the tag is greater: as `tag_lt`."""
        return self._compare(tag, value, gt)

    def tag_ge(self, tag: Any, value: Any) -> bool:
        """Whether the tag is greater or equal: as `tag_lt`."""
        return self._compare(tag, value, ge)

    def tag_in(self, tag: Any, values: Iterable[Any]) -> bool:
        """Whether the tag is there and is one of these values, taken as text."""
        mine = self.get(tag)
        return bool(mine) and native_str(mine) in [native_str(value) for value in values]

    def update_all(self, tag: Any, value: Any) -> None:
        """Set the tag wherever it already is, in groups too."""
        for *way, last in list(self.find_all(tag)):
            point: Any = self
            for key in way:
                point = point[key]
            point[last] = value
