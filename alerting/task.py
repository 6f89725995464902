"""The Ticket task of the state machine: write the outbox, add what analysts did, deliver."""

from alerting.actions import mirror_actions
from alerting.deliver import DeliveryLimits, deliver
from alerting.outbox import write
from alerting.port import Ticketing
from alerting.told import Told
from alerting.triage import TriagePolicy
from domain.clock import Clock
from warehouse.port import Warehouse


def run_ticket(
    warehouse: Warehouse,
    ticketing: Ticketing,
    execution: str,
    as_of: int,
    policy: TriagePolicy,
    clock: Clock,
    limits: DeliveryLimits | None = None,
    told: Told | None = None,
) -> dict[str, int]:
    """`{"written": rows, "delivered": rows}`; `as_of` is UTC ns. A second run writes nothing and sends what waits.

    Raises TransientError when the ticket system could not be reached; the rows stay in the outbox.
    """
    written = write(warehouse, execution, as_of, policy, told=told)
    written += mirror_actions(warehouse, execution, as_of, policy)
    report = deliver(warehouse, ticketing, clock, limits)
    return {"written": written, "delivered": report.delivered}
