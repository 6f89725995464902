"""What a level other than the trade passes is: facts it watches, and the breaks it finds in what they touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from matching.news import News
from matching.rules import RuleSet
from warehouse.port import Warehouse


@dataclass(frozen=True, slots=True)
class FeedTerms:
    """What matching must know about a feed: whose it is, what it brings and how long its records may take.

    `slots` are the local times, as `HH:MM` and zone, at which a file is due on open days of `calendar`.
    """

    feed: str
    role: str
    party: str
    grace_seconds: int
    contents: str = "trades"
    calendar: str = ""
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One Match run as a level sees it. Times are UTC nanoseconds; the run's executions are in work_execution.

    `rates_by_ns`: exchange rates known by then count. `told`: what facts there are. `kinds`: how the components in
    work_component begin, once they are all known.
    """

    warehouse: Warehouse
    rules: RuleSet
    feeds: Sequence[FeedTerms]
    execution: str
    as_of_ns: int
    rates_by_ns: int
    tenant: str
    told: News
    kinds: frozenset[str] | None = None

    def touched(self, prefix: str) -> bool:
        """Whether any component to be derived begins with `prefix`, of up to four letters."""
        return self.kinds is None or any(kind.startswith(prefix) for kind in self.kinds)


KINDS = "select distinct left(component, 4) as kind from work_component"


class Level(Protocol):
    """A pure function of facts per component; its components begin with a letter of its own and a bar."""

    @property
    def name(self) -> str:
        """Short name, for messages."""
        ...

    def touch(self, run: Run) -> None:
        """Add to work_component what the run's new facts, or the time, may have changed."""
        ...

    def find(self, run: Run) -> None:
        """Write work_finding and work_member for every component of this level in work_component."""
        ...
