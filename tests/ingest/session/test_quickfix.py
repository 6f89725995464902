"""An independent engine, QuickFIX, against the acceptor: log on, send, lose the line, log on again, resend."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from domain.clock import SystemClock
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.state import SessionConfig
from ingest.session.wire import fields, header
from ingest.streams.segment import SegmentStream
from tests.ingest.session.quickfix_engine import Application, Relay, fix, initiator, until


def fill(n: int, begin: str) -> Any:
    message = fix.Message()
    message.getHeader().setField(8, begin)
    message.getHeader().setField(35, "8")
    for tag, value in ((37, f"O{n}"), (17, f"Q{n}"), (55, "VOD.L"), (54, "1"), (31, "1.25"), (32, "100")):
        message.setField(tag, value)
    return message


def kept(root: Path) -> list[dict[int, str]]:
    batch = SegmentStream(root / "log").read("ALPHA->TIEOUT", None, 100_000)
    return [fields(m) for e in batch.envelopes for m in e.messages if header(m).get(35) == "8"]


async def drive(root: Path, port: int, begin: str) -> None:
    relay, app = Relay(port), Application()
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    engine = initiator(root, server.sockets[0].getsockname()[1], begin, app)
    session = fix.SessionID(begin, "ALPHA", "TIEOUT")
    try:
        engine.start()
        await until(lambda: app.logons == 1)
        for n in range(60):
            fix.Session.sendToTarget(fill(n, begin), session)
        await until(lambda: len(kept(root)) > 5)
        relay.cut()
        for n in range(60, 100):
            fix.Session.sendToTarget(fill(n, begin), session)
        relay.up = True
        await until(lambda: app.logons == 2)
        await until(lambda: len(kept(root)) >= 100)
    finally:
        await asyncio.to_thread(engine.stop)
        relay.cut()
        server.close()


@pytest.mark.parametrize("begin", ["FIX.4.4", "FIX.4.2"])
def test_quickfix_loses_nothing_over_a_cut_line(tmp_path: Path, begin: str) -> None:
    config = AcceptorConfig("127.0.0.1", 0, tmp_path / "log", tmp_path, (SessionConfig("ALPHA", "TIEOUT"),), 1)

    async def scenario() -> None:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        running = asyncio.create_task(run_acceptor(config, SystemClock(), stop, port.set_result))
        try:
            await drive(tmp_path, await port, begin)
        finally:
            stop.set()
            await running

    asyncio.run(scenario())
    found = kept(tmp_path)
    assert [f[17] for f in found] == [f"Q{n}" for n in range(100)]
    assert len({f[34] for f in found}) == 100
    assert any(f.get(43) == "Y" for f in found), "part of it had to be resent"
