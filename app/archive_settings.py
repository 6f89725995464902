"""Settings of the raw log as archive, and of the watch over the disk."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Days = Annotated[int, Field(gt=0)]


class ArchiveSettings(BaseModel):
    """What becomes of whole segments of the raw log.

    `keep_days` gives each retention class its days; `classes` puts feeds into classes, by feed name. A feed without a
    class is kept for ever.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seal: bool = True
    # The warehouse keeps its copies of what the raw log has for so long; for ever without it.
    warehouse_days: Days | None = None
    keep_days: dict[str, Days] = {}
    classes: dict[str, str] = {}

    @model_validator(mode="after")
    def _known(self) -> "ArchiveSettings":
        for feed, name in self.classes.items():
            if name not in self.keep_days:
                known = ", ".join(sorted(self.keep_days)) or "none"
                raise ValueError(f"classes: {feed}: no retention class {name!r} in keep_days; known: {known}")
        return self

    def days(self, feed: str) -> int | None:
        """Days a feed's messages are kept; None: for ever."""
        return self.keep_days.get(self.classes.get(feed, ""))
