"""An installation whose feeds are files, backed up while it reads them and put back elsewhere: it goes on."""

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.backup import back_up
from app.backup_verbs import run_backup, run_restore
from tests.app.test_file_feeds import MAP, OPEN, SETTINGS, Served, ours, served, theirs

FACTS = "SELECT trade_uid, feed, version, qty, status FROM trade_event ORDER BY feed, trade_uid, version"
TOLD = "SELECT break_id, operation, sys_id FROM ticket_outbox ORDER BY break_id, operation"


def installed(root: Path) -> Path:
    """Settings and empty folders."""
    for name in ("ours", "echo"):
        (root / name).mkdir(parents=True)
    (root / "echo.map.yaml").write_text(MAP)
    (root / "tieout.yaml").write_text(yaml.safe_dump(SETTINGS | {"data_dir": "data"}))
    return root / "tieout.yaml"


def dropped(root: Path) -> None:
    """Files of the second half of the day."""
    for n in range(3, 6):
        (root / "ours" / f"{n}.csv").write_text(ours(n))
        (root / "echo" / f"{n}.csv").write_text(theirs(n, shares=90 if n % 2 else 100))
    (root / "echo" / "broken.csv").write_text("nothing,of,use\n1,2,3\n")


def begun(root: Path) -> None:
    """Files of the first half, one break among them."""
    (root / "ours" / "a.csv").write_text(ours(1, 2))
    (root / "echo" / "a.csv").write_text(theirs(1) + theirs(2, side="S").partition("\n")[2])


def state(here: Served) -> dict[str, Any]:
    """What the day came to, and what the ticket system knows of it."""
    with closing(sqlite3.connect(here.here.settings.data_dir / "tickets.sqlite")) as tickets:
        numbers = tickets.execute("SELECT sys_id FROM incident ORDER BY sys_id").fetchall()
    return {
        "facts": here.rows(FACTS), "breaks": here.rows(OPEN), "told": here.rows(TOLD), "tickets": numbers,
        "quarantine": here.rows("SELECT code, raw FROM quarantine"),
    }  # fmt: skip


@pytest.mark.parametrize("copy", ["after", pytest.param("during", marks=pytest.mark.heavy)])
def test_files_tickets_and_executions_come_back_and_known_files_are_known(tmp_path: Path, copy: str) -> None:
    config = installed(tmp_path / "here")
    with served(config) as here:
        begun(config.parent)
        here.settle()
        assert here.rows(OPEN) and here.rows(TOLD)
        dropped(config.parent)
        given = (here.here.settings, here.here.warehouse, here.here.clock, tmp_path / "during")
        copying = threading.Thread(target=back_up, args=given)
        copying.start()
        here.settle()
        copying.join(60)
        ended, manifest = state(here), here.manifest()
        runs = {one.name: one.status for one in here.here.engine.list(limit=1_000)}
    run_backup(tmp_path / "after", config)
    other = installed(tmp_path / "there")
    assert "derived tables identical" in run_restore(tmp_path / copy, other)
    with served(other) as there:
        if copy == "after":
            assert state(there) == ended and there.manifest() == manifest
            assert {one.name: one.status for one in there.here.engine.list(limit=1_000)} == runs
        begun(other.parent)
        dropped(other.parent)
        there.settle()
        assert state(there) == ended, "every file once, whether the copy knew it or not"
        shutil.copy(other.parent / "echo" / "a.csv", other.parent / "echo" / "once-more.csv")
        (other.parent / "ours" / "new.csv").write_text(ours(20))
        there.settle()
        found = {name: status for name, status, _ in there.manifest()}
        assert found["echo/once-more.csv"] == "REPEATED" and found["ours/new.csv"] == "LOADED"
        assert len(there.rows(FACTS)) == len(ended["facts"]) + 1
        assert list(found.values()).count("LOADED") == [one[1] for one in manifest].count("LOADED") + 1
