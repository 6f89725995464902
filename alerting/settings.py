"""Settings of tickets: which breaks get one, how the ticket system is reached, its limits, the shape of records."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from alerting.port import TicketState
from alerting.shape import FACTS, FIELDS, placeholders
from domain.taxonomy import Severity, taxonomy

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(gt=0)]
SeverityName = Literal["INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
Method = Literal["basic", "api_key", "oauth_client", "oauth_password", "oauth_refresh"]

# What each way to sign in needs besides `username`.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "basic": (),
    "api_key": ("api_key",),
    "oauth_client": ("client_id", "client_secret"),
    "oauth_password": ("client_id", "client_secret"),
    "oauth_refresh": ("client_id", "client_secret", "refresh_token"),
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AuthSettings(_Section):
    """How we sign in. Secrets come from the environment: TIEOUT_TICKETING__AUTH__CLIENT_SECRET and so on."""

    method: Method = "basic"
    client_id: str = ""
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    api_key: SecretStr | None = None
    # mTLS: our certificate and its key (PEM), and an authority of the tenant's own.
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> "AuthSettings":
        missing = [name for name in _NEEDS[self.method] if not getattr(self, name)]
        if missing:
            raise ValueError(f"{self.method} needs {', '.join(missing)}")
        if self.key and not self.certificate:
            raise ValueError("key is the certificate's: give certificate, too")
        return self

    def rebased(self, base: Path) -> "AuthSettings":
        """With paths taken from `base`."""
        paths = {name: getattr(self, name) for name in ("certificate", "key", "ca")}
        return self.model_copy(update={name: base / path if path else None for name, path in paths.items()})


class RateSettings(_Section):
    """Bounds of what is sent: below the tenant's hourly rule, and not into a service that is down."""

    requests_per_hour: Annotated[int, Field(ge=0)] = 0
    burst: Positive = 100
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    connections: Annotated[int, Field(gt=0, le=64)] = 8
    breaker_failures: Positive = 8
    breaker_seconds: Annotated[float, Field(ge=0, le=3_600)] = 15.0
    # From so many openings at once on they are sent by the Batch API; 0: never.
    batch_from: Annotated[int, Field(ge=0)] = 20


class RecordSettings(_Section):
    """The tenant's records: table, names of fields, values of states, fields of its own."""

    table: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")] = "incident"
    # An import set's staging table; empty: the Table API.
    staging: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,79})?$")] = ""
    # False where the tenant does not let a client choose the sys_id.
    own_ids: bool = True
    fields: Mapping[str, Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,79})?$")]] = {}
    states: Mapping[Literal["new", "in_progress", "on_hold", "resolved", "closed", "canceled"], str] = {}
    on_open: Mapping[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")], str] = {}
    close_code: str = "Solution provided"

    @field_validator("fields")
    @classmethod
    def _known_fields(cls, fields: Mapping[str, str]) -> Mapping[str, str]:
        unknown = sorted(set(fields) - set(FIELDS))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of ours; known: {', '.join(FIELDS)}")
        if any(fields.get(name) == "" for name in ("correlation_id", "state", "short_description")):
            raise ValueError("correlation_id, state and short_description cannot be left out")
        return fields

    @field_validator("on_open")
    @classmethod
    def _known_facts(cls, values: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in values.items():
            unknown = sorted(placeholders(text) - set(FACTS))
            if unknown:
                raise ValueError(f"{name}: {{{unknown[0]}}} is unknown; known: {', '.join(FACTS)}")
        return values

    @model_validator(mode="after")
    def _one_to_one(self) -> "RecordSettings":
        values = list(self.state_values().values())
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(f"states: {repeated[0]!r} stands for more than one of our states")
        return self

    def state_values(self) -> dict[TicketState, str]:
        """Our states as the instance numbers them."""
        return {state: self.states.get(state.name.lower(), state.value) for state in TicketState}  # type: ignore[call-overload]


class TriageSettings(_Section):
    """Which breaks get a ticket besides `min_severity` and `min_score`, and who gets them."""

    always: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    # Severity a code needs to get a ticket, and exposure in base currency (absolute); an unknown exposure reaches it.
    min_severity: Mapping[str, SeverityName] = {}
    min_exposure: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    # Assignment groups: by the taxonomy's owner, by code, and by prime broker; the later of these wins.
    owners: Mapping[str, str] = {}
    codes: Mapping[str, str] = {}
    prime_brokers: Mapping[str, str] = {}
    # Texts of one's own (alerting/templates has the shipped ones).
    templates: Path | None = None
    # The records of both sides as a file on each ticket.
    attach_evidence: bool = False

    @field_validator("always", "never", "min_severity", "codes")
    @classmethod
    def _known_codes(cls, codes: object) -> object:
        unknown = sorted(set(codes) - set(taxonomy()))  # type: ignore[call-overload]
        if unknown:
            raise ValueError(f"no break code {unknown[0]!r}")
        return codes

    @model_validator(mode="after")
    def _consistent(self) -> "TriageSettings":
        both = sorted(self.always & self.never)
        if both:
            raise ValueError(f"{both[0]} is in always and in never")
        return self


class StormSettings(_Section):
    """From how many breaks of one code at one prime broker on they share a parent ticket; 0: never."""

    size: Annotated[int, Field(ge=0)] = 50
    window_minutes: Positive = 60


class SyncSettings(_Section):
    """Reading back what people do in the ticket system, and holding both sides against each other."""

    every_seconds: Annotated[float, Field(gt=0)] = 30.0
    # Commits there are not in the order of their stamps: look back a little at each poll.
    overlap_seconds: Annotated[float, Field(ge=0)] = 120.0
    reconcile_seconds: Annotated[float, Field(gt=0)] = 900.0
    page: Annotated[int, Field(gt=0, le=10_000)] = 500
    read_back: bool = True
    # hold_reason on the instance -> who has to act: PB, EB or INTERNAL.
    hold_parties: Mapping[str, Literal["PB", "EB", "INTERNAL"]] = {"1": "INTERNAL", "4": "PB"}


class TicketSettings(_Section):
    """Which breaks become tickets, and how the ticket system is reached."""

    min_severity: SeverityName = "MEDIUM"
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.9
    username: str = "tieout"
    password: SecretStr | None = None
    embedded_port: Port = 0
    deliver_limit: Positive = 2_000
    auth: AuthSettings = AuthSettings()
    rate: RateSettings = RateSettings()
    records: RecordSettings = RecordSettings()
    triage: TriageSettings = TriageSettings()
    storm: StormSettings = StormSettings()
    sync: SyncSettings = SyncSettings()
    # Also tell Event Management (a licensed plug-in of the instance).
    events: bool = False

    @property
    def severity(self) -> Severity:
        """`min_severity` as the enum."""
        return Severity[self.min_severity]

    def rebased(self, base: Path) -> "TicketSettings":
        """With paths taken from `base`."""
        templates = base / self.triage.templates if self.triage.templates else None
        triage = self.triage.model_copy(update={"templates": templates})
        return self.model_copy(update={"auth": self.auth.rebased(base), "triage": triage})
