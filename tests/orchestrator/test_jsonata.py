"""JSONata states: what expressions see and give, each field, what fails and how it is told, and replay."""

import json
import sys
from typing import Any

import pytest

from orchestrator import Outcome, TaskError, run, validate
from orchestrator.jsonata import NO_LIBRARY

pytest.importorskip("jsonata", reason="the extra `jsonata` is not installed")

Json = dict[str, Any]
TASK = {"Type": "Task", "Resource": "r"}


def machine(*states: tuple[str, Json]) -> Json:
    return {"QueryLanguage": "JSONata", "StartAt": states[0][0], "States": dict(states)}


def one(state: Json) -> Json:
    return machine(("S", {"End": True, **state} if state["Type"] not in ("Choice", "Succeed", "Fail") else state))


def result_of(expression: str, input: Any = None, name: str = "run") -> Any:
    """What an expression gives as a Pass state's output; fails the test when the machine fails."""
    definition = one({"Type": "Pass", "Output": "{% " + expression + " %}"})
    assert validate(definition) == []
    outcome = run(definition, input, {}, context={"Execution": {"Name": name}})
    assert outcome.error is None, outcome.cause
    return outcome.output


def types(outcome: Outcome) -> list[str]:
    return [event.type for event in outcome.history]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$states.input.n + 1", 8),
        ("$states.input.n / 2", 3.5),
        ("$states.input.n * 2 / 2", 7),
        ("$states.input.nothing", None),
        ("$states.input.list[1]", None),
        ("$states.input.list", [1, None, "x"]),
        ("$count($states.input.list)", 3),
        ("$states.input.deep.a.b", {"c": [[]]}),
        ("[$states.input.list[0]]", [1]),
        ("$states.input.list[0]", 1),
        ('{"a": $states.input.nothing, "b": $states.input.absent}', {"a": None}),
        ("$exists($states.input.absent)", False),
        ("$states.context.State.Name", "S"),
        ("$string({'a': null})", '{"a":null}'),
        ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("$partition([1,2,3,4,5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(0, 4, 2)", [0, 2, 4]),
        ("$range(4, 0, -2)", [4, 2, 0]),
        ("$hash('x', 'SHA-256')", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
        ("$map([1..3], function($x) { $x * $x })", [1, 4, 9]),
        ("($f := function($n) { $n < 2 ? 1 : $n * $f($n - 1) }; $f(5))", 120),
        ("$random(42)", 0.7275636800328681),
        ("$random() != $random()", True),
        ("$random() >= 0 and $random() < 1", True),
        ("$length($uuid())", 36),
        ("$substringBefore($now(), 'T') = $substringBefore($states.context.State.EnteredTime, 'T')", True),
        ("$fromMillis($millis()) = $now()", True),
        ("$count($shuffle([1..9]))", 9),
    ],
)
def test_what_an_expression_gives(expression: str, value: Any) -> None:
    given: Json = {"n": 7, "nothing": None, "list": [1, None, "x"], "deep": {"a": {"b": {"c": [[]]}}}}
    found = result_of(expression, given)
    assert found == value and type(found) is type(value)


def test_chance_is_told_by_the_execution() -> None:
    words = "[$random(), $uuid(), $shuffle([1..20])]"
    assert result_of(words, name="a") == result_of(words, name="a") != result_of(words, name="b")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("$states.input.absent", "returned nothing (undefined)."),
        ("1 + 'x'", 'threw an error during evaluation. T2002: The right side of the "+" operator must evaluate'),
        ("$nothere(1)", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        ("$eval('1')", "evaluation. T1006: Attempted to invoke a non-function"),
        ("$sum(['a'])", 'evaluation. T0412: Argument 1 of function "sum" must be an array of "numbers"'),
        ("$abs('a')", 'T0410: Argument 1 of function "abs" does not match function signature'),
        ("1 < 'a'", 'T2009: The values 1 and "a" either side of operator "<" must be of the same data type'),
        ("-'a'", 'D1002: Cannot negate a non-numeric value: "a"'),
        ("$partition([1], 0)", "$partition: the chunk size must be positive"),
        ("$range(1, 2000, 1)", "more than 1000 elements"),
        ("$parse('{')", "$parse:"),
        ("$hash('x', 'CRC')", "$hash: the algorithm"),
        ("($f := function($n) { 1 + $f($n) }; $f(1))", "evaluation: Stack overflow error: Check for non-terminating"),
        ("$sum", "is not a JSON value"),
    ],
)
def test_what_fails_and_how_it_is_told(words: str, cause: str) -> None:
    outcome = run(one({"Type": "Pass", "Output": {"a": ["{% " + words + " %}"]}}), {}, {})
    assert outcome.error == "States.QueryEvaluationError"
    assert cause in (outcome.cause or "")
    located = "An error occurred while executing the state 'S' (entered at the event id #2). "
    about = f"The JSONata expression '{words}' specified for the field 'Output/a[0]' "
    assert (outcome.cause or "").startswith(located + about)
    assert types(outcome)[-2:] == ["EvaluationFailed", "ExecutionFailed"]
    told = outcome.history[-2].details
    assert (told["location"], told["state"], told["cause"]) == ("Output/a[0]", "S", outcome.cause)


def test_a_runaway_expression_ends() -> None:
    outcome = run(one({"Type": "Pass", "Output": "{% ($f := function() { $f() }; $f()) %}"}), {}, {})
    assert "evaluation: Expression evaluation timeout" in (outcome.cause or "")


def test_a_task_gets_arguments_and_gives_output_and_variables() -> None:
    state = {
        **TASK,
        "Arguments": {"n": "{% $states.input.n %}", "literal": " {% not this %}"},
        "Assign": {"kept": "{% $states.result.got %}", "was": "{% $states.input %}"},
        "Output": {"both": "{% [$states.input.n, $states.result.got] %}"},
        "Next": "T",
    }
    then = {"Type": "Pass", "Output": "{% {'out': $states.input, 'kept': $kept, 'was': $was} %}", "End": True}
    seen: list[Any] = []

    def called(given: Any) -> Any:
        seen.append(given)
        return {"got": 5}

    outcome = run(machine(("S", state), ("T", then)), {"n": 1}, {"r": called})
    assert seen == [{"n": 1, "literal": " {% not this %}"}]
    assert outcome.output == {"out": {"both": [1, 5]}, "kept": 5, "was": {"n": 1}}
    assert run(one(TASK), {"n": 1}, {"r": lambda given: {"given": given}}).output == {"given": {"n": 1}}


def test_assign_and_output_see_the_variables_as_they_were() -> None:
    first = {"Type": "Pass", "Assign": {"x": 1, "y": 2}, "Next": "B"}
    swap = {"Type": "Pass", "Assign": {"x": "{% $y %}", "y": "{% $x %}"}, "Output": "{% $x %}", "Next": "C"}
    last = {"Type": "Pass", "Output": "{% [$states.input, $x, $y] %}", "End": True}
    assert run(machine(("A", first), ("B", swap), ("C", last)), {}, {}).output == [1, 2, 1]


def test_a_choice_takes_the_first_true_condition() -> None:
    rules = [
        {"Condition": "{% $states.input.n > 9 %}", "Next": "E"},
        {"Condition": False, "Next": "E"},
        {"Condition": "{% $states.input.n > 1 %}", "Assign": {"by": "rule"}, "Output": {"n": 0}, "Next": "E"},
    ]
    state = {"Type": "Choice", "Choices": rules, "Assign": {"by": "default"}, "Output": "none", "Default": "E"}
    end = {"Type": "Pass", "Output": "{% [$by, $states.input] %}", "End": True}
    definition = machine(("S", state), ("E", end))
    assert validate(definition) == []
    assert [run(definition, {"n": n}, {}).output for n in (2, 1)] == [["rule", {"n": 0}], ["default", "none"]]
    wrong = one({"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "S"}]})
    assert "Expected 'boolean', but was 'number' for value: 1" in (run(wrong, {}, {}).cause or "")
    assert "for the field 'Choices[0]/Condition'" in (run(wrong, {}, {}).cause or "")
    ruled = one({"Type": "Choice", "Choices": [{"Condition": True, "Assign": {"x": "{% $no %}"}, "Next": "S"}]})
    assert "for the field 'Choices[0]/Assign/x'" in (run(ruled, {}, {}).cause or "")
    none = one({"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "S"}]})
    assert run(none, {}, {}).error == "States.NoChoiceMatched"


def test_a_wait_lasts_what_its_expression_says() -> None:
    outcome = run(one({"Type": "Wait", "Seconds": "{% $states.input.n * 2 %}"}), {"n": 30}, {})
    assert outcome.history[-1].timestamp_ns - outcome.history[0].timestamp_ns == 60 * 10**9
    until = run(
        one({"Type": "Wait", "Timestamp": "{% $states.input.t %}", "Output": 1}), {"t": "2023-11-14T23:00:00Z"}, {}
    )
    assert until.output == 1
    for state, cause in (
        ({"Seconds": "{% 'x' %}"}, "Expected 'number', but was 'string' for value: \"x\""),
        ({"Seconds": "{% 1.5 %}"}, "whole number"),
        (
            {"Timestamp": "{% 'soon' %}"},
            "cannot be parsed as an ISO-8601 extended offset date-time format string: soon",
        ),
    ):
        failed = run(one({"Type": "Wait", **state}), {}, {})
        assert (failed.error, cause in (failed.cause or "")) == ("States.QueryEvaluationError", True)


def test_a_fail_state_names_error_and_cause() -> None:
    state = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'because ' & $states.input.e %}"}
    outcome = run(one(state), {"e": "Bad"}, {})
    assert (outcome.error, outcome.cause) == ("Bad", "because Bad")
    assert run(one(state), {"e": 5}, {}).error == "States.QueryEvaluationError"
    assert run(one({"Type": "Succeed", "Output": "{% $states.input.e %}"}), {"e": 5}, {}).output == 5


def test_parallel_and_map_have_their_own_fields() -> None:
    summed = {"Type": "Pass", "Output": "{% $states.input.n + $v %}", "End": True}
    inner = {"StartAt": "I", "States": {"I": summed}}
    parallel = {
        "Type": "Parallel",
        "Branches": [inner, {"StartAt": "J", "States": {"J": summed}}],
        "Arguments": {"n": "{% $states.input[0] %}"},
        "Output": "{% $sum($states.result) %}",
        "Next": "M",
    }
    each = {
        "Type": "Map",
        "Items": "{% [1..3] %}",
        "MaxConcurrency": "{% 2 %}",
        "ItemSelector": {"n": "{% $states.context.Map.Item.Value * $states.context.Map.Item.Index + $states.input %}"},
        "ItemProcessor": {"StartAt": "K", "States": {"K": summed}},
        "Output": "{% {'all': $states.result} %}",
        "End": True,
    }
    definition = machine(("V", {"Type": "Pass", "Assign": {"v": 10}, "Next": "P"}), ("P", parallel), ("M", each))
    assert validate(definition) == []
    outcome = run(definition, [5], {})
    assert outcome.output == {"all": [40, 42, 46]}
    literal = one({"Type": "Map", "Items": [1, "{% 2 %}"], "ItemProcessor": each["ItemProcessor"]})
    assert run(literal, {}, {}).error == "States.QueryEvaluationError"
    limited = one({"Type": "Map", "Items": [1], "MaxConcurrency": "{% -1 %}", "ItemProcessor": inner})
    assert "MaxConcurrency" in (run(limited, {}, {}).cause or "")


def test_an_evaluation_can_be_retried_and_caught() -> None:
    caught = [
        {"ErrorEquals": ["States.QueryEvaluationError"], "Output": "{% $states.errorOutput.Error %}", "Next": "E"}
    ]
    state = {
        **TASK,
        "Arguments": "{% $states.input.absent %}",
        "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}],
        "Catch": caught,
        "Next": "E",
    }
    outcome = run(machine(("S", state), ("E", {"Type": "Pass", "End": True})), {}, {"r": lambda _: 1})
    assert outcome.output == "States.QueryEvaluationError"
    assert types(outcome).count("EvaluationFailed") == 2


def test_a_catcher_that_fails_to_evaluate_is_told() -> None:
    def bad(_: Any) -> Any:
        raise TaskError("Bad")

    caught = [{"ErrorEquals": ["States.ALL"], "Output": "{% $absent %}", "Next": "E"}]
    outcome = run(machine(("S", {**TASK, "Catch": caught, "Next": "E"}), ("E", {"Type": "Succeed"})), {}, {"r": bad})
    assert outcome.error == "States.QueryEvaluationError"
    assert "for the field 'Catch[0]/Output'" in (outcome.cause or "")
    assert types(outcome)[-3:] == ["TaskFailed", "EvaluationFailed", "ExecutionFailed"]


def test_without_the_library_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = one({"Type": "Pass", "Output": "{% 1 %}"})
    monkeypatch.setitem(sys.modules, "jsonata.jsonata", None)
    assert [p.message for p in validate(definition)] == [NO_LIBRARY]
    outcome = run(definition, {}, {})
    assert (outcome.error, NO_LIBRARY in (outcome.cause or "")) == ("States.Runtime", True)


def test_the_languages_mix_state_by_state() -> None:
    states = {
        "A": {"Type": "Pass", "Parameters": {"n.$": "$.n"}, "Assign": {"v.$": "$.n"}, "Next": "B"},
        "B": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"n": "{% $v + $states.input.n %}"}, "Next": "C"},
        "C": {"Type": "Pass", "Parameters": {"all.$": "States.Array($.n, $v)"}, "End": True},
    }
    definition = {"StartAt": "A", "States": states}
    assert validate(definition) == []
    assert run(definition, {"n": 4}, {}).output == {"all": [8, 4]}


def test_equal_runs_give_equal_histories() -> None:
    state = {"Type": "Map", "Items": "{% [1..5] %}", "ItemProcessor": machine(("I", {**TASK, "End": True}))}
    definition = one({**state, "Output": "{% [$states.result, $uuid(), $random(), $now()] %}"})
    first, again = (run(definition, {}, {"r": lambda given: given}) for _ in range(2))
    assert json.dumps(first.output) == json.dumps(again.output) and first.history == again.history


def test_null_is_parsed_and_a_result_is_read_only_where_there_is_one() -> None:
    assert run(one({"Type": "Pass", "Output": {"v": "{% $parse('null') %}"}}), {}, {}).output == {"v": None}
    wrong = one({**TASK, "Arguments": {"v": "{% $states.result %}"}, "Output": "{% $states.result %}"})
    assert [problem.path for problem in validate(wrong)] == ["/States/S/Arguments"]
    assert validate(one({"Type": "Pass", "Output": "{% $states.result %}"})) != []
