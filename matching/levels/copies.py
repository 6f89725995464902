"""L1: our executions beside the drop copies of executing brokers and venues: same id first, then equals by count.

A copy is held against the executions of one trade date and instrument (`E|` and both). What a source does not tell of
is missing only where our execution names it as its broker or venue. Whose copy a copy is stands in `match_copy`.
"""

from collections.abc import Sequence

import pyarrow as pa

from matching.items import broker
from matching.levels import copies_apart
from matching.levels import copies_sql as sql
from matching.levels.port import FeedTerms, Run
from matching.tolerance import price_tolerance

_ROLES = ("EB", "VENUE")


class Copies:
    """T01, T02, T05 to T07, T09, T13 to T15 and T22 of executions; asks nothing where no feed brings copies."""

    @property
    def name(self) -> str:
        """Short name, for messages."""
        return "copies"

    def touch(self, run: Run) -> None:
        """Dates and instruments of new copies and of our own new executions."""
        if _sources(run.feeds):
            _load(run)
            run.warehouse.execute(sql.TOUCH_COPIES)
            run.warehouse.execute(sql.TOUCH_OURS)
            copies_apart.touch(run)

    def find(self, run: Run) -> None:
        """Pairs of the touched blocks, and what differs or is missing."""
        if not _sources(run.feeds) or not run.touched("E|"):
            return
        half_unit = price_tolerance(run.rules.tolerances.price, "e.price_scale", "e.trade_ccy")
        grace = {"default_grace": run.rules.default_grace_seconds}
        for statement in (sql.VERSIONS, sql.CHAINS):
            run.warehouse.execute(statement)
        run.warehouse.execute(sql.copies(half_unit), grace)
        run.warehouse.execute(sql.ours(half_unit, broker(run.rules)), grace)
        for statement in (sql.IDS, *sql.PAIRS):
            run.warehouse.execute(statement)
        for statement in sql.FINISH:
            run.warehouse.execute(statement, {"tenant": run.tenant} if ":tenant" in statement else None)


def _sources(feeds: Sequence[FeedTerms]) -> list[FeedTerms]:
    return [feed for feed in feeds if feed.role in _ROLES and feed.contents == "trades"]


def _load(run: Run) -> None:
    """Who brings copies, and how long they may take."""
    feeds = _sources(run.feeds)
    columns = ("feed", "role", "party", "grace_seconds")
    run.warehouse.execute("delete from work_copier")
    run.warehouse.append("work_copier", pa.table({name: [getattr(feed, name) for feed in feeds] for name in columns}))
