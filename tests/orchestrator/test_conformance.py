"""Outcomes and event types recorded from AWS Step Functions, replayed: each case passes or is a known difference."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Outcome, TaskError, run, validate

_HERE = Path(__file__)
_CORPUS = _HERE.parents[2].parent / "shared" / "asl-conformance"
_KNOWN: Mapping[str, Mapping[str, str]] = json.loads(
    (_HERE.parent / "known_differences.json").read_text(encoding="utf-8")
)
_PLACEHOLDER = re.compile(r"<[A-Za-z0-9_-]+(?::\d+)?>")
_ANYTHING = frozenset({"timestamp", "date", "start-time", "RandomNumberGenerated"})


def _cases(name: str) -> list[Any]:
    path = _CORPUS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"the conformance corpus is not here: {path}")
    return list(json.loads(path.read_text(encoding="utf-8")))


def _alike(expected: Any, actual: Any) -> bool:
    """Equal, where a placeholder in the recording matches anything and JSON text is told by its value."""
    if isinstance(expected, str) and isinstance(actual, str) and isinstance(_parsed(expected), dict | list):
        return _alike(_parsed(expected), _parsed(actual))
    if isinstance(expected, str) and (expected in _ANYTHING or _PLACEHOLDER.search(expected)):
        pattern = ".*".join(re.escape(part) for part in _PLACEHOLDER.split(expected))
        return expected in _ANYTHING or re.fullmatch(pattern, str(actual), re.S) is not None
    if isinstance(expected, dict | list) and isinstance(actual, str):
        # The recordings hold JSON text parsed in some places, a Cause for one.
        return _alike(expected, _parsed(actual))
    if isinstance(expected, dict):
        return (
            isinstance(actual, Mapping)
            and expected.keys() == actual.keys()
            and all(_alike(value, actual[key]) for key, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(_alike(a, b) for a, b in zip(expected, actual, strict=True))
        )
    return bool(expected == actual) and isinstance(expected, bool) is isinstance(actual, bool)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _resources(node: Any) -> dict[str, str]:
    """The Resource of every Task by its state's name, nested ones too."""
    if isinstance(node, list):
        return {name: resource for item in node for name, resource in _resources(item).items()}
    if not isinstance(node, dict):
        return {}
    found = {name: resource for item in node.values() for name, resource in _resources(item).items()}
    for name, state in node.get("States", {}).items():
        if "Resource" in state:
            found[name] = state["Resource"]
    return found


def _stubs(case: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
    """One function per Resource, which plays its recorded outcomes in order."""
    names = _resources(case["definition"])
    waiting: dict[str, list[Mapping[str, Any]]] = {}
    for stub in case.get("task_stubs", []):
        waiting.setdefault(names[stub["state"]], []).append(stub)

    def player(queue: list[Mapping[str, Any]]) -> Callable[[Any], Any]:
        def play(_: Any) -> Any:
            if not queue:
                raise TaskError("Harness.NoStub", "the recording has no further outcome")
            stub = queue.pop(0)
            if stub["outcome"].endswith("Succeeded"):
                return stub["output"]
            cause = stub.get("cause", "")
            raise TaskError(
                stub.get("error", ""), cause if isinstance(cause, str) else json.dumps(cause, separators=(",", ":"))
            )

        return play

    return {resource: player(queue) for resource, queue in waiting.items()}


def _types(case: Mapping[str, Any], types: list[str]) -> list[str] | Counter[str]:
    if "Parallel" in case["state_types"]:
        # Some recordings lack this one type.
        types = [type for type in types if type != "ParallelStateSucceeded"]
    return Counter(types) if case["order_independent"] else types


def _difference(case: Mapping[str, Any], outcome: Outcome) -> str:
    """What differs from the recording; empty when nothing does."""
    if outcome.status != case["expected_status"]:
        return f"status {outcome.status}, recorded {case['expected_status']} ({outcome.error}: {outcome.cause})"
    if "expected_output" in case and not _alike(case["expected_output"], outcome.output):
        return f"output {json.dumps(outcome.output)[:200]}, recorded {json.dumps(case['expected_output'])[:200]}"
    if "expected_error" in case and not _alike(case["expected_error"] or "", outcome.error or ""):
        return f"error {outcome.error!r}, recorded {case['expected_error']!r}"
    if "expected_cause" in case and not _alike(case["expected_cause"] or "", outcome.cause or ""):
        return f"cause {outcome.cause!r}, recorded {case['expected_cause']!r}"
    if "expected_event_types" in case:
        recorded = _types(case, case["expected_event_types"])
        told = _types(case, [event.type for event in outcome.history])
        if recorded != told:
            return f"events {told}, recorded {recorded}"
    return ""


def _verdict(case: Mapping[str, Any]) -> str:
    try:
        return _difference(case, run(case["definition"], case["input"], _stubs(case)))
    except Exception as error:  # An interpreter that breaks is a difference too, not the end of the corpus.
        return f"raised {type(error).__name__}: {error}"


@pytest.mark.parametrize("corpus", ["pure", "lambda"])
def test_recorded_executions(corpus: str) -> None:
    known = _KNOWN[corpus]
    verdicts = {case["name"]: _verdict(case) for case in _cases(corpus)}
    failing = {name: verdict for name, verdict in verdicts.items() if verdict}
    assert {n: v for n, v in failing.items() if n not in known} == {}, "not listed as known differences"
    assert sorted(known.keys() - failing.keys()) == [], "listed, but they pass"
    assert all(known.values()), "every difference has its reason"


@pytest.mark.parametrize("corpus", ["validity_asl-validator", "validity_localstack_aws"])
def test_recorded_validity(corpus: str) -> None:
    known = _KNOWN[corpus]
    differing = {}
    for case in _cases(corpus):
        problems = validate(case["definition"])
        if (not problems) is not case["valid"]:
            differing[case["name"]] = [str(problem) for problem in problems] or "no problem found"
    assert {n: v for n, v in differing.items() if n not in known} == {}, "not listed as known differences"
    assert sorted(known.keys() - differing.keys()) == [], "listed, but they agree"
