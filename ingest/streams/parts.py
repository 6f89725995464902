"""Records too large for the stream: cut into parts, and a closing record that says where the parts are.

The message is read where its closing record stands. Parts before it are no messages, so what other sessions put between
them is read without waiting, and parts whose closing record never came (a writer that died) are nobody's loss. A reader
that begins between them fetches the parts again by their places.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.errors import PermanentError

VERSION = 2
# version byte, whether it closes, length of the JSON header
_HEAD = struct.Struct("<B?I")
# What a part needs beside its body, names apart.
_ROOM_BYTES = 256

# Where a record was stored: lane (a shard, a partition's number) and sequence number.
Stored = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is still to be stored; the one that closes holds nothing of the record itself."""

    about: Mapping[str, str | int]
    body: bytes
    closes: bool

    def packed(self, places: Sequence[Stored]) -> bytes:
        """The record; `places` is where the message's other parts were stored."""
        header = {**self.about, "places": [[lane, str(sequence)] for lane, sequence in places]}
        text = json.dumps(header if self.closes else dict(self.about), separators=(",", ":")).encode()
        return _HEAD.pack(VERSION, self.closes, len(text)) + text + self.body


@dataclass(frozen=True, slots=True)
class Found:
    """A part as it was read; `places` are those of the others where it closes."""

    body: bytes
    closes: bool
    places: tuple[Stored, ...]
    size: int
    crc: int

    def joined(self, bodies: Sequence[bytes], where: str) -> bytes:
        """The record again. Raises PermanentError naming `where` when the parts are not its own."""
        whole = b"".join(bodies)
        if (len(whole), zlib.crc32(whole)) != (self.size, self.crc):
            raise PermanentError(f"{where}: the parts of a message do not fit together")
        return whole


def cut(session: str, first: int, record: bytes, max_bytes: int) -> Iterator[Part]:
    """The parts of the record of message `first`, each small enough to be stored (key included), the closing one last.

    Raises PermanentError for a record whose parts would be too many to name in one.
    """
    name = len(session.encode())
    room = max_bytes - 2 * name - _ROOM_BYTES
    if room <= 0:
        raise PermanentError(f"message {first} of {session} does not fit a record of {max_bytes} bytes")
    about: dict[str, str | int] = {"session": session, "first": first}
    bodies = [record[at : at + room] for at in range(0, len(record), room)]
    closing = Part(about | {"size": len(record), "crc": zlib.crc32(record)}, b"", True)
    longest = ("x" * 128, 10**60)
    if len(closing.packed([longest] * len(bodies))) + name > max_bytes:
        raise PermanentError(f"message {first} of {session} does not fit records of {max_bytes} bytes")
    yield from (Part(about | {"part": number}, body, False) for number, body in enumerate(bodies, 1))
    yield closing


def is_part(record: bytes) -> bool:
    """Whether a record is a part and not whole."""
    return record[:1] == bytes([VERSION])


def opened(record: bytes, where: str) -> Found:
    """The part; PermanentError naming `where` for bytes that are none of ours."""
    try:
        _, closes, length = _HEAD.unpack_from(record)
        header = json.loads(record[_HEAD.size : _HEAD.size + length])
        places = tuple((str(lane), int(sequence)) for lane, sequence in header.get("places", ()))
        size, crc = (int(header[key]) if closes else 0 for key in ("size", "crc"))
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(f"{where} is no record of ours: {error}") from error
    return Found(record[_HEAD.size + length :], closes, places, size, crc)


class Sending:
    """One session's records on their way, in order: what is next, and where the parts of a message went."""

    def __init__(self, records: Sequence[bytes | Part]) -> None:
        self._records, self._at = records, 0
        self._places: list[Stored] = []
        self._head: bytes | None = None

    @property
    def is_over(self) -> bool:
        """Whether everything was stored."""
        return self._at >= len(self._records)

    @property
    def head(self) -> bytes:
        """The record that is next."""
        if self._head is None:
            record = self._records[self._at]
            self._head = record.packed(self._places) if isinstance(record, Part) else record
        return self._head

    def stored(self, lane: str, sequence: int) -> None:
        """The next record was stored there."""
        record = self._records[self._at]
        if isinstance(record, Part):
            self._places = [] if record.closes else [*self._places, (lane, sequence)]
        self._at, self._head = self._at + 1, None
