"""An independent engine, QuickFIX, against the acceptor: log on, send, lose the line, log on again, resend."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from domain.clock import SystemClock
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.state import SessionConfig
from ingest.session.wire import fields, header
from ingest.streams.segment import SegmentStream

fix: Any = pytest.importorskip("quickfix", reason="quickfix-ssl, the independent FIX engine, is not installed here")

CONFIG = """[DEFAULT]
ConnectionType=initiator
HeartBtInt=30
ReconnectInterval=1
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
[SESSION]
BeginString={begin}
SenderCompID=ALPHA
TargetCompID=TIEOUT
"""


class Application(fix.Application):  # type: ignore[misc]
    logons = 0

    def onCreate(self, session: Any) -> None: ...

    def onLogon(self, session: Any) -> None:
        self.logons += 1

    def onLogout(self, session: Any) -> None: ...

    def toAdmin(self, message: Any, session: Any) -> None: ...

    def fromAdmin(self, message: Any, session: Any) -> None: ...

    def toApp(self, message: Any, session: Any) -> None: ...

    def fromApp(self, message: Any, session: Any) -> None: ...


class Relay:
    """A line between two ports that can be cut: what is on its way then is lost."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.up = True
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.up:
            writer.transport.abort()
            return
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += [writer, onward]
        await asyncio.gather(self.pump(reader, onward), self.pump(onward_reader, writer))

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(512):
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        self.up = False
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()


def fill(n: int, begin: str) -> Any:
    message = fix.Message()
    message.getHeader().setField(8, begin)
    message.getHeader().setField(35, "8")
    for tag, value in ((37, f"O{n}"), (17, f"Q{n}"), (55, "VOD.L"), (54, "1"), (31, "1.25"), (32, "100")):
        message.setField(tag, value)
    return message


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def kept(root: Path) -> list[dict[int, str]]:
    batch = SegmentStream(root / "log").read("ALPHA->TIEOUT", None, 100_000)
    return [fields(m) for e in batch.envelopes for m in e.messages if header(m).get(35) == "8"]


async def drive(root: Path, port: int, begin: str) -> None:
    relay = Relay(port)
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    (root / "quickfix.cfg").write_text(CONFIG.format(port=server.sockets[0].getsockname()[1], begin=begin))
    app = Application()
    engine = fix.SocketInitiator(app, fix.MemoryStoreFactory(), fix.SessionSettings(str(root / "quickfix.cfg")))
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
