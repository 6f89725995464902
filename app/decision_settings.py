"""Settings of decisions and the audit trail: limits a person has alone, the users' file, where roots go."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class DecisionSettings(BaseModel):
    """What one person may decide without a second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A difference of money up to this is accepted by one person, more is a write-off that two decide. Base currency.
    accept_limit: Annotated[Decimal, Field(ge=0)] = Decimal(25)
    # The service refuses a rule file until two people stand behind its content.
    approve_rules: bool = False
    suppress_days: Annotated[int, Field(gt=0, le=366)] = 30


class AuditSettings(BaseModel):
    """Files of the audit trail outside the warehouse; default: in the data directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Path | None = None
    roots: Path | None = None

    def rebased(self, base: Path) -> "AuditSettings":
        """With paths taken from `base`."""
        return AuditSettings(key=base / self.key if self.key else None, roots=base / self.roots if self.roots else None)
