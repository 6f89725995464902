"""Tasks: the functions behind the state machine's FunctionNames. Each is idempotent by execution name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alerting.deliver import deliver
from alerting.outbox import write as write_outbox
from alerting.port import Ticketing
from alerting.triage import TriagePolicy
from anomaly.port import Scorer
from anomaly.score import score_changes
from app.reference_cache import ReferenceCache
from app.settings import Settings
from domain.clock import Clock
from ingest.feeds import Feed
from ingest.normalise import RawBatch, normalise
from ingest.store import store
from ingest.streams.marks import accept
from ingest.streams.port import Envelope, Stream
from matching.engine import match
from matching.rules import RuleSet
from warehouse.port import Warehouse

Json = dict[str, Any]


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

    def functions(self) -> Mapping[str, Callable[[Json], Json]]:
        """FunctionName in the state machine → task."""
        return {
            "tieout-normalize": self.normalize,
            "tieout-match": self.match,
            "tieout-score": self.score,
            "tieout-ticket": self.ticket,
        }

    def normalize(self, task: Json) -> Json:
        """Decode the range of the raw log named in the input and store facts and quarantine."""
        batch = self.stream.read(task["lane"], task["after"], task["count"], until=task["until"])
        envelopes, _marks = accept(batch.envelopes, task["marks"])
        counts = store(self.warehouse, self._normalised(task, envelopes), task["execution"])
        return {
            "messages": counts.messages,
            "facts": counts.facts,
            "duplicates": counts.duplicates,
            "session": counts.session,
            "quarantined": counts.quarantined,
            "ignored": counts.ignored,
        }

    def match(self, task: Json) -> Json:
        """Match what is new or due, write groups and break changes."""
        result = match(self.warehouse, execution=task["execution"], as_of=task["as_of"], rules=self.rules)
        return {
            "changes": result.changes,
            "opened": result.opened,
            "cured": result.cured,
            "expected": result.expected,
            "groups": result.groups,
            "next_due": result.next_due,
        }

    def score(self, task: Json) -> Json:
        """Score this execution's changed breaks and say how many need the ticket system."""
        result = score_changes(self.warehouse, self.scorer, execution=task["execution"], as_of=task["as_of"])
        return {"scored": result.scored, "flagged": result.flagged, "ticketable": result.scored}

    def ticket(self, task: Json) -> Json:
        """Write the outbox rows of every undelivered change, then deliver what is pending."""
        written = write_outbox(self.warehouse, execution=task["execution"], as_of=task["as_of"], policy=self.policy)
        report = deliver(self.warehouse, self.ticketing, self.clock)
        return {"written": written, "delivered": report.delivered, "dead": report.dead}

    def _normalised(self, task: Json, envelopes: tuple[Envelope, ...]) -> Any:
        messages = [message for envelope in envelopes for message in envelope.messages]
        sessions = [e.session for e in envelopes for _ in e.messages]
        numbers = [e.first + n for e in envelopes for n in range(len(e.messages))]
        recv = np.array([e.recv_ts for e in envelopes for _ in e.messages], dtype=np.int64)
        raw = RawBatch(
            messages=messages,
            message_ids=[f"{session}:{number}" for session, number in zip(sessions, numbers, strict=True)],
            numbers=numbers,
            lane=task["lane"],
            sessions=sessions,
            recv_ts=recv,
            feeds=[self.feeds[session] for session in sessions],
            live=True,
        )
        return normalise(raw, self.reference.current())
