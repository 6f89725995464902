"""Routes of sessions and proposals: sign in, see what waits for a second person, approve, reject, withdraw."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from console.security import Gate, same_origin, set_cookie
from console.sessions import Sessions, Who
from console.view import Deps
from domain.errors import PermanentError
from domain.principal import NotAllowed, Principal

ProposalId = Annotated[str, Path(pattern=r"^[A-Za-z0-9]{1,80}$")]
WRONG = "wrong name or password; after ten of them a name is shut for a minute"


class SessionBody(BaseModel):
    """A person's name and password; empty to use the token in the header, or the open mode."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(default="", max_length=64)
    password: SecretStr = Field(default=SecretStr(""), max_length=200)


class Verdict(BaseModel):
    """The answer to a proposal; a rejection needs a reason."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    verdict: Literal["approve", "reject", "withdraw"]
    reason: str = Field(default="", max_length=2000)


def start_session(request: Request, body: SessionBody) -> Response:
    """POST /api/session: hands our own pages a cookie, for a password, for the token, or in the open demo mode."""
    gate: Gate = request.app.state.gate
    sessions: Sessions = request.app.state.sessions
    known: Principal | None = getattr(request.state, "principal", None)
    if known is not None and not body.user and not gate.has_bearer(request):
        return JSONResponse({"actor": known.name})
    if body.user:
        person = sessions.people.authenticate(body.user, body.password.get_secret_value()) if sessions.people else None
        if person is None:
            raise HTTPException(401, WRONG)
    else:
        person = None if gate.has_bearer(request) else sessions.guest()
        if person is None and not gate.has_bearer(request):
            raise HTTPException(401, "send Authorization: Bearer with the token in service.json, or user and password")
    if not same_origin(request):
        raise HTTPException(403, "only this console's own pages may ask for a session")
    is_person = person is not None and person.kind == "user"
    response = JSONResponse({"actor": person.name if person else sessions.service})
    if person is not None and is_person:
        sessions.begin(request, response, person)
    else:
        set_cookie(request, response, gate)
    return response


def list_proposals(deps: Deps) -> dict[str, Any]:
    """GET /api/proposals: what waits for a second person, oldest first; times as UTC milliseconds."""
    return {"proposals": [proposal_json(dict(row)) for row in deps.actions.pending()]}


def proposal_json(row: dict[str, Any]) -> dict[str, Any]:
    """One proposal for API clients; the records it is about are counted, not listed."""
    payload = dict(row.get("payload") or {})
    records = payload.pop("records", None)
    shown = {name: format(v, "f") if isinstance(v, Decimal) else v for name, v in row.items()}
    at = row.get("acted_at")
    return shown | {
        "payload": payload, "records": len(records) if records is not None else None,
        "acted_at": at // 1_000_000 if isinstance(at, int) else None,
    }  # fmt: skip


def answer(deps: Deps, proposal_id: ProposalId, body: Verdict, who: Who) -> dict[str, Any]:
    """POST /api/proposals/{id}: approve, reject or withdraw. 403 for the proposer's own approval and for services."""
    if body.verdict == "reject" and not body.reason:
        raise HTTPException(422, "reject needs a reason")
    try:
        return {"action_id": deps.actions.answer(proposal_id, who, body.verdict, body.reason)}
    except NotAllowed as error:
        raise HTTPException(403, str(error)) from None
    except PermanentError as error:
        raise HTTPException(409, str(error)) from None


def me(who: Who) -> dict[str, Any]:
    """GET /api/me: who the service takes the caller for."""
    return {"name": who.name, "kind": who.kind, "roles": sorted(who.roles), "may_approve": who.may_approve}


def routes() -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api")
    router.post("/session")(start_session)
    router.get("/proposals")(list_proposals)
    router.post("/proposals/{proposal_id}", status_code=201)(answer)
    router.get("/me")(me)
    return router
