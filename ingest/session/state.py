"""What a FIX session is made of: its configuration, its numbers, and the actions the core asks for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ingest.fix.dictionary import Dictionary
from ingest.session.framing import DEFAULT_MAX_MESSAGE_BYTES
from ingest.session.schedule import Schedule
from ingest.streams.run import Run

# The business messages Tieout reads; anything else is answered with BusinessMessageReject on a strict session.
SUPPORTED = frozenset({"8", "AE", "AR", "AK", "AP", "AS", "AT", "AU", "J", "P", "Q", "j"})


class Role(Enum):
    """Which side of the connection we are."""

    ACCEPTOR = "acceptor"
    INITIATOR = "initiator"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """One counterparty session as seen by us.

    `sender` is the counterparty's SenderCompID(49), `target` its TargetCompID(56): us. `begin_string` None takes over
    what the counterparty logs on with; FIXT sessions say their DefaultApplVerID(1137) in `appl_ver_id`.

    `strict` checks every message against `dictionaries` (by version; else our own table) and answers Reject(3) or
    BusinessMessageReject(j). Without it what the session rules permit is accepted, and what a message holds is judged
    when it is decoded.
    `sending_time_seconds` is how far SendingTime(52) may be off (0: not checked), `supported` the business MsgTypes a
    strict session takes. `password` and `username` must be in the counterparty's Logon (554 or RawData(96), 553) where
    they are set; an initiator sends them. `deliver` asks for `Deliver` actions: what an application has to process.
    """

    sender: str
    target: str
    begin_string: str | None = None
    heartbeat_min_seconds: int = 1
    heartbeat_max_seconds: int = 300
    logon_timeout_seconds: float = 10.0
    logout_timeout_seconds: float = 5.0
    stall_seconds: float = 2.0
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    role: Role = Role.ACCEPTOR
    appl_ver_id: str = ""
    heartbeat_seconds: int = 30
    username: str = ""
    password: str = field(default="", repr=False)
    reset_on_logon: bool = False
    next_expected: bool = False
    strict: bool = False
    sending_time_seconds: float = 0.0
    supported: frozenset[str] = SUPPORTED
    dictionaries: Mapping[str, Dictionary] = field(default_factory=dict)
    schedule: Schedule | None = None
    deliver: bool = False

    @property
    def name(self) -> str:
        """The session's name everywhere: lane, status, raw messages."""
        return session_name(self.sender, self.target)


def session_name(sender: str, target: str) -> str:
    """SENDER->TARGET, the counterparty first."""
    return f"{sender}->{target}"


@dataclass(frozen=True, slots=True)
class Numbers:
    """Durable numbers of a session: MsgSeqNum expected and to be sent next, and our own last log number."""

    next_in: int = 1
    next_out: int = 1
    logged: int = 0


class Phase(Enum):
    """Where a connection is in its life."""

    LOGON = "waiting for Logon"
    ACTIVE = "logged on"
    LOGOUT = "waiting for Logout"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Append:
    """Write these raw messages to the log; `next_in[i]` is the MsgSeqNum expected after `messages[i]`."""

    messages: Sequence[bytes]
    next_in: Sequence[int]

    @property
    def size(self) -> int:
        """Bytes of all messages."""
        return len(self.messages.data) if isinstance(self.messages, Run) else sum(map(len, self.messages))


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to the counterparty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Replay:
    """Write these messages to the counterparty, one after the other, before anything that comes later.

    The answer to a ResendRequest: made while it is written, so that a day's messages are never in memory together.
    """

    messages: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Deliver:
    """New business messages, in order and durable: for the application. Only with `SessionConfig.deliver`."""

    messages: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection once everything sent is written."""

    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a line in the operator's log."""

    text: str


Action = Append | Send | Replay | Deliver | Disconnect | Event
