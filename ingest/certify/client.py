"""The counterparty of a self-test: an initiator that does what each step asks for, over a socket like any other."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from domain.clock import Clock
from ingest.certify.play import Body, Play
from ingest.session.core import SessionCore
from ingest.session.sent import MemorySent
from ingest.session.state import Action, Append, Disconnect, Numbers, Phase, Replay, Role, Send, SessionConfig

_CHUNK_BYTES = 64 * 1024
_WAIT_SECONDS = 0.02


class TestClient:
    """Plays `play` to the acceptor at host and port. Tell it each step with `told`; `run` ends with the last one."""

    __test__ = False

    def __init__(self, config: SessionConfig, play: Play, clock: Clock) -> None:
        assert config.role is Role.INITIATOR
        self._config, self._play, self._clock = config, play, clock
        self._numbers, self._sent = Numbers(), MemorySent()
        self._due: list[str] = []

    def told(self, step: str) -> None:
        """A step's turn has come."""
        self._due.append(step)

    async def run(self, host: str, port: int, over: asyncio.Event) -> None:
        """Connect, act, log out and on again at the end of the day; returns when `over` is set."""
        while not over.is_set():
            reader, writer = await asyncio.open_connection(host, port)
            core = SessionCore(self._config, self._numbers, self._clock, self._sent)
            try:
                await self._connection(core, reader, writer, over)
            finally:
                self._numbers = Numbers(core.next_in, core.next_out)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _connection(
        self, core: SessionCore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, over: asyncio.Event
    ) -> None:
        open_ = _act(core, core.start(), writer)
        while open_ and not over.is_set():
            try:
                data = await asyncio.wait_for(reader.read(_CHUNK_BYTES), _WAIT_SECONDS)
            except TimeoutError:
                open_ = _act(core, core.tick(), writer)
            except OSError:
                return
            else:
                if not data:
                    return
                open_ = _act(core, core.receive(data), writer)
            if core.phase is Phase.ACTIVE:
                open_ = self._do(core, writer) and open_

    def _do(self, core: SessionCore, writer: asyncio.StreamWriter) -> bool:
        """What the steps told since ask for."""
        due, self._due = self._due, []
        going_on = True
        for step in due:
            if step == "end_of_day":
                going_on = _act(core, core.logout("end of day"), writer) and going_on
            for kind, body in self._bodies(step):
                going_on = _act(core, core.send(kind, *body), writer) and going_on
        return going_on

    def _bodies(self, step: str) -> Sequence[Body]:
        return self._play.steps.get(step, [])


def _act(core: SessionCore, actions: Iterable[Action], writer: asyncio.StreamWriter) -> bool:
    """Write what the core sends; False when the connection is to end."""
    going_on = True
    for action in actions:
        match action:
            case Append(messages):
                going_on = _act(core, core.committed(len(messages)), writer) and going_on
            case Send(data):
                writer.write(data)
            case Replay(messages):
                for message in messages:
                    writer.write(message)
            case Disconnect():
                going_on = False
            case _:
                pass
    return going_on
