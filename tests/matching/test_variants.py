"""Ids that one side writes otherwise: zeros, prefixes, suffixes, separators, case."""

import random
from importlib import resources

import pytest

from matching.rules import RuleError, load_rules, parse_rules
from tests.matching.desk import LATE, T0, Desk, Row, ours, theirs

# Our id, the id they quote, and whether it is the same.
CASES = (
    ("E1042", "0000E1042", True),
    ("000123", "123", True),
    ("e-20/42", "E2042", True),
    ("E3042", "ALPHA-E3042", True),
    ("E4042", "E4042.01", True),
    ("X7001234", "7001234", True),
    ("O77-1", "O77-2", False),
    ("A-E5042", "B-E5042", False),
    ("E6042", "E6043", False),
    ("E1", "1", False),
)


def told(number: int) -> list[Row]:
    """Ours and theirs of a case in a line of its own, of another quantity: an id alone can say they are one."""
    own, quoted, _ = CASES[number]
    more = {"instrument_id": f"LINE-{number}", "symbol": f"LINE-{number}"}
    return [
        ours(own, record_id=f"L{number}", client_order_id=f"C{number}", **more),
        theirs(f"B{number}", quoted, record_id=f"R{number}", client_order_id=None, qty="90", **more),
    ]


@pytest.fixture(scope="module")
def desk() -> Desk:
    made = Desk(load_rules())
    made.match([row for number in range(len(CASES)) for row in told(number)], as_of=LATE)
    return made


@pytest.mark.parametrize("number", range(len(CASES)))
def test_an_id_is_the_same_but_for_what_one_side_adds(desk: Desk, number: int) -> None:
    sql = "select g.pass_id from match_group g join match_member m on m.group_id = g.group_id where m.record_id = :r"
    found = [row["pass_id"] for row in desk.table(sql, {"r": f"L{number}"})]
    assert (found == ["P14-exec-id-variant"]) == CASES[number][2], found


def test_what_differs_is_named_and_arrival_does_not_matter(desk: Desk) -> None:
    same = {f"LINE-{number}" for number, case in enumerate(CASES) if case[2]}
    codes = "select instrument_id, code from recon_break where state = 'OPEN' order by 1, 2"
    assert {row["instrument_id"] for row in desk.table(codes) if row["code"] == "T05"} >= same
    rows = [row for number in range(len(CASES)) for row in told(number)]
    random.Random(5).shuffle(rows)
    other = Desk(desk.rules)
    for part in range(2):
        other.match(rows[part::2], as_of=T0 + part)
    other.match(as_of=LATE)
    assert other.table(codes) == desk.table(codes)


def test_variants_are_of_ids_alone() -> None:
    shipped = resources.files("matching").joinpath("rules.yaml").read_text(encoding="utf-8")
    keys = "keys: [uid=cross_uid, trade_date, instrument, direction]\n    variants"
    text = shipped.replace(keys, "keys: [account]\n    variants")
    with pytest.raises(RuleError, match="variants are of ids"):
        parse_rules(text)
