"""What a distributed Map reads: Parquet, packed files, manifests, listings of several pages, and what is refused."""

import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator import Outcome, TaskError, run, validate
from orchestrator.local_files import objects

Json = dict[str, Any]
GET, LIST = "arn:aws:states:::s3:getObject", "arn:aws:states:::s3:listObjectsV2"
INNER = {"StartAt": "T", "States": {"T": {"Type": "Pass", "End": True}}}
PROCESSOR = {**INNER, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
CSV = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}


def mapped(config: Json, resource: str = GET, **given: Any) -> Json:
    reader = {"Resource": resource, "Parameters": {"Bucket": "in", **given}, "ReaderConfig": config}
    selector = {"v.$": "$$.Map.Item.Value", "from.$": "$$.Map.Item.Source"}
    state = {"Type": "Map", "ItemProcessor": PROCESSOR, "ItemReader": reader, "ItemSelector": selector, "End": True}
    return {"StartAt": "M", "States": {"M": state}}


def tried(root: Path, config: Json, resource: str = GET, **given: Any) -> Outcome:
    definition = mapped(config, resource, **given)
    assert validate(definition) == []
    return run(definition, {}, objects(root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in" / "day").mkdir(parents=True)
    return tmp_path


def put(root: Path, key: str, body: bytes) -> None:
    path = root / "in" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def parquet(root: Path, key: str, **columns: list[Any]) -> None:
    (root / "in" / key).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), root / "in" / key)


def values(outcome: Outcome) -> list[Any]:
    assert outcome.status == "SUCCEEDED", outcome.cause
    return [item["v"] for item in outcome.output]


def test_parquet_rows_are_exact(root: Path) -> None:
    parquet(
        root, "a.parquet", id=["A", None], price=[Decimal("1.10"), None], day=[dt.date(2026, 11, 20), None],
        legs=[[{"q": 1}], []], raw=[b"\xff", None], f=[float("nan"), 0.5],
    )  # fmt: skip
    outcome = tried(root, {"InputType": "PARQUET"}, Key="a.parquet")
    first = {"id": "A", "price": "1.10", "day": "2026-11-20", "legs": [{"q": 1}], "raw": "/w==", "f": None}
    assert values(outcome) == [first, {**dict.fromkeys(first), "legs": [], "f": 0.5}]
    assert outcome.output[0]["from"] == "S3://in/a.parquet"
    assert len(values(tried(root, {"InputType": "PARQUET", "MaxItems": 1}, Key="a.parquet"))) == 1


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_packed_files_are_unpacked(root: Path, pack: str) -> None:
    put(root, "a.csv.packed", pa.compress(b"id\r\n\xc3\xa4\r\n", codec=pack, asbytes=True))
    assert values(tried(root, CSV, Key="a.csv.packed")) == [{"id": "ä"}]


def test_an_inventory_names_its_files_and_their_columns(root: Path) -> None:
    put(root, "data/1.csv.gz", gzip.compress(b'"in","a%20b.csv","5"\n"in","c","6"\n'))
    put(root, "data/2.csv.gz", gzip.compress(b'"in","d","7"\n'))
    manifest = {"fileFormat": "CSV", "fileSchema": "Bucket, Key, Size"}
    manifest["files"] = [{"key": "data/1.csv.gz", "size": 1}, {"key": "data/2.csv.gz", "size": 1}]  # type: ignore
    put(root, "manifest.json", json.dumps(manifest).encode())
    for config in ({"InputType": "MANIFEST"}, {"ManifestType": "S3_INVENTORY"}):
        outcome = tried(root, config, Key="manifest.json")
        assert [item["Key"] for item in values(outcome)] == ["a%20b.csv", "c", "d"]
        assert values(outcome)[0] == {"Bucket": "in", "Key": "a%20b.csv", "Size": "5"}
        assert outcome.output[2]["from"] == "S3://in/data/2.csv.gz"
    (root / "in" / "data" / "2.csv.gz").unlink()
    # What MaxItems leaves out is not read.
    assert len(values(tried(root, {"InputType": "MANIFEST", "MaxItems": 2}, Key="manifest.json"))) == 2
    assert tried(root, {"InputType": "MANIFEST"}, Key="manifest.json").error == "States.ItemReaderFailed"


def test_an_athena_manifest_names_files_of_a_kind(root: Path) -> None:
    parquet(root, "out/1", n=[1, 2])
    parquet(root, "out/2", n=[3])
    put(root, "m.csv", b"s3://in/out/1\ns3://in/out/2\n")
    outcome = tried(root, {"InputType": "PARQUET", "ManifestType": "ATHENA_DATA"}, Key="m.csv")
    assert values(outcome) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_listed_objects_are_read_one_after_another(root: Path) -> None:
    put(root, "day/1.jsonl", '{"n": "a\u2028b"}\r\n{"n": 2}'.encode())
    put(root, "day/2.jsonl", b'{"n": 3}\n{"n": 4}')
    config = {"InputType": "JSONL", "Transformation": "LOAD_AND_FLATTEN", "MaxItems": 3}
    assert [item["n"] for item in values(tried(root, config, LIST, Prefix="day/"))] == ["a\u2028b", 2, 3]


def test_every_page_of_a_listing_is_asked_for() -> None:
    asked: list[Json] = []

    def listing(given: Json) -> Json:
        asked.append(given)
        at = int(given.get("ContinuationToken", "0"))
        more = {"IsTruncated": True, "NextContinuationToken": str(at + 1)} if at < 2 else {}
        return {"Contents": [{"Key": f"k{at}", "Size": 1}], **more}

    outcome = run(mapped({}, LIST), {}, {LIST: listing})
    assert [item["Key"] for item in values(outcome)] == ["k0", "k1", "k2"]
    assert [given.get("ContinuationToken") for given in asked] == [None, "1", "2"]
    assert len(values(run(mapped({"MaxItems": 2}, LIST), {}, {LIST: listing}))) == 2 and len(asked) == 5


@pytest.mark.parametrize(
    ("config", "body", "cause"),
    [
        ({"InputType": "PARQUET"}, b"PAR1 no", "not a Parquet file"),
        ({"InputType": "JSONL"}, b"\x1f\x8bno", "cannot be unpacked (gzip)"),
        ({"InputType": "JSON"}, b"\xff\xfe", "not UTF-8 text"),
        ({"InputType": "JSONL"}, b"1\nNaN", "line 2 is not JSON: NaN"),
        ({"InputType": "JSON"}, b"[1e999]", "too large a number"),
        ({"InputType": "MANIFEST"}, b"[]", "the manifest is not an object"),
        ({"InputType": "MANIFEST"}, b'{"fileFormat": "ORC"}', "fileFormat is ORC"),
        ({"InputType": "MANIFEST"}, b'{"fileFormat": "CSV", "files": []}', "no fileSchema"),
        ({"InputType": "MANIFEST"}, b'{"fileFormat": "CSV", "fileSchema": "Key", "files": [1]}', "has no key"),
        ({"InputType": "JSONL", "ManifestType": "ATHENA_DATA"}, b"http://x/y", "line 1 of the manifest"),
        ({"InputType": "JSONL", "ManifestType": "ATHENA_DATA"}, b"s3://../x", "S3.AccessDenied"),
    ],
)
def test_what_cannot_be_read_fails_the_reader(root: Path, config: Json, body: bytes, cause: str) -> None:
    put(root, "x", body)
    outcome = tried(root, config, Key="x")
    assert outcome.error == "States.ItemReaderFailed" and cause in str(outcome.cause)


@pytest.mark.parametrize(
    ("config", "resource", "message"),
    [
        ({"ManifestType": "OTHER"}, GET, "ManifestType must be one of"),
        ({"ManifestType": "S3_INVENTORY", "InputType": "CSV"}, GET, "goes without InputType"),
        ({"ManifestType": "ATHENA_DATA", "InputType": "MANIFEST"}, GET, "an ATHENA_DATA manifest names"),
        ({"Transformation": "LOAD_AND_FLATTEN"}, LIST, "needs an InputType"),
        ({"Transformation": "LOAD_AND_FLATTEN", "InputType": "CSV"}, GET, "belongs to"),
        ({"Transformation": "FLATTEN"}, LIST, "Transformation is NONE or"),
        ({"InputType": "MANIFEST"}, LIST, "read with s3:getObject"),
        ({"ItemsPointer": "rows"}, GET, "JSON Pointer"),
        ({"ItemsPointer": "/rows", "InputType": "JSONL"}, GET, "belongs to JSON"),
    ],
)
def test_configurations_that_contradict_themselves(config: Json, resource: str, message: str) -> None:
    assert any(message in problem.message for problem in validate(mapped(config, resource)))


def test_a_writer_that_is_misspelt_is_refused() -> None:
    definition = mapped({})
    definition["States"]["M"]["ResultWriter"] = {"WriterConfig": {"OutputType": "XML", "Transformation": "FLAT"}}
    assert len(validate(definition)) == 2


def test_a_reader_of_ones_own_may_fail(root: Path) -> None:
    def refuse(given: Any) -> Any:
        raise TaskError("S3.SlowDown", "later")

    outcome = run(mapped({}, Key="k"), {}, {GET: refuse})
    assert (outcome.error, outcome.cause) == ("States.ItemReaderFailed", "S3.SlowDown: later")
