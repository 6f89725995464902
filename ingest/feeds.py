"""What a feed is: who sends it, in which role and dialect, and how it arrives."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.session.options import SessionOptions

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


class Feed(BaseModel):
    """One source of records. The role comes from here, never from what a message says about itself.

    `session` and `path_glob` may both be given: the files are then the session's recorded log. `map` is the column map
    of its delimited files, `uat` the test session that `tieout certify` examines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Role
    party: str
    dialect: str = "generic"
    session: SessionIdentity | None = None
    uat: UatIdentity | None = None
    path_glob: Annotated[str, Field(min_length=1)] | None = None
    map: Path | None = None
    contents: Contents = "trades"
    calendar: str = "XNYS"
    slots: tuple[FeedSlot, ...] = ()
    grace_seconds: Annotated[int, Field(ge=0)] = 60


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
