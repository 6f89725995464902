"""Executions of the state machine for what no stream brings: tables, files, sessions, the quarantine read again."""

from typing import Any

from app.installation import Installation

_NEWEST = "SELECT max(as_of) AS last FROM execution_log"


def counts_as(here: Installation, at_ns: int) -> int:
    """When what is known at `at_ns` (UTC ns) counts as received: never before the newest run."""
    last = here.warehouse.query(_NEWEST)["last"].cast("int64")[0].as_py()
    return max(at_ns, last or 0)


def begin(
    here: Installation, name: str, kind: str, as_of: int, *, lane: str = "", after: str | None = None,
    until: str | None = None, count: int = 0, **more: Any,
) -> None:  # fmt: skip
    """Start the execution of this name; `more` is what tasks of its kind are told besides."""
    task = {
        "execution": name, "tenant": here.settings.tenant, "kind": kind, "lane": lane, "after": after, "until": until,
        "count": count, "as_of": as_of, "marks": {}, **more,
    }  # fmt: skip
    here.engine.start(name, task)
