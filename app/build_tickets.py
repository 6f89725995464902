"""The ticket system an installation uses: sign-in, limits and record shape from the settings, the embedded service."""

import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import httpx

from alerting.events import Evented
from alerting.gate import Gate, GateLimits
from alerting.import_set import ImportSetServiceNow
from alerting.instance import Connection, Instance, Watch
from alerting.login import ApiKey, OAuth, client_credentials, password_grant, refresh_grant
from alerting.service.auth import Credentials
from alerting.service.server import serve_service
from alerting.servicenow import ServiceNow
from alerting.settings import RateSettings, RecordSettings, TicketSettings
from alerting.shadow import Shadowed, TicketStore
from alerting.shape import Shape
from alerting.triage import DEFAULT_GROUPS, TriagePolicy
from app.files import read_json, write_json
from app.paths import DataDir
from app.playbooks import open_playbooks
from app.settings import Settings, SettingsError
from app.telemetry import Telemetry
from app.ticket_budget import BudgetFile
from domain.clock import Clock
from domain.taxonomy import Severity


@dataclass(frozen=True, slots=True)
class TicketSystem:
    """The store, the instance behind it (a pilot's real one), the gate before it, and a switch that makes the embedded
    service fail (nothing for a real one).
    """

    tickets: TicketStore
    real: ServiceNow
    gate: Gate
    set_fault: Callable[[str], None]


def open_policy(settings: Settings, console_url: str = "") -> TriagePolicy:
    """Which breaks become tickets."""
    given = settings.ticketing
    return TriagePolicy(
        min_severity=given.severity,
        min_score=Decimal(str(given.min_score)),
        always=given.triage.always,
        never=given.triage.never,
        code_severity={code: Severity[name] for code, name in given.triage.min_severity.items()},
        min_exposure=given.triage.min_exposure,
        groups={**DEFAULT_GROUPS, **given.triage.owners},
        code_groups=given.triage.codes,
        pb_groups=given.triage.prime_brokers,
        namespace=f"tieout-{settings.tenant}",
        console_url=console_url,
        close_code=given.records.close_code,
        templates=given.triage.templates,
        attach_evidence=given.triage.attach_evidence,
        checks={code: tuple(one.text for one in book.checks) for code, book in open_playbooks(settings).items()},
        pilot=settings.pilot,
        storm_size=given.storm.size,
        storm_window_minutes=given.storm.window_minutes,
        traced=bool(settings.telemetry.otlp_endpoint),
    )


def open_ticketing(
    settings: Settings,
    clock: Clock,
    stop: threading.Event,
    watch: Watch | None = None,
    telemetry: Telemetry | None = None,
) -> TicketSystem:
    """The ticket system of the settings; the embedded service runs until `stop`. Raises SettingsError.

    In a pilot's shadow the embedded service stands beside the real system, and keys say where a ticket lives.
    With `telemetry` its work is told to a collector.
    """
    system = _opened(settings, clock, stop, watch)
    if telemetry is None:
        return system
    return replace(system, tickets=telemetry.store(system.tickets, [system.real.instance]))


def _opened(settings: Settings, clock: Clock, stop: threading.Event, watch: Watch | None) -> TicketSystem:
    address = settings.address("tickets")
    given = settings.ticketing
    if address.scheme != "servicenow":
        return _embedded(settings, given, clock, stop, watch)
    url = f"https://{address.host}" + (f":{address.port}" if address.port else "")
    data = DataDir(settings.data_dir)
    book = BudgetFile(data.ticket_budget, url) if data.root.is_dir() else None
    live = _system(given, url, _auth(given, clock), clock, lambda _mode: None, watch, settings.tenant, book)
    if settings.pilot.mode == "live":
        return live
    own = {"records": RecordSettings(), "rate": RateSettings(), "password": None, "events": False}
    shadow = _embedded(settings, given.model_copy(update=own), clock, stop, watch)
    return TicketSystem(Shadowed(live.tickets, shadow.tickets), live.real, live.gate, shadow.set_fault)


def _embedded(
    settings: Settings, given: TicketSettings, clock: Clock, stop: threading.Event, watch: Watch | None
) -> TicketSystem:
    data = DataDir(settings.data_dir)
    password = given.password.get_secret_value() if given.password else _embedded_password(data)
    credentials = Credentials(users={given.username: password}, fault_token=password)
    wanted = open_policy(settings)
    groups = {*DEFAULT_GROUPS.values(), *wanted.groups.values(), *wanted.code_groups.values()}
    url = serve_service(
        "127.0.0.1", given.embedded_port, data.tickets, credentials, clock, stop,
        groups=tuple(sorted(groups | set(wanted.pb_groups.values()))),
    )  # fmt: skip
    # In a pilot's shadow the real system's budget is the one to keep.
    book = BudgetFile(data.ticket_budget, "embedded") if settings.address("tickets").scheme == "embedded" else None
    switch = _fault_switch(url, password)
    return _system(given, url, (given.username, password), clock, switch, watch, settings.tenant, book)


def _system(
    given: TicketSettings,
    url: str,
    auth: httpx.Auth | tuple[str, str],
    clock: Clock,
    set_fault: Callable[[str], None],
    watch: Watch | None,
    node: str,
    book: BudgetFile | None,
) -> TicketSystem:
    rate, records = given.rate, given.records
    limits = GateLimits(rate.requests_per_hour, rate.burst, rate.breaker_failures, rate.breaker_seconds)
    gate = Gate(clock, limits, book)
    connection = Connection(rate.timeout_seconds, rate.connections, _tls(given))
    watching = {"watch": watch} if watch else {}
    instance = Instance(url, auth, clock, gate, connection, **watching)
    shape = Shape(records.table, records.fields, records.state_values(), records.on_open)
    direct = (
        ImportSetServiceNow(instance, given.username, records.staging, shape) if records.staging
        else ServiceNow(instance, given.username, shape, own_ids=records.own_ids)
    )  # fmt: skip
    return TicketSystem(Evented(direct, instance, node) if given.events else direct, direct, gate, set_fault)


def _auth(given: TicketSettings, clock: Clock) -> httpx.Auth | tuple[str, str]:
    """How requests are signed. Raises SettingsError naming the key that is missing."""
    auth = given.auth
    secret = auth.client_secret.get_secret_value() if auth.client_secret else ""
    if auth.api_key and auth.method == "api_key":
        return ApiKey(auth.api_key.get_secret_value())
    if auth.method == "oauth_client":
        return OAuth(client_credentials(auth.client_id, secret), clock)
    if auth.refresh_token and auth.method == "oauth_refresh":
        return OAuth(refresh_grant(auth.client_id, secret, auth.refresh_token.get_secret_value()), clock)
    if given.password is None:
        raise SettingsError("ticketing.password: servicenow:// needs it (TIEOUT_TICKETING__PASSWORD)")
    password = given.password.get_secret_value()
    if auth.method == "oauth_password":
        return OAuth(password_grant(auth.client_id, secret, given.username, password), clock)
    return given.username, password


def _tls(given: TicketSettings) -> ssl.SSLContext | None:
    """The context of mTLS or of an authority of the tenant's own; None for the system's. Raises SettingsError."""
    auth = given.auth
    if auth.ca is None and auth.certificate is None:
        return None
    try:
        context = ssl.create_default_context(cafile=str(auth.ca) if auth.ca else None)
        if auth.certificate:
            context.load_cert_chain(auth.certificate, auth.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"ticketing.auth: certificate, key or ca cannot be read: {error}") from None
    return context


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
