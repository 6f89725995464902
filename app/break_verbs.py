"""Decisions from the command line: through the running service, else on its files; as a person or as the service."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from app.client import ServiceClient, ServiceError, running
from app.settings import Settings
from app.users import Users
from app.verbs import VerbError, settings_for
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from domain.principal import Principal

if TYPE_CHECKING:
    from app.installation import Installation

Json = dict[str, Any]
T = TypeVar("T")
PENDING = "proposed; it counts once another person approves it"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs the verb: a user and his password, or nobody by name (the service's token)."""

    user: str = ""
    password: str = ""


def decide(config: Path | None, caller: Caller, break_id: str, kind: str, reason: str, payload: Json) -> str:
    """Record a decision about the break whose id begins with `break_id`; returns what came of it."""

    def there(client: ServiceClient) -> str:
        subject = client.get(f"/api/break-id/{quote(break_id, safe='')}")["id"]
        body = {"kind": kind, "reason": reason, "payload": payload}
        done = client.post(f"/api/breaks/{subject}/actions", body)
        return _said(done["action_id"], subject, done["state"], done["pending"])

    def here(installation: "Installation", who: Principal) -> str:
        subject = installation.subject(break_id)
        action_id = _decisions(installation).record(subject, who, kind, reason, payload)
        return _after(installation, action_id, subject)

    return _either(config, caller, there, here)


def answer(config: Path | None, caller: Caller, proposal: str, verdict: str, reason: str) -> str:
    """Approve, reject or withdraw the proposal whose id begins with `proposal`; returns what came of it."""
    word = {"approve": "approved", "reject": "rejected", "withdraw": "withdrawn"}[verdict]

    def there(client: ServiceClient) -> str:
        known = [row["action_id"] for row in client.get("/api/proposals")["proposals"]]
        chosen = _only(known, proposal)
        client.post(f"/api/proposals/{chosen}", {"verdict": verdict, "reason": reason})
        return f"{chosen[:12]}: {word}"

    def here(installation: "Installation", who: Principal) -> str:
        decisions = _decisions(installation)
        chosen = _only([row["action_id"] for row in decisions.pending()], proposal)
        decisions.answer(chosen, who, verdict, reason)
        _match(installation, chosen)
        return f"{chosen[:12]}: {word}"

    return _either(config, caller, there, here)


def pending(config: Path | None, caller: Caller) -> list[Json]:
    """What waits for a second person, oldest first."""

    def there(client: ServiceClient) -> list[Json]:
        found: list[Json] = client.get("/api/proposals")["proposals"]
        return found

    return _either(config, caller, there, lambda installation, _who: _decisions(installation).pending())


def _either(
    config: Path | None,
    caller: Caller,
    there: Callable[[ServiceClient], T],
    here: Callable[["Installation", Principal], T],
) -> T:
    settings = settings_for(config)
    client = running(settings.data_dir)
    try:
        if client is not None:
            return there(client.signed_in(caller.user, caller.password) if caller.user else client)
        if not settings.data_dir.is_dir():
            raise VerbError(f"{settings.data_dir}: nothing has run here yet")
        who = principal_of(settings, caller)
        from app.installation import open_installation

        with open_installation(settings) as installation:
            return here(installation, who)
    except (ServiceError, PermanentError, TransientError) as error:
        raise VerbError(str(error)) from None


def principal_of(settings: Settings, caller: Caller) -> Principal:
    """Who may open the files may act as the service; a person has to show the password."""
    if not caller.user:
        return Principal("service", "service", frozenset({"analyst"}))
    found = Users(settings.users, SystemClock()).authenticate(caller.user, caller.password)
    if found is None:
        raise VerbError("wrong name or password" if settings.users else "users: no file of users in the settings")
    return found


def _decisions(installation: "Installation") -> Any:
    from app.decisions import Decisions

    return Decisions(
        installation.warehouse, installation.clock, lambda _id: None, installation.settings.decisions,
        installation.playbooks,
    )  # fmt: skip


def _after(installation: "Installation", action_id: str, subject: str) -> str:
    _match(installation, action_id)
    row = installation.warehouse.query(
        "SELECT d.status, q.state FROM decision d LEFT JOIN break_queue q ON q.break_id = d.break_id"
        " WHERE d.action_id = :a",
        {"a": action_id},
    ).to_pylist()[0]
    return _said(action_id, subject, row["state"], row["status"] == "PENDING")


def _match(installation: "Installation", action_id: str) -> None:
    """Let matching take up what was decided; a running service does it by itself."""
    from app.renamed import mapped, read_again

    warehouse, settings, name = installation.warehouse, installation.settings, f"decision-{action_id}"
    found = warehouse.query("SELECT 1 AS one FROM match_decision WHERE execution = :e LIMIT 1", {"e": name})
    as_of = 0
    if mapped(warehouse):
        as_of = installation.clock.now_ns()
        read_again(
            warehouse, settings.feeds, installation.reference.current(), execution=name, at_ns=as_of,
            originals=installation.originals,
        )  # fmt: skip
    if found.num_rows or as_of:
        from app.feed_terms import feed_terms
        from matching.engine import match

        match(
            warehouse, execution=name, as_of=as_of, rules=installation.rules, feeds=feed_terms(settings.feeds),
            tenant=settings.tenant,
        )  # fmt: skip


def _said(action_id: str, subject: str, state: str | None, waits: bool) -> str:
    return f"{subject[:12]}: {PENDING} ({action_id[:12]})" if waits else f"{subject[:12]}: {state or 'taken apart'}"


def _only(known: list[str], prefix: str) -> str:
    found = [one for one in known if one.startswith(prefix)]
    if len(found) != 1:
        what = "several proposals start" if found else "no proposal waits that starts"
        raise VerbError(f"{what} with {prefix!r}")
    return found[0]
