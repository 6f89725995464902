"""The result to be scored: the files of an output folder, or the same from a running service."""

import hashlib
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from simulator.scoring.names import Names
from simulator.scoring.read import InputError, Json, JsonLines, Key, WrongRowError, instant, keys, text, without_ranges

# Up to here links of a group are compared one by one; beyond, only those that the truth knows are looked up.
LISTED_LINKS_MAX = 10_000
_MEMBER = ("trade_uid", "uid")
_PATH_PARTS_MAX = 6
_WORDS = re.compile(r"[^\s\x01|,;\"'<>=]{3,64}")
_ROUTE = "/api/result/"


class Standing(Enum):
    """What a reported break says of itself at the end."""

    OPEN = "open"
    WAITING = "waiting"
    BY_PERSON = "closed by a person"
    BY_ITSELF = "closed by itself"


_WAITING = frozenset({"EXPECTED", "GRACE"})
_CLOSED = frozenset({"RESOLVED", "CLOSED"})
_BY_ITSELF = frozenset({"CURED", "ACCEPTED", "AUTO_CLOSED"})
# Rounding is to be accepted with its reason on record: said so, it is found and not closed wrongly.
_MEANT_TO_BE_ACCEPTED = "T29"
_PERSON = frozenset({"manual", "person"})


@dataclass(frozen=True, slots=True)
class Reported:
    """A break as the result reports it; a quarantined row is one too. `hints` are words of its text: maybe ids."""

    break_id: str
    code: str
    left: tuple[Key, ...]
    right: tuple[Key, ...]
    standing: Standing
    opened_at: int | None
    field: str
    place: str
    hints: tuple[Key, ...] = ()

    @property
    def members(self) -> tuple[Key, ...]:
        """All records it names."""
        return self.left + self.right


@dataclass(slots=True)
class Sources:
    """The truth's name of each source of the result: as told, else its own.

    A source the truth does not know, such as ALPHA_POSITIONS, stands for the one it begins with (`known`).
    """

    told: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    _settled: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, source: str) -> str:
        found = self._settled.get(source)
        if found is None:
            found = self._settled[source] = self._settle(source)
        return found

    def _settle(self, source: str) -> str:
        if source in self.told:
            return self.told[source]
        if source in self.known:
            return source
        return max(
            (name for name in self.known if source.startswith((f"{name}_", f"{name}-"))), key=len, default=source
        )


@dataclass(frozen=True, slots=True)
class Result:
    """Where the parts are read from; `sources` are names of sources as told: the result's, then the truth's."""

    name: str
    breaks: JsonLines
    groups: JsonLines
    quarantine: JsonLines
    sources: Mapping[str, str] = field(default_factory=dict)

    def reported(self, known: frozenset[str]) -> list[Reported]:
        """Breaks and quarantined rows, in the order of the files; `known` are the truth's sources."""
        reader = _Reports(Sources(self.sources, known))
        if not self.breaks.each(reader.take_break):
            raise InputError(f"{self.breaks.name}: not found: is this the address of a Tieout service?")
        if self.quarantine.exists():
            self.quarantine.each(reader.take_quarantined)
        return reader.found

    def linked(self, names: Names, known: frozenset[str]) -> "Links | None":
        """Which records the groups put together; None when the result has no groups. Raises InputError."""
        if not self.groups.exists():
            return None
        links = Links(names, Sources(self.sources, known))
        return links if self.groups.each(links.take) else None


def result_at(place: str, token: str = "", sources: Mapping[str, str] | None = None) -> Result:
    """The result in a folder, or behind the address (http:// or https://) of a service. Raises InputError."""
    parts = ("breaks.jsonl", "groups.jsonl", "quarantine.jsonl")
    if place.startswith(("http://", "https://")):
        urls = [place.rstrip("/") + _ROUTE + part for part in parts]
        lines = [JsonLines(url, url=url, token=token) for url in urls]
    else:
        folder = Path(place)
        if not folder.is_dir():
            raise InputError(f"{place}: {'not a folder' if folder.exists() else 'no such folder'}")
        if not (folder / parts[0]).exists():
            raise InputError(f"{folder / parts[0]}: not there: a result folder is what `tieout reconcile --out` writes")
        lines = [JsonLines(str(folder / part), folder / part) for part in parts]
    breaks, groups, quarantine = lines
    return Result(place, breaks, groups, quarantine, sources or {})


def standing_of(row: Mapping[str, Any]) -> Standing:
    """Whether a break is still open, waits for its grace, or was closed, and by whom."""
    state = text(row, "state", "OPEN").upper()
    if state in _WAITING:
        return Standing.WAITING
    if state == "ACCEPTED" and text(row, "code", "") == _MEANT_TO_BE_ACCEPTED:
        return Standing.OPEN
    if state in _BY_ITSELF:
        return Standing.BY_ITSELF
    if state in _CLOSED:
        by_person = text(row, "resolution", "").lower() in _PERSON
        return Standing.BY_PERSON if by_person else Standing.BY_ITSELF
    return Standing.OPEN


@dataclass(slots=True)
class _Reports:
    sources: Sources
    found: list[Reported] = field(default_factory=list)

    def take_break(self, row: Json, number: int) -> None:
        left, right = (self._named(row, side) for side in ("left", "right"))
        if not left and not right:
            raise WrongRowError("a break needs a record in left or right")
        self.found.append(
            Reported(
                break_id=text(row, "break_id", f"line {number}"),
                code=text(row, "code"),
                left=left,
                right=right,
                standing=standing_of(row),
                opened_at=instant(row, "opened_at"),
                field=text(row, "field_family", ""),
                place=f"breaks.jsonl:{number}",
            )
        )

    def take_quarantined(self, row: Json, number: int) -> None:
        """Named by the bytes' hash, the file, and ids if any; words of its text may be ids of records it hides."""
        source = self.sources[text(row, "source", "")]
        raw = text(row, "raw", "")
        known = [(source, uid) for uid in _quarantine_ids(row, raw)]
        named = (*self._named(row, "left"), *self._named(row, "right"), *known)
        self.found.append(
            Reported(
                break_id=text(row, "quarantine_id", f"line {number}"),
                code=text(row, "code"),
                left=(),
                right=tuple(dict.fromkeys(named)),
                standing=Standing.OPEN,
                opened_at=instant(row, "opened_at"),
                field="",
                place=f"quarantine.jsonl:{number}",
                hints=tuple((source, word) for word in dict.fromkeys(_WORDS.findall(raw))),
            )
        )

    def _named(self, row: Json, side: str) -> tuple[Key, ...]:
        named = without_ranges(keys(row, side, _MEMBER))
        return tuple(dict.fromkeys((self.sources[source], uid) for source, uid in named))


def _quarantine_ids(row: Json, raw: str) -> list[str]:
    found = [text(row, "trade_uid", "")]
    digest = text(row, "raw_sha256", "")
    if not digest and raw and row.get("raw_bytes", -1) == len(body := raw.encode("utf-8", "replace")):
        digest = hashlib.sha256(body).hexdigest()
    if digest:
        found.append(f"sha256:{digest.lower()}")
    # A file is named with as much of its path as the truth likes to give.
    parts = text(row, "file", "").replace("\\", "/").split("/")
    found += ["/".join(parts[-count:]) for count in range(1, min(len(parts), _PATH_PARTS_MAX) + 1)]
    return [uid for uid in found if uid]


@dataclass(slots=True)
class Links:
    """Pairs of records the groups put together; both sides of large groups are kept as they are."""

    names: Names
    sources: Sources
    left: "array[int]" = field(default_factory=lambda: array("i"))
    right: "array[int]" = field(default_factory=lambda: array("i"))
    large: list[tuple[Sequence[int], Sequence[int]]] = field(default_factory=list)
    groups: int = 0

    def take(self, row: Json, _: int) -> None:
        """Add the links of one group."""
        ours, theirs = self._numbers(row, "left"), self._numbers(row, "right")
        self.groups += 1
        if len(ours) * len(theirs) > LISTED_LINKS_MAX:
            self.large.append((array("i", ours), array("i", theirs)))
            return
        for number in ours:
            for other in theirs:
                self.left.append(number)
                self.right.append(other)

    def _numbers(self, row: Json, side: str) -> list[int]:
        number, sources = self.names.number, self.sources
        return [number((sources[source], uid)) for source, uid in keys(row, side, _MEMBER)]
