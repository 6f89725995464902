"""The break model: deterministic, calibrated, and able to say why."""

import numpy as np
import pytest

from anomaly.features import COLUMNS
from anomaly.model import BreakModel, ModelConfig, cold_start, model_version
from anomaly.prior import synthetic_breaks

ORDINARY = {
    "log_exposure": 4.2, "relative_delta": 0.05, "minutes_to_deadline": 420.0, "hour": 12.5, "code_rarity": 0.9,
    "pb_breaks": 2.0, "account_breaks": 1.5, "instrument_breaks": 0.69, "twin_density": 0.0, "members": 1.1,
    "one_sided": 0.0, "not_equity": 0.0, "generation": 0.0, "severity": 2.0,
}  # fmt: skip
STRANGE = {
    **ORDINARY, "log_exposure": 8.1, "relative_delta": 0.99, "minutes_to_deadline": -400.0, "twin_density": 2.5,
    "members": 3.4, "severity": 4.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> BreakModel:
    return cold_start()


def test_a_strange_severe_break_outranks_an_ordinary_one_and_says_why(model: BreakModel) -> None:
    ordinary, strange = model.score([ORDINARY, STRANGE])
    assert strange.score > 0.99 > 0.7 > ordinary.score
    assert strange.p_value < 0.01 < 0.3 < ordinary.p_value
    texts = [reason.text for reason in strange.reasons]
    assert "exposure is higher than 99% of breaks seen" in texts
    assert texts[-1].startswith("severity is CRITICAL, higher than 9")
    assert ordinary.reasons


def test_one_extreme_value_is_enough_and_is_named(model: BreakModel) -> None:
    huge, late = model.score([{**ORDINARY, "log_exposure": 7.5}, {**ORDINARY, "minutes_to_deadline": -900.0}])
    assert max(huge.p_value, late.p_value) < 0.1
    assert huge.reasons[0].text == "exposure is higher than 99% of breaks seen"
    assert late.reasons[0].text == "time left to the deadline is lower than 99% of breaks seen"
    assert huge.score > model.score([ORDINARY])[0].score + 0.4


def test_training_twice_gives_the_same_model_and_scores(model: BreakModel) -> None:
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in synthetic_breaks(200, 3).tolist()]
    again = cold_start()
    assert again.version == model.version
    assert again.score(rows) == model.score(rows)
    # One row at a time is the same as all at once: a batch boundary must not move a score.
    assert [model.score([row])[0] for row in rows[:5]] == model.score(rows)[:5]


def test_the_version_follows_configuration_and_training_data(model: BreakModel) -> None:
    data = synthetic_breaks(100, 1)
    versions = {
        model_version(ModelConfig(), data),
        model_version(ModelConfig(trees=50), data),
        model_version(ModelConfig(), synthetic_breaks(100, 2)),
        model.version,
        cold_start(history=[ORDINARY] * 10).version,
    }
    assert len(versions) == 5


def test_p_values_and_scores_of_ordinary_breaks_are_close_to_uniform(model: BreakModel) -> None:
    fresh = [dict(zip(COLUMNS, row, strict=True)) for row in synthetic_breaks(1_000, 99).tolist()]
    scored = model.score(fresh)
    for share in (0.05, 0.1, 0.5):
        assert abs(np.mean([item.p_value <= share for item in scored]) - share) < 0.045
        assert abs(np.mean([item.score > 1 - share for item in scored]) - share) < 0.045


def test_unknown_features_count_as_ordinary(model: BreakModel) -> None:
    empty, nulls, wild = model.score([{}, dict.fromkeys(COLUMNS), {"log_exposure": float("nan"), "other": 1.0}])
    assert empty == nulls == wild
    assert empty.p_value > 0.3


def test_history_teaches_what_is_ordinary_here() -> None:
    unusual = {**ORDINARY, "log_exposure": 7.5}
    before = cold_start().score([unusual])[0]
    history = [{**ORDINARY, "log_exposure": 7.5 + n / 1_000, "hour": 12.0 + n / 500} for n in range(800)]
    after = cold_start(history=history).score([unusual])[0]
    assert after.p_value > before.p_value + 0.2


def test_too_little_training_data_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        BreakModel(ModelConfig(), synthetic_breaks(10, 1))
