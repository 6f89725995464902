"""Two people decide: one proposes a force match from the command line, another approves it; the trail is verified."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from tests.journeys.service import Service, until


def tieout(*words: object) -> Result:
    """One call of the command line, in this process: starting one costs more than most of the verbs."""
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A day whose two users have the password `open sesame`."""
    root = tmp_path_factory.mktemp("desk")
    secret = root / "password"
    secret.write_text("open sesame\n")
    with Service(root, fills=120) as service:
        users = service.config.parent / "users.yaml"
        for name, roles in (("ana", ["analyst"]), ("sue", ["analyst", "approver"])):
            words = [word for role in roles for word in ("--role", role)]
            done = tieout("user", "add", users, name, *words, "--password-file", secret)
            assert done.exit_code == 0, done.stderr
        assert "open sesame" not in users.read_text() and users.stat().st_mode & 0o077 == 0
        service.push()
        service.end_of_input()
        yield service, secret


def test_a_force_match_takes_two_people_and_leaves_a_trail(desk: tuple[Service, Path], tmp_path: Path) -> None:
    service, secret = desk
    config = ("--config", service.config)

    def signed(name: str) -> tuple[object, ...]:
        return ("--user", name, "--password-file", secret, *config)

    rows = [row for row in service.breaks() if row["state"] == "OPEN"]
    ours = next(row["id"] for row in rows if row["code"] == "T01")
    theirs = next(row["id"] for row in rows if row["code"] == "T02")
    force = ("break", "force-match", ours[:12], theirs, "-m", "the same trade")
    refused = tieout(*force, *config)
    assert refused.exit_code == 2 and "two people" in refused.stderr
    proposed = tieout(*force, *signed("ana"))
    assert proposed.exit_code == 0 and "another person approves" in proposed.stdout, proposed.stderr
    shown = tieout("break", "proposals", *config)
    assert shown.exit_code == 0, (shown.output, shown.exception)
    listed = shown.stdout
    assert "force_match" in listed and "ana: the same trade" in listed
    proposal = listed.split()[0]
    for name, why in (("ana", "lacks the role"), ("eve", "401")):
        answer = tieout("break", "approve", proposal, *signed(name))
        assert answer.exit_code == 2 and why in answer.stderr
    assert tieout("break", "approve", proposal, *signed("sue")).exit_code == 0
    states = until(
        lambda: (now := [service.client.get(f"/api/breaks/{one}")["break"] for one in (ours, theirs)])
        and all(one["state"] == "RESOLVED" for one in now) and now,
        "matching takes the decision up by itself",
    )  # fmt: skip
    assert [one["resolution"] for one in states] == ["cured", "cured"]
    assert service.client.post("/api/rebuild")["before"] == service.client.post("/api/rebuild")["after"]

    assert "new" in tieout("audit", "roots", *config).stdout
    roots = service.data.audit_roots
    held = tieout("verify", "--roots", roots, *config)
    assert held.exit_code == 0 and "audit trail holds" in held.stdout, held.stdout + held.stderr
    assert tieout("audit", "export", tmp_path / "trail", *config).exit_code == 0
    entries = tmp_path / "trail" / "entries.jsonl"
    entries.write_text(entries.read_text().replace('"sue"', '"ana"'))
    broken = tieout("verify", "--in", tmp_path / "trail", "--roots", roots)
    assert broken.exit_code == 1 and "BROKEN at entry" in broken.stdout


def test_with_no_service_the_same_verbs_work_on_its_files(desk: tuple[Service, Path]) -> None:
    service, secret = desk
    small = next(row["id"] for row in service.breaks() if row["severity"] < 4 and row["state"] == "OPEN")
    service.stop()
    said = tieout("break", "wait", small[:12], "PB", "--config", service.config)
    assert said.exit_code == 0 and "WAIT_PB" in said.stdout, said.stderr
    wrong = tieout("break", "comment", small[:12], "-m", "hi", "--user", "eve", "--password-file", secret,
                   "--config", service.config)  # fmt: skip
    assert wrong.exit_code == 2 and "wrong name or password" in wrong.stderr
    assert tieout("verify", "--config", service.config).exit_code == 0
