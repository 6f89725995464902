"""The scorer punishes what is wrong: one planted mistake at a time, and exactly the measures that must move."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.scoring.score import as_json
from tests.simulator.scoring_day import Day, Row, group, label, match, numbers, perfect_day, shown, them, us

# What every miss moves; a miss of a label without money or without a time of opening moves less.
MISSED = {"perfect", "recall", "recall under the code", "macro F1", "missed", "money"}
FALSE = {"perfect", "precision", "false", "false per 1,000"}


@pytest.fixture
def moved(tmp_path: Path) -> Callable[[Callable[[Day], None]], dict[str, Any]]:
    """Apply a mistake to the perfect day; the measures that differ, with their new values."""

    def run(mistake: Callable[[Day], None]) -> dict[str, Any]:
        before = numbers(perfect_day().score(tmp_path / "before"))
        day = perfect_day()
        mistake(day)
        after = numbers(day.score(tmp_path / "after"))
        return {name: value for name, value in after.items() if value != before[name]}

    return run


Moved = Callable[[Callable[[Day], None]], dict[str, Any]]


def test_a_perfect_result_is_perfect(tmp_path: Path) -> None:
    found = perfect_day().score(tmp_path)
    assert numbers(found) == {
        "perfect": True, "recall": 1.0, "recall under the code": 1.0, "precision": 1.0, "macro F1": 1.0, "missed": 0,
        "false": 0, "false per 1,000": 0.0, "stale": 0, "closed wrongly": 0, "cured and closed": 1, "twice": 0,
        "secondary": 0, "explained": 1, "money": 1.0, "links right": 1.0, "links found": 1.0, "median delay": 2.0,
        "longest delay": 2.0, "came and went": 0, "waiting": 0,
    }  # fmt: skip
    said = as_json(found)
    assert said["detection"]["labels"] == 11
    assert said["grouping"]["recall"]["of"] == 10 + 2 + 3 + 5 + 2
    assert said["grouping"]["precision"]["of"] == 10 + 2 + 3 + 2
    assert said["truth"]["clean_bookings"] == 500
    assert said["cured"]["labels"] == 2
    assert {code: said["codes"][code]["labels"] for code in said["codes"]} == {
        "I01": 1, "I05": 1, "T01": 2, "T02": 1, "T05": 3, "T06": 1, "T14": 2
    }  # fmt: skip


def test_a_missed_break(moved: Moved) -> None:
    after = moved(lambda day: day.breaks.remove(day.report("T02", "A22")))
    assert set(after) == MISSED
    assert (after["missed"], after["recall"], after["macro F1"]) == (1, 10 / 11, pytest.approx(6 / 7))


def test_a_missed_break_of_a_pair_loses_its_link_too(moved: Moved) -> None:
    after = moved(lambda day: day.breaks.remove(day.report("T06", "F25")))
    # The cured T06 keeps its code in the table, but no label of it is found.
    assert set(after) == {*MISSED, "links found"}


def test_a_miss_is_dear_as_its_money(moved: Moved) -> None:
    dear = moved(lambda day: day.breaks.remove(day.report("T01", "F20")))
    cheap = moved(lambda day: day.breaks.remove(day.report("T01", "F21")))
    assert set(dear) == set(cheap) == MISSED
    assert all(dear[name] == cheap[name] for name in MISSED - {"money"})
    total = 1_000_000 + 100 + 7 * 1_000
    assert dear["money"] == pytest.approx(1 - 1_000_000 / total)
    assert cheap["money"] == pytest.approx(1 - 100 / total)


def test_a_damaged_message_left_out_of_quarantine(moved: Moved) -> None:
    assert set(moved(lambda day: day.quarantine.clear())) == MISSED - {"money"}


def test_a_false_break_on_a_clean_pair(moved: Moved, tmp_path: Path) -> None:
    after = moved(lambda day: day.breaks.append(shown("P09", us("F1"), them("A1"))))
    assert set(after) == FALSE
    assert (after["false"], after["false per 1,000"], after["precision"]) == (1, 2.0, 11 / 12)
    day = perfect_day()
    day.breaks.append(shown("T05", us("F1"), them("A1")))
    found = day.score(tmp_path)
    assert found.by_noise == {"N06": 1, "N14": 1, "N20": 1}
    assert found.classes.matrix["nothing", "T05"] == 1


def test_a_false_break_spoils_its_code_s_f1(moved: Moved) -> None:
    after = moved(lambda day: day.breaks.append(shown("T05", us("F1"), them("A1"))))
    assert set(after) == {*FALSE, "macro F1"}
    assert after["macro F1"] == pytest.approx((6 + 6 / 7) / 7)


def test_a_wrong_code_is_found_but_misnamed(moved: Moved, tmp_path: Path) -> None:
    def mistake(day: Day) -> None:
        day.report("T06", "F25")["code"] = "T16"

    after = moved(mistake)
    assert set(after) == {"perfect", "recall under the code", "macro F1"}
    day = perfect_day()
    mistake(day)
    found = day.score(tmp_path)
    assert found.classes.matrix["T06", "T16"] == 1 and ("T06", "T06") not in found.classes.matrix
    codes = {one.code: one for one in found.classes.codes}
    assert (codes["T06"].recall.value, codes["T06"].exact_recall.value) == (1.0, 0.0)
    assert (codes["T16"].labels, codes["T16"].miscoded, codes["T16"].precision.value) == (0, 1, 0.0)


def test_two_one_sided_breaks_instead_of_one_named(moved: Moved) -> None:
    def mistake(day: Day) -> None:
        day.breaks.remove(day.report("T06", "F25"))
        day.breaks += [shown("T01", us("F25"), []), shown("T02", [], them("A25"))]

    # Found, under another code, with more said about it; and nobody put the two records together.
    assert set(moved(mistake)) == {"perfect", "recall under the code", "macro F1", "secondary", "links found"}


def test_a_break_on_the_wrong_records_is_a_miss_and_a_false_one(moved: Moved) -> None:
    def mistake(day: Day) -> None:
        day.breaks.remove(day.report("T02", "A22"))
        day.breaks.append(shown("T02", [], them("A2")))

    after = moved(mistake)
    assert set(after) == MISSED | FALSE
    assert (after["missed"], after["false"]) == (1, 1)


def test_one_report_does_not_stand_for_both_breaks_of_a_trade(moved: Moved) -> None:
    assert set(moved(lambda day: day.breaks.remove(day.report("T14", "F27")))) == MISSED


def swap(day: Day, one: str, other: str) -> None:
    first, second = day.group_with(one), day.group_with(other)
    first["right"], second["right"] = second["right"], first["right"]


def test_swapped_records_are_wrong_links(moved: Moved) -> None:
    after = moved(lambda day: swap(day, "F1", "F2"))
    assert set(after) == {"perfect", "links right", "links found"}
    assert (after["links right"], after["links found"]) == (15 / 17, 20 / 22)


def test_swapped_twins_are_not(moved: Moved) -> None:
    assert moved(lambda day: swap(day, "F11", "F12")) == {}


def test_a_twin_swapped_with_a_stranger_is(moved: Moved) -> None:
    assert set(moved(lambda day: swap(day, "F11", "F1"))) == {"perfect", "links right", "links found"}


def test_a_missing_link(moved: Moved) -> None:
    after = moved(lambda day: day.groups.remove(day.group_with("F3")))
    assert set(after) == {"perfect", "links found"}
    assert after["links found"] == 21 / 22


def test_a_fill_left_out_of_its_booking(moved: Moved) -> None:
    after = moved(lambda day: day.group_with("F13")["left"].pop())
    assert set(after) == {"perfect", "links found"}


def test_an_extra_link(moved: Moved) -> None:
    after = moved(lambda day: day.groups.append(group(us("F20"), them("A22"))))
    assert set(after) == {"perfect", "links right"}
    assert after["links right"] == 17 / 18


def test_a_merged_group(moved: Moved) -> None:
    def mistake(day: Day) -> None:
        first, second = day.group_with("F4"), day.group_with("F5")
        first["left"] += second["left"]
        first["right"] += second["right"]
        day.groups.remove(second)

    after = moved(mistake)
    assert set(after) == {"perfect", "links right"}
    assert after["links right"] == 17 / 19


def test_everything_in_one_group_is_no_way_out(tmp_path: Path) -> None:
    day = perfect_day()
    # Large enough to be counted without listing every link; the twins are in it, and some true pairs are not.
    fillers = [(us(f"G{n}"), them(f"H{n}")) for n in range(150)]
    day.truth += [match(f"g{n}", ours, theirs) for n, (ours, theirs) in enumerate(fillers)]
    everything = [row for row in day.groups if row is not day.group_with("F13")]
    merged = group([one for ours, _ in fillers for one in ours], [one for _, theirs in fillers for one in theirs])
    for row in everything:
        merged["left"] += row["left"]
        merged["right"] += row["right"]
        day.groups.remove(row)
    day.groups.append(merged)
    found = day.score(tmp_path)
    assert found.grouping is not None
    assert found.grouping.recall.hits == found.grouping.recall.trials == 22 + 150
    assert found.grouping.precision.trials == (14 + 150) ** 2 + 3
    assert found.grouping.precision.hits == 17 + 150


def test_a_cured_break_still_reported_is_stale(moved: Moved) -> None:
    def mistake(day: Day) -> None:
        day.report("T06", "F28").update(state="ASSIGNED", resolution=None)

    after = moved(mistake)
    assert set(after) == {*FALSE, "stale", "cured and closed", "macro F1"}
    assert (after["stale"], after["false"], after["cured and closed"]) == (1, 1, 0)


@pytest.mark.parametrize(
    "how", [{"state": "CURED"}, {"state": "RESOLVED", "resolution": "auto"}, {"state": "ACCEPTED"}]
)
def test_a_break_that_closed_by_itself_though_still_there(moved: Moved, how: Row) -> None:
    after = moved(lambda day: day.report("T02", "A22").update(how))
    assert set(after) == {*MISSED, "closed wrongly"}
    assert after["closed wrongly"] == 1


def test_a_break_a_person_closed_was_found(moved: Moved) -> None:
    assert moved(lambda day: day.report("T02", "A22").update(state="RESOLVED", resolution="manual")) == {}


def test_a_break_still_inside_grace_was_not(moved: Moved) -> None:
    after = moved(lambda day: day.report("T02", "A22").update(state="EXPECTED", opened_at=None))
    assert set(after) == {*MISSED, "waiting"}


def test_a_late_detection(moved: Moved) -> None:
    after = moved(lambda day: day.report("T02", "A22").update(opened_at="2026-11-20T12:05:00.250+00:00"))
    assert after == {"longest delay": 300.25}


def test_a_break_reported_twice(moved: Moved) -> None:
    assert moved(lambda day: day.breaks.append(shown("T02", [], them("A22"), break_id="again"))) == {"twice": 1}


def test_more_about_a_broken_trade_is_no_false_break(moved: Moved) -> None:
    assert moved(lambda day: day.breaks.append(shown("T18", us("F23"), them("A23")))) == {"secondary": 1}


def test_a_settlement_break_does_not_excuse_a_report_on_its_trade(moved: Moved) -> None:
    def mistake(day: Day) -> None:
        day.truth.append(label("S01", [], them("A8")))
        day.breaks.append(shown("T02", [], them("A8")))

    after = moved(mistake)
    assert (after["missed"], after["false"]) == (1, 1)
    # The other way round: a trade that is broken may well fail to settle.
    assert moved(lambda day: day.breaks.append(shown("S01", [], them("A23")))) == {"secondary": 1}


def test_words_of_an_unreadable_file_find_no_break(tmp_path: Path) -> None:
    day = perfect_day()
    day.breaks.remove(day.report("T02", "A22"))
    day.quarantine.append({"code": "I07", "source": "ALPHA", "raw": "A20;1\nA21;1\nA22;1", "raw_bytes": 17})
    after = numbers(day.score(tmp_path))
    assert (after["missed"], after["false"]) == (1, 1)


def test_a_consequence_may_be_left_out(moved: Moved) -> None:
    assert moved(lambda day: day.breaks.remove(day.report("P01", "ACC-1|AAPL"))) == {"explained": 0}


def test_a_break_that_came_and_went_on_a_clean_pair(moved: Moved) -> None:
    assert moved(lambda day: day.breaks.append(shown("T01", us("F7"), [], state="CURED"))) == {"came and went": 1}


def test_a_missing_twin_may_be_either(tmp_path: Path) -> None:
    day = perfect_day()
    day.truth = [row for row in day.truth if row.get("group_id") != "g-F11"]
    day.truth.append(label("T01", us("F11"), []))
    day.groups = [row for row in day.groups if row["left"][0]["trade_uid"] not in ("F11", "F12")]
    day.groups.append(group(us("F11"), them("A12")))
    day.breaks.append(shown("T01", us("F12"), []))
    assert day.score(tmp_path / "one").perfect
    # Both missing is one too many: the second is false.
    day.breaks.append(shown("T01", us("F11"), []))
    assert numbers(day.score(tmp_path / "both"))["false"] == 1


def test_blocks_and_their_shares(tmp_path: Path) -> None:
    day = perfect_day()
    day.truth += [label("T01", us("MB1"), []), label("T01", us("MB2/MA7"), []), label("T11", us("MB3/MA8"), [])]
    day.breaks += [shown("T01", us("MB1/MA3"), []), shown("T01", us("MB2"), []), shown("T11", us("MB3/MA8"), [])]
    assert day.score(tmp_path / "one").perfect
    # Another share of the same block is another booking.
    day.breaks[-1] = shown("T11", us("MB3/MA9"), [])
    after = numbers(day.score(tmp_path / "other"))
    assert (after["missed"], after["false"]) == (1, 1)


def test_a_report_naming_everything_is_told_apart(tmp_path: Path) -> None:
    day = perfect_day()
    ones = [day.report("T01", "F20"), day.report("T01", "F21")]
    day.breaks = [row for row in day.breaks if row not in ones] + [shown("T01", us("F20", "F21"), [])]
    assert as_json(day.score(tmp_path))["detection"]["found_only_with_others"] == 2


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    day = perfect_day()
    day.breaks += [shown("T18", us("F25"), them("A25")), shown("T01", us("F25"), []), shown("T05", us("F1"), [])]
    day.breaks.remove(day.report("T06", "F25"))
    forward = as_json(day.score(tmp_path))
    for rows in (day.truth, day.breaks, day.groups):
        rows.reverse()
    backward = as_json(day.score(tmp_path))
    # Where each row stands is told; nothing else may differ.
    for said in (forward, backward):
        for row in said["examples"]["false"]:
            row.pop("at")
    assert forward == backward


def test_both_twins_on_one_booking_is_one_link_too_many(moved: Moved) -> None:
    def mistake(day: Day) -> None:
        day.group_with("F12")["right"] = day.group_with("F11")["right"]

    after = moved(mistake)
    assert set(after) == {"perfect", "links right", "links found"}
    assert (after["links right"], after["links found"]) == (16 / 17, 21 / 22)


def test_the_same_group_twice_is_the_same_link(moved: Moved) -> None:
    assert moved(lambda day: day.groups.append(group(us("F1"), them("A1")))) == {}


def test_the_earliest_of_several_reports_counts(moved: Moved) -> None:
    def again(day: Day) -> None:
        late = shown("T02", [], them("A22"), break_id="again", opened_at="2026-11-20T18:00:00Z")
        day.breaks = [late, *day.breaks, {**late, "break_id": "third"}]

    assert moved(again) == {"twice": 1}


def test_an_early_opening_is_a_negative_delay(tmp_path: Path) -> None:
    day = perfect_day()
    for row in day.breaks:
        row["opened_at"] = "2026-11-20T11:59:50Z"
    late = day.score(tmp_path).timeliness
    assert late is not None and late.early == len(late.delays) == 11 and late.quantile(0.5) == -10.0


def test_the_field_decides_between_two_labels_of_one_code(tmp_path: Path) -> None:
    day = perfect_day()
    fees = [label("T17", us("F1"), them("A1"), field=name, break_id=name) for name in ("stamp_duty", "exchange_fee")]
    day.truth += fees
    day.breaks.append(shown("T17", us("F1"), them("A1"), field_family="exchange_fee"))
    found = day.score(tmp_path / "one")
    assert [one.break_id for one in found.missed()] == ["stamp_duty"]
    # Without a field, nobody can say which of them the report leaves out.
    day.breaks[-1]["field_family"] = "fees"
    assert day.score(tmp_path / "either").perfect


def test_the_sign_of_money_does_not_matter(moved: Moved) -> None:
    def short(day: Day) -> None:
        for row in day.truth:
            if row["kind"] == "break":
                row["materiality_usd"] = f"-{row['materiality_usd']}"
        day.breaks.remove(day.report("T01", "F21"))

    assert moved(short) == moved(lambda day: day.breaks.remove(day.report("T01", "F21")))


def test_money_adds_up_whatever_its_sign(tmp_path: Path) -> None:
    day = perfect_day()
    day.truth.append(label("T05", us("F9"), them("A9"), usd=-1_000_000))
    found = day.score(tmp_path)
    assert found.exposure_recall == pytest.approx(1_007_100 / 2_007_100)


def test_one_of_two_interchangeable_pairs_is_not_both(tmp_path: Path) -> None:
    day = perfect_day()
    day.truth.append({"kind": "twins", "source": "ALPHA", "uids": ["A11", "A12"]})
    assert day.score(tmp_path / "both").perfect
    day.groups.remove(day.group_with("F12"))
    assert numbers(day.score(tmp_path / "one"))["links found"] == 21 / 22


def test_a_report_of_another_kind_does_not_find_a_trade_break(moved: Moved) -> None:
    def mistake(day: Day) -> None:
        day.report("T02", "A22")["code"] = "S01"

    assert set(moved(mistake)) == {*MISSED, "secondary"}


def test_a_result_that_looked_once_at_the_end_says_nothing_about_delay(tmp_path: Path) -> None:
    day = perfect_day()
    assert day.score(tmp_path / "live").timeliness is not None
    for row in day.breaks:
        row["opened_at"] = "2026-11-21T01:00:00Z"
    first = next(row for row in day.truth if row["kind"] == "break")
    first["detectable_at"] = "2026-11-20T12:30:00Z"
    assert day.score(tmp_path).timeliness is None
