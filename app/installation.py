"""One installation's stores opened together: what the worker, the API and the command line work on."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from alerting import completeness as ticket_check
from alerting.playbook import Playbook
from alerting.told import Told
from alerting.triage import TriagePolicy
from anomaly.port import Scorer
from app import build, build_ledger, build_tickets
from app.all_matched import all_matched
from app.archive import originals
from app.audit import Auditor
from app.build_engine import ServiceEngine, open_engine
from app.build_tickets import TicketSystem
from app.derived import derived_hash
from app.evidence import evidence_of
from app.feed_terms import feed_terms
from app.fencing import OPENING, Fencing
from app.file_feeds import LANE, archive_of, unread
from app.paths import DataDir
from app.playbooks import open_playbooks
from app.reference import learnt_at, load_calendars, load_files
from app.reference_cache import ReferenceCache
from app.reference_held import PREFIX, set_aside
from app.rule_approval import require_approved
from app.settings import Settings, SettingsError
from app.summary import Completeness, summary
from app.tasks import Tasks
from app.telemetry import Telemetry, open_telemetry
from app.terms_kept import note_terms
from app.workflow import custom_tasks, open_workflow
from domain.clock import Clock, SystemClock
from domain.errors import PermanentError
from ingest.feeds import feeds_by_session
from ingest.fix.codec.jit import Jit
from ingest.originals import Originals
from ingest.streams.port import Stream
from ingest.streams.segment import SegmentStream
from ingest.suspects import Suspects
from matching import completeness as match_check
from matching.rebuild import rebuild
from matching.rules import RuleSet
from matching.tables import prepare
from orchestrator.embedded import EmbeddedEngine
from orchestrator.leases import LeaseKeeper
from orchestrator.ledger import Ledger, SqliteLedger
from warehouse.port import Warehouse

Json = dict[str, Any]
SERIAL = ("tieout-match", "tieout-score", "tieout-ticket")


def alone() -> AbstractContextManager[bool]:
    """The only worker leads."""
    return nullcontext(True)


def never(_execution: str) -> bool:
    """Nobody can know."""
    return False


@dataclass(frozen=True, slots=True)
class Installation:
    """The opened stores of one tenant."""

    settings: Settings
    clock: Clock
    warehouse: Warehouse
    stream: Stream
    rules: RuleSet
    scorer: Scorer
    policy: TriagePolicy
    tickets: TicketSystem
    engine: ServiceEngine
    ledger: Ledger
    definition: Json
    reference: ReferenceCache
    auditor: Auditor
    playbooks: Mapping[str, Playbook]
    # Of several workers, this one's share of the lanes; None: all lanes are its own.
    leases: LeaseKeeper | None = None
    # Traces; None: nobody collects them.
    telemetry: Telemetry | None = None
    # What the states call, by FunctionName.
    functions: Mapping[str, Callable[[Json], Json]] = field(default_factory=dict)
    # Whether this is the worker that does what one does for all, asked for as long as it does it.
    leading: Callable[[], AbstractContextManager[bool]] = alone
    # Whether what an execution brought is matched, so that its lane may go on; said once, False where nobody can know.
    matched: Callable[[str], bool] = never
    # What the outbox need not be looked through for again.
    told: Told = field(default_factory=Told)

    @property
    def originals(self) -> Originals:
        """Messages as they were received, wherever their bytes are kept."""
        return originals(self.settings)

    def completeness(self) -> Completeness:
        """The three equations: messages, live facts, tickets."""
        counts = self.warehouse.query("SELECT outcome, count(*) AS n FROM raw_message GROUP BY outcome").to_pylist()
        accounted = sum(row["n"] for row in counts if row["outcome"] in OUTCOMES)
        received = max(sum(row["n"] for row in counts), self.accepted())
        placed = match_check.completeness(self.warehouse)
        told = ticket_check.completeness(self.warehouse, self.policy)
        problems = []
        if received != accounted:
            problems.append(f"{received - accounted} messages of the raw log have no outcome yet{self._parked()}")
        files = archive_of(self.settings)
        if left := sum(len(unread(files, self.warehouse, feed)) for feed in files.feeds()):
            problems.append(f"{left} file{' was' if left == 1 else 's were'} received and not read yet{self._parked()}")
        if not placed.holds:
            problems.append(f"{len(placed.offenders)} live facts misplaced, {len(placed.unmatched)} not matched yet")
        if not told.complete:
            problems.append(f"{len(told.missing)} ticketable breaks without a delivered ticket")
        grouped = placed.grouped + placed.broken + placed.expected
        return Completeness(received, accounted, placed.live, grouped, told.ticketable, told.ticketed, tuple(problems))

    def accepted(self) -> int:
        """Messages the acceptor made durable, over all lanes, and what came of tables and files."""
        raw_log = SegmentStream(DataDir(self.settings.data_dir).raw)
        rows = self.warehouse.query(
            "SELECT count(*) AS n FROM raw_message WHERE startswith(lane, 'table:')"
            f" OR startswith(lane, '{LANE}') OR startswith(lane, '{PREFIX}')"
        )
        durable = sum(raw_log.read(lane, None, 0).behind_messages for lane in raw_log.lanes())
        return durable + int(rows["n"][0].as_py())

    def _parked(self) -> str:
        failed = self.engine.counts().get("FAILED", 0)
        return f"; {failed} failed executions wait for a redrive" if failed else ""

    def summary(self) -> Json:
        """The tie-out as it stands."""
        return summary(self.warehouse, self.completeness()) | {"all_matched": all_matched(self.warehouse)}

    def explain(self, break_id: str) -> Json:
        """Evidence of the break whose id starts with `break_id`. Raises PermanentError for none or several."""
        return evidence_of(self.warehouse, self._only(break_id), self.rules, self.originals)

    def redrive(self, run: str) -> list[Json]:
        """Redrive one execution (or all failed ones) and wait for the outcome; raises PermanentError for none."""
        failed = [e for e in self.engine.list(limit=1_000) if e.status in ("FAILED", "TIMED_OUT", "ABORTED")]
        chosen = failed if run == "all" else [e for e in failed if e.name.startswith(run)]
        if not chosen and run != "all":
            raise PermanentError(f"no failed execution starts with {run!r}")
        if len(chosen) > 1 and run != "all":
            raise PermanentError(f"{len(chosen)} failed executions start with {run!r}; give more of the name")
        # Who asks knows that the ticket system is back: nothing waits for the breaker.
        self.tickets.gate.reset()
        for execution in chosen:
            self.engine.redrive(execution.name)
        done = [self.engine.wait(e.name, 60.0) for e in chosen]
        return [{"name": e.name, "status": e.status, "error": e.error, "cause": e.cause} for e in done]

    def rebuild(self) -> Json:
        """Replay every Match run; `before` and `after` are hashes of the derived tables."""
        before = self.derived_hash()
        feeds = feed_terms(self.settings.feeds)
        runs = rebuild(self.warehouse, self.rules, feeds=feeds, tenant=self.settings.tenant)
        self.told.forget()
        note_terms(self.warehouse, self.rules, feeds, self.clock.now_ns(), rebuilt=True)
        return {"executions": runs, "before": before, "after": self.derived_hash()}

    def derived_hash(self) -> str:
        """SHA-256 over the rows of the derived tables in a fixed order."""
        return derived_hash(self.warehouse)

    def due(self) -> tuple[int | None, int | None]:
        """First and last end of grace among what is expected, and cut-offs to look at; UTC ns."""
        row = self.warehouse.query(DUE)
        first, last = (row[name].cast("int64")[0].as_py() for name in ("first", "last"))
        return first, last

    def subject(self, prefix: str) -> str:
        """The one break, else the one match group, whose id starts with `prefix`. Raises PermanentError."""
        groups = self.warehouse.query(
            "SELECT group_id FROM match_group WHERE startswith(group_id, :p) LIMIT 2", {"p": prefix}
        )["group_id"].to_pylist()
        known = self.warehouse.query(
            "SELECT 1 AS one FROM recon_break WHERE startswith(break_id, :p) LIMIT 1", {"p": prefix}
        )
        return str(groups[0]) if len(groups) == 1 and not known.num_rows else self._only(prefix)

    def _only(self, prefix: str) -> str:
        found = self.warehouse.query(
            "SELECT break_id FROM recon_break WHERE startswith(break_id, :p) ORDER BY break_id LIMIT 2", {"p": prefix}
        )["break_id"].to_pylist()
        if len(found) != 1:
            raise PermanentError(f"{'no break starts' if not found else 'several breaks start'} with {prefix!r}")
        return str(found[0])


# Ends of graces and cut-offs; then decisions that no Match run has taken up, and suppressions that end. One statement,
# because it is asked all the time.
DUE = """
SELECT CAST(min(x.due) AS TIMESTAMP_NTZ(9)) AS first,
  CAST(max(CASE WHEN x.grace = 1 THEN x.due END) AS TIMESTAMP_NTZ(9)) AS last
FROM (
  SELECT due_at AS due, 1 AS grace FROM recon_break WHERE state = 'EXPECTED'
  UNION ALL
  SELECT due_at, 1 FROM timer WHERE kind = 'cutoff'
  UNION ALL
  SELECT decided_at, 0 FROM match_decision d
  WHERE NOT EXISTS (SELECT 1 FROM execution_log e WHERE e.execution = d.execution)
  UNION ALL
  SELECT until_at, 0 FROM action WHERE until_at > (SELECT max(as_of) FROM execution_log)) x
"""
OUTCOMES = ("SESSION", "DUPLICATE", "FACT", "QUARANTINE", "IGNORED")


def console_url(settings: Settings) -> str:
    """Where tickets link to; empty when the port is only known once the console listens."""
    return f"http://{settings.console.host}:{settings.console.port}" if settings.console.port else ""


def ledger_of(shared: build_ledger.Shared | None, engine: ServiceEngine) -> Ledger:
    """The ledger that is shared, else the one in the engine's own file. Raises SettingsError where there is none."""
    if shared is not None:
        return shared.ledger
    if not isinstance(engine, EmbeddedEngine):
        raise SettingsError("ledger: engine stepfunctions:// needs one of its own: sqlite:///PATH or dynamodb://TABLE")
    return SqliteLedger(engine)


def _early(settings: Settings, shared: build_ledger.Shared | None, tasks: Tasks) -> Callable[[str], bool]:
    """What tells that a lane may go on before its execution ended.

    Another workflow may need its lane to the end; several workers take over whole executions only.
    """
    return tasks.matched.take if settings.workflow is None and shared is None else never


def _fill(warehouse: Warehouse, settings: Settings, clock: Clock) -> None:
    """The matching tables where they are absent, reference files and calendars as they are now."""
    prepare(warehouse)
    now_ns = clock.now_ns()
    set_aside(warehouse, load_files(warehouse, settings, learnt_at(warehouse, now_ns)), now_ns)
    load_calendars(warehouse, datetime.fromtimestamp(now_ns / 1e9, UTC).date())


@contextmanager
def open_installation(settings: Settings, clock: Clock | None = None) -> Iterator[Installation]:
    """Open every store of the installation, the embedded ticket service among them, and close them afterwards.

    Raises SettingsError for what cannot work and TransientError when another process holds the warehouse.
    """
    clock, data, stop = clock or SystemClock(), DataDir(settings.data_dir).create(), threading.Event()
    rules, playbooks = build.open_rules(settings), open_playbooks(settings)
    shared = build_ledger.open_shared(settings, clock)
    with ExitStack() as closing, ExitStack() as opening:
        if shared:
            # Two that make the tables at once would stand in each other's way.
            opening.enter_context(shared.turns.turn(OPENING))
        warehouse = build.open_warehouse(settings, clock)
        closing.callback(warehouse.close)
        require_approved(settings, warehouse, rules)
        fencing = Fencing(warehouse, shared.turns, shared.leases) if shared else None
        warehouse = fencing.warehouse if fencing else warehouse
        _fill(warehouse, settings, clock)
        stream = build.open_stream(settings, clock)
        closing.callback(stream.close)
        scorer, policy = build.open_scorer(settings), build_tickets.open_policy(settings, console_url(settings))
        telemetry = open_telemetry(settings, clock)
        if telemetry:
            closing.callback(telemetry.flush)
        closing.callback(stop.set)
        tickets = build_tickets.open_ticketing(settings, clock, stop, telemetry=telemetry)
        jit = Jit() if settings.jit else None
        feeds, reference = feeds_by_session(settings.feeds), ReferenceCache(warehouse, settings.dialects, jit)
        tasks = Tasks(
            settings, warehouse, stream, feeds, reference, rules, scorer, tickets.tickets, policy, clock,
            Suspects(data.suspects),
        )  # fmt: skip
        definition = open_workflow(settings)
        functions = {**tasks.functions(), **custom_tasks(settings, warehouse.query)}
        functions = fencing.tasks(functions, SERIAL) if fencing else functions
        functions = telemetry.tasks(functions) if telemetry else functions
        engine = open_engine(settings, definition, functions, clock, SERIAL)
        closing.callback(engine.close)
        auditor = Auditor(
            warehouse, clock, settings.audit.key or data.audit_key, settings.audit.roots or data.audit_roots
        )
        auditor.uses_rules(rules.hash)
        note_terms(warehouse, rules, feed_terms(settings.feeds), clock.now_ns())
        opening.close()
        yield Installation(
            settings, clock, warehouse, stream, rules, scorer, policy, tickets, engine,
            ledger_of(shared, engine), definition, reference, auditor, playbooks,
            shared.leases if shared else None, telemetry, functions, fencing.leading if fencing else alone,
            _early(settings, shared, tasks), tasks.told,
        )  # fmt: skip
