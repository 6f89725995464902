"""The forwarder: ships the raw log to a remote stream, order kept per session, at least once."""

import json
from pathlib import Path
from typing import Protocol

from domain.errors import PermanentError
from ingest.streams.durable import replace_file
from ingest.streams.port import Stream

DEFAULT_LIMIT_MESSAGES = 20_000


class Positions(Protocol):
    """Where a forwarder keeps how far it came, per lane of its source."""

    def load(self, lane: str) -> str | None:
        """The stored position, None when the lane was never forwarded."""
        ...

    def save(self, lane: str, position: str) -> None:
        """Store the position; returns only when durable."""
        ...


class FilePositions:
    """Positions in one small JSON file, replaced atomically; a damaged file raises PermanentError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._positions: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        except ValueError as error:
            raise PermanentError(f"positions file {path} is not readable: {error}") from error

    def load(self, lane: str) -> str | None:
        return self._positions.get(lane)

    def save(self, lane: str, position: str) -> None:
        self._positions[lane] = position
        replace_file(self._path, json.dumps(self._positions, sort_keys=True).encode())


def forward_once(
    source: Stream, sink: Stream, positions: Positions, limit_messages: int = DEFAULT_LIMIT_MESSAGES
) -> int:
    """Ship one batch of every lane of `source` to `sink`; returns the number of messages shipped (0: caught up).

    The position is saved after the append returned, so a crash between the two ships that batch again: readers of the
    sink drop the copies by their marks. Errors of either stream pass through with the position unmoved.
    """
    shipped = 0
    for lane in source.lanes():
        batch = source.read(lane, positions.load(lane), limit_messages)
        if batch.envelopes:
            sink.append(batch.envelopes)
            positions.save(lane, batch.next)
            shipped += batch.count
    return shipped
