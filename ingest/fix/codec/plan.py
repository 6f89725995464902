"""What to decode: a declared list of fields, compiled to look-ups on tag text; no tag is ever parsed to a number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.fix.tags import DATA_FIELDS

KindName = Literal["int", "decimal", "timestamp", "date", "string"]
LevelName = Literal["message", "row", "entry"]

FRAME_TAGS = frozenset({8, 9, 10})
LARGEST_TAG = 9_999_999  # seven digits and `=` fill the eight bytes a tag is compared in
LARGEST_SCALE = 12
PRECISIONS = ("d", "m", "s", "ms", "us", "ns")
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, bits well mixed; varied until no two keys share a place
_STEP = 0x632BE59BD9B4E019
_ATTEMPTS = 10_000


class Kind(IntEnum):
    """How a column's values are read."""

    INT = 0
    DECIMAL = 1
    TIMESTAMP = 2
    DATE = 3
    STRING = 4


class Level(IntEnum):
    """Whom a column belongs to where a message has several rows."""

    MESSAGE = 0
    ROW = 1
    ENTRY = 2


class Reason(IntEnum):
    """Why bytes are no message."""

    NO_HEADER = 1
    LENGTH_CAP = 2
    LENGTH = 3
    CHECKSUM = 4
    MSG_TYPE = 5
    GARBAGE = 6
    TRUNCATED = 7


REASONS = {
    Reason.NO_HEADER: "BeginString(8) is not followed by a readable BodyLength(9)",
    Reason.LENGTH_CAP: "BodyLength(9) is beyond the cap",
    Reason.LENGTH: "BodyLength(9) does not lead to CheckSum(10)",
    Reason.CHECKSUM: "CheckSum(10) is wrong",
    Reason.MSG_TYPE: "MsgType(35) is not the third field",
    Reason.GARBAGE: "no message begins here",
    Reason.TRUNCATED: "the message ends before its BodyLength(9) says",
}


class Mark(IntFlag):
    """What was unusual about an accepted message; all but EXACT mean that a value is null on purpose or in doubt."""

    EXACT = 1  # its structure took the exact lane
    DATA_LENGTH = 2  # a data field's length does not lead to a field boundary; read up to the next SOH
    ODD_FIELD = 4  # a token without `=` or with a tag that is no number
    GROUP_COUNT = 8  # entries found are not the number announced: one row, entry values null
    REPEATED = 16  # a declared tag stands twice in one row with different values: null
    BAD_VALUE = 32  # a value cannot be read as its kind: null
    NOT_EXACT = 64  # a number does not fit its column without loss: null there, whole in `Decoded.exact`


@dataclass(frozen=True, slots=True)
class Column:
    """One declared field: the tag, the name of its column, how it is read and to whom it belongs.

    `level` says what a row of a repeating group shows: `message` the message's value wherever it stands; `row` the
    entry's own, else the one before the group; `entry` only the entry's own. `scale` is the decimals kept. With
    `precision` (timestamps) a second column `<name>_precision` says d, m, s, ms, us or ns, as shown on the wire.
    """

    name: str
    tag: int
    kind: KindName = "string"
    level: LevelName = "row"
    scale: int = 8
    precision: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled field list. `groups` are the count tags whose entries become rows; the first one found in a message.

    Raises ValueError for names or tags declared twice, tags that cannot be columns, and scales beyond 12.
    """

    columns: tuple[Column, ...]
    groups: tuple[int, ...] = (552, 78)
    keys: npt.NDArray[np.uint64] = field(init=False, repr=False, compare=False)
    slots: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)
    multiplier: np.uint64 = field(init=False, repr=False, compare=False)
    shift: np.uint64 = field(init=False, repr=False, compare=False)
    kinds: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)
    levels: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)
    scales: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.columns, self.groups)
        count = len(self.columns)
        wanted = {key_of(column.tag): slot for slot, column in enumerate(self.columns)}
        wanted |= {key_of(tag): count + 1 for tag in self.groups}
        wanted |= {key_of(tag): count + 2 for tag in DATA_FIELDS}
        keys, slots, multiplier = _hashed(wanted, count)
        for name, value in (
            ("keys", keys), ("slots", slots), ("multiplier", np.uint64(multiplier)),
            ("shift", np.uint64(65 - len(keys).bit_length())),
            ("kinds", np.array([Kind[c.kind.upper()] for c in self.columns], dtype=np.int64)),
            ("levels", np.array([Level[c.level.upper()] for c in self.columns], dtype=np.int64)),
            ("scales", np.array([c.scale for c in self.columns], dtype=np.int64)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of what a decode gives, precision columns behind their timestamps."""
        return pa.schema(list(_fields(self.columns)))


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a column: every decimal has 38 digits, so that nothing on the wire is too large for it."""
    types = {
        "int": pa.int64(),
        "decimal": pa.decimal128(38, column.scale),
        "timestamp": pa.timestamp("ns", "UTC"),
        "date": pa.date32(),
        "string": pa.string_view(),
    }
    return types[column.kind]


def key_of(tag: int) -> int:
    """`tag=` as the little-endian word its bytes make."""
    return int.from_bytes(b"%d=" % tag, "little")


def _fields(columns: Sequence[Column]) -> Iterator[pa.Field]:
    for column in columns:
        yield pa.field(column.name, arrow_type(column))
        if column.precision:
            yield pa.field(f"{column.name}_precision", pa.dictionary(pa.int8(), pa.string()))


def _check(columns: Sequence[Column], groups: Sequence[int]) -> None:
    names = [one.name for one in _fields(columns)]
    tags = [column.tag for column in columns]
    for what, values in (("name", names), ("tag", tags)):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"{what} {twice!r} is declared twice")
    for tag in (*tags, *groups):
        if not 1 <= tag <= LARGEST_TAG:
            raise ValueError(f"tag {tag} is not between 1 and {LARGEST_TAG}")
    for column in columns:
        if column.tag in groups or column.tag in DATA_FIELDS:
            what = "counts a group" if column.tag in groups else "is the length of a data field"
            raise ValueError(f"column {column.name!r}: tag {column.tag} {what} and cannot be a column")
        if not 0 <= column.scale <= LARGEST_SCALE:
            raise ValueError(f"column {column.name!r}: scale {column.scale} is not between 0 and {LARGEST_SCALE}")
        if column.precision and column.kind != "timestamp":
            raise ValueError(f"column {column.name!r}: only a timestamp has a precision")


def _hashed(wanted: dict[int, int], nothing: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], int]:
    """A table without collisions: key and slot at the place the top bits of `key * multiplier` name, else `nothing`."""
    bits = max(9, (len(wanted) ** 2 // 12).bit_length())
    for attempt in range(_ATTEMPTS):
        multiplier = (_MULTIPLIER + 2 * attempt * _STEP) % 2**64
        places = {((key * multiplier) % 2**64) >> (64 - bits): key for key in wanted}
        if len(places) == len(wanted):
            keys = np.zeros(1 << bits, dtype=np.uint64)
            slots = np.full(1 << bits, nothing, dtype=np.int64)
            for place, key in places.items():
                keys[place], slots[place] = key, wanted[key]
            return keys, slots, multiplier
    raise ValueError(f"{len(wanted)} tags are too many for one plan")
