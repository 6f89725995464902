"""Composition root: the only place where an adapter is chosen, by the scheme of its address."""

import contextlib

import httpx

from anomaly.port import Scorer
from app.aws import client
from app.paths import DataDir
from app.settings import Settings, SettingsError
from domain.address import Address
from domain.clock import Clock
from ingest.streams.kafka_settings import topic_at
from ingest.streams.kinesis import KinesisStream
from ingest.streams.port import Stream
from ingest.streams.recent import RecentStream
from ingest.streams.segment import SegmentStream
from matching.rules import RuleError, RuleSet, load_rules
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Warehouse
from warehouse.snowflake import SnowflakeWarehouse
from warehouse.snowflake_session import SnowflakeLogin
from warehouse.snowflake_settings import login_for

SERVICE_USER = "tieout"


def open_warehouse(settings: Settings, clock: Clock) -> Warehouse:
    """The tenant's warehouse, migrated."""
    warehouse = _warehouse(settings, clock)
    migrate(warehouse)
    return warehouse


def _warehouse(settings: Settings, clock: Clock) -> Warehouse:
    address = settings.address("warehouse")
    if address.scheme == "snowflake":
        return SnowflakeWarehouse(snowflake_login(settings), clock=clock)
    path = address.path or str(DataDir(settings.data_dir).warehouse)
    limits = settings.duckdb
    return DuckDbWarehouse(path, clock=clock, threads=limits.threads, memory_limit_mb=limits.memory_mb)


def snowflake_login(settings: Settings, address: Address | None = None) -> SnowflakeLogin:
    """Account and sign-in of `address`, by default the warehouse's own. Raises SettingsError."""
    try:
        return login_for(address or settings.address("warehouse"), settings.snowflake, settings.tenant)
    except ValueError as error:
        raise SettingsError(f"warehouse: {error}") from None


def open_stream(settings: Settings, clock: Clock) -> Stream:
    """The stream the worker reads."""
    if settings.address("stream").scheme == "segment":
        return SegmentStream(DataDir(settings.data_dir).raw)
    return RecentStream(open_remote_stream(settings, clock))


def open_remote_stream(settings: Settings, clock: Clock) -> Stream:
    """The remote stream. A Kinesis stream is made if it does not exist (local-aws) and waited for until it is active;
    a Kafka topic is looked up at its first use, so that a broker that is out of reach is only lag."""
    address = settings.address("stream")
    if address.scheme == "kafka":
        return _kafka(settings, address, clock)
    kinesis = client(settings, "kinesis")
    if settings.profile == "local-aws":
        names = kinesis.list_streams().get("StreamNames", [])
        if address.host not in names:
            with contextlib.suppress(kinesis.exceptions.ResourceInUseException):
                kinesis.create_stream(StreamName=address.host, ShardCount=int(address.query.get("shards", "2")))
        kinesis.get_waiter("stream_exists").wait(StreamName=address.host, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return KinesisStream(kinesis, address.host, clock)


def _kafka(settings: Settings, address: Address, clock: Clock) -> Stream:
    try:
        from ingest.streams.kafka import KafkaStream
    except ImportError as error:
        raise SettingsError(f"stream: kafka:// needs the extra 'kafka': {error}") from None
    return KafkaStream(topic_at(address, settings.kafka), clock)


def open_rules(settings: Settings) -> RuleSet:
    """The rule set; raises SettingsError with the file's own lines."""
    try:
        return load_rules(settings.rules)
    except (RuleError, OSError) as error:
        raise SettingsError(f"rules: {error}") from None


def open_scorer(settings: Settings) -> Scorer:
    """The break scorer: in this process, a container over HTTP, or a SageMaker endpoint."""
    from anomaly.model import InProcessScorer, cold_start
    from anomaly.remote import HttpScorer, SageMakerScorer

    address = settings.address("model")
    if address.scheme == "inprocess":
        return InProcessScorer(cold_start)
    if address.scheme == "sagemaker":
        return SageMakerScorer(client(settings, "sagemaker-runtime"), address.host)
    return HttpScorer(httpx.Client(trust_env=False, timeout=30), str(address))
