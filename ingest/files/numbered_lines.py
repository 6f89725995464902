"""The lines of a log's messages by message id, without an object for each: ids count through the log."""

from collections.abc import Iterator, Mapping

from ingest.fix.index import Ints


class NumberedLines(Mapping[str, int]):
    """The line of message `session:1` is the first of `lines`, and so on."""

    def __init__(self, session: str, lines: Ints) -> None:
        self._session, self._lines = session, lines

    def __getitem__(self, key: str) -> int:
        session, _, number = key.rpartition(":")
        if session != self._session or not number.isdecimal() or not 0 < int(number) <= len(self._lines):
            raise KeyError(key)
        return int(self._lines[int(number) - 1])

    def __iter__(self) -> Iterator[str]:
        return (f"{self._session}:{number}" for number in range(1, len(self._lines) + 1))

    def __len__(self) -> int:
        return len(self._lines)
