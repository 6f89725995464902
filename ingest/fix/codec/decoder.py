"""Bytes of many FIX messages, damaged or not, to Arrow columns by a declared field list."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from ingest.fix.codec.arrow import record_batch
from ingest.fix.codec.block import LOOK, PAD_BYTES, Block, Columns, Ints, Lane, Octets, Words
from ingest.fix.codec.exact import Structure, exact_value, ordered_fields, structure
from ingest.fix.codec.frames import INCOMPLETE, check_message
from ingest.fix.codec.numpy_lane import NumpyLane
from ingest.fix.codec.plan import REASONS, Mark, Plan, Reason
from ingest.fix.codec.values import read_columns

DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024
LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024 - 1
_BEGIN = b"8=FIX"
_NEXT = re.compile(rb"(?<=[\x01\n])8=FIX")
_IN_PLACE_BYTES = 4 * PAD_BYTES
_WINDOW_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reject:
    """Bytes [start, end) of the buffer that are no message, and why."""

    start: int
    end: int
    reason: Reason

    @property
    def text(self) -> str:
        """The reason in words."""
        return REASONS[self.reason]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a buffer holds.

    `table` has the plan's columns, one row per message or entry of its group; strings may point into the buffer, which
    stays alive with them. `message` is the message of each row; `start`, `end` and `marks` (Mark bits) are per message.
    `rejects` are the spans between messages, blank ones left out. `exact` holds, by (row, column name), numbers and
    times that do not fit their column without loss. Bytes from `consumed` on belong to a message still to come.
    """

    table: pa.Table
    message: Ints
    start: Ints
    end: Ints
    marks: Ints
    rejects: Sequence[Reject]
    exact: dict[tuple[int, str], Decimal | str]
    consumed: int
    data: memoryview

    def raw(self, message: int) -> bytes:
        """One message's bytes."""
        return bytes(self.data[int(self.start[message]) : int(self.end[message])])

    def fields(self, message: int) -> list[tuple[int, bytes]]:
        """One message's tags and values in wire order, data fields by their length; tag -1 for a token that is none."""
        found, _ = ordered_fields(self.data, int(self.start[message]), int(self.end[message]))
        return [(tag, bytes(self.data[start:end])) for tag, start, end in found]


class Decoder:
    """Decodes buffers by one plan. `lane` None is the NumPy lane; see `ingest.fix.codec.jit` for the compiled one.

    A message longer than `max_message_bytes` is rejected: what is searched or kept for it is bounded. One decoder is
    for one thread. Raises ValueError for a cap beyond 16 MiB.
    """

    def __init__(
        self, plan: Plan, lane: Lane | None = None, *, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    ) -> None:
        if not 0 < max_message_bytes <= LARGEST_MESSAGE_BYTES:
            raise ValueError(f"max_message_bytes {max_message_bytes} is not between 1 and {LARGEST_MESSAGE_BYTES}")
        self._plan, self._lane, self._cap = plan, lane or NumpyLane(plan), max_message_bytes

    @property
    def lane(self) -> str:
        """The name of the lane in use."""
        return self._lane.name

    def decode(self, data: bytes | bytearray | memoryview, *, final: bool = True) -> Decoded:
        """Decode a buffer. With `final` False the beginning of a message at its end is left for later (`consumed`).

        A bytearray must not change while the result is in use.
        """
        view = memoryview(data).cast("B").toreadonly()
        run = _Run(self._plan, self._lane, self._cap, view)
        run.go(final)
        return run.result()


class _Run:
    """One buffer being decoded: in place, and where a message ends too near its end, from a padded copy."""

    def __init__(self, plan: Plan, lane: Lane, cap: int, view: memoryview) -> None:
        self._plan, self._lane, self._cap, self._view = plan, lane, cap, view
        self._batches: list[pa.RecordBatch] = []
        self._messages: list[Ints] = []
        self._rejects: list[Reject] = []
        self._marks: dict[int, int] = {}
        self._exact: dict[tuple[int, str], Decimal | str] = {}
        self._count, self._rows, self._position = 0, 0, 0

    def go(self, final: bool) -> None:
        """Decode all there is."""
        size = len(self._view)
        octets, whole = np.frombuffer(self._view, dtype=np.uint8), pa.py_buffer(self._view)
        while self._position < size:
            at = self._position
            reason, end = int(Reason.GARBAGE), at
            if bytes(self._view[at : at + len(_BEGIN)]) == _BEGIN:
                reason, end = check_message(octets, at, size, self._cap)
            if reason < 0:
                if size - at > _IN_PLACE_BYTES:
                    self._decode(octets, whole, at, 0, size - PAD_BYTES)
                if self._position == at:
                    self._window(end)
            # What is no message is given up here: a lane would look at much of what follows to find it out again.
            elif (reason == INCOMPLETE and not final) or not self._skip(Reason(reason or Reason.TRUNCATED), final):
                return

    def _window(self, end: int) -> None:
        """Decode the message at the position, which ends too near the buffer's end, and what follows in reach."""
        at = self._position
        tail = bytes(self._view[at : max(end, at + _WINDOW_BYTES)])
        octets = np.frombuffer(tail + bytes(PAD_BYTES), dtype=np.uint8)
        self._decode(octets, pa.py_buffer(octets), 0, at, len(tail))

    def _skip(self, reason: Reason, final: bool) -> bool:
        """Give up what the rest begins with and go on at the next start; False where there is none."""
        at, size = self._position, len(self._view)
        found = _NEXT.search(self._view, at + 1)
        stop = found.start() if found else size if final else size - _cut_start(bytes(self._view[at:][-6:]))
        self._reject(at, stop, reason)
        self._position = stop
        return found is not None

    def _reject(self, start: int, end: int, reason: Reason) -> None:
        if end > start and bytes(self._view[start:end]).strip(b"\r\n"):
            self._rejects.append(Reject(start, end, reason))

    def _decode(self, octets: Octets, buffer: pa.Buffer, at: int, offset: int, limit: int) -> None:
        """All blocks of a padded buffer from `at`; it stands at `offset` of the whole."""
        done = False
        while not done:
            block = self._lane.decode(octets, at, limit, self._cap)
            for start, end, reason in block.rejects.tolist():
                self._reject(offset + start, offset + end, Reason(reason))
            if len(block.messages):
                self._take(octets, buffer, at, offset, block)
            at, done = block.position, block.done
        self._position = offset + at

    def _take(self, octets: Octets, buffer: pa.Buffer, base: int, offset: int, block: Block) -> None:
        """A block's rows, with those of the exact lane among them."""
        start, end, rows = block.messages.T.copy()
        columns = block.columns
        if (rows < 0).any():
            columns = self._structures(octets, base, start, end, rows, columns)
        if (columns.state == LOOK).any():
            self._look(octets, start, end, rows, columns)
        self._batches.append(record_batch(self._plan, columns, buffer.slice(base), ascii_only=block.ascii))
        self._messages.append(np.stack([start + offset, end + offset, rows], axis=1))
        self._count, self._rows = self._count + len(rows), self._rows + columns.rows

    def _structures(self, octets: Octets, base: int, start: Ints, end: Ints, rows: Ints, columns: Columns) -> Columns:
        """Rows of the messages the lane left alone, put where they belong; `rows` gets their number."""
        places, sizes, at = [], [], []
        regular = np.cumsum(np.maximum(rows, 0))
        for message in np.flatnonzero(rows < 0).tolist():
            found = structure(octets.data, int(start[message]), int(end[message]), self._plan)
            self._mark(message, found.marks)
            rows[message] = len(found.rows)
            at += [int(regular[message])] * len(found.rows)
            for row in found.rows:
                places.append([field[1] if field else 0 for field in row])
                sizes.append([field[2] - field[1] if field else 0 for field in row])
        words: Words = np.ndarray(shape=(len(octets) - 7,), dtype="<u8", buffer=octets, strides=(1,))
        first, size = np.array(places, dtype=np.int64).T, np.array(sizes, dtype=np.int64).T
        return columns.insert(np.array(at), read_columns(octets, words, base, self._plan, first, size))

    def _look(self, octets: Octets, start: Ints, end: Ints, rows: Ints, columns: Columns) -> None:
        """The values left to the exact lane, one by one."""
        owner, opens = np.repeat(np.arange(len(rows)), rows), np.cumsum(rows) - rows
        known: dict[int, Structure] = {}
        for row, slot in np.argwhere(columns.state.T == LOOK).tolist():
            message = int(owner[row])
            if message not in known:
                known = {message: structure(octets.data, int(start[message]), int(end[message]), self._plan)}
            field = known[message].rows[row - int(opens[message])][slot]
            assert field is not None
            column = self._plan.columns[slot]
            value = exact_value(octets[field[1] : field[2]].tobytes(), column)
            columns.put(slot, row, self._plan, value.held, value.precision)
            self._mark(message, value.mark)
            if value.whole is not None:
                self._exact[self._rows + row, column.name] = value.whole

    def _mark(self, message: int, mark: Mark) -> None:
        if mark:
            here = self._count + message
            self._marks[here] = self._marks.get(here, 0) | int(mark)

    def result(self) -> Decoded:
        """Everything together."""
        messages = np.concatenate([np.zeros((0, 3), dtype=np.int64), *self._messages])
        marks = np.zeros(len(messages), dtype=np.int64)
        marks[list(self._marks)] = list(self._marks.values())
        return Decoded(
            pa.Table.from_batches(self._batches, self._plan.schema),
            np.repeat(np.arange(len(messages)), messages[:, 2]),
            messages[:, 0], messages[:, 1], marks, self._rejects, self._exact, self._position, self._view,
        )  # fmt: skip


def _cut_start(rest: bytes) -> int:
    """How many last bytes may be the start of a message that was cut off."""
    for size in range(min(len(_BEGIN) - 1, len(rest)), 0, -1):
        if rest.endswith(_BEGIN[:size]) and rest[: len(rest) - size][-1:] in (b"\x01", b"\n", b""):
            return size
    return 0
