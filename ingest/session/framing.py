"""Framing: a byte stream cut into FIX messages by BodyLength(9), with a cap and resynchronisation on BeginString."""

import re
from dataclasses import dataclass

from ingest.session.wire import checksum

DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024

_HEAD = re.compile(rb"8=FIX[^\x01]{0,16}\x019=(\d{1,9})\x01")
# How far a header that can still become complete may reach.
_HEAD_BYTES = 48
_START = b"8=FIX"
# A digit before it makes it the end of another tag (58=FIX...).
_NEXT = re.compile(rb"(?<![0-9])8=FIX")
_TRAILER = re.compile(rb"10=(\d{3})\x01")
TRAILER_BYTES = 7


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes of one message, or of something that is none: then `garbled` says why."""

    data: bytes
    garbled: str = ""


class Framer:
    """Cuts what a connection receives into frames. No byte is lost: what is no message comes out as a garbled frame.

    A message whose BodyLength is beyond `max_message_bytes`, or does not lead to a CheckSum field, is garbled up to
    the next BeginString; the messages behind it come out whole.
    """

    def __init__(self, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._max_bytes = max_message_bytes
        self._buffer = bytearray()
        # So many leading bytes are known to hold no second BeginString: garbage that trickles in is searched once.
        self._searched = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes received that are not yet a frame."""
        return len(self._buffer)

    @property
    def buffer(self) -> bytearray:
        """What is not yet cut; only to be looked at."""
        return self._buffer

    def extend(self, data: bytes | memoryview) -> None:
        """Take in received bytes."""
        self._buffer += data

    def drop(self, size: int) -> None:
        """Forget leading bytes that were cut elsewhere."""
        self._cut(size)

    def next(self) -> Frame | None:
        """The next frame; None to wait for more bytes."""
        frame = self._frame() if self._buffer else None
        if frame is not None:
            self._cut(len(frame.data))
        return frame

    def feed(self, data: bytes) -> list[Frame]:
        """All frames completed by `data`, in order."""
        self.extend(data)
        frames: list[Frame] = []
        while frame := self.next():
            frames.append(frame)
        return frames

    def resync(self) -> list[Frame]:
        """Stop waiting for the rest of the pending bytes: they become a garbled frame, later messages come out.

        For a stalled connection: an inflated BodyLength would swallow good messages until it is filled.
        """
        if not self._buffer:
            return []
        end = self._next_start() or len(self._buffer)
        frame = Frame(bytes(self._buffer[:end]), "cut short")
        self._cut(end)
        return [frame, *self.feed(b"")]

    def _frame(self) -> Frame | None:
        """The frame the buffer starts with; None to wait for more bytes."""
        buffer = self._buffer
        head = _HEAD.match(buffer)
        if head is None:
            if self._may_become_head():
                return None
            return self._garbled("no BeginString and BodyLength")
        length = int(head.group(1))
        end = head.end() + length + TRAILER_BYTES
        if end > self._max_bytes:
            return self._garbled(f"BodyLength {length} is beyond the cap of {self._max_bytes} bytes")
        if len(buffer) < end:
            return None
        trailer = _TRAILER.fullmatch(buffer, end - TRAILER_BYTES, end)
        if trailer is None or buffer[end - TRAILER_BYTES - 1] != 1:
            return self._garbled(f"BodyLength {length} does not lead to the CheckSum")
        data = bytes(buffer[:end])
        if checksum(data[:-TRAILER_BYTES]) != int(trailer.group(1)):
            return Frame(data, f"CheckSum is {checksum(data[:-TRAILER_BYTES]):03d}, not {trailer.group(1).decode()}")
        if not data.startswith(b"35=", head.end()) or data[head.end() + 3] == 1:
            return Frame(data, "MsgType is not the third field")
        return Frame(data)

    def _may_become_head(self) -> bool:
        rest = bytes(self._buffer[:_HEAD_BYTES])
        if len(rest) == _HEAD_BYTES:
            return False
        if len(rest) < len(_START):
            return _START.startswith(rest)
        version, _, length = rest.partition(b"\x01")
        return rest.startswith(_START) and len(version) <= 21 and re.fullmatch(rb"(9(=\d{0,9})?)?", length) is not None

    def _garbled(self, reason: str) -> Frame | None:
        """Everything up to the next BeginString; None while none has come and the cap is not reached."""
        end = self._next_start()
        if end is None:
            if len(self._buffer) < self._max_bytes:
                return None
            end = self._max_bytes
        return Frame(bytes(self._buffer[: min(end, self._max_bytes)]), reason)

    def _next_start(self) -> int | None:
        found = _NEXT.search(self._buffer, max(self._searched - len(_START), 1))
        if found is None:
            self._searched = len(self._buffer)
        return found.start() if found else None

    def _cut(self, size: int) -> None:
        del self._buffer[:size]
        self._searched = 0
