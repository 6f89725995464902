"""The Score task: score the open breaks that changed, write each score once, count those worth a look."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from anomaly.features import COLUMNS, SEVERITY, features
from anomaly.port import Scored, Scorer
from anomaly.wire import reasons_json
from domain.schema import TABLES, arrow_schema
from domain.taxonomy import Severity
from warehouse.port import Warehouse

_STEP = Decimal("0.000001")
_MATCHED = "SELECT max(as_of) AS as_of FROM execution_log WHERE execution = :execution"


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """How many changes got a score in this run, and how many of those reach the severity or score threshold."""

    scored: int
    flagged: int


def score_changes(
    warehouse: Warehouse,
    scorer: Scorer,
    execution: str,
    as_of: int,
    *,
    min_score: float = 0.9,
    min_severity: Severity = Severity.MEDIUM,
    limit: int = 5_000,
) -> ScoreResult:
    """Write `break_score` for every open break whose latest change up to this execution's Match has none yet.

    Its Match may count as later than `as_of` (UTC ns), the time the execution was given: knowledge never goes back.
    What an earlier run could not score (model down) is caught up with. A rerun finds nothing left and adds nothing.
    Raises what the scorer raises: TransientError when the model cannot be reached; nothing is written then.
    """
    rows = features(warehouse, max(as_of, _matched_as_of(warehouse, execution)), limit)
    if not rows.num_rows:
        return ScoreResult(0, 0)
    listed = rows.to_pylist()
    scored = scorer.score([{name: row[name] for name in COLUMNS} for row in listed])
    warehouse.append("break_score", _score_rows(listed, scored, execution))
    flagged = sum(
        item.score >= min_score or row[SEVERITY] >= min_severity for row, item in zip(listed, scored, strict=True)
    )
    return ScoreResult(len(scored), flagged)


def _matched_as_of(warehouse: Warehouse, execution: str) -> int:
    """The time the execution's Match counts as (UTC ns); 0 when it was not matched."""
    found = warehouse.query(_MATCHED, {"execution": execution})["as_of"]
    return found.cast(pa.timestamp("ns")).cast(pa.int64())[0].as_py() or 0


def _score_rows(rows: Sequence[dict[str, Any]], scored: Sequence[Scored], execution: str) -> pa.Table:
    schema = arrow_schema(TABLES["break_score"])
    written = [
        {
            "change_id": row["change_id"],
            "break_id": row["break_id"],
            "score": Decimal(str(item.score)).quantize(_STEP),
            "p_value": Decimal(str(item.p_value)).quantize(_STEP),
            "reasons": json.dumps(reasons_json(item.reasons)),
            "model_version": item.model_version,
            "execution": execution,
        }
        for row, item in zip(rows, scored, strict=True)
    ]
    return pa.Table.from_pylist(written, schema)
