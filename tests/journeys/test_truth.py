"""A labelled day through the whole pipeline: every planted break is found under its code, and nothing else is."""

from collections import defaultdict
from datetime import date
from pathlib import Path

from app.demo_setup import prepare
from simulator.corrupt import BreakRates
from simulator.day import simulate_day
from simulator.score import SeenBreak, score, seen_in_message
from tests.journeys.inside import Inside, inside

DAY = date(2026, 11, 20)
_MEMBERS = """
SELECT b.break_id, b.code, e.trade_uid FROM recon_break b
JOIN recon_break_member m ON m.break_id = b.break_id JOIN trade_event e ON e.record_id = m.record_id
WHERE b.state = 'OPEN'
"""


def seen_by(site: Inside) -> list[SeenBreak]:
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in site.rows(_MEMBERS):
        members[row["break_id"], row["code"]].add(row["trade_uid"])
    held = [seen_in_message("I01", row["raw"]) for row in site.rows("SELECT raw FROM quarantine")]
    return [SeenBreak(code, frozenset(uids)) for (_, code), uids in members.items()] + held


def test_every_planted_break_is_found_under_its_code_and_no_other(tmp_path: Path) -> None:
    setup = prepare(tmp_path / "site", "embedded", DAY, fills=1_000, seed=11, console_port=0, keep_files=False)
    with inside(setup.config) as site:
        site.feed({session: [m.raw for m in stream] for session, stream in setup.day.streams.items()})
        assert site.end_of_input()["completeness"]["problems"] == []
        found = score(setup.day.truth, seen_by(site))
    assert (found.missed, found.extra) == ((), ())
    assert sum(item.found for item in found.by_code.values()) == sum(row.cured_at is None for row in setup.day.breaks)


def test_a_clean_day_full_of_noise_has_no_break(tmp_path: Path) -> None:
    setup = prepare(tmp_path / "site", "embedded", DAY, fills=20, seed=12, console_port=0, keep_files=False)
    clean = simulate_day(12, DAY, 1_000, BreakRates.none())
    with inside(setup.config) as site:
        site.feed({session: [m.raw for m in stream] for session, stream in clean.streams.items()})
        summary = site.end_of_input()
    assert summary["breaks"] == [] and summary["quarantine"] == {}
    assert summary["completeness"]["problems"] == []
