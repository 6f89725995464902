"""Composition root: the only place where an adapter is chosen, by the scheme of its address."""

import contextlib
import secrets
import threading
from collections.abc import Callable
from decimal import Decimal

import httpx

from alerting.port import Ticketing
from alerting.service.api import Credentials
from alerting.service.server import serve_service
from alerting.servicenow import ServiceNow
from alerting.triage import DEFAULT_GROUPS, TriagePolicy
from anomaly.port import Scorer
from app.aws import client
from app.files import read_json, write_json
from app.paths import DataDir
from app.settings import Settings, SettingsError
from domain.address import Address
from domain.clock import Clock
from ingest.streams.kinesis import KinesisStream
from ingest.streams.port import Stream
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
    return DuckDbWarehouse(address.path or str(DataDir(settings.data_dir).warehouse), clock=clock)


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
    return open_remote_stream(settings, clock)


def open_remote_stream(settings: Settings, clock: Clock) -> KinesisStream:
    """The remote stream, made if it does not exist (local-aws) and waited for until it is active."""
    address = settings.address("stream")
    kinesis = client(settings, "kinesis")
    if settings.profile == "local-aws":
        names = kinesis.list_streams().get("StreamNames", [])
        if address.host not in names:
            with contextlib.suppress(kinesis.exceptions.ResourceInUseException):
                kinesis.create_stream(StreamName=address.host, ShardCount=int(address.query.get("shards", "2")))
        kinesis.get_waiter("stream_exists").wait(StreamName=address.host, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return KinesisStream(kinesis, address.host, clock)


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


def open_policy(settings: Settings, console_url: str = "") -> TriagePolicy:
    """Which breaks become tickets."""
    return TriagePolicy(
        min_severity=settings.ticketing.severity,
        min_score=Decimal(str(settings.ticketing.min_score)),
        namespace=f"tieout-{settings.tenant}",
        console_url=console_url,
    )


def open_ticketing(settings: Settings, clock: Clock, stop: threading.Event) -> tuple[Ticketing, Callable[[str], None]]:
    """The ticket system, and a switch that makes the embedded one fail on purpose (a no-op for a real one)."""
    address = settings.address("tickets")
    given = settings.ticketing.password
    if address.scheme == "servicenow":
        if given is None:
            raise SettingsError("ticketing.password: servicenow:// needs it (TIEOUT_TICKETING__PASSWORD)")
        url = f"https://{address.host}" + (f":{address.port}" if address.port else "")
        return ServiceNow(url, settings.ticketing.username, given.get_secret_value()), lambda _mode: None
    data = DataDir(settings.data_dir)
    password = given.get_secret_value() if given else _embedded_password(data)
    credentials = Credentials(users={settings.ticketing.username: password}, fault_token=password)
    groups = tuple(sorted(set(DEFAULT_GROUPS.values())))
    url = serve_service(
        "127.0.0.1", settings.ticketing.embedded_port, data.tickets, credentials, clock, stop, groups=groups
    )
    ticketing = ServiceNow(url, settings.ticketing.username, password)
    return ticketing, _fault_switch(url, password)


def _embedded_password(data: DataDir) -> str:
    # Kept beside the tickets, so that a ticket service opened again knows the same user.
    path = data.root / "tickets.secret.json"
    known = read_json(path)
    if known is None:
        known = {"password": secrets.token_urlsafe(24)}
        write_json(path, known)
    return str(known["password"])


def _fault_switch(url: str, token: str) -> Callable[[str], None]:
    def switch(mode: str) -> None:
        answer = httpx.post(
            f"{url}/tieout/fault", json={"mode": mode}, headers={"X-Tieout-Token": token}, trust_env=False, timeout=10
        )
        answer.raise_for_status()

    return switch
