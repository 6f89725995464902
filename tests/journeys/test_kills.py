"""Kills at random moments: nothing is lost, nothing doubled, every break has one ticket, whatever dies meanwhile."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.session.wire import fields, header, split_header
from simulator.simulate import Flow
from tests.journeys.inside import inside
from tests.journeys.service import PATIENCE_SECONDS, Service, raw_streams, settings_file, stored, until

FILLS, SEED = 60, 7
ROLES = ("supervisor", "acceptor", "worker", "group")
KILLS, MANY_KILLS = 10, 50


class Tap:
    """The day's messages, given out only as far as the tap was opened; the senders stay alive meanwhile."""

    def __init__(self, day: Flow) -> None:
        ranked = sorted(
            (at_ns, session, n) for session, stream in day.streams.items() for n, (at_ns, _) in enumerate(stream)
        )
        self._rank = {(session, n): rank for rank, (_, session, n) in enumerate(ranked)}
        self._day, self._open = day, 0
        self.total = len(ranked)

    def open(self, share: float) -> None:
        """Let this share of the day through."""
        self._open = round(self.total * share)

    def stream(self, session: str) -> Iterator[bytes]:
        for n, (_, raw) in enumerate(self._day.streams[session]):
            while self._rank[session, n] >= self._open:
                yield b""
            yield raw


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The tie-out of the same day when nothing dies."""
    day, config = settings_file(tmp_path_factory.mktemp("undisturbed"), FILLS, SEED, {})
    with inside(config) as here:
        here.feed(raw_streams(day))
        return here.end_of_input()


def torment(service: Service, chance: random.Random, roles: list[str], stores: Path) -> None:
    """Push the day while `roles` are killed one after another, at any moment; returns when the day is in."""
    tap = Tap(service.day)
    streams = {session: tap.stream(session) for session in service.day.streams}
    failures: list[BaseException] = []

    def push() -> None:
        try:
            service.push(streams, stores, PATIENCE_SECONDS + 20 * len(roles))
        except BaseException as error:
            failures.append(error)

    sending = threading.Thread(target=push, daemon=True)
    sending.start()
    for done, role in enumerate(roles):
        tap.open((done + chance.random()) / len(roles))
        # Now and then the next kill comes while the last one is still being recovered from.
        if chance.random() < (0.4 if len(roles) == KILLS else 0.2):
            service.wait_ready()
        threading.Event().wait(chance.uniform(0.0, 1.0))
        service.kill(role)
        if role in ("supervisor", "group"):
            service.start(ready=False)
    tap.open(1)
    sending.join(PATIENCE_SECONDS + 30)
    assert not failures, failures
    assert not sending.is_alive(), f"the senders never finished:\n{service.tail()}"


def bodies(messages: list[bytes]) -> list[bytes]:
    return [split_header(message)[1].rpartition(b"10=")[0] for message in messages]


def check_messages(service: Service) -> None:
    """Every message of the day in the raw log once, in order, and normalised once."""
    with stored(service.data) as warehouse:
        rows = warehouse.query(
            "SELECT session, number, msg_type, raw, outcome FROM raw_message ORDER BY session, number"
        )
        events = warehouse.query(
            "SELECT event_key, count(*) AS n FROM trade_event GROUP BY event_key HAVING count(*) > 1"
        )
    assert events.num_rows == 0, "a trade was stored twice"
    listed = rows.to_pylist()
    for session, sent in raw_streams(service.day).items():
        mine = [row for row in listed if row["session"] == session]
        assert [row["number"] for row in mine] == list(range(1, len(mine) + 1)), "our own numbers have no hole"
        business = [row["raw"] for row in mine if header(row["raw"]).get(35) not in tuple("012345A")]
        assert bodies(business) == bodies(sent), f"{session}: lost, doubled or out of order"
        sequences = [fields(raw)[34] for raw in business]
        assert len(set(sequences)) == len(sequences)


def check_tickets(service: Service, summary: dict[str, Any]) -> None:
    """Exactly one incident per ticketable break, and none that nobody asked for."""
    incidents = service.ticket_table()
    keys = [row["correlation_id"] for row in incidents]
    assert len(keys) == len(set(keys)) == summary["completeness"]["tickets"]
    numbers = {row["number"]: row for row in incidents}
    queue = [row for row in service.breaks() if row["severity"] >= 2]
    assert queue and len({row["ticket"] for row in queue}) == len(queue)
    assert all(numbers[row["ticket"]]["state"] in ("1", "2") for row in queue)


# The model is away in the everyday runs: training it anew after each kill would take most of their time.
AWAY = "http://127.0.0.1:1"
MODELS = [(11, AWAY), pytest.param(12, AWAY, marks=pytest.mark.heavy)]
HEAVY = [pytest.param(seed, "inprocess://", marks=pytest.mark.heavy) for seed in range(13, 23)]


def check_a_day(root: Path, undisturbed: dict[str, Any], seed: int, model: str, kills: int) -> None:
    """One day under so many kills: nothing lost, doubled or out of order, the tie-out as if nothing had died."""
    chance = random.Random(seed)
    roles = [*ROLES, *(chance.choice(ROLES) for _ in range(kills - len(ROLES)))]
    chance.shuffle(roles)
    with Service(root, fills=FILLS, seed=SEED, model=model) as service:
        torment(service, chance, roles, root / "stores")
        service.wait_ready()
        # What fifty deaths left behind takes its time on a busy machine.
        until(service.idle, "everything accepted is reconciled", kills * PATIENCE_SECONDS / 10)
        summary = service.end_of_input()
        assert summary["completeness"]["problems"] == []
        assert service.client.get("/api/runs", status="FAILED")["runs"] == []
        check_tickets(service, summary)
        service.stop()
        check_messages(service)
    assert summary["digest"] == undisturbed["digest"]
    assert summary["completeness"]["live"] == undisturbed["completeness"]["live"]
    assert summary["groups"] == undisturbed["groups"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("seed", "model"), [*MODELS, *HEAVY])
def test_a_day_survives_ten_kills(tmp_path: Path, undisturbed: dict[str, Any], seed: int, model: str) -> None:
    check_a_day(tmp_path, undisturbed, seed, model, KILLS)


@pytest.mark.heavy
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_thousand_kills_over_twenty_days(tmp_path: Path, undisturbed: dict[str, Any], seed: int) -> None:
    check_a_day(tmp_path, undisturbed, seed, AWAY, MANY_KILLS)
