"""Poison in Match: a run that fails for good is tried without its messages, down to those at fault; they are set aside.

Left where they are they would stop every later run too, since a run takes along what was never matched. A run under
which the process ended again and again is tried in parts of its messages, noted before each.
"""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import pyarrow as pa

from domain.errors import PermanentError, TransientError
from domain.schema import KNOWN_BY_HASH
from ingest import store
from ingest.suspects import LONE_DEATHS_MAX, Suspects
from ingest.withdraw import withdraw
from matching.engine import MatchResult, Scope
from matching.scratch import forget
from matching.tables import prepare
from warehouse.port import Params, Warehouse
from warehouse.sql import timestamp

logger = logging.getLogger(__name__)

Run = Callable[[Warehouse, Scope], MatchResult]

_SHOWN_CHARS = 300
# Notes of a whole run and of its parts. Fewer deaths than this in one run after another come from elsewhere.
_WHOLE, _PARTS, _LISTED = "match", "match-parts", "match-messages.json"
_DEATHS_MAX = 3
_DEADLY = f"the process ended {LONE_DEATHS_MAX} times while it matched this message"
# The world or the machine, not a message.
_NOT_THE_MESSAGE = (TransientError, MemoryError)
_NEVER_MATCHED = "NOT EXISTS (SELECT 1 FROM execution_log x WHERE x.execution = f.execution)"
# Whatever brings facts that no run has taken up.
_NEW = f"""
SELECT r.message_id FROM raw_message r WHERE r.message_id IN (
  SELECT f.message_id FROM raw_message f WHERE f.outcome = 'FACT' AND {_NEVER_MATCHED}
  UNION SELECT f.message_id FROM trade_event f WHERE {_NEVER_MATCHED}
""" + "".join(
    f"  UNION SELECT m.message_id FROM {table} f JOIN raw_message m ON m.sha256 = f.raw_sha256 AND m.feed = f.feed"
    f" WHERE {_NEVER_MATCHED}\n"
    for table in KNOWN_BY_HASH
) + ") ORDER BY r.recv_ts, r.message_id"  # fmt: skip
# What falls due is compared for the first time, however long ago it came.
_DUE = """
SELECT r.message_id FROM raw_message r WHERE r.message_id IN (
  SELECT e.message_id FROM recon_break b JOIN recon_break_member m ON m.break_id = b.break_id
  JOIN trade_event e ON e.record_id = m.record_id
  WHERE b.state = 'EXPECTED' AND b.due_at <= CAST(:as_of AS TIMESTAMP_NTZ(9))
) ORDER BY r.recv_ts, r.message_id
"""


class _Undone(Exception):
    """A trial that went well; what it did is taken back."""


def match_with_care(
    warehouse: Warehouse, run: Run, *, execution: str, as_of: int, limit: int, suspects: Suspects
) -> MatchResult:
    """`run` (a Match run of `execution` as of a time, UTC ns), where messages that make it fail are set aside first.

    They become quarantine rows (`match_failed`) in the transaction of the run that goes well without them, so they are
    told as any other bad message and `tieout quarantine retry` brings them back. `suspects` keeps note of what runs, so
    that messages that end the process are found, too. Raises what `run` raises where it is not the messages (the world,
    the settings, a fault in every run), and PermanentError for more than `limit` of them.
    """
    scope: Scope = "all" if prepare(warehouse) else "incremental"
    trials = _Trials(warehouse, run, execution, limit)
    try:
        for whole in suspects.parts(_WHOLE, 1):
            careful = whole.deaths >= _DEATHS_MAX
            found = _outlived(trials, as_of, scope, suspects) if careful else _matched(trials, as_of, scope)
        return found
    except Exception:
        # The process lives: whatever went wrong was no death.
        for name in (_WHOLE, _PARTS):
            suspects.forget(name)
        raise


def _outlived(trials: "_Trials", as_of: int, scope: Scope, suspects: Suspects) -> MatchResult:
    """The run without the messages under which the process ends, each tried as often as it takes to know."""
    messages, due = _listed(trials.warehouse, as_of, suspects)
    logger.warning("the process ended in Match again and again; looking for the cause in %d messages", len(messages))
    found = trials.outlive(messages, "all" if due else scope, suspects)
    if suspects.folder is not None:
        (suspects.folder / _LISTED).unlink(missing_ok=True)
    return found


def _listed(warehouse: Warehouse, as_of: int, suspects: Suspects) -> tuple[list[str], bool]:
    """What is to be tried, and whether some of it only falls due; the same after each death."""
    kept = suspects.folder / _LISTED if suspects.folder is not None else None
    if kept is not None and suspects.died_before(_PARTS) and kept.is_file():
        found = json.loads(kept.read_text())
        return list(found["messages"]), bool(found["due"])
    new = warehouse.query(_NEW)["message_id"].to_pylist()
    due = warehouse.query(_DUE, {"as_of": timestamp(as_of)})["message_id"].to_pylist()
    messages = list(dict.fromkeys([*new, *due]))
    if kept is not None:
        kept.write_text(json.dumps({"messages": messages, "due": bool(due)}))
    return messages, bool(due)


def _matched(trials: "_Trials", as_of: int, scope: Scope) -> MatchResult:
    warehouse = trials.warehouse
    try:
        return trials.run(warehouse, scope)
    except _NOT_THE_MESSAGE:
        raise
    except Exception as error:
        looked: tuple[tuple[str, Params, Scope], ...] = (
            (_NEW, {}, scope), (_DUE, {"as_of": timestamp(as_of)}, "all")
        )  # fmt: skip
        for sql, params, how in looked:
            found = warehouse.query(sql, params)["message_id"].to_pylist()
            if found and trials.fails(found, how) is None:
                logger.warning("a Match run fails (%s); looking for the cause in %d messages", _said(error), len(found))
                return trials.settle(found, how)
        raise


@dataclass(slots=True)
class _Trials:
    """Runs that are taken back, to learn which messages a run can do with."""

    warehouse: Warehouse
    run: Run
    execution: str
    limit: int
    kept: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)

    def fails(self, without: Sequence[str], scope: Scope) -> Exception | None:
        """What a run without these messages raises; None when it goes well. Nothing of it stays."""
        prepare(self.warehouse)
        store.prepare(self.warehouse)
        try:
            with self.warehouse.transaction():
                withdraw(self.warehouse, without, "a trial", execution=self.execution)
                self.run(_Inside(self.warehouse), scope)
                raise _Undone
        except _Undone:
            return None
        except _NOT_THE_MESSAGE:
            raise
        except Exception as error:
            return error
        finally:
            # What the trial left in the scratch tables is taken back with it.
            forget(self.warehouse)

    def settle(self, messages: Sequence[str], scope: Scope) -> MatchResult:
        """Find the messages at fault, and run without them."""
        self._sift(messages, messages, scope, None)
        return self._without_them(scope)

    def outlive(self, messages: Sequence[str], scope: Scope, suspects: Suspects) -> MatchResult:
        """Let the messages in part by part, each part noted while it is tried, and run without those at fault."""
        for part in suspects.parts(_PARTS, len(messages)):
            if part.deadly:
                self._blame(messages[part.first], len(messages), PermanentError(_DEADLY))
                # At once: what is only remembered is forgotten when another message ends the process.
                self._set_aside()
            else:
                self._sift(messages[part.first : part.last], messages, scope, None)
        return self._without_them("all")

    def _without_them(self, scope: Scope) -> MatchResult:
        prepare(self.warehouse)
        try:
            with self.warehouse.transaction():
                self._withdraw()
                return self.run(_Inside(self.warehouse), scope)
        finally:
            # The run is over before it is committed.
            forget(self.warehouse)

    def _set_aside(self) -> None:
        store.prepare(self.warehouse)
        with self.warehouse.transaction():
            self._withdraw()
        self.aside.clear()

    def _withdraw(self) -> None:
        for message, why in self.aside.items():
            withdraw(self.warehouse, [message], f"Matching failed: {why}", execution=self.execution)
            logger.error("message %s goes to quarantine: %s", message, why)

    def _sift(self, part: Sequence[str], among: Sequence[str], scope: Scope, known: Exception | None) -> bool:
        """Keep what of `part` a run goes well with besides what is kept; False where something had to be set aside.

        `known` is what a run with the whole part raised, where that was seen already.
        """
        if known is None:
            chosen = {*self.kept, *part}
            known = self.fails([message for message in among if message not in chosen], scope)
            if known is None:
                self.kept += part
                return True
        if len(part) == 1:
            self._blame(part[0], len(among), known)
            return False
        middle = len(part) // 2
        clean = self._sift(part[:middle], among, scope, None)
        # What fails as a whole while its first half is sound fails in the second.
        self._sift(part[middle:], among, scope, known if clean and len(part) - middle > 1 else None)
        return False

    def _blame(self, message: str, of: int, error: Exception) -> None:
        if len(self.aside) >= self.limit:
            raise PermanentError(
                f"Match fails with more than {self.limit} of {of} messages, so it is not the messages: {_said(error)}"
            ) from error
        self.aside[message] = _said(error)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _Inside:
    """The warehouse inside a transaction that is open already; what is known of the one is known of the other."""

    warehouse: Warehouse

    def __eq__(self, other: object) -> bool:
        return other is self.warehouse or (isinstance(other, _Inside) and other.warehouse is self.warehouse)

    def __hash__(self) -> int:
        return hash(self.warehouse)

    def query(self, sql: str, params: Params | None = None) -> pa.Table:
        return self.warehouse.query(sql, params)

    def execute(self, sql: str, params: Params | None = None) -> int:
        return self.warehouse.execute(sql, params)

    def append(self, table: str, rows: pa.Table) -> int:
        return self.warehouse.append(table, rows)

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def checkpoint(self) -> None:
        """Not inside a transaction."""

    def close(self) -> None:
        """Its owner closes it."""


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    shown = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."
    return shown if isinstance(error, PermanentError) else f"{type(error).__name__}: {shown}"
