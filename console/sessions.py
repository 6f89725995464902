"""Who a request comes from: a person with a session or a password, or whoever holds the service's token."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from console.security import Gate, cookie_name, has_scheme
from domain.clock import Clock
from domain.principal import Principal

SESSION_SECONDS = 12 * 3600


class People(Protocol):
    """The people who may sign in."""

    def authenticate(self, name: str, password: str) -> Principal | None:
        """The person whose password this is, or None."""
        ...

    def find(self, name: str) -> Principal | None:
        """The person of that name, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Sessions:
    """Finds the principal of a request; `open_as` acts where the console is open and nobody signed in."""

    gate: Gate
    clock: Clock
    people: People | None = None
    service: str = "service"
    open_as: str | None = None

    def principal(self, request: Request) -> Principal | None:
        """Who asks, None for a stranger. A password is hashed here, some 50 ms: call it off the event loop."""
        if self.gate.has_bearer(request):
            return self._service()
        if has_scheme(request, "basic"):
            return self._basic(request)
        found = self._session(request.cookies.get(cookie_name(request), ""))
        if found is None and self.gate.has_cookie(request):
            return self._service()
        return found

    def guest(self) -> Principal | None:
        """Who acts in a console that is open for reading, None where it is not."""
        if not self.gate.open_reads:
            return None
        person = self.people.find(self.open_as) if self.people and self.open_as else None
        return person or self._service()

    def begin(self, request: Request, response: Response, person: Principal) -> None:
        """Hand the browser a session of this person: not readable by scripts, never sent from another site."""
        expires = self.clock.now_ns() // 1_000_000_000 + SESSION_SECONDS
        name = base64.urlsafe_b64encode(person.name.encode()).decode()
        value = f"{name}.{expires}.{self._seal(person.name, expires)}"
        response.set_cookie(
            cookie_name(request), value, max_age=SESSION_SECONDS, httponly=True, samesite="strict", path="/"
        )

    def _service(self) -> Principal:
        return Principal(self.service, "service", frozenset({"analyst"}))

    def _basic(self, request: Request) -> Principal | None:
        encoded = request.headers.get("authorization", "").partition(" ")[2]
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self.people.authenticate(name, password) if colon and self.people else None

    def _session(self, value: str) -> Principal | None:
        encoded, _, rest = value.partition(".")
        expires, _, seal = rest.partition(".")
        if not (self.people and self.gate.token and seal and expires.isascii() and expires.isdigit()):
            return None
        try:
            name = base64.urlsafe_b64decode(encoded).decode()
        except (binascii.Error, ValueError):
            return None
        fits = hmac.compare_digest(seal.encode(), self._seal(name, int(expires)).encode())
        if not fits or int(expires) <= self.clock.now_ns() // 1_000_000_000:
            return None
        return self.people.find(name)

    def _seal(self, name: str, expires: int) -> str:
        told = f"tieout session v1\x1f{name}\x1f{expires}".encode()
        return hmac.new(self.gate.token.encode(), told, hashlib.sha256).hexdigest()


def who(request: Request) -> Principal:
    """The principal the guard found; 401 for nobody."""
    found: Principal | None = getattr(request.state, "principal", None)
    if found is None:
        raise HTTPException(401, "sign in first")
    return found


Who = Annotated[Principal, Depends(who)]
Find = Callable[[Request], Principal | None]
