"""API routes behind `tieout rules propose` and `tieout rules list`; approval is that of every proposal."""

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from app.decisions import Decisions
from app.installation import Installation
from app.rule_approval import propose, standings
from console.sessions import Who
from domain.errors import PermanentError
from domain.principal import NotAllowed
from matching.rules import RuleError, parse_rules


class RulesBody(BaseModel):
    """A rule file's text, put forward for approval."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    text: str = Field(max_length=1_000_000)
    reason: str = Field(min_length=1, max_length=2000)


def rules_routes(installation: Installation, decisions: Decisions) -> APIRouter:
    """GET /api/rules: what was put forward; POST /api/rules: put a rule file forward (403, 409, 422)."""
    router = APIRouter(prefix="/api/rules")

    @router.get("")
    def known() -> dict[str, Any]:
        return {"in_use": installation.rules.hash, "rules": [str(one) for one in standings(installation.warehouse)]}

    @router.post("")
    def put_forward(body: RulesBody, who: Who) -> dict[str, Any]:
        try:
            rules = parse_rules(body.text)
            return {"proposal_id": propose(decisions, rules, who, body.reason), "hash": rules.hash}
        except (RuleError, ArithmeticError) as error:
            raise HTTPException(422, str(error)) from None
        except NotAllowed as error:
            raise HTTPException(403, str(error)) from None
        except PermanentError as error:
            raise HTTPException(409, str(error)) from None

    return router
