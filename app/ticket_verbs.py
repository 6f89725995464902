"""The verbs about tickets: through the running service's API, else on the files."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict

from alerting import pending
from alerting.check import Finding, InstanceCheck, Verdict
from alerting.triage import TriagePolicy
from app.build_tickets import TicketSystem, open_policy, open_ticketing
from app.client import ServiceError, running
from app.paths import DataDir
from app.settings import Settings
from app.ticket_sync import TicketSync
from app.verbs import VerbError, _either, settings_for
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from app.installation import Installation


Json = dict[str, Any]
ALL = "all"


class ResendRequest(BaseModel):
    """A dead letter's key or its beginning, or `all`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str


class SyncRequest(BaseModel):
    """How a round is to be: `gone` says that tickets that cannot be found were deleted, however many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gone: bool = False


def ticket_routes(installation: "Installation", sync: TicketSync) -> APIRouter:
    """The routes; the console's access rules guard them."""
    router = APIRouter(prefix="/api/tickets")

    @router.get("/dead")
    def dead() -> list[Json]:
        return dead_letters(installation)

    @router.post("/resend")
    def again(request: ResendRequest) -> Json:
        return {"sent_again": resend(installation, request)}

    @router.post("/sync")
    def once(request: SyncRequest | None = None) -> Json:
        try:
            return sync.once(gone_for_sure=request is not None and request.gone).as_dict()
        except (TransientError, PermanentError) as error:
            raise HTTPException(503, str(error)) from None

    @router.get("/check")
    def asked() -> list[Json]:
        return checked(installation)

    return router


def dead_letters(installation: "Installation") -> list[Json]:
    """What the ticket system refused, in its words."""
    return [
        {
            "outbox_key": one.outbox_key, "break_id": one.break_id, "generation": one.generation,
            "operation": one.operation, "sys_id": one.sys_id, "attempts": one.attempts,
            "http_status": one.http_status, "detail": one.detail, "refused_at": one.refused_at,
        }
        for one in pending.dead_letters(installation.warehouse)
    ]  # fmt: skip


def resend(installation: "Installation", request: ResendRequest) -> int:
    """Make dead letters pending again; the next round sends them."""
    prefix = "" if request.key == ALL else request.key
    installation.tickets.gate.reset()
    return pending.redrive(installation.warehouse, installation.clock, "the command line", prefix)


def checked(installation: "Installation") -> list[Json]:
    """The findings about the ticket system."""
    return asked_of(installation.settings, installation.policy, installation.tickets)


def asked_of(settings: Settings, policy: TriagePolicy, system: TicketSystem) -> list[Json]:
    """The questions of these settings and their answers."""
    given, tickets = settings.ticketing, system.real
    groups = {*policy.groups.values(), *policy.code_groups.values(), *policy.pb_groups.values()}
    found = InstanceCheck(tickets.instance, tickets.shape, given.username, given.records.close_code, groups).run()
    return [{"what": one.what, "verdict": one.verdict.value, "words": one.words} for one in found]


def run_dead(config: Path | None) -> list[Json]:
    """Dead letters, oldest first."""
    with _either(config) as (client, local):
        found: list[Json] = client.get("/api/tickets/dead") if client else dead_letters(_there(local))
    return found


def run_resend(key: str, config: Path | None) -> str:
    """Make dead letters pending again and send them; a sentence."""
    with _either(config) as (client, local):
        if client is not None:
            count = client.post("/api/tickets/resend", {"key": key})["sent_again"]
        else:
            count = resend(_there(local), ResendRequest(key=key))
    if not count:
        raise VerbError("no dead letter" if key == ALL else f"no dead letter begins with {key!r}")
    return f"{count:,} will be sent again; `tieout tickets sync` sends them now"


def run_sync(gone: bool, config: Path | None) -> str:
    """One round now, as text."""
    with _either(config) as (client, local):
        if client is not None:
            return as_text(client.post("/api/tickets/sync", {"gone": gone}))
        try:
            return as_text(TicketSync(_there(local)).once(gone_for_sure=gone).as_dict())
        except (TransientError, PermanentError) as error:
            raise VerbError(str(error)) from None


def as_text(report: Json) -> str:
    """What a round did, a line each."""
    lines = [f"delivered     {report['delivered']:,}, {report['waiting']:,} wait"]
    lines.append(f"taken over    {report['taken']:,} of what people did in the ticket system")
    lines += [f"  refused     {words}" for words in report["refused"]]
    if report["reopened"]:
        lines.append(f"opened again  {report['reopened']:,} still there at the last proof")
    repairs = report["repairs"]
    if repairs:
        lines.append(f"compared      {repairs['compared']:,} tickets")
        if repairs["withheld"]:
            lines.append(
                f"  {len(repairs['withheld']):,} cannot be found: may our user still read them? Nothing is opened"
                " again; if they were deleted, say --gone"
            )
        for kind, words in (("reissued", "another ticket for"), ("reopened", "opened again"), ("resolved", "resolved"),
                            ("left_to_people", "left to people"), ("strangers", "known to no break")):  # fmt: skip
            if repairs[kind]:
                lines.append(f"  {words}: {', '.join(repairs[kind][:20])}")
    return "\n".join(lines)


def run_check(config: Path | None) -> tuple[str, bool]:
    """The findings as text, and whether tickets can be written as the settings say."""
    settings = settings_for(config)
    client = running(settings.data_dir)
    try:
        found: list[Json] = client.get("/api/tickets/check") if client else _checked_alone(settings)
    except ServiceError as error:
        raise VerbError(str(error)) from None
    findings = [Finding(one["what"], Verdict(one["verdict"]), one["words"]) for one in found]
    text = "\n".join(f"{one.verdict.value:<6}{one.what:<17}{one.words}" for one in findings)
    return text, all(one.verdict is not Verdict.WRONG for one in findings)


def _checked_alone(settings: Settings) -> list[Json]:
    """The check with no service running: of the ticket system only, so it works before anything has run."""
    if settings.address("tickets").scheme == "embedded":
        DataDir(settings.data_dir).create()
    stop = threading.Event()
    system = open_ticketing(settings, SystemClock(), stop)
    try:
        return asked_of(settings, open_policy(settings), system)
    finally:
        system.real.close()
        stop.set()


def _there(local: "Installation | None") -> "Installation":
    assert local is not None
    return local
