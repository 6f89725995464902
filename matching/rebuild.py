"""Rebuild: forget everything derived and replay the recorded runs; the tables come back as they were."""

from collections.abc import Callable, Sequence

from matching.compiled import compile_rules
from matching.engine import run
from matching.finish import rows_of
from matching.levels.port import FeedTerms
from matching.rules import RuleSet
from matching.scratch import cleared
from matching.tables import OWN_TABLES, SHARED_TABLES, prepare
from warehouse.port import Warehouse

TermsOf = Callable[[int], tuple[RuleSet, Sequence[FeedTerms]]]


def rebuild(
    warehouse: Warehouse, rules: RuleSet, *, feeds: Sequence[FeedTerms] = (), tenant: str = "main",
    terms_of: TermsOf | None = None,
) -> int:  # fmt: skip
    """Wipe what matching derived and replay `execution_log` in its order, in one transaction; returns the runs.

    Score and ticket rows are keyed by change_id, which a replay reproduces, so they stay valid. `terms_of` says the
    rules and feeds of a run by its number; without it all go by `rules` and `feeds`.
    """
    prepare(warehouse)
    with warehouse.transaction():
        logged = rows_of(
            warehouse.query("select execution, as_of, seq, kind from execution_log order by seq, execution")
        )
        for table in (*SHARED_TABLES, *(own.name for own in OWN_TABLES)):
            warehouse.execute(f"delete from {table}")
        runs: dict[int, list[dict[str, object]]] = {}
        for row in logged:
            runs.setdefault(row["seq"], []).append(row)
        for seq, rows in runs.items():
            its_rules, its_feeds = terms_of(seq) if terms_of else (rules, feeds)
            [execution] = [str(row["execution"]) for row in rows if row["kind"] != "joined"]
            joined = [str(row["execution"]) for row in rows if row["kind"] == "joined"]
            run(
                cleared(warehouse), compile_rules(its_rules), execution=execution, joined=joined,
                as_of_ns=int(str(rows[0]["as_of"])), scope="incremental", feeds=its_feeds, tenant=tenant,
            )  # fmt: skip
        return len(runs)
