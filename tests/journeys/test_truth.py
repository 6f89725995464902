"""A labelled day through the whole pipeline: every planted break is found under its code, and nothing else is."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

from app.demo_setup import DemoSetup, prepare
from app.result import Part, lines
from simulator.profiles import DEMO
from simulator.scoring.read import JsonLines
from simulator.scoring.result import result_at
from simulator.scoring.score import Score, as_json, score
from simulator.truth import NoiseTruth
from tests.journeys.inside import Inside, inside
from tests.journeys.service import labels, raw_streams

DAY = date(2026, 11, 20)


def simulated(root: Path, **options: Any) -> DemoSetup:
    """The day with its files, on an installation of its own."""
    return prepare(root / "site", "embedded", DAY, console_port=0, keep_files=True, **options)


def scored(site: Inside, setup: DemoSetup, out: Path) -> Score:
    """What the service says at the end against the truth that was kept beside the day's logs."""
    out.mkdir()
    for part in get_args(Part):
        (out / f"{part}.jsonl").write_text("".join(lines(site.warehouse, part)), encoding="utf-8")
    truth = setup.data / "day" / "truth.jsonl"
    return score(JsonLines(truth.name, truth), result_at(str(out)))


def test_every_planted_break_is_found_under_its_code_and_no_other(tmp_path: Path) -> None:
    setup = simulated(tmp_path, fills=1_000, seed=11)
    with inside(setup.config) as site:
        site.feed(raw_streams(setup.flow))
        assert site.end_of_input()["completeness"]["problems"] == []
        found = scored(site, setup, tmp_path / "out")
    told = as_json(found)
    assert found.perfect, json.dumps(told["examples"], indent=1)
    assert not found.found.secondary and not found.found.explained
    planted = [row.code for row in labels(setup.flow) if row.cured_at is None]
    assert set(planted) == set(DEMO.codes) - {"T28"}, "every code the demo knows occurs, T28 ends by itself"
    assert told["detection"]["labels"] == told["detection"]["exact"] == len(planted) > 30


def test_a_clean_day_full_of_noise_has_no_break(tmp_path: Path) -> None:
    calm = replace(DEMO, breaks="none", adversarial=0)
    setup = simulated(tmp_path, fills=1_000, seed=12, like=calm)
    with inside(setup.config) as site:
        site.feed(raw_streams(setup.flow))
        summary = site.end_of_input()
        found = scored(site, setup, tmp_path / "out")
    assert summary["breaks"] == [] and summary["quarantine"] == {}
    assert summary["completeness"]["problems"] == []
    assert found.perfect and not labels(setup.flow)
    noise = {code for row in setup.flow.truth if isinstance(row, NoiseTruth) for code in row.codes}
    assert len(noise) > 15
