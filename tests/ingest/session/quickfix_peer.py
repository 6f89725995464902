"""A process of its own that is a QuickFIX engine: it sends numbered fills, and goes on where its store says it was.

Run as `python quickfix_peer.py initiator|acceptor FOLDER PORT COUNT BEGINSTRING`; it prints `ready` once it runs.
"""

import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import quickfix as fix

CONFIG = """[DEFAULT]
ConnectionType={role}
HeartBtInt=30
ReconnectInterval=1
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
FileStorePath={folder}
FileStoreMaxCachedMsgs=20000
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
SocketAcceptPort={port}
SocketAcceptHost=127.0.0.1
SocketReuseAddress=Y
[SESSION]
BeginString={begin}
SenderCompID=ALPHA
TargetCompID=TIEOUT
"""


class Application(fix.Application):  # type: ignore[misc]
    """Sends while it is logged on; what it receives it writes down."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.up = threading.Event()
        self._received = (folder / "received").open("a")

    def onCreate(self, session: Any) -> None: ...

    def onLogon(self, session: Any) -> None:
        self.up.set()

    def onLogout(self, session: Any) -> None:
        self.up.clear()

    def toAdmin(self, message: Any, session: Any) -> None: ...

    def fromAdmin(self, message: Any, session: Any) -> None: ...

    def toApp(self, message: Any, session: Any) -> None: ...

    def fromApp(self, message: Any, session: Any) -> None:
        found = re.search(r"\x0158=([^\x01]*)", message.toString())
        self._received.write(f"{found[1] if found else '?'}\n")
        self._received.flush()


def fill(n: int, begin: str) -> Any:
    message = fix.Message()
    message.getHeader().setField(8, begin)
    message.getHeader().setField(35, "8")
    fields = ((37, f"O{n}"), (17, f"E{n}"), (39, "2"), (55, "VOD.L"), (54, "1"), (31, "1.25"), (32, "100"))
    for tag, value in fields:
        message.setField(tag, value)
    return message


def done(folder: Path) -> int:
    """How many fills the store holds: those are the engine's to deliver."""
    bodies = [path.read_bytes() for path in folder.glob("*.body")]
    return max((int(n) for body in bodies for n in re.findall(rb"\x0117=E(\d+)\x01", body)), default=0)


def main() -> None:
    role, folder, port, count, begin = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "engine.cfg"
    config.write_text(CONFIG.format(role=role, folder=folder, port=port, begin=begin))
    first, app = done(folder) + 1, Application(folder)
    kind = fix.SocketInitiator if role == "initiator" else fix.SocketAcceptor
    settings = fix.SessionSettings(str(config))
    engine = kind(app, fix.FileStoreFactory(settings), settings)
    engine.start()
    print("ready", flush=True)
    session = fix.SessionID(begin, "ALPHA", "TIEOUT")
    app.up.wait(30)
    for n in range(first, count + 1):
        if n % 1_000 == 500:
            # A gap of our own making: numbers that were never used.
            sender = fix.Session.lookupSession(session)
            sender.setNextSenderMsgSeqNum(sender.getExpectedSenderNum() + 3)
        fix.Session.sendToTarget(fill(n, begin), session)
        if n % 50 == 0:
            time.sleep(0.01)
    time.sleep(60)


if __name__ == "__main__":
    main()
