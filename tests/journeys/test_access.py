"""Who may do what with a running service: token, origin, one service per data directory, logs pushed at it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.files import read_json
from ingest.session.wire import fields
from tests.journeys.service import Service, raw_streams, spoiled, tieout, until

JSON = {"content-type": "application/json"}


def post(service: Service, path: str, headers: Mapping[str, str]) -> int:
    body = {"kind": "comment", "reason": "from outside", "payload": {}}
    answer = httpx.post(service.address + path, json=body, headers=headers, trust_env=False, timeout=30)
    return answer.status_code


def test_writes_need_the_token_and_our_own_pages(office: Service) -> None:
    break_id = office.breaks()[0]["id"]
    path = f"/api/breaks/{break_id}/actions"
    token = {"authorization": f"Bearer {office.client.token}"}
    foreign = {"origin": "http://evil.example"}
    refused = {
        "nobody": post(office, path, {}),
        "a wrong token": post(office, path, {"authorization": "Bearer wrong"}),
        "another origin": post(office, path, foreign),
        "another origin with the token": post(office, path, {**token, **foreign}),
        "another site": post(office, path, {**token, "sec-fetch-site": "cross-site"}),
    }
    assert refused == {
        "nobody": 401, "a wrong token": 401, "another origin": 403, "another origin with the token": 403,
        "another site": 403,
    }  # fmt: skip
    for admin in ("/api/redrive", "/api/rebuild", "/api/sweep", "/api/fault"):
        assert post(office, admin, {}) == 401
    assert "from outside" not in str(office.client.get(f"/api/breaks/{break_id}"))
    assert post(office, path, token) == 201
    assert "from outside" in str(office.client.get(f"/api/breaks/{break_id}"))


def test_the_result_is_streamed_row_by_row(office: Service) -> None:
    def rows(part: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{office.address}/api/result/{part}.jsonl", trust_env=False, timeout=30,
            headers={"authorization": f"Bearer {office.client.token}"},
        )  # fmt: skip
        assert answer.status_code == 200
        return [json.loads(line) for line in answer.text.splitlines()]

    breaks, groups, quarantine = (rows(part) for part in ("breaks", "groups", "quarantine"))
    assert sum(item["state"] == "OPEN" for item in breaks) == len(office.breaks()) > 0
    assert all(item["opened_at"] for item in breaks if item["state"] == "OPEN")
    assert groups and {member["source"] for item in groups for member in item["left"]} == {"OMS"}
    assert all(len(item["raw_sha256"]) == 64 for item in quarantine)
    assert httpx.get(f"{office.address}/api/result/secrets.jsonl", trust_env=False, timeout=30).status_code == 422


def test_another_host_name_is_not_answered(office: Service) -> None:
    answer = httpx.get(office.address + "/api/summary", headers={"host": "rebound.example"}, trust_env=False)
    assert answer.status_code == 421


def test_secrets_are_for_their_owner_only(office: Service) -> None:
    for path in (office.data.service, office.data.root / "tickets.secret.json"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert office.data.root.stat().st_mode & 0o077 == 0
    token = office.client.token
    assert token not in office.log.read_text(errors="replace")


def test_a_second_service_on_the_same_data_is_refused_and_harms_nothing(office: Service) -> None:
    before = read_json(office.data.service)
    second = tieout("serve", "--config", office.config)
    assert second.returncode == 2
    assert second.stderr.startswith("tieout: data_dir: ") and str(before["pid"]) in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert read_json(office.data.service) == before
    assert office.summary()["completeness"]["problems"] == []


def test_reference_files_are_not_loaded_behind_the_service(office: Service) -> None:
    done = tieout("ref", "load", office.config.parent / "reference" / "fx_rate.csv", "--config", office.config)
    assert done.returncode == 2 and "the service is running" in done.stderr


@pytest.fixture
def correction(office: Service, tmp_path: Path) -> tuple[Path, str]:
    """A FIX log in which ALPHA corrects a clean booking to another quantity; the trade id of the correction."""
    known = {row["id"] for row in office.breaks()}
    wrong = spoiled(office.day)
    changed = {tags[572] for raw in raw_streams(office.day)["ALPHA->TIEOUT"] if 572 in (tags := fields(raw))}
    for raw in raw_streams(office.day)["ALPHA->TIEOUT"]:
        tags = fields(raw)
        uid = tags.get(571, "")
        clean = tags.get(487) == "0" and uid not in changed | wrong
        if clean and 43 not in tags and 527 in tags and known:
            break
    text = raw.decode("latin-1").replace("\x01", "|")
    for before, after in (
        (f"571={uid}|", f"571={uid}K|"),
        ("487=0|", f"487=2|572={uid}|"),
        (f"|32={tags[32]}|", "|32=77|"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    log = tmp_path / "alpha.log"
    log.write_text(f"a line that is no FIX message\n2026-09-18 15:00:00 {text}\n")
    return log, f"{uid}K"


def test_a_log_pushed_at_the_service_makes_its_break_appear(office: Service, correction: tuple[Path, str]) -> None:
    log, uid = correction
    before = {row["id"] for row in office.breaks()}
    to = ("--to", f"127.0.0.1:{office.acceptor_port}", "--sender", "ALPHA", "--target", "TIEOUT")
    sent = tieout("send", log, *to)
    assert sent.returncode == 0 and "1 messages sent and taken" in sent.stdout, sent.stdout + sent.stderr
    until(lambda: {row["id"] for row in office.breaks()} - before, "the break is in the queue")
    (found,) = [row for row in office.breaks() if row["id"] not in before]
    # Theirs was corrected and ours was not: the sides are on different versions.
    assert found["code"] == "T23" and found["pb"] == "ALPHA"
    told = tieout("explain", found["id"], "--config", office.config)
    assert f"571={uid}|" in told.stdout and "32=77|" in told.stdout
    nobody = tieout(
        "send", log, "--to", f"127.0.0.1:{office.acceptor_port}", "--sender", "NOBODY", "--target", "TIEOUT"
    )
    assert nobody.returncode == 2 and len(nobody.stderr.splitlines()) == 1
