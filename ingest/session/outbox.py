"""What a session wants done, in order: messages stamped and numbered, sends held back until appends are durable."""

from collections import deque
from collections.abc import Iterator

from domain.clock import Clock
from ingest.session.sent import SentStore
from ingest.session.state import Action, Append, Deliver, Disconnect, Event, Replay, Send, SessionConfig
from ingest.session.strict import Problem
from ingest.session.versions import version_of
from ingest.session.wire import compose, resent, timestamp
from ingest.streams.run import Run


class Outbox:
    """Collects the actions of one connection and keeps every send behind the appends that came before it."""

    def __init__(self, config: SessionConfig, next_number: int, clock: Clock, sent: SentStore) -> None:
        self.begin_string = config.begin_string or ""
        self.version = version_of(config.begin_string or "FIX.4.4", config.appl_ver_id)
        self.next_number = next_number
        self.sent_at = clock.monotonic()
        self._config, self._clock, self._sent = config, clock, sent
        self._messages: list[bytes] = []
        self._next_in: list[int] = []
        self._appends: list[Append] = []
        self._ready: list[Action] = []
        self._held: deque[tuple[int, Action]] = deque()
        self._appended = self._durable = 0

    def append(self, message: bytes, next_in: int) -> None:
        """Log a message; `next_in` is the MsgSeqNum expected after it."""
        self._messages.append(message)
        self._next_in.append(next_in)
        self._appended += 1

    def append_run(self, messages: Run, next_in: int) -> None:
        """Log messages of consecutive numbers; `next_in` is expected after the first of them."""
        self._close_append()
        self._appends.append(Append(messages, range(next_in, next_in + len(messages))))
        self._appended += len(messages)

    def note(self, text: str) -> None:
        """Tell the operator."""
        self._ready.append(Event(text))

    def emit(self, action: Send | Replay | Deliver | Disconnect) -> None:
        """Do this once everything appended so far is durable."""
        if self._appended > self._durable:
            self._held.append((self._appended, action))
        else:
            self._ready.append(action)

    def send(self, kind: str, *body: tuple[int, str]) -> None:
        """Send a session-level message of MsgType `kind` under the next number."""
        self._emit_stamped(kind, body)
        self.next_number += 1

    def send_business(self, kind: str, body: tuple[tuple[int, str], ...], connected: bool = True) -> None:
        """Send a business message under the next number and keep it for resends; unconnected it is only kept."""
        message = self._stamped(kind, self.next_number, body)
        self._sent.record(self.next_number, message)
        self.next_number += 1
        if connected:
            self.emit(Send(message))
            self.sent_at = self._clock.monotonic()

    def reject(self, sequence: int, kind: str, problem: Problem) -> None:
        """Reject(3), or BusinessMessageReject(j) for a type we do not take, with what the version has room for."""
        business, version = problem.reason < 0, self.version
        if business and version.has_business_reject:
            self.send_business("j", ((45, str(sequence)), (372, kind), (380, "3"), (58, problem.text)))
            return
        body = [(45, str(sequence))]
        if version.last_reject_reason >= 0:
            body += [(371, str(problem.tag)), (372, kind)] if problem.tag else [(372, kind)]
        if 0 <= problem.reason <= version.last_reject_reason:
            body.append((373, str(problem.reason)))
        self.send("3", *body, (58, f"{problem.text} ({problem.tag})" if problem.tag else problem.text))

    def replay(self, begin: int, end: int) -> None:
        """Answer a ResendRequest for begin..end (end 0: all): business messages again, the others as gap fills."""
        last = min(end or self.next_number, self.next_number - 1)
        self.emit(Replay(self._replayed(begin, last)))
        self.sent_at = self._clock.monotonic()

    def restart(self) -> None:
        """Both sides' numbers start again at 1."""
        self.next_number = 1
        self._sent.clear()

    def committed(self, count: int) -> list[Action]:
        """`count` more appended messages are durable; the actions that waited for them."""
        self._durable += count
        released: list[Action] = []
        while self._held and self._held[0][0] <= self._durable:
            released.append(self._held.popleft()[1])
        return released

    def take(self) -> list[Action]:
        """Everything to do now: the append first, then what needs not wait for it."""
        self._close_append()
        actions = [*self._appends, *self._ready]
        self._appends, self._ready = [], []
        return actions

    def _close_append(self) -> None:
        if self._messages:
            self._appends.append(Append(tuple(self._messages), tuple(self._next_in)))
            self._messages, self._next_in = [], []

    def _replayed(self, begin: int, last: int) -> Iterator[bytes]:
        expected = begin
        for sequence, message in self._sent.read(begin, last):
            if sequence > expected:
                yield self._gap_fill(expected, sequence)
            yield resent(message, timestamp(self._clock.now_ns()))
            expected = sequence + 1
        if expected <= last:
            yield self._gap_fill(expected, last + 1)

    def _gap_fill(self, begin: int, new: int) -> bytes:
        now = timestamp(self._clock.now_ns())
        return self._stamped("4", begin, ((123, "Y"), (36, str(new))), ((43, "Y"), (122, now)))

    def _emit_stamped(self, kind: str, body: tuple[tuple[int, str], ...]) -> None:
        self.emit(Send(self._stamped(kind, self.next_number, body)))
        self.sent_at = self._clock.monotonic()

    def _stamped(
        self, kind: str, sequence: int, body: tuple[tuple[int, str], ...], extra: tuple[tuple[int, str], ...] = ()
    ) -> bytes:
        head = [(35, kind), (49, self._config.target), (56, self._config.sender), (34, str(sequence))]
        head += [(52, timestamp(self._clock.now_ns())), *extra]
        return compose(self.begin_string, [*head, *body])
