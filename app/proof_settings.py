"""Settings of the nightly proof: whether and when it runs."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ProofSettings(BaseModel):
    """Once a day, when the worker is idle after this time, the derived tables are proved against a full batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "02:30"
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"no time zone {zone!r}") from None
        return zone
