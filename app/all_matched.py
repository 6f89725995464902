"""Whether everything is matched: the one answer that status, console and API give, and what stands against it."""

import threading
from dataclasses import dataclass, field
from typing import Any

from app.check import check
from app.summary import UNACCEPTED
from domain.clock import Clock
from warehouse.port import Warehouse

Json = dict[str, Any]
# A page that is asked for again and again does not count everything again each time.
KEEP_SECONDS = 5.0
_SHOWN_PROBLEMS = 5
_SILENT = """
SELECT b.break_id, b.headline FROM recon_break b WHERE b.code = 'I06' AND b.state = 'OPEN' ORDER BY b.break_id
"""
_COUNTS = f"""
SELECT sum(CASE WHEN b.state = 'OPEN' AND {UNACCEPTED} THEN 1 ELSE 0 END) AS opened,
  sum(CASE WHEN b.state = 'EXPECTED' THEN 1 ELSE 0 END) AS expected
FROM recon_break b WHERE b.state IN ('OPEN', 'EXPECTED')
"""


def all_matched(warehouse: Warehouse) -> Json:
    """`holds`, what forbids to say so (`blocked`: silent feeds, a check that fails), and what is open or expected;
    `text` says it in a line."""
    silent = warehouse.query(_SILENT).to_pylist()
    blocked = [f"I06: {row['headline'] or row['break_id']}" for row in silent]
    proof = check(warehouse)
    found = [f"{feed.feed}: {text}" for feed in proof.feeds for text in feed.problems] + list(proof.problems)
    blocked += [f"the completeness check fails: {text}" for text in found[:_SHOWN_PROBLEMS]]
    if len(found) > _SHOWN_PROBLEMS:
        blocked.append(f"and {len(found) - _SHOWN_PROBLEMS:,} more differences of the completeness check")
    counts = warehouse.query(_COUNTS).to_pylist()[0]
    opened, expected = int(counts["opened"] or 0), int(counts["expected"] or 0)
    told = {"holds": not (blocked or opened or expected), "blocked": blocked, "open": opened, "expected": expected}
    return told | {"text": _in_words(told)}


def _in_words(told: Json) -> str:
    """One line: `all matched`, or no and why."""
    if told["holds"]:
        return "all matched"
    parts = list(told["blocked"])
    for name, words in (("open", "open"), ("expected", "inside its grace")):
        if told[name]:
            parts.append(f"{told[name]:,} break{'' if told[name] == 1 else 's'} {words}")
    return "NOT all matched: " + "; ".join(parts)


@dataclass(slots=True)
class AllMatched:
    """`all_matched` of one warehouse, counted at most once in KEEP_SECONDS."""

    warehouse: Warehouse
    clock: Clock
    _kept: tuple[float, Json] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Json:
        """The answer, at most KEEP_SECONDS old."""
        with self._lock:
            now = self.clock.monotonic()
            if self._kept is None or now - self._kept[0] >= KEEP_SECONDS:
                self._kept = (now, all_matched(self.warehouse))
            return self._kept[1]
