"""The quarantine of an installation: what is held and why, one message in full, and reading it again."""

from typing import Any

from app.beside import begin, counts_as
from app.installation import Installation
from domain.errors import PermanentError
from ingest.quarantine import repair_of
from ingest.retry import Selection, nanoseconds, still_held

Json = dict[str, Any]
RETRY_SECONDS = 300.0
_HEX_BYTES = 256
_TRIES = """
SELECT healed, outcome, reason, detail, dialect, dialect_version, retried_at, execution FROM quarantine_retry
WHERE quarantine_id = :id ORDER BY retried_at, execution
"""
_FOUND = """
SELECT q.quarantine_id, q.message_id, q.feed, q.recv_ts, q.code, q.reason, q.detail, q.raw, q.dialect,
  q.dialect_version, q.file, q.line, q.execution, m.sha256
FROM quarantine q LEFT JOIN raw_message m ON m.message_id = q.message_id
WHERE startswith(q.quarantine_id, :id) ORDER BY q.quarantine_id LIMIT 2
"""


def held(installation: Installation, selection: Selection) -> list[Json]:
    """What is held, oldest first, without its bytes."""
    return [_plain(row) for row in still_held(installation.warehouse, selection)]


def one(installation: Installation, prefix: str) -> Json:
    """One quarantined message in full, its retries included. Raises PermanentError for none or several."""
    found = installation.warehouse.query(_FOUND, {"id": prefix}).to_pylist()
    if len(found) != 1:
        raise PermanentError(f"{'no quarantine row starts' if not found else 'several rows start'} with {prefix!r}")
    row, raw = found[0], installation.originals.of(found[0])
    tries = installation.warehouse.query(_TRIES, {"id": row["quarantine_id"]}).to_pylist()
    return {
        **_plain(row),
        "healed": any(item["healed"] for item in tries),
        "retries": [{**item, "retried_at": nanoseconds(item["retried_at"])} for item in tries],
        "bytes": len(raw),
        "hex": raw[:_HEX_BYTES].hex(" "),
        "text": raw.decode("latin-1").replace("\x01", "|"),
        "repair": repair_of(raw),
    }


def retry(installation: Installation, selection: Selection) -> Json:
    """Read the selection again with the dialects and reference data of now, and match what became a fact.

    Runs as an execution of the state machine, so a crash does not lose it. Raises PermanentError when nothing is
    selected, a dialect file is wrong, or the execution fails.
    """
    if not still_held(installation.warehouse, selection):
        raise PermanentError("nothing in quarantine fits")
    installation.reference.refresh()
    as_of = counts_as(installation, installation.clock.now_ns())
    name = f"retry-{as_of}"
    begin(installation, name, "retry", as_of, select=selection.model_dump(mode="json"))
    ended = installation.engine.wait(name, RETRY_SECONDS)
    if ended.status != "SUCCEEDED":
        raise PermanentError(f"{name}: {ended.status} {ended.error or ''} {ended.cause or ''}".rstrip())
    return {"execution": name, **_counts(installation, name)}


def _counts(installation: Installation, name: str) -> Json:
    rows = installation.warehouse.query(
        "SELECT healed, outcome, count(*) AS n FROM quarantine_retry WHERE execution = :e GROUP BY healed, outcome",
        {"e": name},
    ).to_pylist()
    return {
        "healed": sum(row["n"] for row in rows if row["healed"]),
        "facts": sum(row["n"] for row in rows if row["outcome"] == "FACT"),
        "refused": sum(row["n"] for row in rows if not row["healed"]),
    }


def _plain(row: Json) -> Json:
    kept = {
        name: value
        for name, value in row.items()
        if name not in ("raw", "sha256", "lane", "number", "session", "outcome")
    }
    return {**kept, "recv_ts": nanoseconds(row["recv_ts"])}
