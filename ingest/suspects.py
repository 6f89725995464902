"""What was being read when the process died: a note per execution, so that a message that kills is found."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# A death may have come from elsewhere (kill -9, power): only the second one in the same place is held against it.
DEATHS_MAX = 2
# A process that is killed again and again by somebody else is often killed while it reads, with few messages at hand
# every time over the same one. A message is blamed for more than that takes to happen by chance.
LONE_DEATHS_MAX = 6
# 5,000 messages come down to one in three rounds, few enough for the supervisor's patience with a child that dies.
SPLIT = 32


@dataclass(frozen=True, slots=True)
class Part:
    """Messages `first` up to before `last` of a range; `deaths` of the process while it read just these."""

    first: int
    last: int
    deaths: int = 0

    @property
    def deadly(self) -> bool:
        """True for the single message under which the process died too often."""
        return self.last - self.first == 1 and self.deaths >= LONE_DEATHS_MAX


@dataclass(frozen=True, slots=True)
class Suspects:
    """Notes in a folder; without one nothing is noted and every range is read whole.

    A note is there while a range is being read and gone afterwards, so only a dead process leaves one. It need not
    survive a power loss: the bytes of a message cannot cause one.
    """

    folder: Path | None

    def parts(self, execution: str, count: int) -> Iterator[Part]:
        """The parts to read, in order, each noted before it is given out; forgotten when the last one is done."""
        for part in self._plan(execution, count):
            self._note(execution, part)
            yield part
        self.forget(execution)

    def died_before(self, execution: str) -> bool:
        """Whether a run of this execution did not come to its end."""
        return self._read(execution) is not None

    def forget(self, execution: str) -> None:
        """The process lives: whatever went wrong with the range was no death."""
        if self.folder is not None:
            self._file(execution).unlink(missing_ok=True)

    def _plan(self, execution: str, count: int) -> Sequence[Part]:
        noted = self._read(execution)
        if noted is None or noted.last > count:
            return [Part(0, count)]
        deaths = noted.deaths + 1
        tried = [Part(noted.first, noted.last, deaths)]
        if deaths >= DEATHS_MAX and noted.last - noted.first > 1:
            size = -(-(noted.last - noted.first) // SPLIT)
            tried = [Part(at, min(at + size, noted.last)) for at in range(noted.first, noted.last, size)]
        around = [Part(0, noted.first), *tried, Part(noted.last, count)]
        return [part for part in around if part.last > part.first]

    def _read(self, execution: str) -> Part | None:
        if self.folder is None:
            return None
        try:
            found = json.loads(self._file(execution).read_bytes())
            return Part(int(found["first"]), int(found["last"]), int(found["deaths"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _note(self, execution: str, part: Part) -> None:
        if self.folder is not None:
            self.folder.mkdir(exist_ok=True)
            text = json.dumps({"first": part.first, "last": part.last, "deaths": part.deaths})
            self._file(execution).write_text(text)

    def _file(self, execution: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{execution}.json"
