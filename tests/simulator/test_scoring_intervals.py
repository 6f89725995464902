"""Wilson intervals against published values, and at the ends."""

import pytest

from simulator.scoring.intervals import Rate, wilson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: the score interval without correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson(hits, trials) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("trials", "low", "high"), [(50, 0.865, 0.989), (200, 0.910, 0.973), (400, 0.924, 0.967), (1_000, 0.935, 0.962)]
)
def test_how_well_a_recall_of_95_percent_is_known(trials: int, low: float, high: float) -> None:
    # 95 % of 50 is no whole number: 48.
    assert wilson(round(0.95 * trials), trials) == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


def test_no_miss_in_200_proves_little() -> None:
    assert wilson(200, 200) == (pytest.approx(0.9812, abs=5e-5), 1.0)
    assert wilson(0, 200) == (0.0, pytest.approx(1 - 0.9812, abs=5e-5))


def test_nothing_from_nothing() -> None:
    assert wilson(0, 0) is None
    assert Rate(0, 0).value is None and Rate(0, 0).interval is None
    assert Rate(0, 0).as_json() == {"hits": 0, "of": 0, "value": None, "low": None, "high": None}


def test_the_share_lies_inside() -> None:
    for trials in (1, 2, 7, 400):
        for hits in range(trials + 1):
            ends = Rate(hits, trials).interval
            assert ends is not None and 0.0 <= ends[0] <= hits / trials <= ends[1] <= 1.0
