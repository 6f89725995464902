"""What a FIX session is made of: its configuration, its numbers, and the actions the core asks for."""

from dataclasses import dataclass
from enum import Enum

from ingest.session.framing import DEFAULT_MAX_MESSAGE_BYTES

BEGIN_STRINGS = frozenset({"FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4", "FIXT.1.1"})


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """One counterparty session as seen by the acceptor.

    `sender` is the counterparty's SenderCompID(49), `target` its TargetCompID(56): us. `begin_string` None takes over
    what the counterparty logs on with.
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

    messages: tuple[bytes, ...]
    next_in: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to the counterparty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection once everything sent is written."""

    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a line in the operator's log."""

    text: str


Action = Append | Send | Disconnect | Event
