"""Alerts on record: raised once, cleared once, and those that stand."""

from collections.abc import Mapping

import pyarrow as pa

from domain.facts import ALERT
from domain.ids import digest128
from domain.schema import arrow_schema
from warehouse.audit_log import plain_rows
from warehouse.port import Warehouse

RAISED, CLEARED = "RAISED", "CLEARED"
_NEWEST = """
SELECT alert_key, kind, severity, state, subject, detail, noted_at FROM alert
QUALIFY row_number() OVER (PARTITION BY alert_key ORDER BY noted_at DESC, state) = 1
"""


def standing(warehouse: Warehouse) -> list[dict[str, object]]:
    """Alerts raised and not cleared, the newest first; times as UTC ns."""
    found = [row for row in plain_rows(warehouse.query(_NEWEST)) if row["state"] == RAISED]
    return sorted(found, key=lambda row: (-row["noted_at"], row["alert_key"]))


def settle(warehouse: Warehouse, kind: str, subject: str, now: Mapping[str, str], severity: str, at_ns: int) -> int:
    """Raise what `now` tells (key to text) about the subject, once, and clear what of this kind no longer holds.

    Returns how many alerts of this kind and subject stand.
    """
    before = {str(row["alert_key"]): str(row["detail"]) for row in standing(warehouse)
              if row["kind"] == kind and row["subject"] == subject}  # fmt: skip
    keys = {f"{kind}|{subject}|{key}": text for key, text in now.items()}
    rows = [(key, RAISED, text) for key, text in keys.items() if before.get(key) != text]
    rows += [(key, CLEARED, text) for key, text in before.items() if key not in keys]
    if rows:
        schema = arrow_schema(ALERT)
        full = [
            {
                "alert_id": digest128("alert", key, state, str(at_ns)), "alert_key": key, "kind": kind,
                "severity": severity, "state": state, "subject": subject, "detail": text,
            }
            for key, state, text in rows
        ]  # fmt: skip
        columns = [
            pa.array([at_ns] * len(full), pa.int64()).cast(field.type)
            if field.name == "noted_at"
            else pa.array([row[field.name] for row in full], field.type)
            for field in schema
        ]
        warehouse.append(ALERT.name, pa.Table.from_arrays(columns, schema=schema))
    return len(keys)
