"""The ingest level: quarantine, integrity warnings, unknown names, lost messages and silent feeds as breaks (I01-I07).

Its components begin with `I|`: `q` a feed's quarantine of a day, `w` its warnings, `n` an instrument and `a` an account
nobody knows, `g` a gap, `f` a feed and a date, `b` one of books and a date, `s` an absent session.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from matching.levels import ingest_sql as sql
from matching.levels import late, sessions, silent, strange_books
from matching.levels.books import has
from matching.levels.port import Run


@dataclass(frozen=True, slots=True)
class IngestLevel:
    """I01 to I07; reads nothing where no such fact exists."""

    name: str = "ingest"

    def touch(self, run: Run) -> None:
        """What new facts, or the time, say about feeds."""
        present = run.told.present
        marked = _execute(run, sql.NEW_MARKS) if run.told.flagged else 0
        if _books(run) and has(run, strange_books.ANY):
            _load_sources(run)
            marked += _execute(run, strange_books.NEW_MARKS)
            _execute(run, strange_books.TOUCH)
        if marked or "match_mark" in present:
            _execute(run, sql.TOUCH_MARKS)
        if "quarantine" in present:
            _execute(run, sql.TOUCH_QUARANTINE)
        if "sequence_gap" in present:
            _execute(run, sql.TOUCH_GAPS)
        if "session_state" in present:
            _execute(run, sql.TOUCH_FILLED)
            sessions.touch(run)
        silent.touch(run)
        late.touch(run)

    def find(self, run: Run) -> None:
        """The breaks of this level's components."""
        silent.find(run)
        late.find(run)
        if "session_state" in run.told.present:
            sessions.find(run)
        if not run.touched("I|"):
            return
        books = _books(run)
        if books:
            run.warehouse.execute("delete from work_source")
        _load_sources(run)
        kinds = {
            "q": sql.QUARANTINED, "w": sql.INTEGRITY, "n": sql.STRANGE_INSTRUMENT,
            "a": sql.STRANGE_BOOKS if books else sql.STRANGE_ACCOUNT, "g": sql.LOST,
        }  # fmt: skip
        for letter, told in kinds.items():
            if run.touched(f"I|{letter}|"):
                _each(run, told.statements())


def _books(run: Run) -> bool:
    return bool(run.told.present & {"position_snapshot", "cash_entry"})


def _load_sources(run: Run) -> None:
    """Every feed, those of positions and cash among them: who sent what could not be read."""
    columns = ("feed", "role", "party")
    run.warehouse.append(
        "work_source",
        pa.table({name: pa.array([getattr(f, name) for f in run.feeds], pa.string()) for name in columns}),
    )


def _each(run: Run, statements: Sequence[str]) -> None:
    for statement in statements:
        _execute(run, statement)


def _execute(run: Run, statement: str) -> int:
    return run.warehouse.execute(statement, {"tenant": run.tenant} if ":tenant" in statement else {})
