"""Receipts: what they repeat, when there is none, and that they are numbered, kept and sent again like any message."""

import asyncio
import sys
from pathlib import Path

import pytest

from domain.clock import ManualClock, SystemClock
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.acknowledge import Acknowledger, receipt
from ingest.session.core import SessionCore
from ingest.session.framing import Framer
from ingest.session.state import Append, Numbers, Replay, Send, SessionConfig
from ingest.session.wire import compose, fields, timestamp

NOW = "20260604-13:30:05.000"
CAPTURE = ((571, "T1"), (487, "0"), (32, "100"), (31, "1.5"), (55, "VOD.L"), (75, "20260604"))


def sent_as(begin: str, kind: str, *body: tuple[int, str]) -> bytes:
    head = [(35, kind), (49, "ALPHA"), (56, "TIEOUT"), (34, "2"), (52, "20260604-13:30:04.000")]
    return compose(begin, [*head, *body])


def receipts(begin: str, kind: str, *body: tuple[int, str]) -> list[tuple[str, tuple[tuple[int, str], ...]]]:
    return list(receipt(sent_as(begin, kind, *body), NOW))


@pytest.mark.parametrize(
    ("begin", "kind", "body", "answer", "said"),
    [
        ("FIX.4.4", "AE", CAPTURE, "AR", ((571, "T1"), (487, "0"), (150, "F"), (55, "VOD.L"), (60, NOW))),
        ("FIXT.1.1", "AE", ((1003, "X"),), "AR", ((1003, "X"), (150, "F"), (60, NOW))),
        ("FIX.4.4", "J", ((70, "B1"), (75, "20260604")), "P", ((70, "B1"), (75, "20260604"), (60, NOW), (87, "3"))),
        ("FIX.4.2", "J", ((70, "B1"), (75, "20260604")), "P", ((70, "B1"), (75, "20260604"), (60, NOW), (87, "3"))),
        ("FIX.4.4", "AS", ((755, "R"), (70, "B")), "AT", ((755, "R"), (70, "B"), (60, NOW), (87, "3"))),
        ("FIX.4.4", "AK", ((664, "C"), (75, "20260604")), "AU", ((664, "C"), (75, "20260604"), (60, NOW), (940, "1"))),
    ],
)
def test_a_receipt_repeats_the_ids_and_accepts_nothing(
    begin: str, kind: str, body: tuple[tuple[int, str], ...], answer: str, said: tuple[tuple[int, str], ...]
) -> None:
    assert receipts(begin, kind, *body) == [(answer, said)]


@pytest.mark.parametrize(
    ("begin", "kind", "body"),
    [
        ("FIX.4.4", "8", ((17, "E1"),)),
        ("FIX.4.2", "AE", CAPTURE),  # no AR before 4.4
        ("FIX.4.4", "AE", CAPTURE[1:]),
        ("FIXT.1.1", "AE", CAPTURE[1:]),
        ("FIX.4.4", "AE", ((571, ""), *CAPTURE[1:])),
        ("FIX.4.2", "J", ((70, "B1"),)),  # TradeDate(75) is required there
        ("FIX.4.4", "AR", ((571, "T1"), (150, "F"))),  # a receipt for a receipt would never end
    ],
)
def test_what_gets_no_receipt(begin: str, kind: str, body: tuple[tuple[int, str], ...]) -> None:
    assert receipts(begin, kind, *body) == []


def test_ids_go_back_byte_for_byte() -> None:
    ((_, body),) = receipts("FIX.4.4", "AE", (571, "T\xfc=\u00a31"), *CAPTURE[1:])
    assert dict(body)[571] == "T\xfc=\u00a31"


@pytest.mark.parametrize("kind", ["AR", "P", "AT", "AU"])
def test_receipts_are_valid_messages_of_fix44(kind: str, tmp_path: Path) -> None:
    quickfix = pytest.importorskip("quickfix")
    file = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
    if not file.exists():
        pytest.skip(f"no published dictionary {file.name} on this machine")
    dictionary = quickfix.DataDictionary(str(file))
    of = {"AR": "AE", "P": "J", "AT": "AS", "AU": "AK"}[kind]
    ((answer, body),) = receipts("FIX.4.4", of, *CAPTURE, (70, "B"), (755, "R"), (664, "C"))
    assert answer == kind
    dictionary.validate(quickfix.Message(sent_as("FIX.4.4", answer, *body).decode("latin-1"), dictionary, True))


def test_a_receipt_waits_for_the_disk_and_is_sent_again_when_asked_for() -> None:
    clock = ManualClock(1_780_579_805_000_000_000)
    core = SessionCore(SessionConfig("ALPHA", "TIEOUT", deliver=True), Numbers(), clock)
    responder = Acknowledger(clock)

    def carried(actions: list[object]) -> list[bytes]:
        """What goes out, once everything appended is durable and answered."""
        out: list[bytes] = []
        while actions:
            action = actions.pop(0)
            if isinstance(action, Append):
                actions += core.committed(len(action.messages))
            elif isinstance(action, Send):
                out.append(action.data)
            elif isinstance(action, Replay):
                out += action.messages
            elif hasattr(action, "messages"):
                for kind, body in responder(action.messages):
                    actions += core.send(kind, *body)
        return out

    def incoming(number: int, kind: str, *body: tuple[int, str]) -> bytes:
        head = [(35, kind), (49, "ALPHA"), (56, "TIEOUT"), (34, str(number)), (52, "20260604-13:30:04.000")]
        return compose("FIX.4.4", [*head, *body])

    carried(core.receive(incoming(1, "A", (98, "0"), (108, "30"))))
    actions = core.receive(incoming(2, "AE", *CAPTURE))
    assert not any(isinstance(action, Send) for action in actions)
    (first,) = carried(actions)
    assert (fields(first)[35], fields(first)[34], fields(first)[571]) == ("AR", "2", "T1")
    (again,) = carried(core.receive(incoming(3, "2", (7, "2"), (16, "0"))))
    said = fields(again)
    assert (said[35], said[34], said[43], said[571]) == ("AR", "2", "Y", "T1") and said[122] == fields(first)[52]


def test_the_acceptor_sends_receipts_and_keeps_them_over_a_restart(tmp_path: Path) -> None:
    clock = SystemClock()
    sessions = (SessionConfig("ALPHA", "TIEOUT", "FIX.4.4"),)
    config = AcceptorConfig(
        "127.0.0.1", 0, tmp_path / "log", tmp_path / "state", sessions, min_free_bytes=1, tick_seconds=0.02,
        respond={"ALPHA->TIEOUT": Acknowledger(clock)},
    )  # fmt: skip

    async def exchange(messages: list[tuple[int, str, tuple[tuple[int, str], ...]]], answers: int) -> list[bytes]:
        """One life of the acceptor: what it sends for the messages."""
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        running = asyncio.create_task(run_acceptor(config, clock, stop, port.set_result))
        reader, writer = await asyncio.open_connection("127.0.0.1", await port)
        for number, kind, body in messages:
            head = [(35, kind), (49, "ALPHA"), (56, "TIEOUT"), (34, str(number)), (52, timestamp(clock.now_ns()))]
            writer.write(compose("FIX.4.4", [*head, *body]))
        framer, found = Framer(), []
        async with asyncio.timeout(10):
            while len(found) < answers:
                found += [frame.data for frame in framer.feed(await reader.read(65_536))]
        writer.close()
        stop.set()
        await running
        return found

    logon = ((98, "0"), (108, "30"))
    first = asyncio.run(exchange([(1, "A", logon), (2, "AE", CAPTURE), (3, "8", ((17, "E1"),))], 2))
    assert [fields(m)[35] for m in first] == ["A", "AR"] and fields(first[1])[34] == "2"
    again = asyncio.run(exchange([(4, "A", logon), (5, "2", ((7, "2"), (16, "2")))], 2))
    said = fields(next(m for m in again if fields(m)[35] == "AR"))
    assert (said[34], said[43], said[571]) == ("2", "Y", "T1")
