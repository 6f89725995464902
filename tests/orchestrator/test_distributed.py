"""Distributed Maps over local files: readers, batches, written results, failures that are tolerated, and the engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.clock import ManualClock
from orchestrator import Outcome, TaskError, run, validate
from orchestrator.embedded import EmbeddedEngine
from orchestrator.local_files import objects

Json = dict[str, Any]
GET = "arn:aws:states:::s3:getObject"
INNER = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "r", "End": True}}}
PROCESSOR = {**INNER, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}


def reader(key: str, **config: Any) -> Json:
    return {"Resource": GET, "Parameters": {"Bucket": "in", "Key.$": key}, "ReaderConfig": config}


def each(**more: Any) -> Json:
    state = {"Type": "Map", "ItemProcessor": PROCESSOR, "End": True, **more}
    return {"StartAt": "M", "States": {"M": state, "Got": {"Type": "Succeed"}} if "Catch" in more else {"M": state}}


def tried(definition: Json, root: Path, input: Any, task: Any = lambda given: given) -> Outcome:
    assert validate(definition) == []
    return run(definition, input, {"r": task, **objects(root)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text('id,qty\nA,1\n"B,b",2\n\nC\n', encoding="utf-8")
    (tmp_path / "in" / "a.jsonl").write_text('{"n": 1}\n\n{"n": 2}\n', encoding="utf-8")
    (tmp_path / "in" / "a.json").write_text('{"rows": {"all": [1, 2, 3, 4, 5]}}', encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("key", "config", "items"),
    [
        (
            "a.csv",
            {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
            [{"id": "A", "qty": "1"}, {"id": "B,b", "qty": "2"}, {"id": "C", "qty": ""}],
        ),
        (
            "a.csv",
            {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x"], "MaxItems": 2},
            [{"x": "id"}, {"x": "A"}],
        ),
        ("a.jsonl", {"InputType": "JSONL"}, [{"n": 1}, {"n": 2}]),
        ("a.json", {"InputType": "JSON", "ItemsPointer": "/rows/all", "MaxItemsPath": "$.most"}, [1, 2, 3]),
    ],
)
def test_items_from_a_file(root: Path, key: str, config: Json, items: list[Any]) -> None:
    outcome = tried(each(ItemReader=reader("$.key", **config)), root, {"key": key, "most": 3})
    assert outcome.output == items, outcome.cause
    types = [event.type for event in outcome.history]
    assert types[1:5] == ["MapStateEntered", "MapStateStarted", "MapRunStarted", "MapRunSucceeded"]


def test_a_bucket_is_listed(root: Path) -> None:
    listing = {"Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": {"Bucket": "in", "Prefix": "a.j"}}
    outcome = tried(each(ItemReader=listing), root, {})
    assert [item["Key"] for item in outcome.output] == ["a.json", "a.jsonl"]


@pytest.mark.parametrize(
    ("key", "config", "cause"),
    [
        ("none.json", {}, "S3.NoSuchKeyException"),
        ("../../etc/passwd", {}, "S3.AccessDenied"),
        ("a.csv", {}, "is not JSON"),
        ("a.json", {"ItemsPointer": "/rows/all/0"}, "not an array"),
        ("a.json", {"ItemsPointer": "/rows/none"}, "nothing stands at"),
    ],
)
def test_a_reader_that_fails_can_be_caught(root: Path, key: str, config: Json, cause: str) -> None:
    caught = [{"ErrorEquals": ["States.ItemReaderFailed"], "Next": "Got"}]
    outcome = tried(each(ItemReader=reader("$.key", **config), Catch=caught), root, {"key": key})
    assert outcome.output["Error"] == "States.ItemReaderFailed" and cause in outcome.output["Cause"]


def test_items_come_in_batches(root: Path) -> None:
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"day.$": "$.day"}}
    selector = {"n.$": "$$.Map.Item.Value", "at.$": "$$.Map.Item.Index"}
    outcome = tried(
        each(ItemsPath="$.all", ItemSelector=selector, ItemBatcher=batcher), root, {"day": 5, "all": [7, 8, 9]}
    )
    assert outcome.output == [
        {"BatchInput": {"day": 5}, "Items": [{"n": 7, "at": 0}, {"n": 8, "at": 1}]},
        {"BatchInput": {"day": 5}, "Items": [{"n": 9, "at": 2}]},
    ]
    by_size = tried(each(ItemBatcher={"MaxInputBytesPerBatch": 30}), root, ["x" * 8] * 5)
    assert [len(batch["Items"]) for batch in by_size.output] == [1] * 5
    assert all(len(json.dumps(batch, separators=(",", ":"))) <= 30 for batch in by_size.output)


def test_a_failed_batch_counts_its_items(root: Path) -> None:
    def first_fails(given: Any) -> Any:
        if 0 in given["Items"]:
            raise TaskError("Bad")
        return len(given["Items"])

    for most, error in ((1, "States.ExceedToleratedFailureThreshold"), (2, None)):
        definition = each(ItemBatcher={"MaxItemsPerBatch": 2}, ToleratedFailureCount=most)
        outcome = tried(definition, root, list(range(5)), first_fails)
        assert (outcome.error, outcome.output) == (error, None if error else [2, 1])


def test_results_are_written_to_files(root: Path) -> None:
    def second_fails(given: Any) -> Any:
        if given == 2:
            raise TaskError("Bad", "why")
        return [given, given]

    for shape, kind, written in (
        ("NONE", "JSON", None),
        ("COMPACT", "JSON", [[1, 1], [3, 3]]),
        ("FLATTEN", "JSONL", [1, 1, 3, 3]),
    ):
        config = {"Transformation": shape, "OutputType": kind}
        put = "arn:aws:states:::s3:putObject"
        writer = {"Resource": put, "Parameters": {"Bucket": "out", "Prefix": "day/1"}, "WriterConfig": config}
        outcome = tried(each(ResultWriter=writer, ToleratedFailureCount=1), root, [1, 2, 3], second_fails)
        where = outcome.output["ResultWriterDetails"]
        manifest = json.loads((root / where["Bucket"] / where["Key"]).read_text(encoding="utf-8"))
        assert where["Key"].startswith("day/1/") and where["Key"].endswith("/manifest.json")
        text = (root / "out" / manifest["ResultFiles"]["SUCCEEDED"][0]["Key"]).read_text(encoding="utf-8")
        told = [json.loads(line) for line in text.splitlines()] if kind == "JSONL" else json.loads(text)
        assert told == written if written else [child["Input"] for child in told] == ["1", "3"]
        failed = (root / "out" / manifest["ResultFiles"]["FAILED"][0]["Key"]).read_text(encoding="utf-8")
        assert "Bad" in failed and "why" in failed


def test_the_same_in_jsonata(root: Path) -> None:
    pytest.importorskip("jsonata", reason="the extra `jsonata` is not installed")
    fields = {
        "ItemReader": {
            "Resource": GET,
            "Arguments": {"Bucket": "in", "Key": "{% $states.input.key %}"},
            "ReaderConfig": {"InputType": "JSONL", "MaxItems": "{% 5 %}"},
        },
        "ItemSelector": "{% $states.context.Map.Item.Value.n * 10 %}",
        "ItemBatcher": {"MaxItemsPerBatch": "{% 2 %}", "BatchInput": "{% $states.input.key %}"},
    }
    definition = {"QueryLanguage": "JSONata", **each(**fields)}
    assert tried(definition, root, {"key": "a.jsonl"}).output == [{"BatchInput": "a.jsonl", "Items": [10, 20]}]


def test_the_engine_runs_one_and_calls_each_reader_and_child_once(root: Path) -> None:
    calls: list[Any] = []

    def child(given: Any) -> Any:
        calls.append(given["n"])
        return given

    definition = each(ItemReader=reader("$.key", InputType="JSONL"))
    engine = EmbeddedEngine(root / "e.sqlite", definition, {"r": child, **objects(root)}, ManualClock())
    try:
        engine.start("x", {"key": "a.jsonl"})
        assert engine.wait("x", 10).output == [{"n": 1}, {"n": 2}]
        assert sorted(calls) == [1, 2]
        # A file may be larger than a payload.
        (root / "in" / "large.jsonl").write_text('{"n": 5}\n' + " " * 300_000 + '{"n": 6}\n', encoding="utf-8")
        engine.start("y", {"key": "large.jsonl"})
        assert engine.wait("y", 10).output == [{"n": 5}, {"n": 6}]
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"ItemReader": {"Resource": "arn:aws:states:::dynamodb:scan"}}, "Resource must be one of"),
        ({"ItemReader": {"Resource": GET, "ReaderConfig": {"InputType": "CSV"}}}, "CSVHeaderLocation"),
        ({"ItemReader": {"Resource": GET, "ReaderConfig": {"InputType": "ORC"}}}, "InputType must be one of"),
        ({"ItemBatcher": {}}, "needs one of"),
        ({"ItemBatcher": {"MaxItemsPerBatch": 0}}, "whole number from 1"),
        ({"ResultWriter": {"Resource": "arn:aws:states:::sns:publish"}}, "Resource must be one of"),
        ({"ItemBatcher": {"MaxItemsPerBatch": 1}, "ItemProcessor": INNER}, "says DISTRIBUTED"),
    ],
)
def test_what_is_wrong_with_the_fields(state: Json, message: str) -> None:
    assert any(message in problem.message for problem in validate(each(**state)))
