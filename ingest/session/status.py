"""The acceptor's status file: what the feeds page shows of every session."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

STATUS_NAME = "status.json"


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One session: connected, MsgSeqNum expected and sent next, messages in the log, last receive time (ns UTC).

    `gap_first` to `gap_last` were skipped and asked for again, and have not come yet; both 0 without a gap.
    """

    session: str
    connected: bool
    next_in: int
    next_out: int
    received: int
    last_recv_ts: int
    gap_first: int = 0
    gap_last: int = 0


@dataclass(frozen=True, slots=True)
class AcceptorStatus:
    """All sessions and the acceptor itself at `at` (ns UTC)."""

    at: int
    port: int
    disk_free_bytes: int
    disk_low: bool
    sessions: tuple[SessionStatus, ...]


def write_status(
    directory: Path, at: int, port: int, disk_free_bytes: int, disk_low: bool, sessions: Sequence[SessionStatus]
) -> None:
    """Replace `<directory>/status.json` in one step; it is a view, so it is not synced."""
    directory.mkdir(parents=True, exist_ok=True)
    status = AcceptorStatus(at, port, disk_free_bytes, disk_low, tuple(sessions))
    temporary = directory / (STATUS_NAME + ".new")
    temporary.write_text(json.dumps(asdict(status), indent=1))
    temporary.replace(directory / STATUS_NAME)


def read_status(directory: Path) -> AcceptorStatus | None:
    """The last published status; None where no acceptor ever ran or the file is not readable."""
    try:
        found = json.loads((directory / STATUS_NAME).read_text())
        sessions = tuple(SessionStatus(**row) for row in found.pop("sessions"))
        return AcceptorStatus(sessions=sessions, **found)
    except (OSError, ValueError, TypeError, KeyError):
        return None
