"""The page of a score: self-contained, everything escaped, plots that show the numbers; and the tables beside it."""

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from simulator.scoring.html import html_text
from simulator.scoring.plots import delay_plot
from simulator.scoring.report import write_tables
from simulator.scoring.timeliness import Timeliness
from simulator.scoring.words import percent, seconds
from tests.simulator.scoring_day import Day, group, label, perfect_day, shown, them, us

HOSTILE = '<img src=x onerror=alert(1)>"\x1b[31m\ud800'


def spoiled_day() -> Day:
    day = perfect_day()
    day.breaks.remove(day.report("T01", "F20"))
    day.report("T06", "F25")["code"] = "T16"
    day.breaks.append(shown("T05", us("F1"), them("A1")))
    day.report("T06", "F28").update(state="OPEN", opened_at="2026-11-20T12:09:00Z")
    day.groups.append(group(us("F20"), them("A22")))
    return day


def plots(page: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.S)]


def test_the_page_is_written_and_needs_nothing_else(tmp_path: Path) -> None:
    truth, result = spoiled_day().write(tmp_path)
    page = tmp_path / "score.html"
    ran = CliRunner().invoke(app, ["score", "--truth", str(truth), "--result", str(result), "--html", str(page)])
    assert ran.exit_code == 1
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert not re.search(r"<script|<link|<img|url\(|https?:|\son\w+=|@import", text)
    assert "color-scheme: light dark" in text
    assert "11 labels: 1 missed, 1 under another code, 2 false, 1 link wrong" in text


def test_plots_show_the_numbers(tmp_path: Path) -> None:
    recall, confusion, delay = plots(html_text(spoiled_day().score(tmp_path)))
    told = [title.text or "" for title in recall.iter("title")]
    assert "T01 missing at pb: 1 of 2, 50.00%, 95% 0.095–0.905" in told
    assert len(told) == 7
    cells = {title.text for title in confusion.iter("title")}
    assert {"T06 reported as T16: 1 of 1", "T01 missed: 1 of 2", "nothing reported as T05: 1 of 2"} <= cells
    assert {"nothing reported as T06: 1 of 2", "T05 reported as T05: 3 of 3"} <= cells
    assert sum(int((title.text or ": 0").rpartition(": ")[2]) for title in delay.iter("title")) == 10
    for plot in (recall, confusion, delay):
        width, height = float(plot.attrib["width"]), float(plot.attrib["height"])
        for box in plot.iter("rect"):
            x, y, wide, high = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
            assert x >= 0 and y >= 0 and wide >= 0 and high >= 0 and x + wide <= width + 1 and y + high <= height + 1


def test_delays_of_every_size_have_a_place() -> None:
    delays = (-5.0, 0.0, 0.005, 0.3, 7.0, 90.0, 3_000.0, 50_000.0, 1e6)
    told = [title.text for title in ET.fromstring(delay_plot(Timeliness(delays))).iter("title")]
    assert told[0] == "early: 1" and told[-1] == "over 24 h: 1" and len(told) == 16
    late = Timeliness(delays)
    assert (late.early, late.quantile(0.5), late.quantile(0.99)) == (1, 7.0, 1e6)
    one = ET.fromstring(delay_plot(Timeliness((0.25,))))
    assert [title.text for title in one.iter("title")] == ["< 0.5 s: 1"]


def test_a_perfect_page_and_an_empty_one(tmp_path: Path) -> None:
    page = html_text(perfect_day().score(tmp_path / "perfect"))
    assert '<h1 class="good">Perfect: 11 labels' in page and "Missed" not in page
    day = perfect_day()
    day.truth = [row for row in day.truth if row["kind"] in ("run", "match", "noise", "twins")]
    day.breaks, day.quarantine = [], []
    page = html_text(day.score(tmp_path / "empty"))
    assert "<svg" not in page and "0 labels" in page
    assert "—" in page


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    day = perfect_day()
    day.truth.append(label(HOSTILE, us(HOSTILE), [], case=HOSTILE, break_id=HOSTILE))
    day.breaks.append(shown(HOSTILE + "2", us("F1"), [], break_id=HOSTILE))
    found = day.score(tmp_path)
    page = html_text(found)
    assert "<img" not in page and "&lt;img" in page
    page.encode("utf-8")
    out = io.StringIO()
    write_tables(found, out)
    assert "\x1b" not in out.getvalue() and "\ud800" not in out.getvalue() and "<img src=x" in out.getvalue()


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "—"), (0.0, "0%"), (1.0, "100%"), (0.5, "50.00%"), (0.99999, "99.99%"), (0.000001, "0.01%")],
)
def test_percent_never_rounds_to_all_or_nothing(value: float | None, said: str) -> None:
    assert percent(value) == said


def test_seconds_in_words() -> None:
    assert [seconds(value) for value in (0.0005, 2.0, 110.0, 600.0, 7_200.0)] == [
        "0.0005 s", "2 s", "110 s", "10.0 min", "2.0 h"
    ]  # fmt: skip


@pytest.mark.browser
def test_a_browser_shows_it_without_complaint(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("no Chromium here")
    page_file = tmp_path / "score.html"
    page_file.write_text(html_text(spoiled_day().score(tmp_path)), encoding="utf-8")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(page_file.as_uri())
        assert page.locator("svg").count() == 3
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert page.locator("h1").inner_text().startswith("11 labels")
        browser.close()
    assert said == [] and wide <= 1280
