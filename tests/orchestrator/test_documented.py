"""What the States Language and Step Functions' guide say, rule by rule: data flow, retries, catches, Map, variables."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from domain.clock import ManualClock
from orchestrator import Outcome, TaskError, run, validate

Json = dict[str, Any]
TASK = "arn:aws:states:::lambda:invoke"
DATA: Json = {
    "a": [1, 2, 3], "none": [], "o": {"x": 1, "y": {"z": 2}}, "s": "text", "null": None, "t": "2026-03-02T09:30:00Z",
    "legs": [{"q": 5, "id": "A", "tags": ["x"]}, {"q": 7, "id": "B"}, {"q": 9}], "odd key": {"a.b": 1}, "10": "ten",
}  # fmt: skip


def one(**state: Any) -> Json:
    """A machine of one state."""
    return {"StartAt": "S", "States": {"S": {"End": True, **state}}}


def passed(given: Any = None, **fields: Any) -> Outcome:
    definition = one(Type="Pass", **fields)
    assert validate(definition) == []
    return run(definition, DATA if given is None else given, {})


def valued(words: str, given: Any = None) -> Any:
    """What a path or an intrinsic function is in a payload template; the error's name when it fails."""
    outcome = passed(given, Parameters={"v.$": words})
    return outcome.output["v"] if outcome.status == "SUCCEEDED" else outcome.error


def failing(*errors: str, then: Any = None) -> Callable[[Any], Any]:
    """A task that fails with these errors, one a call, and then succeeds."""
    left = list(errors)

    def call(given: Any) -> Any:
        if left:
            raise TaskError(left.pop(0), "because")
        return {"Payload": then}

    return call


def tried(task: Callable[[Any], Any], given: Any = None, **fields: Any) -> Outcome:
    """One Task state with these fields; a caught error goes on to a state that succeeds."""
    states = {"S": {"Type": "Task", "Resource": TASK, "End": True, **fields}, "Got": {"Type": "Succeed"}}
    if "Catch" not in fields:
        del states["Got"]
    definition = {"StartAt": "S", "States": states}
    assert validate(definition) == []
    return run(definition, {} if given is None else given, {TASK: task})


PATHS = [
    ("$.a[0]", 1), ("$.a[-1]", 3), ("$.a[1:]", [2, 3]), ("$.a[:2]", [1, 2]), ("$.a[-2:]", [2, 3]), ("$.a[0,2]", [1, 3]),
    ("$.a[*]", [1, 2, 3]), ("$.none[*]", []), ("$.nothing[*].q", []), ("$.legs[*].q", [5, 7, 9]), ("$..q", [5, 7, 9]),
    ("$..nothing", []), ("$.legs[*].id", ["A", "B"]), ("$.legs[?(@.q > 5)].q", [7, 9]),
    ("$.legs[?(@.id)].id", ["A", "B"]),
    ("$.legs[?(!@.id)].q", [9]), ("$.legs[?(@.q >= 5 && @.q < 9)].q", [5, 7]),
    ("$.legs[?(@.id == 'B' || @.q == 9)].q", [7, 9]),
    ("$.legs[?(@.id in ['A', 'Z'])].q", [5]), ("$.legs[?(@.id =~ /a/i)].q", [5]),
    ("$.legs[?(@.q > $.a[2])].q", [5, 7, 9]),
    ("$.legs[?(@.tags[0] == 'x')].id", ["A"]), ("$['odd key']['a.b']", 1), ("$.o['x','y']", {"x": 1, "y": {"z": 2}}),
    ("$.o.*", [1, {"z": 2}]), ("$.o..z", [2]), ("$.10", "ten"), ("$.a[9]", None), ("$.null", None),
    ("$.a.length()", 3), ("$.legs.length()", 3), ("$.a.sum()", 6.0), ("$.a.min()", 1.0), ("$.a.max()", 3.0),
    ("$.a.avg()", 2.0), ("$.legs[*].q.max()", 9.0), ("$.legs[?(@.q > 5)].length()", 2), ("$.o.keys()", ["x", "y"]),
    ("$.nothing", "States.Runtime"), ("$.o.x.z", "States.Runtime"), ("$.nothing.length()", "States.Runtime"),
    ("$.none.sum()", "States.Runtime"), ("$$.Execution.Nothing", "States.Runtime"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), PATHS)
def test_a_path_in_a_template(path: str, value: Any) -> None:
    assert valued(path) == value


FAILS = "States.IntrinsicFailure"
FUNCTIONS = [
    (r"States.Format('{} of {}', $.s, 2)", "text of 2"), (r"States.Format('\{\} {}', 1)", "{} 1"),
    (r"States.Format('it\'s {}', true)", "it's true"), (r"States.Format('C:\\{}', 'x')", "C:\\x"),
    (r"States.Format('{}', null)", "null"), (r"States.Format('{}', $.a)", "[1, 2, 3]"), (r"States.Format('{}')", FAILS),
    (r"States.Format('no place', 1)", FAILS), (r"States.Format($.given, 1)", "C: 1"),
    ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]), ("States.ArrayRange(9, 1, -4)", [9, 5, 1]),
    ("States.ArrayRange(1, 1, 1)", [1]), ("States.ArrayRange(5, 1, 1)", []), ("States.ArrayRange(1, 9, 0)", FAILS),
    ("States.ArrayRange(1, 1001, 1)", FAILS), ("States.ArrayLength(States.ArrayRange(1, 1000, 1))", 1000),
    ("States.ArrayPartition($.a, 2)", [[1, 2], [3]]), ("States.ArrayPartition($.a, 0)", FAILS),
    ("States.ArrayPartition($.none, 2)", []), ("States.ArrayGetItem($.a, 2)", 3),
    ("States.ArrayGetItem($.a, 3)", FAILS),
    ("States.ArrayContains($.a, 2)", True), ("States.ArrayContains($.a, '2')", False),
    ("States.ArrayContains($.s, 2)", FAILS),
    ("States.ArrayContains(States.Array(States.Array(true)), States.Array(1))", False),
    ("States.ArrayUnique(States.Array(1, '1', 1, null, null))", [1, "1", None]), ("States.ArrayLength($.s)", FAILS),
    ("States.Array()", []), ("States.Array(States.Array(1), $.o.x, 'a')", [[1], 1, "a"]),
    ("States.JsonMerge($.o, States.StringToJson('{\"y\":3}'), false)", {"x": 1, "y": 3}),
    ("States.JsonMerge($.o, $.o, true)", FAILS), ("States.JsonMerge($.o, $.a, false)", FAILS),
    ("States.StringToJson('[1, {\"a\": null}]')", [1, {"a": None}]), ("States.StringToJson('{')", FAILS),
    ("States.StringToJson('NaN')", FAILS), ("States.JsonToString($.o)", '{"x":1,"y":{"z":2}}'),
    ("States.StringSplit('1,2;;3', ',;')", ["1", "2", "3"]), ("States.StringSplit('', ',')", []),
    ("States.MathAdd(111, -1)", 110), ("States.MathAdd(1.5, 1)", 3), ("States.MathRandom(3, 4)", 3),
    ("States.MathRandom(4, 3)", FAILS), ("States.Base64Encode('Data to encode')", "RGF0YSB0byBlbmNvZGU="),
    ("States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", "Data to encode"),
    ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
    ("States.Hash('a', 'SHA-2')", FAILS),
    ("States.ArrayGetItem(States.StringSplit(States.Format('{}.{}', 'a', 'b'), '.'), 1)", "b"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "value"), FUNCTIONS)
def test_an_intrinsic_function(words: str, value: Any) -> None:
    assert valued(words, {**DATA, "given": "C: {}"}) == value


def test_equal_seeds_draw_equal_numbers_and_uuids_are_new() -> None:
    drawn = valued("States.Array(States.MathRandom(1, 999, 42), States.MathRandom(1, 999, 42))")
    assert drawn[0] == drawn[1] and 1 <= drawn[0] < 999
    ids = valued("States.Array(States.UUID(), States.UUID())")
    assert ids[0] != ids[1] and len(ids[0]) == 36 and ids[0][14] == "4"


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"InputPath": None, "Parameters": {"k": 1}}, {"k": 1}),
        ({"InputPath": None}, {}),
        ({"OutputPath": None}, {}),
        ({"Result": 7, "ResultPath": None, "OutputPath": "$.s"}, "text"),
        ({"Result": 7, "ResultPath": "$.o.new.deep", "OutputPath": "$.o"}, {"x": 1, "y": {"z": 2}, "new": {"deep": 7}}),
        ({"Result": 7, "ResultPath": "$.legs[1].q", "OutputPath": "$.legs[1]"}, {"q": 7, "id": "B"}),
        ({"Result": None, "ResultPath": "$.s", "OutputPath": "$.s"}, None),
        ({"InputPath": "$.o", "Parameters": {"v.$": "$.x"}, "ResultPath": "$.r", "OutputPath": "$.r"}, {"v": 1}),
        ({"InputPath": "$$.Execution.Name"}, "run"),
        ({"OutputPath": "$$.StateMachine.Name"}, "machine"),
        ({"Parameters": {"l": [{"v.$": "$.o.x"}, [{"w.$": "$.s"}], 3]}}, {"l": [{"v": 1}, [{"w": "text"}], 3]}),
        ({"Parameters": {"deep": {"a.$": "$.a", "b": "$.a"}}}, {"deep": {"a": [1, 2, 3], "b": "$.a"}}),
        ({"Parameters": {"v.$": "$"}, "InputPath": "$.legs[0].q"}, {"v": 5}),
        ({"Result": {"raw.$": "$.a"}}, {"raw.$": "$.a"}),
        ({"InputPath": "$.a[9]"}, "States.Runtime"),
        ({"InputPath": "$.nothing"}, "States.Runtime"),
        ({"OutputPath": "$.nothing"}, "States.Runtime"),
        ({"Result": 7, "ResultPath": "$.s.deep"}, "States.ResultPathMatchFailure"),
        ({"Result": 7, "ResultPath": "$.a[9]"}, "States.ResultPathMatchFailure"),
        ({"Result": 7, "ResultPath": "$.a.name"}, "States.ResultPathMatchFailure"),
    ],
)
def test_input_and_output_are_filtered(fields: Json, output: Any) -> None:
    outcome = passed(**fields)
    assert (outcome.output if outcome.status == "SUCCEEDED" else outcome.error) == output


def rule(**rule: Any) -> Outcome:
    states = {
        "C": {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
        "Yes": {"Type": "Pass", "Result": True, "End": True},
        "No": {"Type": "Pass", "Result": False, "End": True},
    }
    definition = {"StartAt": "C", "States": states}
    assert validate(definition) == []
    return run(definition, DATA, {})


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"Variable": "$.nothing", "IsPresent": False}, True),
        ({"Variable": "$.nothing.deeper", "IsPresent": True}, False),
        ({"Variable": "$.null", "IsPresent": True}, True),
        ({"Variable": "$.null", "IsNull": True}, True),
        ({"Variable": "$.a[0]", "IsPresent": True}, True),
        ({"Variable": "$.none[0]", "IsPresent": True}, False),
        ({"Variable": "$.nothing", "IsNull": True}, "States.Runtime"),
        ({"Variable": "$.nothing", "StringEquals": "x"}, "States.Runtime"),
        ({"Variable": "$.s", "StringEqualsPath": "$.nothing"}, "States.Runtime"),
        ({"Not": {"Variable": "$.nothing", "IsPresent": True}}, True),
        ({"And": [{"Variable": "$.x", "IsPresent": True}, {"Variable": "$.x", "NumericEquals": 1}]}, False),
        ({"Or": [{"Variable": "$.s", "IsString": True}, {"Variable": "$.x", "NumericEquals": 1}]}, True),
        ({"Or": [{"Not": {"And": [{"Variable": "$.s", "IsNumeric": True}]}}]}, True),
        ({"Variable": "$.s", "NumericEquals": 1}, False),
        ({"Variable": "$.o.x", "StringEquals": "1"}, False),
        ({"Variable": "$.o.x", "NumericEquals": 1.0}, True),
        ({"Variable": "$.a.length()", "NumericEquals": 3}, True),
        ({"Variable": "$.t", "TimestampEquals": "2026-03-02T10:30:00+01:00"}, True),
        ({"Variable": "$.t", "TimestampLessThan": "2026-03-02T09:30:00.001Z"}, True),
        ({"Variable": "$.t", "TimestampGreaterThanPath": "$.s"}, False),
        ({"Variable": "$.t", "IsTimestamp": True}, True),
        ({"Variable": "$.s", "StringMatches": "t*t"}, True),
        ({"Variable": "$.s", "StringMatches": "t\\*t"}, False),
        ({"Variable": "$$.State.Name", "StringEquals": "C"}, True),
    ],
)
def test_a_choice(condition: Json, holds: Any) -> None:
    outcome = rule(**condition)
    assert (outcome.output if outcome.status == "SUCCEEDED" else outcome.error) == holds


def pauses(outcome: Outcome) -> list[float]:
    """Seconds between the attempts of a task."""
    at = [event.timestamp_ns / 1e9 for event in outcome.history if event.type == "TaskScheduled"]
    return [round(later - earlier, 3) for earlier, later in pairwise(at)]


def test_each_retrier_counts_its_own_attempts_and_the_first_that_names_the_error_decides() -> None:
    retry = [
        {"ErrorEquals": ["A"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 3},
        {"ErrorEquals": ["A", "B"], "IntervalSeconds": 10, "BackoffRate": 1},
        {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100, "MaxAttempts": 1},
    ]
    outcome = tried(failing("A", "B", "A", "C", "B", then=1), Retry=retry)
    assert outcome.status == "SUCCEEDED" and pauses(outcome) == [1, 10, 3, 100, 10]
    spent = tried(failing("A", "A", "A", then=1), Retry=retry)
    assert (spent.error, spent.cause) == ("A", "because") and pauses(spent) == [1, 3]


def test_delays_are_capped_and_jitter_stays_below_them() -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 5, "MaxDelaySeconds": 5}
    assert pauses(tried(failing(*"AAAAA"), Retry=[retry])) == [2, 4, 5, 5, 5]
    jittered = pauses(tried(failing(*"AAAAA"), Retry=[{**retry, "JitterStrategy": "FULL"}]))
    assert (
        all(0 <= pause <= most for pause, most in zip(jittered, [2, 4, 5, 5, 5], strict=True))
        and len(set(jittered)) > 1
    )


def test_no_attempts_are_none_and_the_default_is_three() -> None:
    none = [{"ErrorEquals": ["A"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"]}]
    assert pauses(tried(failing("A", then=1), Retry=none)) == []
    assert pauses(tried(failing(*"AAAA"), Retry=[{"ErrorEquals": ["States.TaskFailed"]}])) == [1, 2, 4]


def test_a_retry_comes_before_a_catch_and_the_first_catcher_that_names_the_error_takes_it() -> None:
    catch = [
        {"ErrorEquals": ["B"], "Next": "Got", "ResultPath": "$.b"},
        {"ErrorEquals": ["States.TaskFailed"], "Next": "Got", "ResultPath": "$.failed"},
        {"ErrorEquals": ["States.ALL"], "Next": "Got", "ResultPath": None},
    ]
    retry = [{"ErrorEquals": ["A"], "MaxAttempts": 1}]
    told = {"Error": "A", "Cause": "because"}
    assert tried(failing("A", "A"), {"k": 1}, Retry=retry, Catch=catch).output == {"k": 1, "failed": told}
    assert tried(failing("States.Timeout"), {"k": 1}, Catch=catch).output == {"k": 1}
    assert tried(failing("B"), {"k": 1}, Catch=catch[:1]).output["b"]["Error"] == "B"
    assert tried(failing("C"), {"k": 1}, Catch=catch[:1]).error == "C"


def test_a_missed_heartbeat_and_a_time_limit() -> None:
    clock = ManualClock()

    def slow(given: Any) -> Any:
        clock.sleep(30)
        return {}

    for fields, error in (
        ({"TimeoutSeconds": 20}, "States.Timeout"),
        ({"TimeoutSecondsPath": "$.limit"}, "States.Timeout"),
        ({"HeartbeatSeconds": 10, "TimeoutSeconds": 99}, "States.HeartbeatTimeout"),
    ):
        outcome = run(one(Type="Task", Resource=TASK, **fields), {"limit": 20}, {TASK: slow}, clock=clock)
        assert (outcome.error, outcome.history[-2].type) == (error, "TaskTimedOut")
    whole = {**one(Type="Wait", Seconds=30), "TimeoutSeconds": 20}
    assert run(whole, {}, {}).status == "TIMED_OUT"


def test_a_payload_has_a_limit_that_can_be_caught() -> None:
    catch = [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Got"}]
    assert tried(lambda given: {"v": "x" * 262_144}, Catch=catch).output["Error"] == "States.DataLimitExceeded"
    assert tried(lambda given: "x" * 262_142).status == "SUCCEEDED"
    assert tried(lambda given: "é" * 131_072).error == "States.DataLimitExceeded"
    twice = passed(["x" * 140_000], Assign={"a.$": "$[0]", "b.$": "$[0]"})
    assert twice.error == "States.DataLimitExceeded"


def each(**fields: Any) -> Json:
    """A Map that hands each item to a task, or to the processor given."""
    inner = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": TASK, "End": True}}}
    return one(Type="Map", **{"ItemProcessor": inner, **fields})


def test_what_an_iteration_is_told() -> None:
    selector = {"n.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value.q", "from.$": "$$.Map.Item.Source", "s.$": "$.s"}
    outcome = run(
        each(ItemsPath="$.legs", ItemSelector=selector, ResultPath="$.r", OutputPath="$.r[0]"), DATA, {TASK: dict}
    )
    assert outcome.output == {"n": 0, "v": 5, "from": "STATE_DATA", "s": "text"}
    assert run(each(ItemsPath="$.none"), DATA, {}).output == []
    assert run(each(ItemsPath="$.o"), DATA, {}).error == "States.Runtime"


def test_a_distributed_map_goes_over_the_pairs_of_an_object_and_knows_no_variables() -> None:
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P"}
    inner = {**config, "States": {"P": {"Type": "Pass", "End": True}}}
    assert run(each(ItemsPath="$.o", ItemProcessor=inner), DATA, {}).output == [
        {"Key": "x", "Value": 1},
        {"Key": "y", "Value": {"z": 2}},
    ]
    selector = {"k.$": "$$.Map.Item.Key", "v.$": "$$.Map.Item.Value"}
    outcome = run(each(ItemsPath="$.o", ItemProcessor=inner, ItemSelector=selector), DATA, {})
    assert outcome.output[0] == {"k": "x", "v": 1}
    reads = {**inner, "States": {"P": {"Type": "Pass", "Parameters": {"v.$": "$day"}, "End": True}}}
    states = {"A": {"Type": "Pass", "Assign": {"day": 5}, "Next": "S"}, **each(ItemProcessor=reads)["States"]}
    assert run({"StartAt": "A", "States": states}, [1], {}).error == "States.ExceedToleratedFailureThreshold"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"ToleratedFailurePercentage": 50}, None),
        ({"ToleratedFailurePercentage": 49}, "States.ExceedToleratedFailureThreshold"),
        ({"ToleratedFailureCount": 2, "ToleratedFailurePercentage": 25}, "States.ExceedToleratedFailureThreshold"),
        ({"ToleratedFailurePercentagePath": "$.share"}, None),
        ({"ToleratedFailureCountPath": "$.count"}, "States.ExceedToleratedFailureThreshold"),
        ({"MaxConcurrencyPath": "$.count"}, "Bad"),
        ({}, "Bad"),
    ],
)
def test_failures_of_iterations(fields: Json, error: str | None) -> None:
    def task(given: Any) -> Any:
        if given % 2:
            raise TaskError("Bad", "odd")
        return given

    outcome = run(each(ItemsPath="$.all", **fields), {"all": [0, 1, 2, 3], "share": 50, "count": 1}, {TASK: task})
    assert outcome.error == error and (error or outcome.output == [0, 2])


def test_a_branch_that_fails_ends_the_others_and_its_error_is_the_states() -> None:
    branches = [
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}},
        {
            "StartAt": "F",
            "States": {"F": {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('{}!', $.c)"}},
        },
    ]
    state = {"Type": "Parallel", "Branches": branches, "Next": "N", "ResultPath": "$.r"}
    caught = {**state, "Catch": [{"ErrorEquals": ["Mine"], "Next": "N", "ResultPath": "$.err"}]}
    for part, output in ((caught, {"e": "Mine", "c": "no", "err": {"Error": "Mine", "Cause": "no!"}}), (state, None)):
        machine = {"StartAt": "P", "States": {"P": part, "N": {"Type": "Succeed"}}}
        outcome = run(machine, {"e": "Mine", "c": "no"}, {})
        assert outcome.output == output and (output or (outcome.error, outcome.cause) == ("Mine", "no!"))
        assert [event.type for event in outcome.history if "Aborted" in event.type] == ["WaitStateAborted"]
    assert outcome.history[-2].type == "ParallelStateFailed"


def test_variables_have_the_values_of_the_state_entry_and_the_scope_they_were_assigned_in() -> None:
    inner = {
        "StartAt": "I",
        "States": {
            "I": {"Type": "Pass", "Assign": {"mine.$": "States.MathAdd($x, $)"}, "Next": "J"},
            "J": {"Type": "Pass", "Parameters": {"v.$": "$mine"}, "End": True},
        },
    }
    states: Json = {
        "A": {"Type": "Pass", "Assign": {"x": 3, "a": 6}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x.$": "$a", "next.$": "$x"}, "Next": "M"},
        "M": {"Type": "Map", "ItemsPath": "$.a", "ItemProcessor": inner, "Assign": {"n.$": "$[0].v"}, "Next": "Z"},
        "Z": {"Type": "Pass", "Parameters": {"x.$": "$x", "next.$": "$next", "n.$": "$n", "m.$": "$"}, "End": True},
    }
    machine = {"StartAt": "A", "States": states}
    assert validate(machine) == []
    assert run(machine, DATA, {}).output == {"x": 6, "next": 3, "n": 7, "m": [{"v": 7}, {"v": 8}, {"v": 9}]}
    states["Z"] = {"Type": "Pass", "Parameters": {"v.$": "$mine"}, "End": True}
    assert run(machine, DATA, {}).error == "States.Runtime"
    states["A"]["Assign"] = {"x": 3, "a": 6, "mine": 0}
    assert [problem.path for problem in validate(machine)] == ["/States/M/ItemProcessor/States/I"]
    caught = tried(failing("A"), Catch=[{"ErrorEquals": ["A"], "Next": "Got", "Assign": {"e.$": "$.Error"}}])
    assert caught.status == "SUCCEEDED"


def test_a_wait_until_a_time_and_by_path() -> None:
    clock = ManualClock()
    begun = clock.now_ns()
    assert run(one(Type="Wait", SecondsPath="$.n"), {"n": 7}, {}, clock=clock).output == {"n": 7}
    assert clock.now_ns() - begun == 7 * 10**9
    for given in ({"n": -1}, {"n": "7"}, {"n": 1.5}, {"n": True}):
        assert run(one(Type="Wait", SecondsPath="$.n"), given, {}).error == "States.Runtime"
    assert run(one(Type="Wait", TimestampPath="$.t"), DATA, {}).status == "SUCCEEDED"
    assert run(one(Type="Wait", TimestampPath="$.s"), DATA, {}).error == "States.Runtime"
