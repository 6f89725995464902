"""The state as it was known at a time: facts and decisions of then, replayed into a DuckDB file that is kept."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from alerting import completeness as ticket_check
from alerting.triage import TriagePolicy
from app.all_matched import all_matched
from app.as_known_facts import copy, counted, known_by
from app.feed_terms import feed_terms
from app.summary import Completeness, summary
from app.terms_kept import kept_terms
from domain.clock import Clock
from domain.errors import PermanentError
from domain.ids import digest128
from ingest.feeds import Feed
from matching import completeness as match_check
from matching.engine import match
from matching.finish import rows_of
from matching.levels.port import FeedTerms
from matching.rebuild import rebuild
from matching.rules import RuleSet
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import MIGRATIONS, migrate
from warehouse.port import Warehouse

Json = dict[str, Any]
KEPT = 8
_RULES_THEN = """
SELECT object FROM audit_entry WHERE action = 'rules.use' ORDER BY seq DESC LIMIT 1
"""
_KEPT_THEN = "SELECT rule_set_hash FROM match_terms ORDER BY after_seq DESC, noted_at DESC, terms_id DESC LIMIT 1"
_OWN_RUN = "(SELECT o.seq FROM execution_log o WHERE o.execution = :own)"
_UNMATCHED_YET = f"""
SELECT count(*) AS n FROM raw_message m WHERE EXISTS (
  SELECT 1 FROM execution_log x WHERE x.execution = m.execution AND x.seq = {_OWN_RUN})
"""
_LAST_RUN = f"SELECT max(as_of) AS last_run, count(DISTINCT seq) AS n FROM execution_log WHERE seq < {_OWN_RUN}"
_building = threading.Lock()


@dataclass(frozen=True, slots=True)
class AsKnown:
    """States of the past of one installation, each a file in `folder` that is made when it is first asked for."""

    warehouse: Warehouse
    folder: Path
    rules: RuleSet
    feeds: tuple[Feed, ...]
    tenant: str
    clock: Clock

    def file(self, at_ns: int) -> Path:
        """The DuckDB file with the state as known at `at_ns` (UTC ns): facts and decisions up to then, replayed.

        The runs recorded by then are replayed as they were, so that breaks have their history, scores and tickets;
        what had been received but not matched is matched at `at_ns`. Raises PermanentError for a time to come.
        """
        if at_ns > self.clock.now_ns():
            raise PermanentError("--as-known-at is later than now: nobody knows that yet")
        cuts = known_by(at_ns)
        with _building:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            versions = (metadata.version("tieout"), str(len(MIGRATIONS)), self.tenant, self.rules.hash)
            terms = [repr(feed) for feed in self.feeds]
            key = digest128(*versions, *terms, *map(str, counted(self.warehouse, cuts)))
            path = self.folder / f"{at_ns}-{key}.duckdb"
            if path.is_file():
                path.touch()
                return path
            making = self.folder / f".{path.name}"
            making.unlink(missing_ok=True)
            try:
                self._make(making, at_ns, cuts)
                making.replace(path)
            finally:
                for leftover in (making, making.with_name(f"{making.name}.wal")):
                    leftover.unlink(missing_ok=True)
            self._forget()
            return path

    def _make(self, path: Path, at_ns: int, cuts: Any) -> None:
        scratch = DuckDbWarehouse(path, clock=self.clock, threads=1)
        try:
            migrate(scratch)
            copy(self.warehouse, scratch, cuts)
            kept = kept_terms(scratch, self.rules, feed_terms(self.feeds))
            last = kept.last

            def terms_of(seq: int) -> tuple[RuleSet, Sequence[FeedTerms]]:
                terms = kept.of(seq)
                return terms.rules, terms.feeds

            rebuild(scratch, last.rules, feeds=last.feeds, tenant=self.tenant, terms_of=terms_of)
            match(scratch, execution=own(at_ns), as_of=at_ns, rules=last.rules, feeds=last.feeds, tenant=self.tenant)
            scratch.checkpoint()
        finally:
            scratch.close()

    def _forget(self) -> None:
        """Keep the states used last."""
        files = sorted(self.folder.glob("*.duckdb"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[KEPT:]:
            path.unlink(missing_ok=True)


def own(at_ns: int) -> str:
    """The name of the run that brings a replayed state to its time."""
    return f"as-known-{at_ns}"


@contextmanager
def opened(path: Path, clock: Clock) -> Iterator[DuckDbWarehouse]:
    """A state's file, to read."""
    warehouse = DuckDbWarehouse(path, clock=clock, read_only=True)
    try:
        yield warehouse
    finally:
        warehouse.close()


def told(warehouse: Warehouse, at_ns: int, policy: TriagePolicy, rules: RuleSet) -> Json:
    """The tie-out of a replayed state, with `as_known`: the time, the last run by then and what differs from then."""
    newest = rows_of(warehouse.query(_LAST_RUN, {"own": own(at_ns)}))[0]
    waiting = int(warehouse.query(_UNMATCHED_YET, {"own": own(at_ns)})["n"][0].as_py())
    return summary(warehouse, _completeness(warehouse, policy)) | {
        "all_matched": all_matched(warehouse),
        "as_known": {
            "at": at_ns, "runs": newest["n"], "last_run": newest["last_run"], "unmatched_then": waiting,
            "notes": list(_notes(warehouse, rules)),
        },
    }  # fmt: skip


def _notes(warehouse: Warehouse, rules: RuleSet) -> Iterator[str]:
    kept = warehouse.query(_KEPT_THEN)["rule_set_hash"].to_pylist()
    found = warehouse.query(_RULES_THEN)["object"].to_pylist()
    if kept and kept[0] != rules.hash:
        yield f"the rule set of then ({kept[0][:16]}) is not today's ({rules.hash[:16]}); this is what it said"
    elif not kept and found and found[0] != rules.hash:
        yield f"another rule set was in force then ({found[0][:16]}); this is what today's ({rules.hash[:16]}) say"


def _completeness(warehouse: Warehouse, policy: TriagePolicy) -> Completeness:
    received = int(warehouse.query("SELECT count(*) AS n FROM raw_message")["n"][0].as_py())
    placed, tickets = match_check.completeness(warehouse), ticket_check.completeness(warehouse, policy)
    problems = []
    if not placed.holds:
        problems.append(f"{len(placed.offenders)} live facts misplaced, {len(placed.unmatched)} not matched yet")
    if not tickets.complete:
        problems.append(f"{len(tickets.missing)} ticketable breaks had no delivered ticket yet")
    return Completeness(
        received, received, placed.live, placed.grouped + placed.broken + placed.expected, tickets.ticketable,
        tickets.ticketed, tuple(problems),
    )  # fmt: skip


class Jobs:
    """Long work of the service that a client asks about until it is done; each key once while it runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, Json] = {}

    def ask(self, key: str, work: Callable[[], Mapping[str, Any]]) -> Json:
        """Start `work` under `key` unless it runs; `done` with `result` or `error`, then it is forgotten."""
        with self._lock:
            state = self._found.get(key)
            if state is None:
                self._found[key] = {"done": False}
                threading.Thread(target=self._run, args=(key, work), name=f"job {key}", daemon=True).start()
                return {"done": False}
            if state["done"]:
                del self._found[key]
            return state

    def _run(self, key: str, work: Callable[[], Mapping[str, Any]]) -> None:
        state: Json = {"done": True, "error": "it ended without an answer"}
        try:
            state = {"done": True, "result": dict(work())}
        except Exception as error:
            state = {"done": True, "error": str(error) or type(error).__name__}
        finally:
            with self._lock, suppress(KeyError):
                self._found[key] = state
