"""The queue's filters and sort as the URL carries them, checked at the boundary."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

MAX_WINDOW_ROWS = 500
MAX_OFFSET_ROWS = 10_000_000
MAX_SEARCH_CHARACTERS = 100

Code = Annotated[str, Field(pattern=r"^[A-Z][0-9]{2}$")]
Name = Annotated[str, Field(min_length=1, max_length=64)]
State = Literal[
    "active", "all", "OPEN", "ASSIGNED", "REOPENED", "WAIT_PB", "WAIT_EB", "WAIT_INTERNAL", "SUPPRESSED", "RESOLVED",
    "CLOSED",
]  # fmt: skip
Due = Literal["breached", "1h"]
Sort = Literal["priority", "ticket", "code", "symbol", "exposure", "score", "opened", "deadline", "state", "pb"]


class QueueFilter(BaseModel):
    """What is shown: `severity` holds levels 0..4, `assignee` is a name or `none`, `q` is free text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State = "active"
    severity: list[Annotated[int, Field(ge=0, le=4)]] = Field(default_factory=list, max_length=5)
    pb: list[Name] = Field(default_factory=list, max_length=50)
    code: list[Code] = Field(default_factory=list, max_length=60)
    assignee: Name | None = None
    due: Due | None = None
    q: str = Field(default="", max_length=MAX_SEARCH_CHARACTERS)
    sort: Sort = "priority"
    dir: Literal["asc", "desc"] | None = None


class QueueRequest(QueueFilter):
    """A filter plus the window of rows wanted; `facets=false` skips the counts while scrolling."""

    offset: int = Field(default=0, ge=0, le=MAX_OFFSET_ROWS)
    limit: int = Field(default=100, ge=1, le=MAX_WINDOW_ROWS)
    facets: bool = True


QueueFilterQuery = Annotated[QueueFilter, Query()]
QueueRequestQuery = Annotated[QueueRequest, Query()]
