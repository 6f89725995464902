"""Local users: a YAML file of names, roles and hashed passwords, until an identity provider does it."""

import base64
import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.settings import SettingsError
from domain.clock import Clock
from domain.principal import Principal, Role

logger = logging.getLogger(__name__)

# 16 MiB and some 50 ms a try.
_N, _R, _P = 2**14, 8, 1
MAX_FAILURES = 10
FAILURE_SECONDS = 60.0
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]


class User(BaseModel):
    """One line of the users' file; `password` is `scrypt$n$r$p$salt$hash`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    roles: tuple[Role, ...] = ("analyst",)
    password: Annotated[str, Field(pattern=r"^scrypt\$\d+\$\d+\$\d+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+$")]

    @property
    def principal(self) -> Principal:
        """The person this user is."""
        return Principal(self.name, "user", frozenset(self.roles))


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[User, ...] = ()


@dataclass(slots=True)
class Users:
    """The users of one installation. Too many wrong passwords for a name shut it for a minute.

    The file is read again when it changed; one that cannot be read leaves nobody.
    """

    path: Path | None
    clock: Clock
    _known: Mapping[str, User] = field(default_factory=dict)
    _stamp: tuple[int, int] | None = None
    _failures: dict[str, list[float]] = field(default_factory=dict)

    def authenticate(self, name: str, password: str) -> Principal | None:
        """The person whose password this is; None for a wrong one, an unknown name or a name that is shut."""
        now = self.clock.monotonic()
        if len(self._failures) > 1_000:
            self._failures.clear()
        recent = [at for at in self._failures.get(name, []) if now - at < FAILURE_SECONDS]
        user = self._current().get(name)
        # Hashing for an unknown name as well: the time taken does not tell who exists.
        right = matches(password, user.password if user else _NOBODY) and user is not None
        if len(recent) >= MAX_FAILURES or not right:
            self._failures[name] = [*recent, now][-MAX_FAILURES:]
            return None
        self._failures.pop(name, None)
        return user.principal if user else None

    def find(self, name: str) -> Principal | None:
        """The person of that name as the file has him now."""
        user = self._current().get(name)
        return user.principal if user else None

    def _current(self) -> Mapping[str, User]:
        if self.path is None:
            return {}
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._known, self._stamp = read_users(self.path), stamp
        except (OSError, SettingsError) as error:
            logger.warning("nobody can sign in: %s", error)
            self._known, self._stamp = {}, None
        return self._known


def hashed(password: str) -> str:
    """The password as the file keeps it."""
    salt = os.urandom(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_derive(password, salt, _N, _R, _P))}"


def matches(password: str, kept: str) -> bool:
    """Whether the password is the one kept, compared in constant time."""
    _, n, r, p, salt, wanted = kept.split("$")
    found = _derive(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(wanted))


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=2**26)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


_NOBODY = f"scrypt${_N}${_R}${_P}${_text(b'nobody-nobody-no')}${_text(bytes(64))}"


def read_users(path: Path) -> dict[str, User]:
    """The users of the file by name. Raises SettingsError naming what is wrong."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        found = _File.model_validate(data)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: not a readable users' file: {error}") from None
    except ValidationError as error:
        # The input is left out: it may be a password.
        said = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsError("\n".join(said)) from None
    names = [user.name for user in found.users]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{path}: the user {twice[0]!r} is there twice")
    return {user.name: user for user in found.users}


def write_users(path: Path, users: Iterable[User]) -> None:
    """Write the file, for its owner only."""
    text = yaml.safe_dump({"users": [user.model_dump(mode="json") for user in users]}, sort_keys=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def demo_users(path: Path) -> dict[str, str]:
    """Write two users, an analyst and a supervisor who approves, and return their new passwords."""
    passwords = {"analyst": secrets.token_urlsafe(9), "supervisor": secrets.token_urlsafe(9)}
    roles: dict[str, tuple[Role, ...]] = {"analyst": ("analyst",), "supervisor": ("analyst", "approver")}
    write_users(path, [User(name=n, roles=roles[n], password=hashed(secret)) for n, secret in passwords.items()])
    return passwords
