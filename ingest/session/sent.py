"""What we sent and may be asked for again: business messages by their MsgSeqNum, in memory or in a file."""

import os
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

# number | length | crc32 of number, length and bytes
_RECORD = struct.Struct("<QII")
_INDEX_EVERY = 64


class SentStore(Protocol):
    """Business messages sent in one run of numbers."""

    def record(self, sequence: int, message: bytes) -> None:
        """Keep a message before it leaves; numbers only grow until `clear`."""
        ...

    def read(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Number and bytes of the messages begin..end that are kept, in order."""
        ...

    def sync(self) -> None:
        """Everything recorded survives a power loss when this returns."""
        ...

    def clear(self) -> None:
        """The numbers start again at 1: what was sent before is never sent again."""
        ...


class MemorySent:
    """Kept as long as the process lives."""

    def __init__(self) -> None:
        self._messages: dict[int, bytes] = {}

    def record(self, sequence: int, message: bytes) -> None:
        self._messages[sequence] = message

    def read(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        for sequence in [n for n in self._messages if begin <= n <= end]:
            yield sequence, self._messages[sequence]

    def sync(self) -> None: ...

    def clear(self) -> None:
        self._messages.clear()


class SentFile:
    """Kept in a file that the next process continues; memory holds one position for every 64 messages.

    `last` is the highest number kept, 0 for none. A torn tail is cut when the file is opened: what was not completely
    written was not sent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._numbers, self._offsets = array("Q"), array("Q")
        self._count = self._end = 0
        self._dirty = False
        self.last = 0
        if path.exists():
            self._open()

    def record(self, sequence: int, message: bytes) -> None:
        if self._file < 0:
            self._open()
        if self._count % _INDEX_EVERY == 0:
            self._numbers.append(sequence)
            self._offsets.append(self._end)
        data = _pack(sequence, message)
        os.pwrite(self._file, data, self._end)
        self._end += len(data)
        self._count += 1
        self.last = sequence
        self._dirty = True

    def read(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        at = self._offsets[max(0, bisect_right(self._numbers, begin) - 1)] if self._numbers else self._end
        last = self._end
        while at < last:
            sequence, length, _ = _RECORD.unpack(os.pread(self._file, _RECORD.size, at))
            if sequence > end:
                return
            if sequence >= begin:
                yield sequence, os.pread(self._file, length, at + _RECORD.size)
            at += _RECORD.size + length

    def sync(self) -> None:
        if self._dirty:
            os.fdatasync(self._file)
            self._dirty = False

    def clear(self) -> None:
        if self._file >= 0 and self._end:
            os.ftruncate(self._file, 0)
            os.fsync(self._file)
        self._numbers, self._offsets = array("Q"), array("Q")
        self._count = self._end = self.last = 0

    def close(self) -> None:
        """Release the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        size = os.fstat(self._file).st_size
        while (found := self._whole_at(self._end, size)) is not None:
            sequence, length = found
            if self._count % _INDEX_EVERY == 0:
                self._numbers.append(sequence)
                self._offsets.append(self._end)
            self._count += 1
            self.last = sequence
            self._end += _RECORD.size + length
        os.ftruncate(self._file, self._end)

    def _whole_at(self, at: int, size: int) -> tuple[int, int] | None:
        if at + _RECORD.size > size:
            return None
        sequence, length, crc = _RECORD.unpack(os.pread(self._file, _RECORD.size, at))
        if at + _RECORD.size + length > size:
            return None
        message = os.pread(self._file, length, at + _RECORD.size)
        return (sequence, length) if _crc(sequence, message) == crc else None


def _crc(sequence: int, message: bytes) -> int:
    return zlib.crc32(message, sequence & 0xFFFFFFFF)


def _pack(sequence: int, message: bytes) -> bytes:
    return _RECORD.pack(sequence, len(message), _crc(sequence, message)) + message
