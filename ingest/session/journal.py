"""What an initiator sent: numbers and messages kept for resends, and the re-stamping of recorded messages."""

import struct
from pathlib import Path
from types import TracebackType

from ingest.session.wire import compose, header, number, seal, split_header, timestamp

_RECORD = struct.Struct("<QI")
# What an engine writes itself; everything else of a recorded header is kept.
_STAMPED = frozenset((b"8", b"9", b"35", b"49", b"56", b"34", b"52"))
SESSION_TYPES = frozenset(["0", "1", "2", "3", "4", "5", "A"])


class Journal:
    """Numbers used and messages sent, in memory and, with a path, in a file that the next process continues.

    The file is a list of (number, length, bytes); session-level messages have no bytes and are gap-filled on a resend;
    number 0 starts over. A torn tail is ignored: what was not completely written was not sent.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._messages: dict[int, bytes] = {}
        self.next_out, self.next_in = 1, 1
        content = path.read_bytes() if path is not None and path.exists() else b""
        end = self._load(content)
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if content else "w+b")
            self._file.truncate(end)
            self._file.seek(end)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def used(self, sequence: int, message: bytes = b"") -> None:
        """Remember a number before the message leaves; session-level messages without bytes."""
        self._remember(sequence, message)
        if self._file is not None:
            self._file.write(_RECORD.pack(sequence, len(message)) + message)
            self._file.flush()

    def reset(self) -> None:
        """Both sides start over at 1."""
        self.used(0)
        self.next_in = 1

    def message(self, sequence: int) -> bytes:
        """The business message sent under the number, empty when it was a session-level one."""
        return self._messages.get(sequence, b"")

    def _remember(self, sequence: int, message: bytes) -> None:
        if sequence == 0:
            self._messages.clear()
            self.next_out = 1
            return
        if message:
            self._messages[sequence] = message
        self.next_out = max(self.next_out, sequence + 1)

    def _load(self, content: bytes) -> int:
        at = 0
        while at + _RECORD.size <= len(content):
            sequence, length = _RECORD.unpack_from(content, at)
            end = at + _RECORD.size + length
            if end > len(content):
                break
            self._remember(sequence, content[at + _RECORD.size : end])
            at = end
        return at


class Stamp:
    """Writes headers as the engine of one side of one session does."""

    def __init__(self, sender: str, target: str, begin_string: str) -> None:
        self.begin_string = begin_string
        self._pair = (sender, target)

    def session(self, kind: str, sequence: int, now_ns: int, *body: tuple[int, str], resend: bool = False) -> bytes:
        """A session-level message."""
        sender, target = self._pair
        again = [(43, "Y"), (122, timestamp(now_ns))] if resend else []
        head = [(35, kind), (49, sender), (56, target), (34, str(sequence)), (52, timestamp(now_ns))]
        return compose(self.begin_string, [*head, *again, *body])

    def business(self, message: bytes, sequence: int, now_ns: int, resend: bool = False) -> bytes:
        """The message with our header; body and other header fields stay byte for byte.

        With `resend`: PossDupFlag(43) and OrigSendingTime(122), the message being one stamped before.
        """
        pairs, body = split_header(message)
        found = dict(reversed(pairs))
        sender, target = (text.encode() for text in self._pair)
        now = timestamp(now_ns).encode()
        stamped = [(b"35", found[b"35"]), (b"49", sender), (b"56", target), (b"34", b"%d" % sequence), (b"52", now)]
        dropped = _STAMPED
        if resend:
            stamped += [(b"43", b"Y"), (b"122", found.get(b"52", now))]
            dropped = _STAMPED | {b"43", b"122"}
        stamped += [pair for pair in pairs if pair[0] not in dropped]
        return seal(self.begin_string.encode(), b"".join(b"%s=%s\x01" % pair for pair in stamped) + body)


def kind_of(message: bytes) -> str | None:
    """MsgType of recorded bytes; None for what is no FIX message."""
    return header(message).get(35) if message.startswith(b"8=FIX") else None


def sequence_of(message: bytes) -> int | None:
    """MsgSeqNum of recorded bytes; None where there is none or the message is marked as a duplicate."""
    found = header(message)
    return None if found.get(43) == "Y" else number(found.get(34))
