"""`tieout rules propose|approve|reject|list`: through the running service, else on the warehouse itself.

The warehouse is opened without the rest of the installation, which refuses the very rule file that waits for approval.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from app import build
from app.break_verbs import Caller, principal_of
from app.client import ServiceClient, ServiceError, running
from app.decisions import Decisions
from app.rule_approval import propose, standings
from app.rules_verbs import RulesError, text_of, usable
from app.verbs import VerbError, settings_for
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from domain.principal import Principal
from warehouse.port import Warehouse

T = TypeVar("T")


def put_forward(file: Path, config: Path | None, caller: Caller, reason: str) -> str:
    """Propose a rule file; returns what came of it. Raises RulesError or SettingsError."""
    rules = usable(file)

    def there(client: ServiceClient) -> str:
        return str(client.post("/api/rules", {"text": text_of(file), "reason": reason})["proposal_id"])

    done = _either(config, caller, there, lambda decisions, who: propose(decisions, rules, who, reason))
    return f"rule set {rules.hash} proposed ({done[:12]}); it counts once another person approves it"


def answer(prefix: str, verdict: str, config: Path | None, caller: Caller, reason: str) -> str:
    """Approve or reject the pending rule set whose hash (or proposal id) begins with `prefix`."""
    word = {"approve": "approved", "reject": "rejected", "withdraw": "withdrawn"}[verdict]

    def there(client: ServiceClient) -> str:
        chosen, of_hash = _chosen(client.get("/api/proposals")["proposals"], prefix)
        client.post(f"/api/proposals/{chosen}", {"verdict": verdict, "reason": reason})
        return of_hash

    def here(decisions: Decisions, who: Principal) -> str:
        chosen, of_hash = _chosen(decisions.pending(), prefix)
        decisions.answer(chosen, who, verdict, reason)
        return of_hash

    return f"rule set {_either(config, caller, there, here)} {word}"


def listed(config: Path | None) -> list[str]:
    """Every rule set that was put forward, one line each, oldest first."""

    def there(client: ServiceClient) -> list[str]:
        found: list[str] = client.get("/api/rules")["rules"]
        return found

    return _either(
        config, Caller(), there, lambda decisions, _who: [str(one) for one in standings(decisions.warehouse)]
    )


def _chosen(pending: list[dict[str, object]], prefix: str) -> tuple[str, str]:
    found = {}
    for row in pending:
        payload = row["payload"]
        if row["kind"] == "adopt_rules" and isinstance(payload, dict):
            of_hash = str(payload["hash"])
            if of_hash.startswith(prefix) or str(row["action_id"]).startswith(prefix):
                found[str(row["action_id"])] = of_hash
    if len(found) != 1:
        what = "several rule sets wait that start" if found else "no rule set waits that starts"
        raise RulesError(f"{what} with {prefix!r}")
    return next(iter(found.items()))


def _either(
    config: Path | None, caller: Caller, there: Callable[[ServiceClient], T], here: Callable[[Decisions, Principal], T]
) -> T:
    settings = settings_for(config)
    client = running(settings.data_dir)
    warehouse: Warehouse | None = None
    try:
        if client is not None:
            return there(client.signed_in(caller.user, caller.password) if caller.user else client)
        if not settings.data_dir.is_dir():
            raise RulesError(f"{settings.data_dir}: nothing has run here yet")
        who, clock = principal_of(settings, caller), SystemClock()
        warehouse = build.open_warehouse(settings, clock)
        return here(Decisions(warehouse, clock, lambda _id: None, settings.decisions), who)
    except (ServiceError, VerbError, PermanentError, TransientError) as error:
        raise RulesError(str(error)) from None
    finally:
        if warehouse is not None:
            warehouse.close()
