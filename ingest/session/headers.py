"""Headers of many messages held against one that was found right: a run of messages of one engine is alike."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ingest.session.framing import TRAILER_BYTES

_SOH = 1
_SESSION_LEVEL = np.frombuffer(b"012345A", dtype=np.uint8)
# As many bytes of the first body field as tell whether it is a header field after all.
_BODY_BYTES = 5
_WINDOW = 1 << 20

Octets = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]
Good = npt.NDArray[np.bool_]
_NONE: Places = np.empty(0, dtype=np.intp)


class HeaderShape:
    """The header of one accepted message: its bytes, and which of them differ from message to message.

    Those are the values of 9, 34, 35 and 52; they must be as wide as in that message. All other bytes must be the same.
    """

    def __init__(self, head: bytes) -> None:
        self._size = len(head)
        self.template: Octets = np.frombuffer(head, dtype=np.uint8)
        self._values: dict[bytes, slice] = {}
        # Per byte the tag whose value it is part of, 0 for what is fixed; behind them where the body starts that
        # BodyLength counts.
        self.kinds: Places = np.zeros(len(head) + 1, dtype=np.int64)
        at = 0
        for field in head.split(b"\x01")[:-1]:
            tag = field[: field.index(b"=")]
            if tag in (b"9", b"34", b"35", b"52"):
                place = slice(at + len(tag) + 1, at + len(field))
                self._values[tag] = place
                self.kinds[place] = int(tag)
            at += len(field) + 1
        self.kinds[-1] = self._values[b"9"].stop + 1
        self._fixed: Good = self.kinds[:-1] == 0
        # What every message of the run begins with, up to the digits of its BodyLength.
        self._start = head[: self._values[b"9"].start]

    @property
    def size(self) -> int:
        """Bytes of the header."""
        return self._size

    def leading(self, data: bytes, expected: int, max_bytes: int, may_follow: Callable[[bytes], bool]) -> Places:
        """Ends of the messages that lead `data`, of this shape and numbered expected, expected+1, ....

        Right are then BeginString, CompIDs, BodyLength, MsgSeqNum and MsgType; the CheckSum is not looked at.
        `may_follow` judges the first bytes behind the header.
        """
        if not data.startswith(self._start):
            return _NONE
        data = data[:_WINDOW]
        lengths = np.fromiter(map(len, data.split(self._start)), dtype=np.intp)[1:] + len(self._start)
        ends = np.cumsum(lengths)
        starts = ends - lengths
        # The last one may go on behind what is there; as many as there are numbers of the same width.
        count = int(np.searchsorted(starts, len(data) - self._size - _BODY_BYTES, side="right"))
        count = min(count, 10 ** len(str(expected)) - expected)
        if not count or len(str(expected)) != _width(self._values[b"34"]):
            return _NONE
        octets = np.frombuffer(data, dtype=np.uint8)
        starts, ends, lengths = starts[:count], ends[:count], lengths[:count]
        rows = np.lib.stride_tricks.sliding_window_view(octets, self._size + _BODY_BYTES)[starts]
        good = self._alike(rows, expected)
        good &= may_all_follow(octets, starts + self._size, may_follow)
        stated = _number(rows[:, self._values[b"9"]])
        body_starts = self._values[b"9"].stop + 1
        if count and ends[-1] == len(data):
            ends[-1] = min(ends[-1], starts[-1] + body_starts + stated[-1] + TRAILER_BYTES)
            lengths = ends - starts
        good &= (stated == lengths - body_starts - TRAILER_BYTES) & (lengths <= max_bytes)
        good &= lengths >= self._size + TRAILER_BYTES
        tails = np.lib.stride_tricks.sliding_window_view(octets, TRAILER_BYTES + 1)[ends - TRAILER_BYTES - 1]
        good &= (tails[:, (0, 1, 2, 3, 7)] == np.frombuffer(b"\x0110=\x01", dtype=np.uint8)).all(axis=1)
        right = count if good.all() else int(np.argmin(good))
        return ends[:right]

    def _alike(self, rows: Octets, expected: int) -> Good:
        heads = rows[:, : self._size]
        good: Good = ((heads == self.template) | ~self._fixed).all(axis=1)
        good &= (heads[:, self._values[b"52"]] != _SOH).all(axis=1)
        kinds = heads[:, self._values[b"35"]]
        good &= (kinds != _SOH).all(axis=1)
        if kinds.shape[1] == 1:
            good &= ~np.isin(kinds[:, 0], _SESSION_LEVEL)
        good &= _number(heads[:, self._values[b"34"]]) == expected + np.arange(len(heads))
        return good


def may_all_follow(octets: Octets, starts: Places, may_follow: Callable[[bytes], bool]) -> Good:
    """Whether the bytes at each of `starts`, where bodies begin, are allowed behind a header."""
    if not len(starts):
        return np.ones(0, dtype=np.bool_)
    bodies = np.lib.stride_tricks.sliding_window_view(octets, _BODY_BYTES)[starts]
    if (bodies == bodies[0]).all():
        return np.full(len(bodies), may_follow(bodies[0].tobytes()))
    packed = bodies @ (256 ** np.arange(_BODY_BYTES, dtype=np.int64))
    seen, which = np.unique(packed, return_inverse=True)
    allowed = [may_follow(int(one).to_bytes(_BODY_BYTES, "little")) for one in seen]
    return np.array(allowed)[which]


def _width(place: slice) -> int:
    return int(place.stop - place.start)


def _number(digits: Octets) -> Places:
    """The numbers the rows of digits say, -1 where a byte is no digit."""
    values = digits.astype(np.intp) - ord("0")
    found: Places = values @ (10 ** np.arange(values.shape[1] - 1, -1, -1, dtype=np.intp))
    found[((values < 0) | (values > 9)).any(axis=1)] = -1
    return found
