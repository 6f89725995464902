"""Triage: which breaks get a ticket, how urgent it is and which group it goes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from alerting.port import TicketKey, ticket_key
from alerting.shadow import PilotSettings, namespaces
from domain.taxonomy import Severity, taxonomy

# Owner in the taxonomy -> assignment group in the ticket system.
DEFAULT_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "internal ops": "Trade Operations",
        "both": "Trade Operations",
        "PB": "Prime Broker Relations",
        "EB": "Executing Broker Relations",
        "EB/PB": "Executing Broker Relations",
        "internal compliance": "Compliance",
        "ref data": "Reference Data",
        "settlements": "Settlements",
        "treasury": "Treasury",
        "valuation": "Valuation",
        "support": "Production Support",
        "system": "Production Support",
    }
)
# ServiceNow computes the priority: CRITICAL -> 1, HIGH -> 2, MEDIUM -> 3, LOW -> 4, INFO -> 5.
_IMPACT_URGENCY: Mapping[Severity, tuple[int, int]] = MappingProxyType(
    {
        Severity.CRITICAL: (1, 1),
        Severity.HIGH: (2, 1),
        Severity.MEDIUM: (2, 2),
        Severity.LOW: (3, 2),
        Severity.INFO: (3, 3),
    }
)


@dataclass(frozen=True, slots=True)
class TriagePolicy:
    """Who gets a ticket, who works on it and what it says.

    A break is ticketable when its code is in `always`, or not in `never` and its score reaches `min_score` (None: the
    score decides nothing), or its severity reaches `min_severity` (of its code: `code_severity`) and its exposure
    `min_exposure` (absolute, base currency; an unknown one does). From `storm_size` breaks of one code at one prime
    broker in `storm_window_minutes` on, they share a parent ticket (0: never). `templates` is a directory that
    replaces the shipped texts; `console_url` is where links point, `checks` are the steps of
    each code's playbook. `traced`: the description names the trace in which the break was found.
    """

    min_severity: Severity = Severity.MEDIUM
    min_score: Decimal | None = None
    always: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    code_severity: Mapping[str, Severity] = field(default_factory=dict)
    min_exposure: Decimal = Decimal(0)
    groups: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_GROUPS))
    code_groups: Mapping[str, str] = field(default_factory=dict)
    pb_groups: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "tieout"
    console_url: str = ""
    close_code: str = "Solution provided"
    templates: Path | None = None
    attach_evidence: bool = False
    checks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pilot: PilotSettings = field(default_factory=PilotSettings)
    storm_size: int = 0
    storm_window_minutes: int = 60
    traced: bool = False

    def ticketable(self, code: str, severity: int, score: Decimal | None, exposure_base: Decimal | None = None) -> bool:
        """True when a break of this code, severity, score (None: not scored yet) and exposure needs a ticket."""
        if code in self.always:
            return True
        if code in self.never:
            return False
        if self.min_score is not None and score is not None and score >= self.min_score:
            return True
        heavy = exposure_base is None or abs(exposure_base) >= self.min_exposure
        return heavy and severity >= self.code_severity.get(code, self.min_severity)

    @property
    def least_severity(self) -> int:
        """The lowest severity at which any code can get a ticket without a score."""
        return int(min((self.min_severity, *self.code_severity.values())))

    def group(self, code: str, pb_id: str = "") -> str:
        """The assignment group: the prime broker's, else the code's, else that of the code's owner; may be empty."""
        if pb_id in self.pb_groups:
            return self.pb_groups[pb_id]
        if code in self.code_groups:
            return self.code_groups[code]
        entry = taxonomy().get(code)
        return self.groups.get(entry.owner, "") if entry else ""

    def key(self, break_id: str, generation: int, again: int = 0, *, code: str, pb_id: str) -> TicketKey:
        """The key of a new ticket of this break and generation in this installation.

        In a pilot, code and prime broker decide whether it lives in the shadow.
        `again` counts the tickets before it that people closed for good while the break was still there.
        """
        return ticket_key(self.pilot.namespace(self.namespace, code, pb_id), break_id, generation, again)

    def key_of(self, break_id: str, generation: int, sys_id: str) -> TicketKey:
        """The key a ticket was opened under."""
        keys = [ticket_key(name, break_id, generation) for name in namespaces(self.namespace)]
        return next((key for key in keys if key.sys_id == sys_id), keys[0])


def impact_urgency(severity: int) -> tuple[int, int]:
    """Impact and urgency, each 1 (high) to 3 (low), for a break's severity."""
    return _IMPACT_URGENCY[Severity(min(max(severity, Severity.INFO), Severity.CRITICAL))]
