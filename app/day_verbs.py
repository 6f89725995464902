"""The verbs about completeness and days: through the running service's API, else on the files."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict

from app.check import Check, FeedCheck, as_text, check, day_of, raise_alerts
from app.days import CloseRefused, Days
from app.days import as_text as day_text
from app.users import Users
from app.verbs import VerbError, _either

if TYPE_CHECKING:
    from app.installation import Installation

Json = dict[str, Any]


class CloseRequest(BaseModel):
    """Who signs which day of which market off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    day: date
    market: str | None = None
    name: str
    password: str
    reason: str = ""


def run_check(feed: str | None, day: str | None, config: Path | None) -> tuple[Json, str]:
    """The check as data and as text. Raises VerbError, SettingsError or ValueError."""
    on = day_of(day).isoformat() if day else None
    with _either(config) as (client, local):
        wanted = {name: value for name, value in (("feed", feed), ("day", on)) if value}
        found: Json = client.get("/api/check", **wanted) if client else checked(_there(local), feed, on)
    feeds = tuple(FeedCheck(**{**one, "problems": tuple(one["problems"])}) for one in found["feeds"])
    return found, as_text(Check(feeds, tuple(found["problems"])))


def run_status(day: str, market: str | None, config: Path | None) -> str:
    """Each market's day as text."""
    on = day_of(day)
    with _either(config) as (client, local):
        if client is not None:
            wanted = {"market": market} if market else {}
            return "\n".join(client.get(f"/api/day/{on.isoformat()}", **wanted)["text"])
        return "\n".join(stated(_there(local), on, market))


def run_close(day: str, market: str | None, who: tuple[str, str], reason: str, config: Path | None) -> str:
    """Close each market's day; the text says how it stands then."""
    request = CloseRequest(day=day_of(day), market=market, name=who[0], password=who[1], reason=reason)
    with _either(config) as (client, local):
        if client is not None:
            return "\n".join(client.post("/api/day/close", request.model_dump(mode="json"))["text"])
        return "\n".join(closed(_there(local), request))


def checked(installation: "Installation", feed: str | None, day: str | None) -> Json:
    """The check, its differences recorded as alerts; of everything, tickets and the raw log are looked at as well."""
    result = check(installation.warehouse, feed, date.fromisoformat(day) if day else None)
    if feed is None and day is None:
        result = Check(result.feeds, installation.completeness().problems)
    raise_alerts(installation.warehouse, result, installation.clock.now_ns())
    return result.as_json()


def stated(installation: "Installation", day: date, market: str | None) -> Sequence[str]:
    """The day of each market as text."""
    days = _days(installation)
    return [day_text(days.status(day, name)) for name in _markets(days, market)]


def closed(installation: "Installation", request: CloseRequest) -> Sequence[str]:
    """The day of each market after its close. Raises CloseRefused."""
    who = Users(installation.settings.users, installation.clock).authenticate(request.name, request.password)
    if who is None:
        raise CloseRefused("name or password is wrong")
    days = _days(installation)
    return [day_text(days.close(request.day, name, who, request.reason)) for name in _markets(days, request.market)]


def routes(installation: "Installation") -> APIRouter:
    """GET check and day, POST day/close, below /api."""
    router = APIRouter()

    @router.get("/check")
    def get_check(feed: str | None = None, day: date | None = None) -> Json:
        return checked(installation, feed, day.isoformat() if day else None)

    @router.get("/day/{day}")
    def get_day(day: date, market: str | None = None) -> Json:
        return {"text": list(stated(installation, day, market))}

    @router.post("/day/close")
    def post_close(request: CloseRequest) -> Json:
        try:
            return {"text": list(closed(installation, request))}
        except CloseRefused as error:
            raise HTTPException(409, str(error)) from None

    return router


def _days(installation: "Installation") -> Days:
    return Days(installation.warehouse, installation.settings.feeds, installation.clock)


def _markets(days: Days, market: str | None) -> Sequence[str]:
    return [market] if market else days.markets()


def _there(installation: "Installation | None") -> "Installation":
    if installation is None:
        raise VerbError("nothing has run here yet")
    return installation
