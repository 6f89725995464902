"""Feeds, quarantine, health, status and the change stream."""

import dataclasses
import json
from typing import Any

from fastapi.testclient import TestClient

from console import plant
from console.app import create_console
from console.explain import cut
from console.plant import hex_dump, readable
from console.ports import ConsoleDeps
from domain.principal import Principal


def test_feeds_show_session_health_and_outcomes(client: TestClient, break_ids: list[str]) -> None:
    page = client.get("/feeds").text
    for words in ("oms", "Connected", "Disconnected", "Late", "18,204", "2 h 00 ago", "never"):
        assert words in page


def test_quarantine_shows_reason_text_and_hex_escaped(client: TestClient) -> None:
    page = client.get("/feeds?feed=bravo&code=I01").text
    assert "broken framing" in page and "The message has no checksum." in page
    assert "38 3d 46 49 58" in page and "&lt;img src=x&gt;" in page and "<img src=x>" not in page
    assert "Nothing is quarantined" in client.get("/feeds?feed=oms").text
    assert client.get("/feeds?feed=" + "x" * 500 + "&code=%00").status_code == 200


def test_hex_dump_is_bounded() -> None:
    dump = hex_dump(bytes(range(256)) * 40)
    assert dump.startswith("0000  00 01 02") and dump.endswith("… 9984 more bytes") and len(dump.splitlines()) == 17
    assert readable(b"8=FIX\x0135=8\x01\x02\xff") == "8=FIX | 35=8 | ·\ufffd"


def test_status_adds_up(client: TestClient) -> None:
    found = client.get("/api/status").json()
    numbers = found["completeness"]
    assert (
        numbers["messages"] == sum(numbers[o] for o in ("FACT", "DUPLICATE", "SESSION", "IGNORED", "QUARANTINE")) == 3
    )
    live = numbers["matched"] + numbers["broken"] + numbers["waiting"] + numbers["unaccounted"]
    assert numbers["live_records"] == live == 2
    assert (numbers["broken"], numbers["unaccounted"]) == (2, 0)
    tickets = found["tickets"]
    assert tickets["written"] == tickets["delivered"] + tickets["waiting"] + tickets["dead"] == 60
    assert {c["name"]: c["state"] for c in found["components"]} == {
        "The day": "warn", "Warehouse": "ok", "Workflow engine": "warn", "Feeds": "down", "Ticket delivery": "ok",
        "Score model": "ok",
        "Alerts": "ok", "Proof": "ok",
    }  # fmt: skip


def test_a_broken_part_is_shown_as_down_and_breaks_nothing_else(deps: ConsoleDeps) -> None:
    class Dead:
        def __getattr__(self, name: str) -> Any:
            return getattr(deps.engine, name)

        def counts(self) -> dict[str, int]:
            raise OSError("history file <gone>")

    app = create_console(dataclasses.replace(deps, engine=Dead()))
    with TestClient(app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {deps.token}"}) as c:
        page = c.get("/health")
    assert page.status_code == 200 and "history file &lt;gone&gt;" in page.text and "Healthy" in page.text


def test_metrics_are_the_callable_s(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.text == "tieout_up 1\n" and answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_stream_tells_the_version_and_then_what_moved(deps: ConsoleDeps, break_ids: list[str]) -> None:
    app = create_console(dataclasses.replace(deps, poll_seconds=0.01, stream_seconds=0.05))
    with TestClient(app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {deps.token}"}) as c:
        first = [json.loads(line[6:]) for line in c.get("/api/events").text.splitlines() if line.startswith("data: ")]
        deps.actions.record(break_ids[9], Principal("Ana Lyst", roles=frozenset({"analyst"})), "comment", "moved", {})
        second = [json.loads(line[6:]) for line in c.get("/api/events").text.splitlines() if line.startswith("data: ")]
    assert len(first) == 1 and second[0]["version"] == first[0]["version"] + 1


def test_changed_ids_are_the_newest(deps: ConsoleDeps, break_ids: list[str]) -> None:
    from console.changes import changed_ids, version

    now = version(deps.warehouse)
    before = dataclasses.replace(now, changes=now.changes - 3)
    newest = deps.warehouse.query("SELECT break_id FROM break_change ORDER BY as_of DESC, change_id DESC LIMIT 3")
    assert changed_ids(deps.warehouse, before, now) == sorted(newest["break_id"].to_pylist())
    assert changed_ids(deps.warehouse, now, now) == []


def test_messages_are_cut_even_when_they_are_garbage() -> None:
    fields = cut(b"8=FIX.4.4\x01noequals\x0199999999999=x\x01=y\x01\xff=z\x01", lambda tag: f"T{tag}")
    assert [f["tag"] for f in fields] == ["8", "", "99999999999", "", ""]
    assert fields[0] == {"tag": "8", "name": "T8", "value": "FIX.4.4", "meaning": ""}


def test_the_day_is_not_all_matched_while_a_feed_is_silent(deps: ConsoleDeps) -> None:
    told = {"holds": False, "blocked": ["I06: nothing from CHARLIE"], "open": 2, "expected": 0,
            "text": "NOT all matched: I06: nothing from CHARLIE; 2 breaks open"}  # fmt: skip
    silent = dataclasses.replace(deps, all_matched=lambda: told)
    [day] = [part for part in plant.components(silent) if part.name == "The day"]
    assert (day.state, day.detail) == ("down", told["text"])
    assert plant.all_matched(silent) == told
    [day] = [part for part in plant.components(dataclasses.replace(deps, all_matched=lambda: told | {
        "holds": True, "blocked": [], "text": "all matched"})) if part.name == "The day"]  # fmt: skip
    assert (day.state, day.detail) == ("ok", "all matched")
