"""The audit trail verified: whatever is flipped, dropped, swapped, cut off or written anew is found."""

import copy
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.audit import Auditor
from app.cli import app
from app.decisions import Decisions
from app.verify import TrailUnreadable, Verdict, lines_of, parsed, trail_lines, verify
from domain.audit import entry
from domain.clock import ManualClock
from domain.principal import Principal
from tests.console.conftest import put, seed_breaks
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

ANA = Principal("ana", "user", frozenset({"analyst"}))
Row = dict[str, Any]
Trail = dict[str, list[Row]]
START_NS = 1_795_528_000 * 1_000_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trail, Path]:
    """Eleven entries over three hours with signed roots."""
    folder = tmp_path_factory.mktemp("audit")
    warehouse, clock = DuckDbWarehouse(":memory:"), ManualClock(START_NS)
    migrate(warehouse)
    auditor = Auditor(warehouse, clock, folder / "key.pem", folder / "roots.jsonl")
    decisions = Decisions(warehouse, clock, lambda _break_id: None)
    auditor.uses_rules("rules-1")
    auditor.uses_rules("rules-1")
    for index, break_id in enumerate(seed_breaks(warehouse, 9)):
        decisions.record(break_id, ANA, "comment", f"look at {index}", {})
        clock.advance(900)
        auditor.close_hours()
    put(warehouse, "break_acceptance", [{
        "break_id": "b-accepted", "generation": 1, "code": "T18", "pb_id": "ALPHA", "trade_date": date(2026, 11, 24),
        "amount_base": Decimal("0.01"), "limit_base": Decimal("0.02"), "cap_base": Decimal(100),
        "running_base": Decimal("0.01"), "profile": "default", "rule_set_hash": "rules-1", "reason": "rounding",
        "accepted_as_of": START_NS, "execution": "e1",
    }])  # fmt: skip
    auditor.follow()
    auditor.follow()
    trail = {part: parsed(trail_lines(warehouse, part), part) for part in ("entries", "roots", "facts")}  # type: ignore[arg-type]
    warehouse.close()
    return trail, folder


def check(trail: Trail, public_key: str | None = None) -> Verdict:
    return verify(trail["entries"], trail["roots"], trail["facts"], public_key)


def test_an_honest_trail_holds(made: tuple[Trail, Path]) -> None:
    trail, folder = made
    verdict = check(trail)
    tickets = sum(row["action"].startswith("ticket.") for row in trail["entries"])
    assert verdict.holds and verdict.entries == 11 + tickets and verdict.roots == verdict.signed >= 2
    assert [row["action"] for row in trail["entries"]].count("rules.use") == 1 and tickets == 6
    assert [row["action"] for row in trail["entries"]].count("auto.accept") == 1
    exported = lines_of(folder / "roots.jsonl")
    assert [row["root"] for row in exported] == [row["root"] for row in trail["roots"]]
    assert check({**trail, "roots": exported}, exported[0]["public_key"]).holds
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_character_is_found(made: tuple[Trail, Path], data: st.DataObject) -> None:
    trail = copy.deepcopy(made[0])
    row = data.draw(st.sampled_from(trail["entries"]))
    name = data.draw(st.sampled_from(sorted(row)))
    text = str(row[name])
    at = data.draw(st.integers(0, len(text) - 1))
    flipped = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
    seq = int(made[0]["entries"][trail["entries"].index(row)]["seq"])
    try:
        row[name] = type(row[name])(flipped)
    except ValueError:
        row[name] = flipped
    verdict = check(trail)
    assert verdict.first_bad is not None and verdict.first_bad <= seq


DAMAGES: dict[str, tuple[Callable[[list[Row]], None], int]] = {
    "one dropped": (lambda rows: rows.pop(4), 5),
    "the first dropped": (lambda rows: rows.pop(0), 1),
    "two swapped": (lambda rows: rows.insert(3, rows.pop(4)), 4),
    "one repeated": (lambda rows: rows.insert(3, rows[3]), 5),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_missing_or_misplaced_entry_is_found(made: tuple[Trail, Path], damage: str) -> None:
    trail = copy.deepcopy(made[0])
    hurt, first = DAMAGES[damage]
    hurt(trail["entries"])
    assert check(trail).first_bad == first


def test_a_tail_cut_off_is_found_by_the_roots(made: tuple[Trail, Path]) -> None:
    trail = copy.deepcopy(made[0])
    newest = max(row["size"] for row in trail["roots"])
    trail["entries"] = trail["entries"][: newest - 1]
    assert verify(trail["entries"], trail["roots"]).first_bad == newest
    assert verify(trail["entries"], []).holds, "without an outside anchor nobody can tell"


def test_a_trail_written_anew_is_found_by_the_roots(made: tuple[Trail, Path]) -> None:
    trail, prev, forged = made[0], None, []
    for row in trail["entries"]:
        payload = json.loads(row["payload"])
        payload = {**payload, "reason": "nothing happened"} if row["seq"] == 4 else payload
        prev = entry(prev, row["ts_utc"], row["actor"], row["action"], row["object"], payload)
        forged.append({name: getattr(prev, name) for name in row})
    verdict = verify(forged, trail["roots"])
    assert verdict.first_bad is not None and verdict.first_bad <= 4
    assert verify(forged, [], trail["facts"]).first_bad == 4, "the decision itself tells another story"


def test_roots_that_are_forged_are_found(made: tuple[Trail, Path]) -> None:
    for name, value in (("root", "0" * 64), ("hour", "2026-01-01T00Z"), ("signature", "00" * 64), ("size", 3)):
        trail = copy.deepcopy(made[0])
        trail["roots"][0][name] = value
        assert not check(trail).holds, name
    assert not check(made[0], "11" * 32).holds, "another key than the one pinned"


def test_decisions_changed_removed_or_slipped_in_are_found(made: tuple[Trail, Path]) -> None:
    for hurt in (
        lambda rows: rows[2].update(payload=rows[2]["payload"].replace("look", "book")),
        lambda rows: rows.pop(2),
        lambda rows: rows.append({"object": "x", "payload": "{}"}),
    ):
        trail = copy.deepcopy(made[0])
        hurt(trail["facts"])
        assert not check(trail).holds


def test_the_verb_says_it_with_its_exit_status(made: tuple[Trail, Path], tmp_path: Path) -> None:
    trail = copy.deepcopy(made[0])

    def tieout(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, words)
        return done.exit_code, done.output

    def write() -> None:
        for part, rows in trail.items():
            (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    write()
    status, said = tieout("verify", "--in", str(tmp_path), "--roots", str(made[1] / "roots.jsonl"))
    assert status == 0 and "audit trail holds: 17 entries" in said
    trail["entries"][6]["actor"] = "eve"
    write()
    status, said = tieout("verify", "--in", str(tmp_path))
    assert status == 1 and "BROKEN at entry 7" in said
    (tmp_path / "entries.jsonl").write_text("{")
    assert tieout("verify", "--in", str(tmp_path))[0] == 2
    with pytest.raises(TrailUnreadable):
        lines_of(tmp_path / "nothing")
