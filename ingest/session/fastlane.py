"""The fast lane: a run of expected business messages checked together; everything else takes the exact way."""

import re
from typing import TYPE_CHECKING

import numpy as np

from ingest.session.framing import TRAILER_BYTES
from ingest.session.headers import HeaderShape, Octets, Places, may_all_follow
from ingest.streams.run import Run

if TYPE_CHECKING:
    from ingest.session.compiled import Leading

# Sub and on-behalf identities may stand between the required fields, and what FIXT says about the application version;
# any other header tag ends the lane.
_OTHERS = rb"(?:(?:50|57|115|116|128|129|142|143|144|145|1128|1129|1156)=[^\x01]*\x01)*+"
_NO_HEADER = rb"(?!(?:34|43|49|52|56|90|91|97|122|212|213|347|369|370|62[789]|630)=)"
_machine_code: "Leading | None" = None


def use_machine_code(leading: "Leading | None") -> None:
    """Check runs with `ingest.session.compiled.compile_leading()` from now on; None goes back to NumPy."""
    global _machine_code
    _machine_code = leading


# So many alike one by one before the next ones are looked at all at once.
_ALIKE = 8


class FastLane:
    """Recognises what a session receives nearly always: business messages with the next numbers.

    A message is taken only when the core would accept it without any answer: right BeginString, CompIDs, BodyLength
    and CheckSum, SendingTime there, not a session-level type, no PossDupFlag, the very next MsgSeqNum.
    """

    def __init__(self, begin_string: str, sender: str, target: str, max_message_bytes: int) -> None:
        begin, pair = re.escape(begin_string.encode()), (re.escape(sender.encode()), re.escape(target.encode()))
        sender_field, target_field = rb"49=%s\x01" % pair[0], rb"56=%s\x01" % pair[1]
        number, time = rb"34=(\d{1,18})\x01", rb"52=[^\x01]+\x01"
        orders = [
            _OTHERS.join((sender_field, target_field, number, time, b"")),
            _OTHERS.join((number, sender_field, time, target_field, b"")),
        ]
        head = rb"8=%s\x019=(\d{1,9})\x0135=(?![0-5A]\x01)[^\x01]+\x01(?:%s)" % (begin, b"|".join(orders))
        self._head = re.compile(head + _NO_HEADER)
        self._next = re.compile(_NO_HEADER)
        self._max_bytes = max_message_bytes

    def take(self, buffer: bytearray, expected: int) -> Run | None:
        """The messages with numbers expected, expected+1, ... that lead `buffer`; the buffer is left as it is."""
        bounds, patience = [0], _ALIKE
        while self._singly(buffer, expected, bounds, patience):
            more = self._together(buffer, expected + len(bounds) - 1, bounds)
            if more < _ALIKE * 8:
                # Messages that are not alike: looking at all of what follows again and again would cost more.
                patience *= 4
        if len(bounds) == 1:
            return None
        data = bytes(memoryview(buffer)[: bounds[-1]])
        edges = np.array(bounds, dtype=np.int64)
        good = _leading_good(data, edges)
        return Run(data, edges[1:]).part(0, good) if good else None

    def _singly(self, buffer: bytearray, expected: int, bounds: list[int], limit: int) -> bool:
        """Add the bounds of at most `limit` messages, all but their CheckSum looked at; whether there were so many."""
        head, at = self._head.match, bounds[-1]
        for _ in range(limit):
            found = head(buffer, at)
            if found is None:
                return False
            end = found.end(1) + 1 + int(found.group(1)) + TRAILER_BYTES
            if end > len(buffer) or end - at > self._max_bytes or end < found.end() + TRAILER_BYTES:
                return False
            if int(found.group(2) or found.group(3)) != expected + len(bounds) - 1:
                return False
            if buffer[end - 8 : end - 4] != b"\x0110=" or buffer[end - 1] != 1:
                return False
            bounds.append(end)
            at = end
        return True

    def _together(self, buffer: bytearray, expected: int, bounds: list[int]) -> int:
        """Add the bounds of messages whose headers are shaped like the last one's; how many."""
        found = self._head.match(buffer, bounds[-2])
        assert found is not None
        shape = HeaderShape(bytes(memoryview(buffer)[bounds[-2] : found.end()]))
        at = bounds[-1]
        if _machine_code is None:
            data = bytes(memoryview(buffer)[at:])
            ends = shape.leading(data, expected, self._max_bytes, self._may_follow)
        else:
            octets = np.frombuffer(buffer, dtype=np.uint8)[at:]
            octets.flags.writeable = False
            ends = self._followed(octets, shape, _machine_code(octets, shape, expected, self._max_bytes))
        bounds += (ends + at).tolist()
        return len(ends)

    def _followed(self, octets: Octets, shape: HeaderShape, ends: Places) -> Places:
        """The ends up to the first message in which what follows the header is not allowed to."""
        bodies = np.concatenate((np.zeros(1, dtype=np.int64), ends))[:-1] + shape.size
        allowed = may_all_follow(octets, bodies, self._may_follow)
        return ends if allowed.all() else ends[: int(np.argmin(allowed))]

    def _may_follow(self, start_of_body: bytes) -> bool:
        return self._next.match(start_of_body) is not None


def _leading_good(data: bytes, edges: Places) -> int:
    """How many messages from the start have the CheckSum they say."""
    octets = np.frombuffer(data, dtype=np.uint8)
    starts, ends = edges[:-1], edges[1:]
    spans = np.column_stack((starts, ends - TRAILER_BYTES)).ravel()
    sums = np.add.reduceat(octets, spans, dtype=np.uint8)[::2]
    digits = octets[ends[:, None] - np.array([4, 3, 2])].astype(np.int32) - ord("0")
    stated = digits @ np.array([100, 10, 1])
    good = ((digits >= 0) & (digits <= 9)).all(axis=1) & (stated == sums)
    return len(good) if good.all() else int(np.argmin(good))
