"""Rule sets bound to their hash: proposed by one person, approved by another, refused by the service until then."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.decision_kinds import ActionRefused
from app.decisions import Decisions
from app.rule_approval import is_approved, propose, require_approved, standings
from app.settings import Settings, SettingsError
from app.users import User, hashed, write_users
from domain.clock import ManualClock
from domain.principal import NotAllowed, Principal
from matching.rules import RuleSet, load_rules
from tests.matching.desk import LATE, Desk
from warehouse.audit_log import entries

ANA = Principal("ana", "user", frozenset({"analyst"}))
SUE = Principal("sue", "user", frozenset({"approver"}))
ROBOT = Principal("service", "service", frozenset({"analyst"}))


def renamed(name: str) -> RuleSet:
    return RuleSet.model_validate({**load_rules().model_dump(mode="json"), "name": name})


@dataclass
class Office:
    desk: Desk
    decisions: Decisions


@pytest.fixture
def office() -> Office:
    desk = Desk(load_rules())
    return Office(desk, Decisions(desk.warehouse, ManualClock(LATE), lambda _id: None))


def settings(rules: Path | None, on: bool) -> Settings:
    return Settings.model_validate(
        {"tenant": "t", "rules": rules, "decisions": {"approve_rules": on}, "data_dir": Path("data")}
    )


def test_a_rule_set_counts_once_a_second_person_approves_its_content(office: Office) -> None:
    warehouse, mine, other = office.desk.warehouse, renamed("mine"), renamed("other")
    proposal = propose(office.decisions, mine, ANA, "better")
    assert not is_approved(warehouse, mine.hash)
    with pytest.raises(ActionRefused, match="ana has proposed this already"):
        propose(office.decisions, mine, ANA, "again")
    with pytest.raises(NotAllowed, match="lacks the role"):
        office.decisions.answer(proposal, ANA, "approve")
    with pytest.raises(NotAllowed, match="as a person"):
        office.decisions.answer(proposal, ROBOT, "approve")
    office.decisions.answer(proposal, SUE, "approve")
    assert is_approved(warehouse, mine.hash)
    assert not is_approved(warehouse, other.hash)
    with pytest.raises(ActionRefused, match="approved already"):
        propose(office.decisions, mine, ANA, "again")
    told = [entry.action for entry in entries(warehouse)]
    assert told == ["break.adopt_rules", "break.approve"]
    assert "approved by sue" in str(standings(warehouse)[0])


def test_the_proposer_cannot_approve_and_a_service_cannot_propose(office: Office) -> None:
    both = Principal("ben", "user", frozenset({"analyst", "approver"}))
    proposal = propose(office.decisions, renamed("mine"), both, "better")
    with pytest.raises(NotAllowed, match="another person"):
        office.decisions.answer(proposal, both, "approve")
    with pytest.raises(NotAllowed, match="as a person"):
        propose(office.decisions, renamed("robots"), ROBOT, "better")
    office.decisions.answer(proposal, SUE, "reject", "no")
    assert not is_approved(office.desk.warehouse, renamed("mine").hash)
    assert propose(office.decisions, renamed("mine"), both, "once more")


def test_an_unapproved_rule_file_is_refused_by_its_hash_once_approvals_are_on(office: Office) -> None:
    warehouse, mine = office.desk.warehouse, renamed("mine")
    require_approved(settings(Path("mine.yaml"), on=False), warehouse, mine)
    require_approved(settings(None, on=True), warehouse, load_rules())
    with pytest.raises(SettingsError, match=mine.hash):
        require_approved(settings(Path("mine.yaml"), on=True), warehouse, mine)
    office.decisions.answer(propose(office.decisions, mine, ANA, "better"), SUE, "approve")
    require_approved(settings(Path("mine.yaml"), on=True), warehouse, mine)
    with pytest.raises(SettingsError, match="is not approved"):
        require_approved(settings(Path("mine.yaml"), on=True), warehouse, renamed("changed since"))


SETTINGS = """
tenant: desk
data_dir: data
rules: mine.yaml
users: users.yaml
decisions: {approve_rules: true}
feeds:
- {name: oms, role: INTERNAL, party: MERIDIAN, dialect: generic, path_glob: "*.fix"}
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_from_the_command_line(tmp_path: Path) -> None:
    config, mine = tmp_path / "tieout.yaml", tmp_path / "mine.yaml"
    config.write_text(SETTINGS, encoding="utf-8")
    text = Path("matching/rules.yaml").read_text(encoding="utf-8")
    mine.write_text(text.replace("name: trades", "name: mine"), encoding="utf-8")
    (tmp_path / "data").mkdir()
    users = [User(name="ana", password=hashed("ana-password"))]
    users.append(User(name="sue", roles=("approver",), password=hashed("sue-password")))
    write_users(tmp_path / "users.yaml", users)
    for name in ("ana", "sue"):
        (tmp_path / name).write_text(f"{name}-password\n", encoding="utf-8")

    refused = run("status", "--config", config)
    assert refused.exit_code == 2
    assert "is not approved" in refused.stderr

    def who(name: str) -> tuple[object, ...]:
        return ("--user", name, "--password-file", tmp_path / name, "--config", config)

    assert run("rules", "list", "--config", config).stdout == "no rule set was put forward\n"
    proposed = run("rules", "propose", mine, "-m", "ours", *who("ana"))
    assert proposed.exit_code == 0, proposed.output
    of_hash = proposed.stdout.split()[2]
    assert "waits for a second person" in run("rules", "list", "--config", config).stdout
    alone = run("rules", "approve", of_hash[:8], *who("ana"))
    assert alone.exit_code == 2
    assert "lacks the role" in alone.stderr
    done = run("rules", "approve", of_hash[:8], *who("sue"))
    assert done.stdout == f"rule set {of_hash} approved\n", done.output
    assert run("status", "--config", config).exit_code == 0
    assert "approved by sue" in run("rules", "list", "--config", config).stdout
