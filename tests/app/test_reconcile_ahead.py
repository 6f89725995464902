"""What other processes read of a tie-out's files is what this one reads; what they cannot read is read here."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from app.reconcile import given_by
from app.reconcile_ahead import Ahead, Terms, readers
from app.reconcile_shelf import Shelf
from app.settings import load
from ingest.dialects.dialect import load_dialects
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference
from simulator.profiles import PROFILES
from simulator.simulate import simulate
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

_PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings file of a small simulated day."""
    folder = tmp_path_factory.mktemp("day")
    simulate(replace(PROFILES["smoke"], fills=60), 7, date(2026, 11, 20), folder)
    return folder / "tieout.yaml"


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ahead]:
    """One reader, for files of any size."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("app.reconcile_ahead.LEAST_BYTES", 0)
    with readers(1, worth=1) as found:
        assert found is not None
        yield found


def _read(config: Path, folder: Path, ahead: Ahead | None) -> Normalised:
    with closing(DuckDbWarehouse()) as warehouse:
        migrate(warehouse)
        return given_by(load(config), config, warehouse, None, None, Shelf(folder), ahead).batch


def _idle(ahead: Ahead) -> None:
    end = monotonic() + _PATIENCE_SECONDS
    while (ahead._waiting or not ahead._idle) and monotonic() < end:
        sleep(0.01)


@pytest.mark.parametrize("lost", [False, True])
def test_what_another_process_reads_is_the_same(
    config: Path, tmp_path: Path, ahead: Ahead, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    answers = []
    take = Ahead.take

    def noted(reading: Ahead, path: Path) -> object:
        if not lost and not answers:
            _idle(reading)
        answers.append(take(reading, path))
        return answers[-1]

    monkeypatch.setattr(Ahead, "take", noted)
    if lost:
        for reader in ahead._readers:
            reader.kill()
    again, here = _read(config, tmp_path, ahead), _read(config, tmp_path, None)
    # Files that are refused, or the same as another, are looked at here.
    assert sum(answer is not None for answer in answers) > len(answers) / 2 if not lost else not any(answers)
    for name in ("trades", "messages", "quarantine", "fees", "identifiers"):
        assert getattr(again, name).equals(getattr(here, name)), name
    assert again.facts.keys() == here.facts.keys()
    assert all(rows.equals(here.facts[name]) for name, rows in again.facts.items())


def test_who_has_nothing_to_do_reads_parts_of_a_log(config: Path, tmp_path: Path, ahead: Ahead) -> None:
    feed = next(feed for feed in load(config).feeds if feed.name == "OMS")
    raws = (config.parent / "fund" / "oms.fix").read_bytes().splitlines()[:40]
    runs = [
        RawBatch(
            [raw[raw.index(b"8=FIX") :] for raw in part], [f"{n}:{at}" for at in range(20)], list(range(20)), "lane",
            ["OMS"] * 20, np.zeros(20, dtype=np.int64), [feed] * 20, live=False,
        )
        for n, part in enumerate((raws[:20], raws[20:]))
    ]  # fmt: skip
    reference = Reference(load_dialects())
    ahead.begin({}, Terms(reference, tmp_path, 0, jit=False))
    _idle(ahead)
    here: list[RawBatch] = []

    def work(run: RawBatch) -> Normalised:
        here.append(run)
        return normalise(run, reference)

    found = ahead.share(runs, work)
    assert runs[0] not in here and [one.trades for one in found] == [normalise(run, reference).trades for run in runs]
    assert not list(tmp_path.iterdir())


def test_few_bytes_are_read_by_one_process() -> None:
    with readers(1000) as found:
        assert found is None
