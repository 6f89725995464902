"""The Glue job on a local Spark: the same facts as files and streams give, once, into Iceberg or Parquet."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from app.reconcile import given_by
from app.settings import Settings, load
from domain.ids import digest128
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.normalise import RawBatch, normalise
from ingest.normalise_reference import build_reference
from ingest.store import store
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream
from simulator.profiles import PROFILES
from simulator.simulate import simulate
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]
pytest.importorskip("pyspark", reason="the extra glue (pyspark) is not installed")
if shutil.which("java") is None:
    pytest.skip("Java is not installed: Spark needs it", allow_module_level=True)

from pyspark.sql import SparkSession  # noqa: E402

from infra.glue import etl  # noqa: E402
from infra.glue.lake import IcebergLake, Lake, ParquetLake  # noqa: E402

ICEBERG = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0"
FACTS = (
    "raw_message", "quarantine", "trade_event", "trade_fee", "trade_identifier", "position_snapshot", "cash_entry",
    "settlement_status", "affirmation", "sequence_gap", "account_map", "file_manifest",
)  # fmt: skip
# When and under which name it was stored is not what was said.
NOT_SAID = {"execution", "recv_ts"}
# Whence it came differs between a session and its log.
WHENCE = {"message_id", "source_id", "execution", "recv_time_utc", "file", "line"}
SOH = b"\x01"


def iceberg_jar(folder: Path) -> Path | None:
    """The Iceberg runtime for Spark 3.5 by Maven, fetched once; None where there is no Maven or nothing to be had."""
    _, artifact, version = ICEBERG.split(":")
    jar = folder / f"{artifact}-{version}.jar"
    if not jar.exists() and shutil.which("mvn") is not None:
        command = [
            "mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ICEBERG}", f"-DoutputDirectory={folder}",
            f"-Dmaven.repo.local={folder / 'repository'}",
        ]  # fmt: skip
        subprocess.run(command, check=False, capture_output=True, timeout=600)
    return jar if jar.exists() else None


@pytest.fixture(scope="module")
def jar(request: pytest.FixtureRequest) -> Path | None:
    return iceberg_jar(request.config.cache.mkdir("iceberg"))


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory, jar: Path | None) -> Iterator[SparkSession]:
    home = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.driver.memory": "1g", "spark.local.dir": str(home),
        "spark.sql.warehouse.dir": str(home / "warehouse"), "spark.ui.showConsoleProgress": "false",
    }  # fmt: skip
    if jar is not None:
        settings |= {
            "spark.jars": str(jar), "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
            "spark.sql.catalog.lake.type": "hadoop", "spark.sql.catalog.lake.warehouse": str(home / "iceberg"),
        }  # fmt: skip
    builder = SparkSession.builder.master("local[2]").config("spark.pyspark.python", sys.executable)
    for key, value in settings.items():
        builder = builder.config(key, value)
    patch = pytest.MonkeyPatch()
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    # The workers import the rooms from here, installed or not.
    patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
    patch.undo()


@pytest.fixture(params=["parquet", "iceberg"])
def lake(request: pytest.FixtureRequest, spark: SparkSession, jar: Path | None, tmp_path: Path) -> Lake:
    if request.param == "parquet":
        return ParquetLake(spark, str(tmp_path / "lake"))
    if jar is None:
        pytest.skip("no Iceberg runtime: Maven is not installed or reaches nothing")
    return IcebergLake(spark, "lake", f"t{digest128(str(tmp_path))[:12]}")


def said(warehouse: DuckDbWarehouse, table: str, apart: set[str] = NOT_SAID) -> Counter[str]:
    rows = warehouse.query(f"SELECT * FROM {table}")
    return Counter(map(repr, rows.drop_columns([n for n in rows.column_names if n in apart]).to_pylist()))


def loaded(settings: Settings) -> dict[str, Counter[str]]:
    with closing(DuckDbWarehouse(settings.address("warehouse").path)) as warehouse:
        return {table: said(warehouse, table) for table in FACTS}


def in_lake(lake: Lake) -> dict[str, Counter[str]]:
    tables = {name: lake.table(name) for name in FACTS}
    return {name: Counter(map(repr, rows.collect())) for name, rows in tables.items() if rows is not None}


def test_objects_give_the_facts_that_files_give(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    simulate(replace(PROFILES["smoke"], fills=80, pbs="AC"), 11, date(2026, 11, 20), landing)
    (landing / "charlie" / "cash_20261121.csv").touch()
    _names_as_a_feed(landing)
    settings = load(landing / "tieout.yaml").model_copy(update={"warehouse": f"duckdb:///{tmp_path / 'own.duckdb'}"})
    done = etl.run(spark, str(landing), settings, lake, load=True)
    assert done["objects"] == done["read"] == done["loaded"] > 10
    with closing(DuckDbWarehouse(":memory:")) as files:
        migrate(files)
        given = given_by(settings, landing / "tieout.yaml", files, None)
        files.append("file_manifest", given.manifest)
        store(files, given.batch, "x")
        expected = {table: said(files, table) for table in FACTS}
    assert loaded(settings) == expected
    assert all(expected[table] for table in ("trade_event", "trade_fee", "position_snapshot", "account_map"))
    before = in_lake(lake)
    again = etl.run(spark, str(landing), settings, lake, load=True)
    assert (again["read"], again["rows"], again["loaded"]) == (0, {}, 0)
    assert (in_lake(lake), loaded(settings)) == (before, expected)


def _names_as_a_feed(landing: Path) -> None:
    """The account map as a feed of reference data in place of a file of the settings."""
    text = (landing / "tieout.yaml").read_text()
    text = text.replace("  account_map: reference/account_map.csv\n", "")
    text += (
        "  - {name: NAMES, role: INTERNAL, party: MERIDIAN, dialect: csv_account_map, contents: reference,"
        " path_glob: reference/account_map.csv}\n"
    )
    (landing / "tieout.yaml").write_text(text)


def fix(number: int, text: str = "") -> bytes:
    fields = f"35=8|49=ALPHA|56=TIEOUT|34={number}|52=20261120-14:30:{number:02}.123456789|{text or execution(number)}"
    body = fields.replace("|", "\x01").encode()
    whole = b"8=FIX.4.4\x019=%d\x01%s" % (len(body), body)
    return whole + b"10=%03d\x01" % (sum(whole) % 256)


def execution(number: int) -> str:
    return (
        f"37=O{number}|17=E{number}|150=F|39=2|55=MSFT|54=1|32=100|31=41.{number:02}|6=41.5|14=100|151=0|1=ACC1|15=USD|"
        f"75=20261120|60=20261120-14:30:{number:02}.123456789|136=1|137=0.25|138=USD|139=4|"
    )


def one_session(tmp_path: Path) -> tuple[Settings, Path]:
    landing = tmp_path / "landing"
    (landing / "alpha").mkdir(parents=True)
    alpha = Feed.model_validate({
        "name": "ALPHA", "role": "PB", "party": "ALPHA", "path_glob": "alpha/*.fix",
        "session": {"sender_comp_id": "ALPHA", "target_comp_id": "TIEOUT"},
    })  # fmt: skip
    (tmp_path / "tieout.yaml").write_text("tenant: t\n")
    own = f"duckdb:///{tmp_path / 'own.duckdb'}"
    return load(tmp_path / "tieout.yaml").model_copy(update={"feeds": (alpha,), "warehouse": own}), landing


def by_stream(messages: list[bytes], feed: Feed, root: Path, tables: tuple[str, ...]) -> dict[str, Counter[str]]:
    """What the service stores of a session's messages."""
    name = feed.session.name if feed.session else ""
    with closing(SegmentStream(root)) as stream, closing(DuckDbWarehouse(":memory:")) as warehouse:
        stream.append([Envelope(name, 1, 1_763_649_000_000_000_000, messages)])
        read = [m for e in stream.read(stream.lanes()[0], None, 1_000).envelopes for m in e.messages]
        ids = [f"{name}:{number}" for number in range(1, len(read) + 1)]
        times = np.full(len(read), 1_763_649_000_000_000_000, dtype=np.int64)
        batch = RawBatch(read, ids, range(1, len(read) + 1), name, [name] * len(read), times, [feed] * len(read))
        migrate(warehouse)
        store(warehouse, normalise(batch, build_reference(load_dialects(None))), "x")
        return {table: said(warehouse, table, WHENCE) for table in tables}


def test_objects_give_the_facts_that_the_stream_gives(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    settings, landing = one_session(tmp_path)
    messages = [fix(n) for n in range(1, 40)] + [fix(40, "35=0|"), fix(41), fix(41)]
    (landing / "alpha" / "1.fix").write_bytes(b"\n".join(messages[:20]) + b"\n")
    (landing / "alpha" / "2.fix").write_bytes(b"\n".join(messages[20:]) + b"\n")
    assert etl.run(spark, landing.as_uri(), settings, lake, load=True)["loaded"] == 2
    tables = ("trade_event", "trade_fee", "trade_identifier")
    with closing(DuckDbWarehouse(settings.address("warehouse").path)) as own:
        mine = {table: said(own, table, WHENCE) for table in tables}
    assert mine == by_stream(messages, settings.feeds[0], tmp_path / "raw", tables)
    assert sum(mine["trade_event"].values()) == 40


def test_a_log_that_grew_brings_what_is_new_and_one_that_changed_is_told(
    spark: SparkSession, lake: Lake, tmp_path: Path
) -> None:
    settings, landing = one_session(tmp_path)
    log = landing / "alpha" / "1 [of 2].fix"
    log.write_bytes(b"\n".join(map(fix, range(1, 6))) + b"\n")
    assert etl.run(spark, str(landing), settings, lake, load=True)["rows"]["trade_event"] == 5
    log.write_bytes(b"\n".join(map(fix, range(1, 9))) + b"\n")
    grown = etl.run(spark, str(landing), settings, lake, load=True)
    assert (grown["rows"]["raw_message"], grown["rows"]["trade_event"], grown["changed"]) == (3, 3, [])
    assert sum(loaded(settings)["trade_event"].values()) == 8
    before = in_lake(lake)
    log.write_bytes(b"\n".join([*map(fix, range(1, 8)), fix(8, execution(8).replace("32=100|", "32=900|"))]) + b"\n")
    for _ in range(2):
        changed = etl.run(spark, str(landing), settings, lake, load=True)
        assert (changed["rows"], changed["changed"], changed["loaded"]) == ({}, ["alpha/1 [of 2].fix"], 0)
    assert in_lake(lake) == before


def test_a_run_that_was_cut_off_is_finished_by_the_next(spark: SparkSession, tmp_path: Path) -> None:
    settings, landing = one_session(tmp_path)
    lake = ParquetLake(spark, str(tmp_path / "lake"))
    (landing / "alpha" / "1.fix").write_bytes(b"\n".join(map(fix, range(1, 6))) + b"\n")
    etl.run(spark, str(landing), settings, lake)
    before = in_lake(lake)
    # As if it had ended before the fees and the manifest were written.
    for name in ("trade_fee", "file_manifest"):
        shutil.rmtree(tmp_path / "lake" / name)
    done = etl.run(spark, str(landing), settings, lake, load=True)
    assert (done["rows"], done["loaded"]) == ({"trade_fee": 5, "file_manifest": 1}, 1)
    assert in_lake(lake) == before
    assert sum(loaded(settings)["trade_event"].values()) == 5


def test_the_command_line(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, landing = one_session(tmp_path)
    (landing / "alpha" / "1.fix").write_bytes(fix(1))
    monkeypatch.chdir(tmp_path)
    words = ["--JOB_NAME", "tieout", "--landing", landing.name, "--settings", "tieout.yaml"]
    text = "tenant: t\nfeeds: [{name: ALPHA, role: PB, party: ALPHA, path_glob: 'alpha/*.fix'}]\n"
    (tmp_path / "tieout.yaml").write_text(text)
    to = [*words, "--lake", str(tmp_path / "lake")]
    assert etl.main(to) == 0
    assert '"objects": 1, "read": 1' in capsys.readouterr().out
    (tmp_path / "tieout.yaml").write_text("tenant: t\nfeeds: [{name: X, role: PB, party: X, nonsense: 1}]\n")
    assert etl.main(to) == 2
    assert "nonsense" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        etl.main(words)
