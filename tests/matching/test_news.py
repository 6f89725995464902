"""What a run is told of its new trades, and that every step asks for a table that is looked into."""

import re
from pathlib import Path
from typing import Any

import pytest

import matching
from matching import news
from matching.news import News
from matching.tables import prepare
from tests.matching.desk import Desk, ours, theirs

ASKED = re.compile(r'"(\w+)" (?:not )?in (?:\w+\.)*present')


@pytest.mark.parametrize(
    ("rows", "odd"),
    [
        ([ours("E1"), theirs("A1", "E1")], set()),
        ([ours("E1", message_id="m"), ours("E1", message_id="m", account_id="OTHER")], {"siblings"}),
        ([theirs("A1", "E1", status="REJECT")], {"refused"}),
        ([ours("E1", flags="I02_CHECKSUM")], {"flagged"}),
        ([], set()),
    ],
)
def test_what_is_odd_about_the_trades_of_a_run_and_of_no_other(desk: Desk, rows: list[Any], odd: set[str]) -> None:
    desk.store([*rows], "this")
    desk.store([ours("F1", message_id="n", flags="I04_"), ours("F2", message_id="n", status="REJECT")], "other")
    prepare(desk.warehouse)
    with desk.warehouse.transaction():
        desk.warehouse.execute("insert into work_execution values ('this')")
        told = news.news(desk.warehouse)
    assert {name for name in ("siblings", "refused", "flagged") if getattr(told, name)} == odd
    assert isinstance(told, News) and told.present == set()


def test_every_table_a_step_asks_for_is_looked_into_and_no_other() -> None:
    files = Path(matching.__path__[0]).rglob("*.py")
    asked = {name for file in files for name in ASKED.findall(file.read_text(encoding="utf-8"))}
    # Besides, statements that need what people decided are left out where nobody decided anything (matching/void.py).
    assert asked | {"match_decision", "match_decided"} == set(news._TABLES)
