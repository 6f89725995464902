"""Invariants of a day: it adds up, it may come twice, in any order, with replays, and rebuilds to the same tables."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.session.wire import seal, split_header
from simulator.simulate import Flow
from tests.journeys.inside import Inside, inside
from tests.journeys.service import labels, raw_streams, settings_file

STANDING = (
    "SELECT (SELECT count(*) FROM break_change) AS changes, (SELECT count(*) FROM ticket_outbox) AS told,"
    " (SELECT count(*) FROM ticket_delivery) AS sent, (SELECT count(*) FROM trade_event) AS facts,"
    " (SELECT count(*) FROM match_group) AS groups, (SELECT count(*) FROM quarantine) AS refused"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Flow, Path]:
    return settings_file(tmp_path_factory.mktemp("calm"), 160, 7, {})


@pytest.fixture(scope="module")
def calm(site: tuple[Flow, Path]) -> Iterator[tuple[Inside, dict[str, Any]]]:
    """The day in order, undisturbed; tests on it must leave its state as it is."""
    day, config = site
    with inside(config) as here:
        here.feed(raw_streams(day))
        yield here, here.end_of_input()


def outcome(summary: dict[str, Any]) -> tuple[Any, ...]:
    """What must not depend on how the day arrived; what is wrong with messages (I codes) is told for each of them."""
    codes = {row["code"]: row["count"] for row in summary["breaks"] if not row["code"].startswith("I")}
    return summary["digest"], codes, summary["completeness"]["live"], summary["exposure_base"]


def test_the_day_adds_up_and_finds_what_was_hidden_in_it(calm: tuple[Inside, dict[str, Any]], site: Any) -> None:
    here, summary = calm
    sums = summary["completeness"]
    assert sums["problems"] == []
    assert sums["received"] == sums["accounted"] == sum(map(len, raw_streams(site[0]).values()))
    assert sums["live"] == sums["placed"] > 200
    assert sums["ticketable"] == sums["tickets"] > 5
    found = {row["code"] for row in summary["breaks"]}
    hidden = {row.code for row in labels(site[0]) if row.cured_at is None}
    assert found == hidden
    assert summary["quarantine"] and not here.runs("FAILED")


def test_every_open_break_has_evidence_down_to_the_bytes(calm: tuple[Inside, dict[str, Any]], site: Any) -> None:
    here, _ = calm
    sent = {message for messages in raw_streams(site[0]).values() for message in messages}
    for row in here.rows("SELECT break_id FROM recon_break WHERE state = 'OPEN'"):
        evidence = here.installation.explain(row["break_id"])
        assert evidence["raw"] and evidence["history"] and evidence["next_step"]
        assert all(bytes.fromhex(raw["hex"]) in sent for raw in evidence["raw"])


def test_rebuilding_gives_identical_tables(calm: tuple[Inside, dict[str, Any]]) -> None:
    here, summary = calm
    result = here.installation.rebuild()
    assert result["before"] == result["after"] and result["executions"] >= 2
    assert outcome(here.installation.summary()) == outcome(summary)
    here.warehouse.execute("UPDATE recon_break SET delta = delta + 1 WHERE state = 'OPEN' AND delta IS NOT NULL")
    healed = here.installation.rebuild()
    assert healed["before"] != healed["after"] == result["after"], "a tampered table is found and healed"


def replayed(messages: Sequence[bytes]) -> list[bytes]:
    """The messages as a counterparty sends them again after a reconnect: 43=Y, the first time in 122."""
    return [_poss_dup(message) for message in messages]


def _poss_dup(message: bytes) -> bytes:
    pairs, body = split_header(message)
    begin = message.split(b"\x01", 1)[0].removeprefix(b"8=")
    kept = [pair for pair in pairs if pair[0] not in (b"8", b"9", b"43", b"122")]
    first = dict(pairs).get(b"52", b"20260918-12:00:00.000")
    head = [*kept, (b"43", b"Y"), (b"122", first)]
    return seal(begin, b"".join(b"%s=%s\x01" % pair for pair in head) + body)


@pytest.mark.parametrize("how", ["again", "marked"])
def test_the_same_day_pushed_twice_changes_nothing(calm: Any, site: tuple[Flow, Path], how: str) -> None:
    """Once unmarked under new numbers, once whole sessions marked PossDup."""
    here, summary = calm
    streams = raw_streams(site[0])
    (before,) = here.rows(STANDING)
    received = here.one("SELECT count(*) FROM raw_message")
    if how == "marked":
        # What nobody could read is known by its bytes: marked, it is another damaged message.
        refused = {bytes(row["raw"]) for row in here.rows("SELECT raw FROM quarantine")}
        streams = {name: replayed([m for m in each if m not in refused]) for name, each in streams.items()}
    here.feed(streams)
    after = here.end_of_input()
    assert outcome(after) == outcome(summary)
    # What nobody could read the first time is refused the second time too, as the same break.
    (standing,) = here.rows(STANDING)
    assert {**standing, "refused": 0} == {**before, "refused": 0}
    assert here.one("SELECT count(*) FROM raw_message") == received + sum(map(len, streams.values()))
    assert after["completeness"]["problems"] == []


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.heavy) for n in (2, 3, 4, 5))])
def test_any_order_of_sessions_and_messages_gives_the_same_open_breaks(
    calm: tuple[Inside, dict[str, Any]], site: tuple[Flow, Path], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    day, config = settings_file(tmp_path, 160, 7, {"worker": {"batch_max_messages": 130}})
    assert raw_streams(day) == raw_streams(site[0])
    streams = raw_streams(day)
    order = chance.sample(sorted(streams), len(streams))
    with inside(config) as here:
        for session in order:
            here.feed({session: chance.sample(streams[session], len(streams[session]))})
        assert outcome(here.end_of_input()) == outcome(calm[1])
        assert here.installation.completeness().problems == ()
