"""What a session wants done, in order: messages stamped and numbered, sends held back until appends are durable."""

from collections import deque

from domain.clock import Clock
from ingest.session.state import Action, Append, Disconnect, Event, Send, SessionConfig
from ingest.session.wire import compose, timestamp


class Outbox:
    """Collects the actions of one connection and keeps every send behind the appends that came before it."""

    def __init__(self, config: SessionConfig, next_number: int, clock: Clock) -> None:
        self.begin_string = config.begin_string or ""
        self.next_number = next_number
        self.sent_at = clock.monotonic()
        self._config, self._clock = config, clock
        self._messages: list[bytes] = []
        self._next_in: list[int] = []
        self._ready: list[Action] = []
        self._held: deque[tuple[int, Action]] = deque()
        self._appended = self._durable = 0

    def append(self, message: bytes, next_in: int) -> None:
        """Log a message; `next_in` is the MsgSeqNum expected after it."""
        self._messages.append(message)
        self._next_in.append(next_in)
        self._appended += 1

    def append_run(self, messages: list[bytes], next_in: int) -> None:
        """Log messages of consecutive numbers; `next_in` is expected after the first of them."""
        self._messages += messages
        self._next_in += range(next_in, next_in + len(messages))
        self._appended += len(messages)

    def note(self, text: str) -> None:
        """Tell the operator."""
        self._ready.append(Event(text))

    def emit(self, action: Send | Disconnect) -> None:
        """Do this once everything appended so far is durable."""
        if self._appended > self._durable:
            self._held.append((self._appended, action))
        else:
            self._ready.append(action)

    def send(self, kind: str, *body: tuple[int, str]) -> None:
        """Send a session-level message of MsgType `kind` under the next number."""
        self._stamp(kind, self.next_number, body)
        self.next_number += 1

    def gap_fill(self, begin: int, end: int) -> None:
        """SequenceReset-GapFill over the numbers begin..end (end 0: all) that were sent."""
        new = self.next_number if not end or end >= self.next_number else end + 1
        now = timestamp(self._clock.now_ns())
        self._stamp("4", begin, ((123, "Y"), (36, str(new))), ((43, "Y"), (122, now)))

    def committed(self, count: int) -> list[Action]:
        """`count` more appended messages are durable; the actions that waited for them."""
        self._durable += count
        released: list[Action] = []
        while self._held and self._held[0][0] <= self._durable:
            released.append(self._held.popleft()[1])
        return released

    def take(self) -> list[Action]:
        """Everything to do now: the append first, then what needs not wait for it."""
        actions = self._ready
        if self._messages:
            actions = [Append(tuple(self._messages), tuple(self._next_in)), *actions]
            self._messages, self._next_in = [], []
        self._ready = []
        return actions

    def _stamp(
        self, kind: str, sequence: int, body: tuple[tuple[int, str], ...], extra: tuple[tuple[int, str], ...] = ()
    ) -> None:
        head = [(35, kind), (49, self._config.target), (56, self._config.sender), (34, str(sequence))]
        head += [(52, timestamp(self._clock.now_ns())), *extra]
        self.emit(Send(compose(self.begin_string, [*head, *body])))
        self.sent_at = self._clock.monotonic()
