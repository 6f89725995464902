"""Files as feeds of the running service: taken once they are whole, kept, read once, and found again after a crash."""

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from app.evidence import explain_text
from app.file_feeds import archive_of
from app.file_poller import FilePoller
from app.installation import Installation, open_installation
from app.quarantine import retry
from app.reconcile import given_by
from app.reconcile_match import tie_out
from app.settings import load
from app.simulate import SimulateOptions, run_simulate
from domain.errors import PermanentError, TransientError
from ingest.files.archive import FileArchive
from ingest.normalise import Normalised
from ingest.retry import Selection
from ingest.store import store_again
from matching.rules import load_rules
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

OURS = "trade id,account,symbol,side,quantity,price,currency,execution time,prime broker\n"
THEIRS = "Ref,Acct,Ticker,BS,Shares,Px,Ccy,Time,Client Ref\n"
MAP = """
columns: {trade_uid: Ref, account: Acct, symbol: Ticker, side: BS, qty: Shares, price: Px, trade_ccy: Ccy,
  event_time: Time, cross_uid: Client Ref}
sides: {B: BUY, S: SELL}
zone: UTC
"""
SETTINGS: dict[str, Any] = {
    "files": {"poll_seconds": 0.001, "settled_seconds": 0, "max_mb": 1},
    "feeds": [
        {"name": "OMS", "role": "INTERNAL", "party": "FUND", "path_glob": "ours/*.csv"},
        {"name": "ECHO", "role": "PB", "party": "ECHO", "path_glob": "echo/*.csv", "map": "echo.map.yaml"},
    ],
}


OPEN = "SELECT break_id, code, left_value, right_value FROM recon_break WHERE state = 'OPEN' ORDER BY break_id, code"


def ours(*numbers: int) -> str:
    rows = [f"E{n},F-1,NVDA,BUY,{100 + n},10.5,USD,2026-11-24T14:30:{n:02d}Z,ECHO" for n in numbers]
    return OURS + "\n".join(rows) + "\n"


def theirs(*numbers: int, shares: int = 100, side: str = "B") -> str:
    rows = [f"P{n},F-1,NVDA,{side},{shares + n},10.5,USD,2026-11-24T14:30:{n:02d}Z,E{n}" for n in numbers]
    return THEIRS + "\n".join(rows) + "\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for name in ("ours", "echo"):
        (tmp_path / name).mkdir()
    (tmp_path / "echo.map.yaml").write_text(MAP)
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump(SETTINGS))
    return tmp_path / "tieout.yaml"


class Served:
    """An installation and its poller, stepped by the test."""

    def __init__(self, here: Installation) -> None:
        self.here, self.poller = here, FilePoller(here)

    def settle(self) -> None:
        """Until everything in the folders was looked at after now and is reconciled."""
        deadline = time.monotonic() + 60
        # The look that is under way may be of before now.
        until = self.poller.looks + 2
        while self.poller.step() or not self.poller.idle or self.poller.looks < until:
            assert time.monotonic() < deadline, self.poller.waiting()
            time.sleep(0.002)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.here.warehouse.query(sql).to_pylist()
        return found

    def manifest(self) -> list[tuple[str, str, int]]:
        found = self.rows("SELECT name, status, row_count FROM file_manifest ORDER BY recv_time_utc, feed DESC, name")
        return [(row["name"], row["status"], row["row_count"]) for row in found]

    def counts(self) -> dict[str, int]:
        found = self.rows("SELECT outcome, count(*) AS n FROM raw_message GROUP BY outcome")
        return {row["outcome"]: row["n"] for row in found}


@contextlib.contextmanager
def served(config: Path) -> Iterator[Served]:
    with open_installation(load(config)) as here:
        one = Served(here)
        try:
            yield one
        finally:
            one.poller.close()


def test_a_day_of_files_dropped_one_by_one(config: Path) -> None:
    root = config.parent
    with served(config) as here:
        (root / "ours" / "a.csv").write_text(ours(1, 2, 3))
        (root / "echo" / "a.csv").write_text(theirs(1, 2))
        here.settle()
        assert here.manifest() == [("ours/a.csv", "LOADED", 3), ("echo/a.csv", "LOADED", 2)]
        assert here.counts() == {"FACT": 5}
        # The same bytes under another name, the same file touched: nothing. Then one whose first row is known already.
        (root / "echo" / "again.csv").write_text(theirs(1, 2))
        (root / "echo" / "a.csv").touch()
        here.settle()
        (root / "echo" / "a.csv").write_text(theirs(1) + theirs(3, shares=50).removeprefix(THEIRS))
        (root / "echo" / "broken.csv").write_text("nothing,of,use\n1,2,3\n")
        (root / "echo" / "empty.csv").write_text("")
        here.settle()
        names = {name: (status, rows) for name, status, rows in here.manifest()[2:]}
        changed = next(name for name in names if name.startswith("echo/a.csv@"))
        assert names == {
            "echo/again.csv": ("REPEATED", 0), changed: ("LOADED", 2), "echo/broken.csv": ("STOPPED", 0),
            "echo/empty.csv": ("EMPTY", 0),
        }  # fmt: skip
        assert here.counts() == {"FACT": 6, "DUPLICATE": 1, "QUARANTINE": 2}
        bad = here.rows("SELECT code, file, raw FROM quarantine ORDER BY file")
        assert [(row["code"], row["file"], bytes(row["raw"])) for row in bad] == [
            ("I07", "echo/broken.csv", b"nothing,of,use\n1,2,3\n"), ("I06", "echo/empty.csv", b""),
        ]  # fmt: skip
        (differs,) = here.rows("SELECT break_id FROM recon_break WHERE code = 'T05'")
        text = explain_text(here.here.explain(differs["break_id"]))
        assert f"ECHO  {changed} line 3  received" in text and "P3,F-1,NVDA,B,53" in text
        groups = here.rows("SELECT count(*) AS n FROM match_group")
        assert groups == [{"n": 3}]
        assert here.here.completeness().problems == () or "ticket" in str(here.here.completeness().problems)
        kept = here.poller.archive
        assert all(kept.read(feed, one.sha256) for feed in kept.feeds() for one in kept.receipts(feed) if one.size)
        assert {path.stat().st_mode & 0o77 for path in kept.root.rglob("*")} == {0}


def test_what_is_no_whole_file_of_this_folder_is_not_read(config: Path) -> None:
    root = config.parent
    elsewhere = root / "secret.csv"
    elsewhere.write_text(theirs(9))
    echo = root / "echo"
    (echo / "link.csv").symlink_to(elsewhere)
    os.mkfifo(echo / "pipe.csv")
    (echo / ".hidden.csv").write_text(theirs(8))
    (echo / "big.csv").write_text(theirs(1) + "x" * 1_100_000)
    settings = {**SETTINGS, "feeds": [dict(SETTINGS["feeds"][0]), {**SETTINGS["feeds"][1], "path_glob": "echo/*"}]}
    config.write_text(yaml.safe_dump(settings))
    (echo / "half.csv.part").write_text(theirs(7))
    (root / "ours").rmdir()
    with served(config) as here:
        here.settle()
        assert here.manifest() == [("echo/big.csv", "STOPPED", 0)]
        told = here.rows("SELECT subject, detail, state FROM alert ORDER BY detail")
        assert [(row["subject"], row["detail"]) for row in told] == [
            ("ECHO", "echo/link.csv: a link, not a file; not read"),
            ("ECHO", "echo/pipe.csv: not a regular file; not read"), ("OMS", "folder ours: does not exist"),
        ]  # fmt: skip
        (bad,) = here.rows("SELECT detail, raw FROM quarantine")
        assert "larger than files.max_mb (1)" in bad["detail"] and bad["raw"].startswith(THEIRS.encode())
        size = (echo / "big.csv").stat().st_size
        told = here.rows("SELECT m.length, f.size FROM raw_message m JOIN file_manifest f ON f.file_id = m.sha256")
        assert told == [{"length": size, "size": size}]
        (root / "ours").mkdir()
        (echo / "link.csv").unlink()
        (echo / "pipe.csv").unlink()
        here.settle()
        assert {row["state"] for row in here.rows(
            "SELECT state FROM alert QUALIFY row_number() OVER (PARTITION BY alert_key ORDER BY noted_at DESC) = 1")
        } == {"CLEARED"}  # fmt: skip


def test_a_file_is_taken_once_it_stands_still(config: Path) -> None:
    settings = {**SETTINGS, "files": {"poll_seconds": 0.001, "settled_seconds": 0.25}}
    config.write_text(yaml.safe_dump(settings))
    with served(config) as here, (config.parent / "ours" / "a.csv").open("w") as file:
        for text in (OURS, ours(1, 2)[len(OURS) :]):
            file.write(text)
            file.flush()
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                here.poller.step()
            assert here.manifest() == []
        here.settle()
        assert here.manifest() == [("ours/a.csv", "LOADED", 2)]


def test_rows_are_read_again_from_the_archive_once_they_can_be_read(config: Path) -> None:
    root = config.parent
    with served(config) as here:
        (root / "echo" / "a.csv").write_text(theirs(1) + theirs(2, side="K").removeprefix(THEIRS))
        (root / "echo" / "b.csv").write_text(theirs(3).replace("Shares", "Stock"))
        here.settle()
        assert here.manifest() == [("echo/a.csv", "LOADED", 2), ("echo/b.csv", "STOPPED", 0)]
        held = here.rows("SELECT file, line, reason FROM quarantine ORDER BY file")
        assert [(row["file"], row["line"]) for row in held] == [("echo/a.csv", 3), ("echo/b.csv", None)]
        for path in (root / "echo").iterdir():
            path.unlink()
        assert retry(here.here, Selection())["healed"] == 0
        mended = MAP.replace("B: BUY", "K: BUY, B: BUY")
        for text, became in ((mended, (1, 1, 1)), (mended.replace("Shares", "Stock"), (1, 0, 0))):
            config.with_name("echo.map.yaml").write_text(text)
            told = retry(here.here, Selection())
            assert (told["healed"], told["facts"], told["refused"]) == became
        # The outcome of a message is of when it came; what it became is told beside it.
        assert here.counts() == {"FACT": 2, "QUARANTINE": 2}
        assert ("echo/b.csv", "LOADED", 1) in here.manifest()
        uids = [row["trade_uid"] for row in here.rows("SELECT trade_uid FROM trade_event ORDER BY trade_uid")]
        assert uids == ["P1", "P2", "P3"]
        with pytest.raises(PermanentError, match="nothing in quarantine fits"):
            retry(here.here, Selection())


def test_a_file_the_warehouse_refuses_keeps_no_other_from_being_read_again(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(config) as here:
        for name, numbers in (("a.csv", (1,)), ("b.csv", (2, 3))):
            (config.parent / "echo" / name).write_text(theirs(*numbers, side="K"))
        here.settle()
        config.with_name("echo.map.yaml").write_text(MAP.replace("B: BUY", "K: BUY, B: BUY"))

        def refusing(warehouse: Any, batch: Normalised, execution: str) -> pa.Table:
            if "ECHO/echo/a.csv:1" in batch.messages["message_id"].to_pylist():
                raise PermanentError("append to trade_event: value out of range")
            return store_again(warehouse, batch, execution)

        monkeypatch.setattr("app.file_retry.store_again", refusing)
        told = retry(here.here, Selection())
        assert (told["healed"], told["facts"], told["refused"]) == (2, 2, 1)
        (held,) = here.rows("SELECT detail FROM quarantine_retry WHERE NOT healed")
        assert held["detail"] == "cannot be stored: append to trade_event: value out of range"


def ended(config: Path) -> list[dict[str, Any]]:
    """Open breaks once the service has read every file of the settings and all grace has passed."""
    with served(config) as here:
        here.settle()
        last = here.here.due()[1] or 0
        name = f"sweep-{max(last, here.here.clock.now_ns())}"
        task: dict[str, Any] = {
            "execution": name, "tenant": "main", "kind": "sweep", "lane": "", "after": None, "until": None, "count": 0,
            "as_of": int(name.removeprefix("sweep-")), "marks": {},
        }  # fmt: skip
        here.here.engine.start(name, task)
        assert here.here.engine.wait(name, 60).status == "SUCCEEDED"
        check = here.here.completeness()
        assert check.received == check.accounted and check.placed == check.live
        before = here.here.rebuild()
        assert before["before"] == before["after"]
        return here.rows(OPEN)


def tied_out(config: Path) -> list[dict[str, Any]]:
    """Open breaks as `tieout reconcile --config` has them."""
    with contextlib.closing(DuckDbWarehouse()) as warehouse:
        migrate(warehouse)
        given = given_by(load(config), config, warehouse, None)
        tie_out(warehouse, given, load_rules(None), None)
        found: list[dict[str, Any]] = warehouse.query(OPEN).to_pylist()
        return found


def test_files_in_a_folder_end_as_the_tie_out_of_the_folder_does(config: Path) -> None:
    root = config.parent
    config.write_text(yaml.safe_dump({**SETTINGS, "tenant": "main"}))
    (root / "ours" / "a.csv").write_text(ours(1, 2, 3, 4))
    (root / "ours" / "b.csv").write_text(ours(2, 5))
    (root / "echo" / "a.csv").write_text(theirs(1) + theirs(2, shares=50).removeprefix(THEIRS))
    (root / "echo" / "again.csv").write_text((root / "echo" / "a.csv").read_text())
    (root / "echo" / "bad.csv").write_text(theirs(4, side="?") + theirs(9).removeprefix(THEIRS))
    (root / "echo" / "cut.csv").write_text("Ref,Ac")
    there = tied_out(config)
    assert {row["code"] for row in there} >= {"T01", "T05", "I01", "I07"}
    assert ended(config) == there


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_a_simulated_day_of_files_ends_as_its_tie_out_does(tmp_path: Path) -> None:
    run_simulate(SimulateOptions(out=tmp_path / "day", profile="smoke", date="2026-11-20"), lambda _text: None)
    settings = yaml.safe_load((tmp_path / "day" / "tieout.yaml").read_text())
    feeds = [{name: value for name, value in feed.items() if name != "session"} for feed in settings["feeds"]]
    config = tmp_path / "day" / "files.yaml"
    config.write_text(
        yaml.safe_dump({**settings, "tenant": "main", "feeds": feeds, "files": {**SETTINGS["files"], "max_mb": 64}})
    )
    there = tied_out(config)
    assert len(there) > 300 and ended(config) == there


def test_a_file_whose_execution_cannot_be_started_waits(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config.parent / "ours" / "a.csv").write_text(ours(1))
    with served(config) as here:
        start, failed = here.here.engine.start, list[str]()

        def out_of_reach(name: str, *given: Any) -> None:
            if name not in failed:
                failed.append(name)
                raise TransientError("the engine is out of reach")
            start(name, *given)

        monkeypatch.setattr(here.here.engine, "start", out_of_reach)
        with pytest.raises(TransientError):
            here.settle()
        assert here.poller.waiting() == {"OMS": 1, "ECHO": 0} and here.manifest() == []
        here.settle()
        assert here.manifest() == [("ours/a.csv", "LOADED", 1)]


class Died(BaseException):
    """The process is gone."""


def mortal(here: Served, dies_at: int, patched: pytest.MonkeyPatch) -> None:
    """Die at the n-th step on the way of a file: before or after it is kept, its receipt noted, its execution begun."""
    steps = itertools.count(1)

    def around(action: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **more: Any) -> Any:
            if next(steps) >= dies_at:
                raise Died
            found = action(*given, **more)
            if next(steps) >= dies_at:
                raise Died
            return found

        return step

    for name in ("take", "note"):
        patched.setattr(FileArchive, name, around(getattr(FileArchive, name)))
    patched.setattr(here.here.engine, "start", around(here.here.engine.start))


EVERY = pytest.param(range(1, 14), marks=[pytest.mark.heavy, pytest.mark.timeout(300)])


@pytest.mark.parametrize("deaths", [(2, 4, 10), EVERY])
def test_a_crash_at_any_step_loses_no_file_and_reads_none_twice(
    config: Path, monkeypatch: pytest.MonkeyPatch, deaths: Sequence[int]
) -> None:
    (config.parent / "ours" / "a.csv").write_text(ours(1, 2))
    (config.parent / "echo" / "a.csv").write_text(theirs(1, 2))
    for dies_at in deaths:
        with monkeypatch.context() as patched, served(config) as here:
            mortal(here, dies_at, patched)
            with contextlib.suppress(Died):
                here.settle()
    with served(config) as here:
        here.settle()
        assert sorted(here.manifest()) == [("echo/a.csv", "LOADED", 2), ("ours/a.csv", "LOADED", 2)]
        assert here.counts() == {"FACT": 4}
        assert len(here.here.engine.list()) == 2
        assert not list(archive_of(here.here.settings).root.rglob(".taking"))
