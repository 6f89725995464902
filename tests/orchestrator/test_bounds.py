"""Numbers a definition may say: refused where they are written, told where they are found; and what variables hold."""

from typing import Any

import pytest

from orchestrator import Outcome, run, validate

Json = dict[str, Any]
INNER = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}
DISTRIBUTED = {**INNER, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}


def one(**state: Any) -> Json:
    return {"StartAt": "A", "States": {"A": {"End": True, **state}}}


def mapped(**fields: Any) -> Json:
    return one(Type="Map", **{"ItemProcessor": DISTRIBUTED, **fields})


def retried(**fields: Any) -> Json:
    return one(Type="Task", Resource="r", Retry=[{"ErrorEquals": ["X"], **fields}])


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        *((mapped(MaxConcurrency=value), "MaxConcurrency") for value in (-1, 1.5, True, "x", "{% 1 %}")),
        *((mapped(ToleratedFailureCount=value), "ToleratedFailureCount") for value in (-1, "1", 0.5)),
        *((mapped(ToleratedFailurePercentage=value), "ToleratedFailurePercentage") for value in (-1, 100.5, "5")),
        *((retried(IntervalSeconds=value), "IntervalSeconds") for value in (0, 1.5, 100_000_000, "1")),
        *((retried(MaxAttempts=value), "MaxAttempts") for value in (-1, 0.5, 100_000_000)),
        *((retried(MaxDelaySeconds=value), "MaxDelaySeconds") for value in (0, 31_622_400)),
        *((retried(BackoffRate=value), "BackoffRate") for value in (0.5, True, "2")),
        (mapped(ItemProcessor={**INNER, "ProcessorConfig": {"Mode": "SPREAD"}}), "Mode"),
        (mapped(ItemProcessor={**INNER, "ProcessorConfig": {"ExecutionType": "FAST"}}), "ExecutionType"),
        (mapped(ItemProcessor={**INNER, "ProcessorConfig": "INLINE"}), "ProcessorConfig"),
        (mapped(ItemBatcher={"MaxItemsPerBatch": "{% 2 %}"}), "MaxItemsPerBatch"),
    ],
)
def test_a_number_out_of_bounds_is_refused_where_it_stands(definition: Json, place: str) -> None:
    assert [problem.path.rpartition("/")[2] for problem in validate(definition)] == [place]


@pytest.mark.parametrize(
    "definition",
    [
        mapped(MaxConcurrency=0, ToleratedFailureCount=0, ToleratedFailurePercentage=33.3),
        retried(IntervalSeconds=99_999_999, MaxAttempts=0, BackoffRate=1.0),
        retried(IntervalSeconds=1, MaxDelaySeconds=31_622_399, MaxAttempts=99_999_999),
    ],
)
def test_numbers_at_the_bounds_are_taken(definition: Json) -> None:
    assert validate(definition) == []


@pytest.mark.parametrize("processor", [INNER, DISTRIBUTED])
def test_less_than_none_at_once_fails_and_is_not_nothing_to_do(processor: Json) -> None:
    definition = mapped(ItemProcessor=processor, MaxConcurrencyPath="$.most", ItemsPath="$.items")
    assert validate(definition) == []
    assert run(definition, {"most": 0, "items": [1, 2]}, {}).output == [1, 2]
    failed = run(definition, {"most": -1, "items": [1]}, {})
    assert failed.error == "States.Runtime" and "MaxConcurrency cannot be negative" in str(failed.cause)


def assigning(count: int) -> Outcome:
    """Each state assigns a variable of 262,000 bytes."""
    states = {
        f"S{n}": {"Type": "Pass", "Assign": {f"v{n}.$": "$"}, **({"Next": f"S{n + 1}"} if n < count else {"End": True})}
        for n in range(1, count + 1)
    }
    definition = {"StartAt": "S1", "States": states}
    assert validate(definition) == []
    return run(definition, "x" * 261_998, {})


def test_all_variables_together_have_a_limit() -> None:
    assert assigning(40).status == "SUCCEEDED"
    failed = assigning(41)
    assert failed.error == "States.DataLimitExceeded" and "10,485,760 bytes" in str(failed.cause)


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", '{"n": 1e999}'])
def test_no_number_that_json_cannot_hold_comes_from_text(text: str) -> None:
    told = run(one(Type="Pass", Parameters={"v.$": "States.StringToJson($)"}), text, {})
    assert told.error == "States.IntrinsicFailure"
    pytest.importorskip("jsonata", reason="the extra `jsonata` is not installed")
    said = run({"QueryLanguage": "JSONata", **one(Type="Pass", Output="{% $parse($states.input) %}")}, text, {})
    assert said.error == "States.QueryEvaluationError"
