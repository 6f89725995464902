"""Acceptance scenarios about proof: a trail nobody can change unseen, and what was known at a time long past."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from app.decisions import Decisions
from domain.principal import Principal
from tests.journeys.inside import inside
from tests.journeys.scenes import NEW_YORK, booking, fill, tieout
from tests.journeys.test_scenarios_desk import OURS, THEIRS, of, site

ANA = Principal("ana", "user", frozenset({"analyst"}))


@dataclass(frozen=True, slots=True)
class Archive:
    """The settings and data of an installation that was stopped, and a day of its past."""

    config: Path
    data: Path
    day: datetime


def weekday_long_ago() -> datetime:
    """15:00 in New York on a weekday some 90 days back."""
    now = datetime.now(NEW_YORK) - timedelta(days=90)
    day = now - timedelta(days=max(0, now.weekday() - 3))
    return day.replace(hour=15, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A fill and next morning's booking of it, a trade nobody booked, four comments, signed roots."""
    root, day = tmp_path_factory.mktemp("proof"), weekday_long_ago()
    config = site(root)
    utc = day.astimezone(UTC)
    dated = {75: f"{day:%Y%m%d}", 64: f"{day + timedelta(days=1):%Y%m%d}"}
    morning = day + timedelta(hours=18)
    with inside(config) as here:
        ns = int(day.timestamp()) * 1_000_000_000
        here.append(OURS, [fill("L1", "1", of("LATE") | dated, utc), fill("L2", "2", of("NEVER") | dated, utc)], ns)
        here.settle()
        here.append(THEIRS, [booking("RL1", "L1", "1", of("LATE") | dated, utc)], int(morning.timestamp()) * 10**9)
        here.settle()
        decisions = Decisions(here.warehouse, here.clock, lambda _break_id: None)
        missing = here.one("SELECT break_id FROM recon_break WHERE state = 'OPEN'")
        for number in range(4):
            decisions.record(missing, ANA, "comment", f"looked {number} times", {})
    assert tieout("audit", "roots", "--config", config).exit_code == 0
    yield Archive(config, root / "data", day)


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        ("UPDATE audit_entry SET actor = 'eve' WHERE seq = 3", 3),
        ("DELETE FROM audit_entry WHERE seq = 3", 3),
        ("UPDATE audit_entry SET seq = CASE seq WHEN 2 THEN 3 ELSE 2 END WHERE seq IN (2, 3)", 2),
        ("DELETE FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)", None),
    ],
    ids=["altered", "removed", "swapped", "cut"],
)
def test_24_a_trail_that_was_changed_is_found_offline_by_its_first_bad_entry(
    archive: Archive, change: str, first_bad: int | None, tmp_path: Path
) -> None:
    verify = ("verify", "--roots", archive.data / "audit" / "roots.jsonl", "--config", archive.config)
    assert tieout(*verify).exit_code == 0
    warehouse, kept = archive.data / "warehouse.duckdb", tmp_path / "kept"
    shutil.copyfile(warehouse, kept)
    try:
        with duckdb.connect(str(warehouse)) as db:
            last = db.execute("SELECT max(seq) FROM audit_entry").fetchall()[0][0]
            db.execute(change)
        done = tieout(*verify)
    finally:
        shutil.copyfile(kept, warehouse)
    assert done.exit_code == 1, done.output
    assert f"BROKEN at entry {first_bad or last}" in done.stdout, done.stdout


def test_25_what_was_known_at_2045_that_day_is_shown_and_exported(archive: Archive, tmp_path: Path) -> None:
    then = archive.day.replace(hour=20, minute=45).astimezone(UTC)
    out = tmp_path / "examiner"
    done = tieout("export", out, "--as-known-at", f"{then:%Y-%m-%dT%H:%M:%SZ}", "--config", archive.config)
    assert done.exit_code == 0, done.output
    assert "2 messages" in done.stdout and "2 open breaks" in done.stdout, "the booking came next morning"
    assert json.loads((out / "manifest.json").read_text())
    assert {path.name for path in out.iterdir()} >= {"originals", "state", "reference", "trail", "SHA256SUMS"}
    original = b"".join(path.read_bytes() for path in (out / "originals").iterdir() if path.suffix != ".csv")
    assert b"\x0117=L1\x01" in original and b"\x01571=RL1\x01" not in original
    now = tieout("export", tmp_path / "now", "--as-known-at", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                 "--config", archive.config)  # fmt: skip
    assert "3 messages" in now.stdout and "1 open break" in now.stdout
