"""A certification of an engine that is not ours: QuickFIX plays the prime broker's test system, over mutual TLS."""

import queue
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.certify import CertifyOptions, certify
from ingest.certify.play import scripted
from ingest.certify.steps import SCRIPT, Verdict
from tests.ingest.session.quickfix_engine import Application, fix, initiator
from tests.ingest.session.test_access import certificate

BEGIN, THEM, US = "FIX.4.4", "NORTHTEST", "FUNDTEST"
NOW_NS = 1_795_000_000_000_000_000
HEADER_TAGS = (49, 56, 34, 52, 8, 9, 35, 10)


class Desk:
    """The people at the broker: they do what each step asks for, with their own engine."""

    def __init__(self, root: Path) -> None:
        self.root, self.app = root, Application()
        self.play = scripted(BEGIN, "UTC", NOW_NS)
        self.asked: queue.Queue[str] = queue.Queue()
        self.engine: Any = None
        self.people = threading.Thread(target=self._work, daemon=True)

    def say(self, told: str) -> None:
        """What `tieout certify` prints: the port first, then each step as its turn comes."""
        if found := re.match(r"listening on [^ ]+:(\d+) ", told):
            tls = (self.root / "authority.pem", self.root / "north.example.pem", self.root / "north.example.key")
            self.engine = initiator(self.root, int(found[1]), BEGIN, self.app, tls, THEM, US)
            self.engine.start()
            self.people.start()
        elif found := re.match(r"\[(\d+)/", told):
            self.asked.put(SCRIPT[int(found[1]) - 1].name)

    def _work(self) -> None:
        session = fix.SessionID(BEGIN, THEM, US)
        while (step := self.asked.get()) != "over":
            if step == "end_of_day":
                fix.Session.lookupSession(session).logout("end of day")
                threading.Timer(2.0, lambda: fix.Session.lookupSession(session).logon()).start()
            for kind, body in self.play.steps.get(step, []):
                fix.Session.sendToTarget(message(kind, body), session)

    def close(self) -> None:
        """Everybody goes home."""
        self.asked.put("over")
        if self.engine is not None:
            self.engine.stop()


def message(kind: str, body: tuple[tuple[int, str], ...]) -> Any:
    """The play's message as QuickFIX makes it: a group's entries as groups."""
    made = fix.Message()
    made.getHeader().setField(8, BEGIN)
    made.getHeader().setField(35, kind)
    shares: list[dict[int, str]] = []
    for tag, value in body:
        if tag == 79:
            shares.append({})
        if tag in (79, 80):
            shares[-1][tag] = value
        elif tag != 78:
            made.setField(tag, value)
    for share in shares:
        group = fix.Group(78, 79)
        for tag, value in share.items():
            group.setField(tag, value)
        made.addGroup(group)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    certificate(tmp_path, "authority")
    certificate(tmp_path, "localhost", "authority")
    certificate(tmp_path, "north.example", "authority", rsa=True)
    settings = {
        "data_dir": "data",
        "acceptor": {"tls": {"certificate": "localhost.pem", "key": "localhost.key", "client_ca": "authority.pem"}},
        "feeds": [
            {
                "name": "NORTH", "role": "PB", "party": "NORTH", "dialect": "generic",
                "session": {"sender_comp_id": "NORTH", "target_comp_id": "FUND"},
                "uat": {"sender_comp_id": THEM, "target_comp_id": US},
            }
        ],
    }  # fmt: skip
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def test_quickfix_is_certified_over_tls(place: Path) -> None:
    desk = Desk(place)
    options = CertifyOptions("NORTH", place / "tieout.yaml", out=place / "report", step_seconds=20, begin_string=BEGIN)
    try:
        report, folder = certify(options, desk.say)
    finally:
        desk.close()
    verdicts = {outcome.step.name: (outcome.verdict, outcome.reason) for outcome in report.outcomes}
    wrong = {name: told for name, told in verdicts.items() if told[0] is not Verdict.PASS}
    assert wrong == {} and report.passed
    assert report.role.startswith("acceptor") and (folder / "report.html").exists()
    assert desk.app.logons >= 2, "logged on again at the end of the day"
