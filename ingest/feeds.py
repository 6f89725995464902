"""What a feed is: who sends it, in which role and dialect, and how it arrives."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from domain.address import Address
from ingest.session.options import SessionOptions
from warehouse.snowflake_settings import check_address

Role = Literal["INTERNAL", "PB", "EB", "VENUE", "CUSTODIAN"]
Contents = Literal["trades", "positions", "cash", "settlement", "affirmations", "reference"]


class SessionIdentity(SessionOptions):
    """CompIDs of the messages we receive: the counterparty sends (49), we are the target (56)."""

    sender_comp_id: str
    target_comp_id: str

    @property
    def name(self) -> str:
        """Session name, counterparty first: `SENDER->TARGET`."""
        return f"{self.sender_comp_id}->{self.target_comp_id}"


class UatIdentity(BaseModel):
    """CompIDs of the counterparty's test system, for `tieout certify` alone: never those of a session in production."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sender_comp_id: Annotated[str, Field(min_length=1)]
    target_comp_id: Annotated[str, Field(min_length=1)]

    @property
    def name(self) -> str:
        """Session name, counterparty first: `SENDER->TARGET`."""
        return f"{self.sender_comp_id}->{self.target_comp_id}"


class FeedSlot(BaseModel):
    """When a file of this feed is due, on every open day of its calendar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    zone: str = "America/New_York"


class TableSource(BaseModel):
    """A table or view of a warehouse that holds a feed's records.

    `name` may be qualified (SCHEMA.TABLE). `watermark` is a column that grows as rows arrive: only rows from the last
    one seen on are read, `overlap_seconds` before it included, for rows that were committed late. Without it the whole
    table is read each time; what is known already changes nothing. `warehouse` is the address of the table's
    warehouse, empty for Tieout's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}$")]
    watermark: Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_$]*)?$")] = ""
    overlap_seconds: Annotated[int, Field(ge=0)] = 0
    poll_seconds: Annotated[int, Field(gt=0)] = 60
    warehouse: str = ""

    @field_validator("warehouse")
    @classmethod
    def _known_warehouse(cls, value: str) -> str:
        address = Address.parse(value) if value else None
        if address is not None and address.scheme not in ("duckdb", "snowflake"):
            raise ValueError(f"no adapter for {address.scheme!r} in {value!r}; known: duckdb, snowflake")
        if address is not None and address.scheme == "snowflake":
            check_address(address)
        return value


class Feed(BaseModel):
    """One source of records. The role comes from here, never from what a message says about itself.

    `session` and `path_glob` may both be given: the files are then the session's recorded log, for `tieout reconcile`;
    with `source: files` the service takes them too. `map` is the column map of its delimited files or of its table
    (`source: table`), `uat` the test session that `tieout certify` examines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Role
    party: str
    dialect: str = "generic"
    session: SessionIdentity | None = None
    uat: UatIdentity | None = None
    path_glob: Annotated[str, Field(min_length=1)] | None = None
    source: Literal["", "table", "files"] = ""
    table: TableSource | None = None
    map: Path | None = None
    contents: Contents = "trades"
    calendar: str = "XNYS"
    slots: tuple[FeedSlot, ...] = ()
    grace_seconds: Annotated[int, Field(ge=0)] = 60

    @model_validator(mode="after")
    def _one_source(self) -> "Feed":
        if (self.source == "table") != (self.table is not None):
            raise ValueError(f"{self.name!r}: `source: table` and `table` with its name go together")
        if self.source == "files" and self.path_glob is None:
            raise ValueError(f"{self.name!r}: `source: files` needs a path_glob")
        if self.table is not None and (self.session is not None or self.path_glob is not None):
            raise ValueError(f"{self.name!r}: a feed of a table has neither a session nor a path_glob")
        return self


def feeds_by_session(feeds: Sequence[Feed]) -> Mapping[str, Feed]:
    """Session name (`SENDER->TARGET`) to feed. Raises ValueError when a session is claimed twice."""
    found: dict[str, Feed] = {}
    for feed in feeds:
        if feed.session is None:
            continue
        name = feed.session.name
        if name in found:
            raise ValueError(f"feeds {found[name].name} and {feed.name} both claim session {name}")
        found[name] = feed
    for feed in feeds:
        if feed.uat is not None and feed.uat.name in found:
            raise ValueError(f"feed {feed.name}: {feed.uat.name} is a session in production, not one to test with")
    return found
