"""The console over a state of the past: everything can be looked at, nothing can be decided."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from app.all_matched import AllMatched
from app.archive import originals
from app.decision_kinds import ActionRefused
from app.dictionaries import Names
from app.feeds_status import FeedsStatus
from app.playbooks import open_playbooks
from app.settings import Settings
from app.users import Users
from console.app import create_console
from console.explain import explain_break
from console.ports import ConsoleDeps
from domain.clock import SystemClock
from domain.errors import PermanentError
from domain.principal import Principal
from matching.finish import rows_of
from orchestrator.definition import load_shipped
from orchestrator.graph import render
from orchestrator.port import Execution, HistoryEvent
from warehouse.port import Warehouse

Json = dict[str, Any]
_RUNS = """
SELECT execution, kind, lane, count, as_of FROM execution_log WHERE kind <> 'joined' ORDER BY seq DESC LIMIT {limit}
"""


class Stopped(SystemClock):
    """Stands at the time of the state, so that ages and deadlines are those of then."""

    def __init__(self, at_ns: int) -> None:
        self._at_ns = at_ns

    def now_ns(self) -> int:
        return self._at_ns


@dataclass(frozen=True, slots=True)
class PastRuns:
    """The recorded Match runs as executions without a history of states."""

    warehouse: Warehouse

    def describe(self, name: str) -> Execution:
        """The run of this name; raises PermanentError when there is none."""
        found = self._rows("SELECT execution, kind, lane, count, as_of FROM execution_log WHERE execution = :e", e=name)
        if not found:
            raise PermanentError(f"no run {name}")
        return found[0]

    def history(self, name: str) -> Sequence[HistoryEvent]:
        """None: what each state did is kept by the engine, not by the facts."""
        return ()

    def list(self, status: str | None, limit: int) -> Sequence[Execution]:
        """The newest runs, newest first."""
        return self._rows(_RUNS.format(limit=int(limit))) if status in (None, "SUCCEEDED") else []

    def redrive(self, name: str) -> object:
        """Refused."""
        raise PermanentError("this is a state of the past: nothing can be redriven here")

    def statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """None."""
        return {}

    def counts(self) -> Mapping[str, int]:
        """Every recorded run succeeded."""
        counted = self.warehouse.query("SELECT count(*) AS n FROM execution_log WHERE kind <> 'joined'")
        return {"SUCCEEDED": counted["n"][0].as_py()}

    def _rows(self, sql: str, **params: object) -> Sequence[Execution]:
        return [
            Execution(
                row["execution"], "SUCCEEDED", {"kind": row["kind"], "lane": row["lane"], "count": row["count"]},
                None, "", "", row["as_of"], row["as_of"], 0,
            )
            for row in rows_of(self.warehouse.query(sql, params))
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class NoDecisions:
    """Refuses every decision; shows the proposals that waited then."""

    pending_rows: Sequence[Mapping[str, Any]] = ()

    def record(self, break_id: str, who: Principal, kind: str, reason: str, payload: Mapping[str, object]) -> str:
        """Raises ActionRefused."""
        raise ActionRefused("this is a state of the past: decide in the running console")

    def answer(self, proposal_id: str, who: Principal, verdict: str, reason: str = "") -> str:
        """Raises ActionRefused."""
        raise ActionRefused("this is a state of the past: decide in the running console")

    def pending(self) -> Sequence[Mapping[str, Any]]:
        """Proposals that waited for a second person then, oldest first."""
        return self.pending_rows


@dataclass(frozen=True, slots=True)
class PastFeeds:
    """The feeds with what had been received of them then."""

    status: FeedsStatus

    def __call__(self) -> Sequence[Mapping[str, Any]]:
        sql = "SELECT feed, max(recv_ts) AS last, count(*) AS n FROM raw_message GROUP BY feed"
        seen = {row["feed"]: row for row in rows_of(self.status.warehouse.query(sql))}
        rows = []
        for feed in self.status.settings.feeds:
            last, received = (seen[feed.name]["last"], seen[feed.name]["n"]) if feed.name in seen else (None, 0)
            rows.append(
                {
                    "name": feed.name, "role": feed.role, "party": feed.party, "dialect": feed.dialect,
                    "session": feed.session.name if feed.session else feed.path_glob, "connected": None,
                    "last_recv_ts": last, "received": received, "stored": received,
                    "late": self.status.late(feed, last or 0),
                }
            )  # fmt: skip
        return rows


def past_console(settings: Settings, warehouse: Warehouse, at_ns: int, when: str, names: Names) -> tuple[FastAPI, str]:
    """The console over a replayed state and the token to sign in with; it says `when` beside the tenant."""
    clock, token = Stopped(at_ns), secrets.token_urlsafe(24)
    definition = load_shipped()
    deps = ConsoleDeps(
        warehouse=warehouse,
        engine=PastRuns(warehouse),
        definition=lambda _name: definition,
        graph=_graph,
        actions=NoDecisions(),
        feeds_status=PastFeeds(FeedsStatus(settings, warehouse, clock)),
        token=token,
        clock=clock,
        metrics=lambda: "",
        explain=lambda break_id: explain_break(warehouse, break_id, names.tag, originals(settings).of),
        tenant=f"{settings.tenant}, as known at {when}",
        actor="examiner",
        base_ccy=settings.base_currency,
        open_reads_on_loopback=settings.console.open_reads,
        people=Users(settings.users, SystemClock()) if settings.users else None,
        all_matched=AllMatched(warehouse, clock),
        playbooks=open_playbooks(settings),
    )
    return create_console(deps), token


def _graph(definition: Any, statuses: Any, selected: str | None) -> str:
    return render(definition, statuses, selected, {})
