"""Settings: one frozen object from a YAML file and the environment; the only reader of the environment."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from alerting.notify_settings import NotifySettings
from alerting.settings import TicketSettings
from alerting.shadow import PilotSettings
from app.archive_settings import ArchiveSettings
from app.decision_settings import AuditSettings, DecisionSettings
from app.file_settings import FileSettings, faults
from app.profiles import NEEDS_HOST, NO_SETTINGS, PROFILES, SCHEMES
from app.proof_settings import ProofSettings
from domain.address import Address
from domain.errors import PermanentError
from ingest.dialects.dialect import AUTO, dialect_names
from ingest.feeds import Feed, SessionIdentity, feeds_by_session
from ingest.files.csv_map import parse_map
from ingest.files.file_dialect import file_dialect, file_dialect_names, is_file_dialect
from ingest.files.read import FileRefused
from ingest.session.options import AcceptorTls, rebased
from ingest.streams.kafka_settings import KafkaSettings, topic_at
from warehouse.snowflake_settings import SnowflakeSettings, check_address

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(gt=0)]


class SettingsError(Exception):
    """The settings are wrong; the text names each key, what was given and what is expected."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AcceptorSettings(_Section):
    """The FIX acceptor: where it listens and its limits."""

    host: str = "127.0.0.1"
    port: Port = 5001
    heartbeat_min_seconds: Positive = 1
    heartbeat_max_seconds: Positive = 300
    max_message_bytes: Positive = 65_536
    disk_watermark_mb: Positive = 256
    # Feeds whose sessions are this service's; empty: all. Of several services each session belongs to one.
    feeds: tuple[str, ...] = ()
    tls: AcceptorTls | None = None


class ConsoleSettings(_Section):
    """The web console; loopback only until sign-in exists."""

    host: str = "127.0.0.1"
    port: Port = 8080
    open_reads: bool = False
    # With open_reads: the user who acts where nobody signed in. For demos.
    open_as: str | None = None

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("the console binds loopback only until sign-in exists; put a proxy with sign-in before it")
        return host


class WorkerSettings(_Section):
    """The micro-batch worker's limits."""

    batch_max_messages: Positive = 5_000
    batch_min_wait_ms: Positive = 20
    batch_together_ms: Positive = 1_500
    sweep_together_ms: Positive = 1_000
    poll_ms: Positive = 20
    execution_retention_days: Positive = 30
    executions_max: Positive = 64
    # A backlog holds the end of graces back this long at most: what is missed may lie in it unread.
    grace_hold_seconds: Positive = 300
    lease_seconds: Positive = 10
    # More messages of one batch that nobody can read are our fault, not theirs: the batch is parked instead.
    poison_max_messages: Positive = 100
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"


class DuckDbSettings(_Section):
    """Limits of the embedded warehouse. What is more goes to disk; small runs lose by a second thread."""

    memory_mb: Annotated[int, Field(ge=256)] = 2_048
    threads: Annotated[int, Field(ge=1, le=256)] = 1


class TelemetrySettings(_Section):
    """Where traces go (extra `otel`); metrics are served at /metrics whatever stands here."""

    # A collector's OTLP over HTTP, as http://127.0.0.1:4318; empty: no traces.
    otlp_endpoint: Annotated[str, Field(pattern=r"^(https?://[^\s]+[^/\s])?$")] = ""


class ReferenceSettings(_Section):
    """CSV files loaded into the reference tables at start; each is optional."""

    account_map: Path | None = None
    fx_rate: Path | None = None
    instrument: Path | None = None
    identifier_history: Path | None = None
    corporate_action: Path | None = None
    close_price: Path | None = None
    ssi: Path | None = None
    expected_cash: Path | None = None
    calendar_override: Path | None = None


class Settings(BaseSettings):
    """Everything that can be configured. Unknown keys are errors; TIEOUT_<KEY> overrides the file."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="TIEOUT_", env_nested_delimiter="__", env_ignore_empty=True
    )

    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")] = "default"
    profile: Literal["embedded", "local-aws", "kafka", "aws"] = "embedded"
    data_dir: Path = Path(".tieout")
    base_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    stream: str = ""
    engine: str = ""
    warehouse: str = ""
    # Who drives which lane and how far it came: in the engine's file, or shared by several workers.
    ledger: str = "sqlite://"
    model: str = ""
    tickets: str = ""
    rules: Path | None = None
    dialects: Path | None = None
    # A folder of CODE.yaml that replace the shipped playbooks.
    playbooks: Path | None = None
    # A state machine instead of the shipped one, and the functions its states may call: name -> dotted path.
    workflow: Path | None = None
    tasks: dict[str, str] = {}
    # A checkout of the package pyfixmsg, to compare with (docs/pyfixmsg.md).
    pyfixmsg: Path | None = None
    # Who may sign in (tieout user add); nobody without it.
    users: Path | None = None
    duckdb: DuckDbSettings = DuckDbSettings()
    acceptor: AcceptorSettings = AcceptorSettings()
    console: ConsoleSettings = ConsoleSettings()
    ticketing: TicketSettings = TicketSettings()
    worker: WorkerSettings = WorkerSettings()
    reference: ReferenceSettings = ReferenceSettings()
    decisions: DecisionSettings = DecisionSettings()
    audit: AuditSettings = AuditSettings()
    archive: ArchiveSettings = ArchiveSettings()
    files: FileSettings = FileSettings()
    proof: ProofSettings = ProofSettings()
    notifications: NotifySettings = NotifySettings()
    pilot: PilotSettings = PilotSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    snowflake: SnowflakeSettings = SnowflakeSettings()
    kafka: KafkaSettings = KafkaSettings()
    feeds: tuple[Feed, ...] = ()
    # Compiled lanes where numba is installed; NumPy serves until they are ready.
    jit: bool = True
    # Password(554) of a feed's session by the feed's name in lower case: TIEOUT_PASSWORDS__ALPHA.
    passwords: dict[str, SecretStr] = {}

    @model_validator(mode="before")
    @classmethod
    def _fill_profile(cls, data: Any) -> Any:
        if isinstance(data, dict):
            profile = PROFILES.get(str(data.get("profile", "embedded")), {})
            return {**profile, **{k: v for k, v in data.items() if v not in (None, "")}}
        return data

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        for port, schemes in SCHEMES.items():
            text = getattr(self, port)
            scheme = Address.parse(text).scheme
            if scheme not in schemes:
                raise ValueError(f"{port}: no adapter for {scheme!r} in {text!r}; known: {', '.join(sorted(schemes))}")
            if scheme in NEEDS_HOST and not Address.parse(text).host:
                raise ValueError(f"{port}: {text!r} needs a name, as in {NEEDS_HOST[scheme]}")
            if scheme == "kafka":
                try:
                    topic_at(Address.parse(text), self.kafka)
                except ValueError as error:
                    raise ValueError(f"{port}: {error}") from None
            if scheme == "snowflake":
                check_address(Address.parse(text))
                if not self.snowflake.signs_in:
                    raise ValueError("snowflake: snowflake:// needs private_key, oauth_token or another way to sign in")
        for feed in self.feeds:
            if feed.session is None and feed.path_glob is None and feed.table is None:
                raise ValueError(f"feeds: {feed.name!r} has neither a session nor a path_glob nor a table")
        names = [feed.name for feed in self.feeds]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"feeds: the name {repeated[0]!r} is used more than once")
        try:
            feeds_by_session(self.feeds)
        except ValueError as error:
            raise ValueError(f"feeds: {error}") from None
        strangers = set(self.archive.classes) - {feed.name for feed in self.feeds}
        if strangers:
            raise ValueError(f"archive.classes: no feed is called {min(strangers)!r}")
        nobody = {name.lower() for name in self.passwords} - {feed.name.lower() for feed in self.feeds if feed.session}
        if nobody:
            raise ValueError(f"passwords: no feed with a session is called {min(nobody)!r}")
        sessions = {feed.name for feed in self.feeds if feed.session}
        if strange := set(self.acceptor.feeds) - sessions:
            raise ValueError(f"acceptor.feeds: no feed with a session is called {min(strange)!r}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    def password(self, feed: Feed) -> str:
        """The secret of the feed's session, empty where none is set."""
        found = [value for name, value in self.passwords.items() if name.lower() == feed.name.lower()]
        return found[0].get_secret_value() if found else ""

    def own_sessions(self) -> list[tuple[Feed, SessionIdentity]]:
        """The feeds whose FIX session this service holds, each with its session."""
        chosen = self.acceptor.feeds
        return [(feed, feed.session) for feed in self.feeds if feed.session and (not chosen or feed.name in chosen)]

    def address(self, port: str) -> Address:
        """The parsed address of `stream`, `engine`, `warehouse`, `model` or `tickets`."""
        return Address.parse(getattr(self, port))


def load(path: Path | None) -> Settings:
    """Settings from a YAML file (or defaults); relative paths are taken from the file's folder.

    Raises SettingsError with one line per wrong key.
    """
    data: dict[str, Any] = {}
    base = Path.cwd()
    if path is not None:
        if not path.is_file():
            raise SettingsError(f"{path}: no such settings file")
        base = path.resolve().parent
        data = _read_yaml(path)
    known = set(Settings.model_fields)
    _reject_unknown_environment(known)
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(path, item) for item in error.errors())) from None
    settings = _resolve_paths(settings, base)
    _check_dialects(settings, path)
    templates = settings.ticketing.triage.templates
    if templates is not None and not templates.is_dir():
        raise SettingsError(f"{path or 'environment'}: ticketing.triage.templates: no such folder {templates}")
    for name, file in settings.reference.model_dump().items():
        if file is not None and not file.is_file():
            raise SettingsError(f"{path or 'environment'}: reference.{name}: no such file {file}")
    for feed in settings.feeds:
        if feed.map is not None:
            _check_map(f"{path or 'environment'}: feeds: {feed.name!r}: map", feed.map)
    return settings


def check_sources(settings: Settings, path: Path) -> None:
    """Raises SettingsError for a feed whose files the service could not read."""
    for feed in settings.feeds:
        if faults(feed):
            raise SettingsError(f"{path}: feeds: {feed.name!r}: {faults(feed)}")


def container_port() -> int:
    """The port SageMaker tells a container to bind (SAGEMAKER_BIND_TO_PORT), else 8080; raises SettingsError."""
    text = os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise SettingsError(f"environment variable SAGEMAKER_BIND_TO_PORT: {text!r} is not a port")
    return int(text)


def child_environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment for a child, with `extra` on top."""
    return {**os.environ, **extra}


def _check_dialects(settings: Settings, path: Path | None) -> None:
    """Every feed's dialect exists; AUTO chooses per message. Raises SettingsError."""
    where = path or "environment"
    try:
        known = [AUTO, *dialect_names(settings.dialects)]
    except PermanentError as error:
        raise SettingsError(f"{where}: {error}") from None
    for feed in settings.feeds:
        if is_file_dialect(feed.dialect):
            _check_file_dialect(f"{where}: feeds: {feed.name!r}", feed)
        elif feed.dialect not in known:
            files = ", ".join(file_dialect_names())
            told = f"no dialect {feed.dialect!r}; known: {', '.join(known)}; for files: {files}"
            raise SettingsError(f"{where}: feeds: {feed.name!r}: {told}")


def _check_file_dialect(key: str, feed: Feed) -> None:
    """A dialect of files is for files, and of what the feed says they hold. Raises SettingsError."""
    try:
        found = file_dialect(feed.dialect)
    except PermanentError as error:
        raise SettingsError(f"{key}: {error}") from None
    if feed.session is not None:
        raise SettingsError(f"{key}: dialect {feed.dialect!r} is for files, the feed has a session")
    if feed.map is not None:
        raise SettingsError(f"{key}: give a file dialect or a map, not both")
    if found.contents != feed.contents:
        raise SettingsError(f"{key}: contents is {feed.contents!r}, dialect {found.name!r} reads {found.contents}")


def _check_map(key: str, file: Path) -> None:
    if not file.is_file():
        raise SettingsError(f"{key}: no such file {file}")
    try:
        parse_map(file.read_text(encoding="utf-8-sig"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a YAML text file"
        raise SettingsError(f"{key}: {file}: {reason}") from None
    except FileRefused as error:
        raise SettingsError(f"{key}: {error}") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        source = YamlConfigSettingsSource(Settings, yaml_file=path)
        return dict(source())
    except Exception as error:
        raise SettingsError(f"{path}: not a readable YAML mapping: {error}") from None


def _reject_unknown_environment(known: set[str]) -> None:
    for name in os.environ:
        if name.startswith("TIEOUT_"):
            key = name.removeprefix("TIEOUT_").split("__")[0].lower()
            if key not in known and name not in NO_SETTINGS:
                raise SettingsError(f"environment variable {name}: no such setting {key!r}")


def _explain(path: Path | None, item: Any) -> str:
    # A check over several keys names its key itself.
    where = ".".join(str(part) for part in item["loc"])
    given = "" if item["type"] in ("missing", "value_error") or "password" in where else f" (given {item['input']!r})"
    text = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        text += given
    return ": ".join(part for part in (str(path or "environment"), where, text) if part)


def _feed_paths(feed: Feed, base: Path) -> Feed:
    """The feed with its map, and a file dialect of the user's own, from the settings file's folder."""
    own = feed.dialect.endswith((".yaml", ".yml"))
    dialect = str(base / feed.dialect) if own else feed.dialect
    session = feed.session
    if session is not None and session.tls is not None:
        session = session.model_copy(update={"tls": rebased(session.tls, base)})
    return feed.model_copy(
        update={"map": base / feed.map if feed.map else None, "dialect": dialect, "session": session}
    )


def _resolve_paths(settings: Settings, base: Path) -> Settings:
    reference = {
        name: (base / value if value is not None else None) for name, value in settings.reference.model_dump().items()
    }
    return settings.model_copy(
        update={
            "data_dir": base / settings.data_dir,
            "rules": base / settings.rules if settings.rules else None,
            "dialects": base / settings.dialects if settings.dialects else None,
            "playbooks": base / settings.playbooks if settings.playbooks else None,
            "workflow": base / settings.workflow if settings.workflow else None,
            "pyfixmsg": base / settings.pyfixmsg if settings.pyfixmsg else None,
            "users": base / settings.users if settings.users else None,
            "audit": settings.audit.rebased(base),
            "files": settings.files.rebased(base),
            "notifications": settings.notifications.rebased(base),
            "ticketing": settings.ticketing.rebased(base),
            "reference": ReferenceSettings(**reference),
            "snowflake": settings.snowflake.rebased(base),
            "kafka": settings.kafka.rebased(base),
            "acceptor": settings.acceptor.model_copy(
                update={"tls": rebased(settings.acceptor.tls, base) if settings.acceptor.tls else None}
            ),
            "feeds": tuple(_feed_paths(feed, base) for feed in settings.feeds),
        }
    )
