"""The demo refuses what it cannot simulate, and empties only a folder of its own."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.demo_setup import prepare, trade_date
from app.settings import SettingsError, load
from domain.clock import SystemClock

FRIDAY = date(2026, 11, 20)


def prepared(data: Path, **changes: Any) -> Any:
    options = {"fills": 20, "seed": 7, "console_port": 0, "keep_files": False, **changes}
    return prepare(data, "embedded", FRIDAY, **options)


@pytest.mark.parametrize("text", ["20.11.2026", "2026-13-01", "1950-01-03", "2090-01-03"])
def test_a_day_that_cannot_be_simulated_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=f"--date '?{text}"):
        trade_date(text, SystemClock())


def test_a_seed_below_zero_is_refused_before_anything_is_emptied(tmp_path: Path) -> None:
    setup = prepared(tmp_path / "demo")
    with pytest.raises(SettingsError, match="--seed -1"):
        prepared(tmp_path / "demo", seed=-1)
    assert setup.config.is_file()


def test_a_folder_of_others_is_not_emptied_and_ones_own_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(SettingsError, match="not made by the demo"):
        prepared(tmp_path)
    assert (tmp_path / "mine.txt").exists()
    kept = prepared(tmp_path / "demo", keep_files=True)
    assert (kept.data / "day" / "truth.jsonl").is_file()
    again = prepared(tmp_path / "demo")
    assert not (again.data / "day").exists()


def test_the_settings_load_and_name_what_is_there(tmp_path: Path) -> None:
    setup = prepared(tmp_path / "demo")
    settings = load(setup.config)
    assert [feed.name for feed in settings.feeds] == ["OMS", "ALPHA", "BRAVO", "CHARLIE"]
    assert {path.stem for path in (setup.data / "reference").iterdir()} == set(
        settings.reference.model_dump(exclude_none=True)
    )
    assert setup.trade_date == FRIDAY
