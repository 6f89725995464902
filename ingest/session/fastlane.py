"""The fast lane: a run of expected business messages checked together; everything else takes the exact way."""

import re
from itertools import pairwise

import numpy as np

from ingest.session.framing import TRAILER_BYTES

# Sub and on-behalf identities may stand between the required fields; any other header tag ends the lane.
_OTHERS = rb"(?:(?:50|57|115|116|128|129|142|143|144|145)=[^\x01]*\x01)*+"
_NO_HEADER = rb"(?!(?:34|43|49|52|56|90|91|97|122|212|213|347|369|370|62[789]|630|1128|1129|1156)=)"


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
        self._max_bytes = max_message_bytes

    def take(self, buffer: bytearray, expected: int) -> list[bytes]:
        """The messages with numbers expected, expected+1, ... that lead `buffer`; the buffer is left as it is."""
        head, bounds = self._head.match, [0]
        at = 0
        while found := head(buffer, at):
            end = found.end(1) + 1 + int(found.group(1)) + TRAILER_BYTES
            if end > len(buffer) or end - at > self._max_bytes or end < found.end() + TRAILER_BYTES:
                break
            if int(found.group(2) or found.group(3)) != expected + len(bounds) - 1:
                break
            if buffer[end - 8 : end - 4] != b"\x0110=" or buffer[end - 1] != 1:
                break
            bounds.append(end)
            at = end
        data = bytes(memoryview(buffer)[:at])
        good = _leading_good(data, bounds)
        return [data[start:end] for start, end in pairwise(bounds[: good + 1])]


def _leading_good(data: bytes, bounds: list[int]) -> int:
    """How many messages from the start have the CheckSum they say."""
    if len(bounds) == 1:
        return 0
    octets = np.frombuffer(data, dtype=np.uint8)
    edges = np.array(bounds)
    starts, ends = edges[:-1], edges[1:]
    spans = np.column_stack((starts, ends - TRAILER_BYTES)).ravel()
    sums = np.add.reduceat(octets, spans, dtype=np.uint8)[::2]
    digits = octets[ends[:, None] - np.array([4, 3, 2])].astype(np.int32) - ord("0")
    stated = digits @ np.array([100, 10, 1])
    good = ((digits >= 0) & (digits <= 9)).all(axis=1) & (stated == sums)
    return len(good) if good.all() else int(np.argmin(good))
