"""Settings of a FIX session beside its CompIDs: version, validation, who may connect, hours, and where we dial."""

from datetime import time
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ingest.session.schedule import ALL_DAYS, Schedule

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
VersionName = Literal[
    "FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4", "FIX.5.0", "FIX.5.0SP1", "FIX.5.0SP2"
]  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionHours(_Part):
    """When a session may be logged on: `start` to `end` on each of `days`, or once a week from `days` to `last_day`."""

    start: _Clock
    end: _Clock
    zone: str = "America/New_York"
    days: tuple[Day, ...] = _DAYS
    last_day: Day | None = None
    reset: bool = True

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone {zone!r}") from None
        return zone

    @model_validator(mode="after")
    def _one_first_day(self) -> "SessionHours":
        if self.last_day is not None and len(self.days) != 1:
            raise ValueError("a week from a first to a last_day has one day in days")
        if not self.days:
            raise ValueError("days is empty")
        return self

    @property
    def schedule(self) -> Schedule:
        """The hours as the session core takes them."""
        days = frozenset(_DAYS.index(day) for day in self.days) or ALL_DAYS
        last = _DAYS.index(self.last_day) if self.last_day is not None else None
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        return Schedule(start, end, self.zone, days, last, self.reset)


class AcceptorTls(_Part):
    """TLS of the sessions that log on here; with `client_ca` clients must show a certificate of that authority."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class DialTls(_Part):
    """TLS of a session we dial: whose certificates we trust (`ca`, else the system's) and our own."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""


PartT = TypeVar("PartT", bound=BaseModel)


def rebased(part: PartT, base: Path) -> PartT:
    """The settings with their relative paths taken from `base`."""
    return part.model_copy(update={name: base / value for name, value in part if isinstance(value, Path)})


class SessionOptions(_Part):
    """What a session may set; the defaults are those of a counterparty that logs on here.

    With `acknowledge` durable business messages are answered with a receipt (AR, P, AT, AU).
    """

    version: VersionName | None = None
    validation: Literal["tolerant", "strict"] = "tolerant"
    sending_time_seconds: Annotated[int, Field(ge=0)] | None = None
    username: str = ""
    allow_from: tuple[IPv4Network | IPv6Network, ...] = ()
    client_certificate: str = ""
    hours: SessionHours | None = None
    next_expected: bool = False
    connect: Annotated[str, Field(pattern=r"^[^\s:]+:[0-9]{1,5}$|^\[[0-9a-fA-F:]+\]:[0-9]{1,5}$")] | None = None
    tls: DialTls | None = None
    heartbeat_seconds: Annotated[int, Field(gt=0, le=3_600)] = 30
    reset_on_logon: bool = False
    acknowledge: bool = False

    @model_validator(mode="after")
    def _fits_the_side(self) -> "SessionOptions":
        if self.connect is None:
            wrong = [name for name in ("tls", "reset_on_logon") if getattr(self, name)]
            if wrong:
                raise ValueError(
                    f"{wrong[0]} is for a session with connect (acceptor.tls is for those that log on here)"
                )
        else:
            if self.version is None:
                raise ValueError("connect needs a version: we send the first Logon")
            if not 0 < self.address[1] < 65_536:
                raise ValueError(f"connect: {self.address[1]} is not a port")
            wrong = [name for name in ("allow_from", "client_certificate") if getattr(self, name)]
            if wrong:
                raise ValueError(f"{wrong[0]} is for a session that logs on here, not for one with connect")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `connect`; empty and 0 without."""
        host, _, port = (self.connect or ":0").rpartition(":")
        return host.strip("[]"), int(port)
