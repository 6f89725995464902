"""A prime broker's day with its own FIX engine: fills sent, the line lost, everything resent, nothing doubled."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.session.wire import fields, header
from ingest.streams.segment import SegmentStream
from simulator.simulate import Flow
from tests.ingest.session.quickfix_engine import Application, Relay, fix, initiator, until
from tests.journeys.service import Service, raw_streams, spoiled, stored

BEGIN, SESSION, OMS = "FIX.4.4", "ALPHA->TIEOUT", "MERIDIAN_OMS->TIEOUT"
FILLS, SIDE_GROUP = 70, (552, 54)
SIDE_TAGS = (54, 37, 11, 1, 12, 13)


def bookings(day: Flow) -> list[dict[int, str]]:
    """The first fills ALPHA books on that day: new ones, each once."""
    found: dict[str, dict[int, str]] = {}
    for message in raw_streams(day)[SESSION]:
        tags = fields(message)
        if tags.get(487) == "0" and tags.get(32, "").isdigit() and tags.get(54) in ("1", "2", "5") and 43 not in tags:
            found.setdefault(tags[571], tags)
    return list(found.values())[:FILLS]


def report(tags: dict[int, str]) -> Any:
    """A TradeCaptureReport as QuickFIX writes it: the body in its own order, the side as a repeating group."""
    message = fix.Message()
    message.getHeader().setField(8, BEGIN)
    message.getHeader().setField(35, "AE")
    for tag in (571, 487, 856, 527, 570, 55, 48, 22, 32, 31, 75, 60, 64, 15):
        if tag in tags:
            message.setField(tag, tags[tag])
    side = fix.Group(*SIDE_GROUP)
    for tag in SIDE_TAGS:
        side.setField(tag, tags[tag])
    message.addGroup(side)
    return message


async def broker(service: Service, root: Path, booked: Sequence[dict[int, str]]) -> Application:
    """Half the fills, a cut line, the other half, and the engine's own recovery."""
    relay, app = Relay(service.acceptor_port), Application()
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    engine = initiator(root, server.sockets[0].getsockname()[1], BEGIN, app)
    session = fix.SessionID(BEGIN, "ALPHA", "TIEOUT")
    try:
        engine.start()
        await until(lambda: app.logons == 1)
        for tags in booked[:40]:
            fix.Session.sendToTarget(report(tags), session)
        relay.cut()
        for tags in booked[40:]:
            fix.Session.sendToTarget(report(tags), session)
        relay.up = True
        await until(lambda: app.logons == 2)
        await until(lambda: received(service) >= len(booked))
    finally:
        await asyncio.to_thread(engine.stop)
        relay.cut()
        server.close()
    return app


def received(service: Service) -> int:
    """Trade reports of the session in the raw log."""
    batch = SegmentStream(service.data.raw).read(SESSION, None, 10_000)
    return sum(header(message).get(35) == "AE" for envelope in batch.envelopes for message in envelope.messages)


@pytest.fixture(scope="module")
def day_at_alpha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, list[dict[int, str]]]]:
    """The fund's fills and ALPHA's bookings, reconciled and the service stopped."""
    root = tmp_path_factory.mktemp("broker")
    with Service(root, fills=170) as service:
        booked = bookings(service.day)
        service.push({OMS: raw_streams(service.day)[OMS]})
        app = asyncio.run(broker(service, root, booked))
        assert app.logons == 2
        assert service.end_of_input()["completeness"]["problems"] == []
        service.stop()
        yield service, booked


def test_nothing_is_lost_or_doubled(day_at_alpha: tuple[Service, list[dict[int, str]]]) -> None:
    service, booked = day_at_alpha
    assert len(booked) == FILLS
    with stored(service.data) as warehouse:
        raw = warehouse.query(
            "SELECT raw, number, outcome FROM raw_message WHERE session = :s AND msg_type = 'AE' ORDER BY number",
            {"s": SESSION},
        ).to_pylist()
        events = warehouse.query("SELECT trade_uid FROM trade_event WHERE feed = 'ALPHA' ORDER BY trade_uid")
    received = [fields(row["raw"]) for row in raw]
    assert [tags[571] for tags in received] == [tags[571] for tags in booked], "in the order they were sent"
    assert {row["outcome"] for row in raw} == {"FACT"}
    assert len({tags[34] for tags in received}) == FILLS
    assert any(tags.get(43) == "Y" for tags in received), "part of it had to be resent"
    assert events["trade_uid"].to_pylist() == sorted(tags[571] for tags in booked)


def test_what_the_broker_booked_meets_what_the_fund_traded(day_at_alpha: Any) -> None:
    service, booked = day_at_alpha
    wrong = spoiled(service.day)
    changed = {tags[19] for message in raw_streams(service.day)[OMS] if 19 in (tags := fields(message))}
    day = {
        tags[571]: tags.get(527) for message in raw_streams(service.day)[SESSION] if 571 in (tags := fields(message))
    }
    quoted = Counter(day.values())
    # What is told in two parts meets its fill only once both are there.
    plain = [tags for tags in booked if tags.get(527) not in changed and quoted[tags.get(527)] == 1]
    clean = {tags[571] for tags in plain} - wrong
    with stored(service.data) as warehouse:
        matched = warehouse.query(
            "SELECT DISTINCT e.trade_uid FROM match_member m JOIN trade_event e ON e.record_id = m.record_id"
            " WHERE e.feed = 'ALPHA'"
        )["trade_uid"].to_pylist()
    assert len(clean) > 50
    assert clean <= set(matched)
