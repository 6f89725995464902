"""Triage: which breaks get a ticket, how urgent it is and which group it goes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from alerting.port import TicketKey, ticket_key
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
    """Who gets a ticket and what it says.

    A break is ticketable when its code is in `always`, or not in `never` and its severity reaches `min_severity` or
    its score reaches `min_score` (None: the score decides nothing). `templates` is a directory that replaces the
    shipped texts; `console_url` is where links point.
    """

    min_severity: Severity = Severity.MEDIUM
    min_score: Decimal | None = None
    always: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    groups: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_GROUPS))
    namespace: str = "tieout"
    console_url: str = ""
    close_code: str = "Solution provided"
    templates: Path | None = None

    def ticketable(self, code: str, severity: int, score: Decimal | None) -> bool:
        """True when a break of this code, severity and score (None: not scored yet) needs a ticket."""
        if code in self.always:
            return True
        if code in self.never:
            return False
        scored = self.min_score is not None and score is not None and score >= self.min_score
        return severity >= self.min_severity or scored

    def group(self, code: str) -> str:
        """The assignment group of the code's owner; empty when the owner has none."""
        entry = taxonomy().get(code)
        return self.groups.get(entry.owner, "") if entry else ""

    def key(self, break_id: str, generation: int) -> TicketKey:
        """The key of the ticket of this break and generation in this installation."""
        return ticket_key(self.namespace, break_id, generation)


def impact_urgency(severity: int) -> tuple[int, int]:
    """Impact and urgency, each 1 (high) to 3 (low), for a break's severity."""
    return _IMPACT_URGENCY[Severity(min(max(severity, Severity.INFO), Severity.CRITICAL))]
