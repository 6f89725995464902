"""What kinds of facts there are at all, and what is odd about a run's new trades: most steps need not ask again."""

from dataclasses import dataclass

from warehouse.port import Warehouse

# Facts that only some installations have; a step about them starts with one of these.
_TABLES = (
    "trade_fee", "acknowledgement", "affirmation", "quarantine", "sequence_gap", "session_state", "settlement_status",
    "position_snapshot", "cash_entry", "match_mark", "match_refusal", "match_decision",
    "match_decided",
)  # fmt: skip
_PRESENT = "\nunion all\n".join(
    f"select '{name}' as name from (select 1 as one from {name} limit 1) x" for name in _TABLES
)
_TRADES = """
select count(*) as trades, count(distinct e.message_id) as messages,
  sum(case when e.status = 'REJECT' then 1 else 0 end) as refused,
  sum(case when e.flags is not null then 1 else 0 end) as flagged
from trade_event e where e.execution in (select x.execution from work_execution x)
"""


@dataclass(frozen=True, slots=True)
class News:
    """`present`: tables that have rows, `absent`: those that have none.

    Of the run's trades: whether there are any, one message told several, any refused, flagged.
    """

    present: frozenset[str]
    absent: frozenset[str]
    trades: bool
    siblings: bool
    refused: bool
    flagged: bool


def news(warehouse: Warehouse) -> News:
    """What this run must look at; reads the trades of the executions in work_execution once."""
    row = warehouse.query(_TRADES).to_pylist()[0]
    present = frozenset(warehouse.query(_PRESENT).column(0).to_pylist())
    return News(
        present,
        frozenset(_TABLES) - present,
        row["trades"] > 0,
        row["messages"] < row["trades"],
        bool(row["refused"]),
        bool(row["flagged"]),
    )
