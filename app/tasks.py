"""Tasks: the functions behind the state machine's FunctionNames. Each is idempotent by execution name."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from alerting.deliver import DeliveryLimits
from alerting.port import Ticketing
from alerting.task import run_ticket
from alerting.told import Told
from alerting.triage import TriagePolicy
from anomaly.port import Scorer
from anomaly.score import score_changes
from app import named_books, reference_held, renamed, session_facts
from app.archive import originals
from app.feed_terms import feed_terms
from app.file_feeds import KIND as FILE
from app.file_feeds import take_file
from app.file_retry import retry_files
from app.intake import Intake, Matched
from app.match_care import match_with_care
from app.reference_cache import ReferenceCache
from app.settings import Settings
from app.table_feeds import KIND, pull
from domain.clock import Clock
from domain.errors import PermanentError
from domain.facts import PARKED_BATCH
from domain.schema import arrow_schema
from ingest.feeds import Feed
from ingest.normalise import RawBatch
from ingest.poison import take
from ingest.retry import RetryCounts, Selection, retry
from ingest.store import Counts
from ingest.streams.marks import accept
from ingest.streams.port import Envelope, Stream
from ingest.suspects import Suspects
from matching.engine import MatchResult, Scope, match
from matching.rules import RuleSet
from warehouse.port import Warehouse

Json = dict[str, Any]

# Read back by execution, so that a rerun after a crash answers the same as the run that was cut off.
_SCORED_SQL = """
SELECT c.code, c.severity, s.score FROM break_score s JOIN break_change c ON c.change_id = s.change_id
WHERE s.execution = :e
"""
# Changes the ticket system may have to hear of besides flagged openings.
_TELLABLE_SQL = "SELECT count(*) AS n FROM break_change WHERE execution = :e AND kind IN ('CHANGED', 'CURED')"


@dataclass(frozen=True, slots=True)
class Tasks:
    """What the four tasks work on; made once by app.build."""

    settings: Settings
    warehouse: Warehouse
    stream: Stream
    feeds: Mapping[str, Feed]
    reference: ReferenceCache
    rules: RuleSet
    scorer: Scorer
    ticketing: Ticketing
    policy: TriagePolicy
    clock: Clock
    suspects: Suspects
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _intake: Intake = field(default_factory=Intake)
    matched: Matched = field(default_factory=Matched)
    told: Told = field(default_factory=Told)

    def functions(self) -> Mapping[str, Callable[[Json], Json]]:
        """FunctionName in the state machine → task."""
        return {
            "tieout-normalize": self.normalize,
            "tieout-match": self.match,
            "tieout-score": self.score,
            "tieout-ticket": self.ticket,
            "tieout-park": self.park,
        }

    def normalize(self, task: Json) -> Json:
        """Decode the range of the raw log named in the input and store it; or a table, a file, the quarantine again."""
        with self._intake.storing():
            return self._normalized(task)

    def _normalized(self, task: Json) -> Json:
        if task["kind"] == "retry":
            return asdict(self._retried(task))
        if task["kind"] == reference_held.KIND:
            return asdict(Counts(0, 0, 0, 0, 0, 0))
        if task["kind"] == session_facts.KIND:
            session_facts.store_events(self.warehouse, task["events"], task["execution"])
            return asdict(Counts(0, 0, 0, 0, 0, 0))
        if task["kind"] == KIND:
            return asdict(self._pulled(task))
        if task["kind"] == FILE:
            reference = self.reference.current()
            return asdict(take_file(self.settings, self.warehouse, self._feed(task), reference, task))
        with self._reading:
            batch = self.stream.read(task["lane"], task["after"], task["count"], until=task["until"])
        envelopes, _marks = accept(batch.envelopes, task["marks"])
        counts = take(
            self.warehouse,
            self._batch(task, envelopes),
            self.reference.current(),
            task["execution"],
            suspects=self.suspects,
            limit=self.settings.worker.poison_max_messages,
        )
        return asdict(counts)

    def match(self, task: Json) -> Json:
        """Match what is new or due, write groups and break changes; first, what a person named is read again."""
        self._intake.settle()
        self._name_strangers(task["execution"], task["as_of"])

        def run(warehouse: Warehouse, scope: Scope) -> MatchResult:
            return match(
                warehouse,
                execution=task["execution"],
                as_of=task["as_of"],
                scope=scope,
                rules=self.rules,
                feeds=feed_terms(self.settings.feeds),
                tenant=self.settings.tenant,
            )

        result = match_with_care(
            self.warehouse,
            run,
            execution=task["execution"],
            as_of=task["as_of"],
            limit=self.settings.worker.poison_max_messages,
            suspects=self.suspects,
        )
        self.matched.note(task["execution"])
        return dict(result.counts())

    def _name_strangers(self, execution: str, as_of: int) -> None:
        """Read again what named a stranger, where a person or reference data has named one since."""
        learnt = named_books.grown(self.warehouse)
        if learnt is None and not renamed.mapped(self.warehouse):
            return
        run: Any = {"execution": execution, "at_ns": as_of}
        kept, reference = originals(self.settings), self.reference.current()
        renamed.read_again(self.warehouse, self.settings.feeds, reference, originals=kept, **run)
        named_books.name_books(self.settings, self.warehouse, reference, originals=kept, **run)
        named_books.read_held(self.settings, self.warehouse, reference, **run)
        if learnt is not None:
            named_books.seen(self.warehouse, learnt)

    def score(self, task: Json) -> Json:
        """Score this execution's changed breaks and say how many changes the ticket system must hear of."""
        limits, execution = self.settings.ticketing, task["execution"]
        result = score_changes(
            self.warehouse,
            self.scorer,
            execution=execution,
            as_of=task["as_of"],
            min_score=limits.min_score,
            min_severity=limits.severity,
        )
        scored = self.warehouse.query(_SCORED_SQL, {"e": execution}).to_pylist()
        flagged = sum(self.policy.ticketable(row["code"], row["severity"], row["score"]) for row in scored)
        told = self._count(_TELLABLE_SQL, {"e": execution})
        return {"scored": result.scored, "flagged": flagged, "ticketable": flagged + told}

    def _count(self, sql: str, params: Json) -> int:
        return int(self.warehouse.query(sql, params)["n"][0].as_py())

    def ticket(self, task: Json) -> Json:
        """Write the outbox rows of every undelivered change, then deliver what is pending."""
        # The state machine retries, so the task itself does not: it holds the serial thread.
        given = self.settings.ticketing
        limits = DeliveryLimits(
            rows=given.deliver_limit, attempts_per_run=1, breaker_failures=3, batch_from=given.rate.batch_from
        )
        return dict(
            run_ticket(
                self.warehouse,
                self.ticketing,
                task["execution"],
                task["as_of"],
                self.policy,
                self.clock,
                limits,
                self.told,
            )
        )

    def park(self, task: Json) -> Json:
        """Fail once with the caught error, so that the execution ends FAILED; when redriven, let it go on.

        Whether this parking was seen before is a fact in the warehouse, so the answer is the same on every engine.
        """
        count = int(task.get("parked", {}).get("count", 0))
        failure = task.get("failure", {})
        key = {"e": task["execution"], "c": count}
        if self._count("SELECT count(*) AS n FROM parked_batch WHERE execution = :e AND count = :c", key):
            return {"count": count + 1}
        row = {
            "execution": task["execution"],
            "count": count,
            "error": str(failure.get("Error", "")),
            "cause": str(failure.get("Cause", "")),
            "as_of": task["as_of"],
        }
        self.warehouse.append("parked_batch", pa.Table.from_pylist([row], schema=arrow_schema(PARKED_BATCH)))
        raise PermanentError(f"parked after {row['error']}: {_cause_text(row['cause'])}")

    def _retried(self, task: Json) -> RetryCounts:
        chosen, reference = Selection.model_validate(task["select"]), self.reference.current()
        run = {"execution": task["execution"], "at_ns": task["as_of"]}
        retry_files(self.settings, self.warehouse, reference, chosen, **run)
        # Counts both: they are read back by execution.
        return retry(self.warehouse, self.feeds, reference, chosen, originals=originals(self.settings), **run)

    def _feed(self, task: Json) -> Feed:
        feed = next((feed for feed in self.settings.feeds if feed.name == task["lane"]), None)
        if feed is None:
            raise PermanentError(f"no feed {task['lane']!r} in the settings")
        return feed

    def _pulled(self, task: Json) -> Counts:
        return pull(
            self.settings, self.warehouse, self._feed(task), self.reference.current(), task["execution"], task["as_of"],
            task["after"], task["until"],
        )  # fmt: skip

    def _batch(self, task: Json, envelopes: Sequence[Envelope]) -> RawBatch:
        sessions = [e.session for e in envelopes for _ in e.messages]
        numbers = [e.first + n for e in envelopes for n in range(len(e.messages))]
        unknown = sorted({session for session in sessions if session not in self.feeds})
        if unknown:
            raise PermanentError(f"session {unknown[0]}: no feed in the settings claims it")
        return RawBatch(
            messages=[message for envelope in envelopes for message in envelope.messages],
            message_ids=[f"{session}:{number}" for session, number in zip(sessions, numbers, strict=True)],
            numbers=numbers,
            lane=task["lane"],
            sessions=sessions,
            recv_ts=np.array([e.recv_ts for e in envelopes for _ in e.messages], dtype=np.int64),
            feeds=[self.feeds[session] for session in sessions],
        )


def _cause_text(cause: str) -> str:
    # Lambda wraps a raised error as a JSON object.
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause
