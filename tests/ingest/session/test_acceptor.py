"""The acceptor over loopback: with our initiator and with raw sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.initiator import SenderLimits, SendReport, send_messages
from ingest.session.state import SessionConfig
from ingest.session.status import read_status
from ingest.session.wire import compose, fields, header
from ingest.streams.segment import SegmentStream

LIMITS = SenderLimits(logon_seconds=5, acknowledge_seconds=10, ask_again_seconds=0.2, logout_seconds=2)


def settings(root: Path, **changes: object) -> AcceptorConfig:
    sessions = (SessionConfig("ALPHA", "TIEOUT"), SessionConfig("BRAVO", "TIEOUT", "FIX.4.2"))
    config = AcceptorConfig("127.0.0.1", 0, root / "log", root / "state", sessions, min_free_bytes=1)
    return replace(config, tick_seconds=0.02, status_seconds=0.02, **changes)


@contextlib.asynccontextmanager
async def acceptor(config: AcceptorConfig) -> AsyncIterator[int]:
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run_acceptor(config, SystemClock(), stop, port.set_result))
    await asyncio.wait({running, port}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    try:
        yield await port
    finally:
        stop.set()
        await running


def fills(first: int, last: int) -> Iterator[bytes]:
    """Recorded execution reports as another engine wrote them."""
    for n in range(first, last + 1):
        head = [(35, "8"), (49, "OLD"), (56, "OTHER"), (34, str(n + 5000)), (52, "20240102-10:00:00"), (50, "DESK")]
        yield compose("FIX.4.4", [*head, (37, f"O{n}"), (17, f"E{n}"), (55, "VOD.L"), (31, "1.5"), (32, "100")])


async def send(port: int, messages: Iterator[bytes], **more: object) -> SendReport:
    begin = "FIX.4.4"
    return await send_messages("127.0.0.1", port, "ALPHA", "TIEOUT", begin, messages, limits=LIMITS, **more)


def logged(root: Path, lane: str = "ALPHA->TIEOUT") -> list[bytes]:
    batch = SegmentStream(root / "log").read(lane, None, 1_000_000)
    numbers = [n for e in batch.envelopes for n in range(e.first, e.last + 1)]
    assert numbers == list(range(1, len(numbers) + 1))
    return [message for e in batch.envelopes for message in e.messages]


def business(messages: list[bytes]) -> list[tuple[int, str]]:
    found = [fields(m) for m in messages if header(m).get(35) == "8"]
    return [(int(f[34]), f[17]) for f in found]


class Cut(Exception):
    """The test pulls the cable."""


def test_a_cut_line_loses_and_doubles_nothing(tmp_path: Path) -> None:
    def cut_after(n: int) -> Iterator[bytes]:
        yield from fills(1, n)
        raise Cut

    async def scenario() -> tuple[SendReport, SendReport]:
        store = tmp_path / "sent"
        async with acceptor(settings(tmp_path)) as port:
            for first, last in ((1, 300), (301, 610)):
                with pytest.raises(Cut):
                    await send(port, (m for m in cut_after(last) if int(fields(m)[17][1:]) >= first), store_path=store)
            third = await send(port, fills(611, 1_000), store_path=store)
        async with acceptor(settings(tmp_path)) as port:
            return third, await send(port, fills(1_001, 1_005), store_path=store)

    third, fourth = asyncio.run(scenario())
    kept = business(logged(tmp_path))
    assert [exec_id for _, exec_id in kept] == [f"E{n}" for n in range(1, 1_006)]
    assert len({sequence for sequence, _ in kept}) == 1_005
    assert third.resent > 0, "what was numbered but never written had to be asked for"
    assert (fourth.sent, fourth.resent, fourth.rejected) == (5, 0, 0)


def test_the_body_arrives_byte_for_byte_and_the_rest_of_the_header_is_kept(tmp_path: Path) -> None:
    async def scenario() -> SendReport:
        messages = [*fills(1, 2), compose("FIX.4.4", [(35, "0"), (34, "9")]), b"what is this\n", *fills(3, 3)]
        async with acceptor(settings(tmp_path)) as port:
            return await send(port, iter(messages))

    report = asyncio.run(scenario())
    log = logged(tmp_path)
    bodies = [m[m.index(b"\x0137=") : m.index(b"\x0110=")] for m in log if header(m).get(35) == "8"]
    assert bodies == [m[m.index(b"\x0137=") : m.index(b"\x0110=")] for m in fills(1, 3)]
    assert all(header(m)[50] == "DESK" for m in log if header(m).get(35) == "8")
    assert b"what is this\n" in log
    assert (report.sent, report.skipped) == (4, 1)


def test_a_restart_with_reset_starts_the_numbers_again_and_keeps_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        for first in (1, 11):
            async with acceptor(settings(tmp_path)) as port:
                await send(port, fills(first, first + 9), rate=2_000)

    asyncio.run(scenario())
    kept = business(logged(tmp_path))
    assert [e for _, e in kept] == [f"E{n}" for n in range(1, 21)]
    assert [s for s, _ in kept] == [*range(2, 12), *range(2, 12)]


def test_what_the_acceptor_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with acceptor(settings(tmp_path)) as port:
            await send(port, fills(1, 3), store_path=tmp_path / "one")
            with pytest.raises(PermanentError, match="MsgSeqNum too low, expecting 7 but received 1"):
                await send(port, fills(4, 5), store_path=tmp_path / "two")
            strange = send_messages("127.0.0.1", port, "NOBODY", "TIEOUT", "FIX.4.4", [], limits=LIMITS)
            with pytest.raises(TransientError):
                await strange
        with pytest.raises(TransientError):
            await send(port, fills(1, 1))

    asyncio.run(scenario())
    assert len(business(logged(tmp_path))) == 3


def test_one_connection_per_identity_and_a_status_for_the_feeds_page(tmp_path: Path) -> None:
    logon = compose(
        "FIX.4.2",
        [(35, "A"), (49, "BRAVO"), (56, "TIEOUT"), (34, "1"), (52, "20260105-10:00:00"), (98, "0"), (108, "30")],
    )

    async def scenario() -> None:
        async with acceptor(settings(tmp_path)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(logon[:20])
            await asyncio.sleep(0.01)
            writer.write(logon[20:])
            answer = fields(await reader.readuntil(b"\x0110="))
            assert (answer[35], answer[8], answer[49], answer[56]) == ("A", "FIX.4.2", "TIEOUT", "BRAVO")
            second, other = await asyncio.open_connection("127.0.0.1", port)
            other.write(logon)
            assert await second.read() == b""
            other.close()
            await asyncio.sleep(0.1)
            status = read_status(tmp_path / "state")
            assert status is not None
            assert status.port == port
            alpha, bravo = status.sessions
            assert (alpha.connected, alpha.received) == (False, 0)
            assert (bravo.connected, bravo.next_in, bravo.next_out, bravo.received) == (True, 2, 2, 1)
            assert bravo.last_recv_ts > 0
            writer.transport.abort()

    asyncio.run(scenario())
    status = read_status(tmp_path / "state")
    assert status is not None
    assert not any(session.connected for session in status.sessions)


def test_a_full_disk_stops_reading_and_acknowledges_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with acceptor(settings(tmp_path, min_free_bytes=1 << 62, shutdown_seconds=0.1)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.1)
            writer.write(
                compose("FIX.4.4", [(35, "A"), (49, "ALPHA"), (56, "TIEOUT"), (34, "1"), (98, "0"), (108, "30")])
            )
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.2)
            status = read_status(tmp_path / "state")
            assert status is not None
            assert status.disk_low
            writer.close()

    asyncio.run(scenario())
    assert logged(tmp_path) == []


def test_a_second_acceptor_on_the_same_log_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with acceptor(settings(tmp_path)):
            with pytest.raises(TransientError, match="another process"):
                await run_acceptor(settings(tmp_path), SystemClock(), asyncio.Event())

    asyncio.run(scenario())


def test_a_failing_log_ends_the_acceptor_without_an_acknowledgement(tmp_path: Path) -> None:
    """Damage found at start and a disk that fails while running both stop it loudly."""

    async def damaged() -> None:
        async with acceptor(settings(tmp_path)) as port:
            await send(port, fills(1, 5))
        (segment,) = (tmp_path / "log").glob("ALPHA*/*.seg")
        segment.write_bytes(segment.read_bytes()[:-3])
        with pytest.raises(PermanentError, match="durable"):
            await run_acceptor(settings(tmp_path), SystemClock(), asyncio.Event())

    asyncio.run(damaged())
