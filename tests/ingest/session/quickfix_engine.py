"""An independent FIX engine, QuickFIX, as initiator: its application, and a line that can be cut."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

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
    """Counts logons; everything else is the engine's business."""

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
        """Drop every connection; new ones are refused until `up` again."""
        self.up = False
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()


TLS = """CertificationAuthoritiesFile={authority}
ClientCertificateFile={certificate}
ClientCertificateKeyFile={key}
CertificateVerifyLevel=2
SSLProtocol=+TLSv1_2
"""


def initiator(
    root: Path, port: int, begin: str, app: Application, tls: tuple[Path, Path, Path] | None = None,
    sender: str = "ALPHA", target: str = "TIEOUT",
) -> Any:  # fmt: skip
    """A QuickFIX initiator for ALPHA to `port`; the caller starts and stops it. `tls`: authority, certificate, key."""
    config = root / "quickfix.cfg"
    text = CONFIG.format(port=port, begin=begin).replace("=ALPHA", f"={sender}").replace("=TIEOUT", f"={target}")
    if tls is not None:
        authority, certificate, key = tls
        text = text.replace(
            "[SESSION]", TLS.format(authority=authority, certificate=certificate, key=key) + "[SESSION]"
        )
    config.write_text(text)
    kind = fix.SSLSocketInitiator if tls else fix.SocketInitiator
    return kind(app, fix.MemoryStoreFactory(), fix.SessionSettings(str(config)))


async def until(condition: Any, seconds: float = 20) -> None:
    """Wait for a condition; TimeoutError when it never comes."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
