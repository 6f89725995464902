"""Audit verbs on an installation: its trail through the service or from its files; roots on demand; users."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from app.client import ServiceError, running
from app.settings import SettingsError
from app.users import User, hashed, read_users, write_users
from app.verbs import VerbError, settings_for
from app.verify import Part, Row, parsed, trail_lines
from domain.errors import PermanentError, TransientError

MIN_PASSWORD_CHARACTERS = 8


@contextmanager
def parts(config: Path | None) -> Iterator[Callable[[Part], list[Row]]]:
    """A function from part to its rows. Raises VerbError."""
    settings = settings_for(config)
    client = running(settings.data_dir)
    try:
        if client is not None:
            yield lambda part: parsed(client.text(f"/api/audit/{part}.jsonl").splitlines(), part)
            return
        if not settings.data_dir.is_dir():
            raise VerbError(f"{settings.data_dir}: nothing has run here yet")
        from app.installation import open_installation

        with open_installation(settings) as installation:
            yield lambda part: parsed(trail_lines(installation.warehouse, part), part)
    except (ServiceError, PermanentError, TransientError) as error:
        raise VerbError(str(error)) from None


def sign_now(config: Path | None) -> str:
    """Sign a root over everything so far; returns where it was exported."""
    settings = settings_for(config)
    client = running(settings.data_dir)
    try:
        if client is not None:
            made = client.post("/api/audit/roots")
        else:
            from app.installation import open_installation

            with open_installation(settings) as installation:
                made = installation.auditor.report(installation.auditor.close_hours(now=True))
    except (ServiceError, PermanentError, TransientError) as error:
        raise VerbError(str(error)) from None
    signed = "" if made["signed"] else ", not signed: the extra `audit` is not installed"
    return f"{made['roots']} new, {made['file']}{signed}"


def add_user(file: Path, name: str, roles: tuple[str, ...], password: str) -> str:
    """Write the user into the file; returns what was done. Raises SettingsError."""
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise SettingsError(f"a password has at least {MIN_PASSWORD_CHARACTERS} characters")
    known = read_users(file) if file.is_file() else {}
    try:
        user = User.model_validate({"name": name, "roles": roles, "password": hashed(password)})
    except ValidationError as error:
        said = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsError("\n".join(said)) from None
    write_users(file, {**known, name: user}.values())
    word = "changed" if name in known else "added"
    return f"{file}: {name} {word}, {' and '.join(roles)}"
