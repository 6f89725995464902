"""Who acts: a person who signed in, or a service that showed its token."""

from dataclasses import dataclass, field
from typing import Literal

from domain.errors import PermanentError

Role = Literal["analyst", "approver"]


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated actor. Analysts decide and propose; approvers, who are people, also approve."""

    name: str
    kind: Literal["user", "service"] = "user"
    roles: frozenset[Role] = field(default_factory=frozenset)

    @property
    def may_decide(self) -> bool:
        """True for whoever may record decisions and proposals."""
        return bool(self.roles)

    @property
    def may_approve(self) -> bool:
        """True for a person with the role `approver`; a service token never approves."""
        return self.kind == "user" and "approver" in self.roles


class NotAllowed(PermanentError):
    """Who asks may not do this, or not alone; the text says why."""
