"""Acceptance scenarios at the desk: messages into an installation; breaks, decisions and proof out of its API."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from app.bookkeeping import Bookkeeper
from app.metrics import Metrics
from app.mirror import Mirror
from app.run_worker import console_app
from tests.journeys.inside import Inside, inside
from tests.journeys.scenes import ALPHA, BRAVO, NEW_YORK, OMS, booking, copy42, fill, live, tieout

SECRET = "open sesame"
OURS, THEIRS, COPY = "MERIDIAN_OMS->TIEOUT", "ALPHA->TIEOUT", "BRAVO->TIEOUT"
RULES = Path(__file__).parents[2] / "matching" / "rules.yaml"
HOUR_NS = 3_600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Desk:
    """An installation and its API."""

    here: Inside
    web: TestClient
    root: Path

    def tell(self, session: str, *messages: bytes, ago_ns: int = 0) -> None:
        """Messages of a session, received so long ago, reconciled."""
        self.here.append(session, messages, self.here.clock.now_ns() - ago_ns)
        self.here.settle()

    def breaks(self, account: str) -> list[dict[str, Any]]:
        """The queue's rows of an account, whatever their state."""
        rows = self.web.get("/api/breaks", params={"limit": 200, "state": "all", "q": account}).json()["rows"]
        return [row for row in rows if row["account"] == account]

    def act(self, break_id: str, kind: str, who: str = "", **payload: str) -> Any:
        """The answer to a decision, as a person or as the service."""
        body = {"kind": kind, "reason": "because", "payload": payload}
        return self.web.post(f"/api/breaks/{break_id}/actions", json=body, **signed(who))

    def proposals(self) -> list[dict[str, Any]]:
        """What waits for a second person."""
        found = self.web.get("/api/proposals").json()
        return list(found["proposals"] if isinstance(found, dict) else found)

    def answer(self, proposal: str, who: str) -> Any:
        """The answer to an approval."""
        return self.web.post(f"/api/proposals/{proposal}", json={"verdict": "approve", "reason": ""}, **signed(who))

    def state(self, break_id: str) -> str:
        """The state people see."""
        return str(self.web.get(f"/api/breaks/{break_id}").json()["break"]["state"])


def signed(who: str) -> dict[str, Any]:
    """How a request is signed: by a person, else by the service's token."""
    return {"auth": (who, SECRET)} if who else {"headers": {"Authorization": "Bearer token"}}


def site(root: Path) -> Path:
    """Settings of a fund, two brokers, two people, and rules that accept small commissions."""
    rules = yaml.safe_load(RULES.read_text())
    rules["acceptance"] = {"limits": {"T16": "0.50"}, "daily_cap": "1.00"}
    (root / "rules.yaml").write_text(yaml.safe_dump(rules))
    (root / "dialects").mkdir()
    dialect(root, {})
    (root / "password").write_text(SECRET)
    for name, roles in (("ana", ["analyst", "approver"]), ("sue", ["analyst", "approver"])):
        words = [word for role in roles for word in ("--role", role)]
        done = tieout("user", "add", root / "users.yaml", name, *words, "--password-file", root / "password")
        assert done.exit_code == 0
    feeds = [live(OMS), live(ALPHA), {**live(BRAVO), "dialect": "bravo_own"}]
    settings = {"data_dir": "data", "rules": "rules.yaml", "dialects": "dialects", "users": "users.yaml",
                "console": {"port": 0}, "feeds": feeds}  # fmt: skip
    (root / "tieout.yaml").write_text(yaml.safe_dump(settings))
    return root / "tieout.yaml"


def dialect(root: Path, side: dict[str, str]) -> None:
    """BRAVO's dialect with the side letters it knows."""
    mine = {"name": "bravo_own", "tz60": "America/New_York", "market_tz": "America/New_York", "side": side,
            "custom": {9001: "fee.TOTAL", 9002: "cross_uid"}}  # fmt: skip
    (root / "dialects" / "bravo_own.yaml").write_text(yaml.safe_dump(mine))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One installation for all scenarios, each in an account of its own."""
    root = tmp_path_factory.mktemp("desk")
    with inside(site(root)) as here:
        books = Bookkeeper(here.warehouse, here.installation.engine, Metrics(), here.installation.auditor)
        mirror = Mirror(here.installation)
        app = console_app(here.installation, here.worker, books, mirror, "token")
        with TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": "Bearer token"}) as web:
            yield Desk(here, web, root)
        mirror.close()


def of(account: str, **tags: str) -> dict[int, str]:
    """The scenario's account; more tags as t54="2"."""
    return {1: account, 55: account, 48: "", 22: "", **{int(name[1:]): value for name, value in tags.items()}}


def test_02_the_queue_shows_money_broker_and_the_time_left(desk: Desk) -> None:
    desk.tell(OURS, fill("E2", "2", of("D02")))
    assert desk.breaks("D02") == [], "inside its grace it is no break"
    desk.tell(OURS, fill("E2B", "2B", of("D02")), ago_ns=HOUR_NS)
    (row,) = desk.breaks("D02")
    assert (row["code"], row["pb"], row["exposure"], row["state"]) == ("T01", "ALPHA", "USD 22,748", "OPEN")
    assert datetime.fromtimestamp(row["deadline"] / 1000, NEW_YORK).strftime("%H:%M") == "20:00"
    shown = desk.web.get(f"/api/breaks/{row['id']}").json()
    assert "20:00 New York time" in shown["headline"] and shown["sla"]


def test_03_to_refuse_a_booking_nobody_knows_takes_two_people(desk: Desk) -> None:
    desk.tell(THEIRS, booking("R3", "X3", "3", of("D03")), ago_ns=HOUR_NS)
    (row,) = desk.breaks("D03")
    assert row["code"] == "T02"
    assert desk.act(row["id"], "dk").status_code == 403, "a service proposes nothing that takes two"
    proposed = desk.act(row["id"], "dk", "ana")
    assert proposed.json()["pending"] and desk.state(row["id"]) == "OPEN"
    (proposal,) = [one for one in desk.proposals() if one["kind"] == "dk"]
    assert desk.answer(proposal["action_id"], "ana").status_code == 403
    assert desk.answer(proposal["action_id"], "sue").status_code == 201
    assert desk.state(row["id"]) == "WAIT_PB"


def test_07_a_correction_before_its_original_waits_and_its_orphan_clears_with_a_trail(desk: Desk) -> None:
    corrected = of("D07", t19="E7", t150="G", t32="300")
    desk.tell(OURS, fill("E7X", "7", corrected))
    (orphan,) = desk.here.rows("SELECT break_id, state FROM recon_break WHERE code = 'T24'")
    assert orphan["state"] == "EXPECTED" and desk.breaks("D07") == []
    desk.tell(OURS, fill("E7", "7", of("D07")))
    trail = "SELECT kind FROM break_change WHERE break_id = :b ORDER BY as_of, kind DESC"
    assert [row["kind"] for row in desk.here.rows(trail, b=orphan["break_id"])] == ["EXPECTED", "CLEARED"]
    live = "SELECT s.is_live, e.trade_uid, s.root_id FROM trade_state s JOIN trade_event e"
    live += " ON e.record_id = s.record_id WHERE e.account_id = 'D07' ORDER BY e.trade_uid"
    first, second = desk.here.rows(live)
    assert (first["is_live"], second["is_live"]) == (False, True) and first["root_id"] == second["root_id"]


def test_15_a_short_sale_mark_cannot_be_closed_in_bulk(desk: Desk) -> None:
    for number in range(2):
        desk.here.append(OURS, [fill(f"E15-{number}", f"15-{number}", of("D15", t54="2"))])
    told = [booking(f"R15-{n}", f"E15-{n}", f"15-{n}", of("D15", t54="5")) for n in range(2)]
    desk.tell(THEIRS, *told)
    first, second = desk.breaks("D15")
    assert {first["code"], second["code"]} == {"T08"}
    bulk = {"kind": "close", "reason": "all fine", "payload": {}, "break_ids": [first["id"], second["id"]]}
    answer = desk.web.post("/api/actions", json=bulk, **signed("ana")).json()
    assert answer["done"] == {} and all("one at a time" in why for why in answer["refused"].values())
    assert desk.act(first["id"], "close", "ana").json()["state"] == "CLOSED"


def test_20_garbage_is_set_aside_and_a_corrected_dialect_heals_what_it_can(desk: Desk) -> None:
    good = [of("D20", t31=f"{50 + number % 90}.25", t32=str(100 + number)) for number in range(4_900)]
    ours = [fill(f"E20-{number}", f"20-{number}", {**terms, 448: "BRAVO"}) for number, terms in enumerate(good)]
    copies = [copy42(f"D20-{number}", f"E20-{number}", f"20-{number}", terms) for number, terms in enumerate(good)]
    strange = [copy42(f"K{number}", "", f"K{number}", of("D20", t54="K")) for number in range(100)]
    cut = [raw[: 60 + number] for number, raw in enumerate(copies[:50])]
    noise = [bytes([0, 1, 2, 255]) * (5 + number) for number in range(50)]
    desk.here.append(OURS, ours)
    desk.tell(COPY, *copies, *strange, *cut, *noise)
    facts = "SELECT count(*) FROM trade_event WHERE account_id = 'D20'"
    assert desk.here.one(facts) == 9_800
    held = desk.web.get("/api/quarantine").json()
    assert len(held) == 200 and all(row["reason"] for row in held)
    (unmapped, *_) = [row for row in held if row["reason"] == "side_unmapped"]
    shown = desk.web.get(f"/api/quarantine/{unmapped['quarantine_id']}").json()
    assert bytes.fromhex(shown["hex"]).startswith(b"8=FIX.4.2")
    dialect(desk.root, {"K": "BUY"})
    done = desk.web.post("/api/quarantine/retry", json={"reason": "side_unmapped"}).json()
    assert (done["healed"], desk.here.one(facts)) == (100, 9_900)
    assert len(desk.web.get("/api/quarantine").json()) == 100


def test_22_small_commissions_are_accepted_on_record_up_to_the_daily_cap(desk: Desk) -> None:
    for number in range(3):
        desk.here.append(OURS, [fill(f"E22-{number}", f"22-{number}", of("D22", t12="5.00"))])
    desk.tell(THEIRS, *(booking(f"R22-{n}", f"E22-{n}", f"22-{n}", of("D22", t12="5.40")) for n in range(3)))
    assert sorted((row["state"], row["resolution"]) for row in desk.breaks("D22")) == [
        ("OPEN", ""), ("RESOLVED", "auto"), ("RESOLVED", "auto"),
    ]  # fmt: skip
    kept = desk.here.rows("SELECT * FROM break_acceptance ORDER BY running_base")
    assert [(str(row["amount_base"].normalize()), str(row["running_base"].normalize())) for row in kept] == [
        ("0.4", "0.4"), ("0.4", "0.8"),
    ]  # fmt: skip
    assert all(row["rule_set_hash"] == desk.here.installation.rules.hash and row["cap_base"] == 1 for row in kept)
    trail = desk.here.rows("SELECT payload FROM audit_entry WHERE action LIKE '%accept%'")
    assert len(trail) == 2


def test_23_who_proposes_does_not_approve_and_both_names_are_kept(desk: Desk) -> None:
    desk.tell(OURS, fill("E23", "23", of("D23")), ago_ns=HOUR_NS)
    desk.tell(THEIRS, booking("R23", "", "Y23", of("D23B", t32="101")), ago_ns=HOUR_NS)
    (ours,), (theirs,) = desk.breaks("D23"), desk.breaks("D23B")
    proposed = desk.act(ours["id"], "force_match", "ana", **{"with": theirs["id"]}).json()
    refused = desk.answer(proposed["action_id"], "ana")
    assert refused.status_code == 403 and desk.state(ours["id"]) == "OPEN"
    assert desk.answer(proposed["action_id"], "sue").status_code == 201
    desk.here.settle()
    assert desk.state(ours["id"]) == desk.state(theirs["id"]) == "RESOLVED"
    sql = "SELECT actor, action FROM audit_entry WHERE action IN ('break.force_match', 'break.approve') ORDER BY seq"
    assert [(row["actor"], row["action"]) for row in desk.here.rows(sql)][-2:] == [
        ("ana", "break.force_match"), ("sue", "break.approve"),
    ]  # fmt: skip
