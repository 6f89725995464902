"""The fast lane decides exactly as the core does without it, on any mix of good, odd and damaged input."""

import random

import pytest

from domain.clock import ManualClock
from ingest.session.core import SessionCore
from ingest.session.fastlane import FastLane
from ingest.session.state import Action, Append, Numbers, Replay, Send, SessionConfig
from ingest.session.wire import compose

LOGON = compose(
    "FIX.4.4", [(35, "A"), (49, "PB"), (56, "US"), (34, "1"), (52, "20260105-10:00:00"), (98, "0"), (108, "30")]
)


def message(rng: random.Random, n: int) -> bytes:
    """Mostly an ordinary fill, sometimes something the fast lane must leave alone."""
    pair = [(49, "PB"), (56, "US" if rng.random() < 0.999 else "XX")]
    order = [*pair, (34, str(n)), (52, "20260105-10:00:00")]
    if rng.random() < 0.4:
        order = [(34, str(n)), pair[0], (52, "20260105-10:00:00.123"), pair[1]]
    if rng.random() < 0.1:
        order.insert(rng.randint(0, 4), (50, "DESK"))
    if rng.random() < 0.05:
        order.insert(rng.randint(0, 4), rng.choice([(43, "Y"), (97, "Y"), (34, "7"), (122, "20260105-09:00:00")]))
    if rng.random() < 0.005:
        del order[rng.randrange(4)]
    kind = rng.choice(["0", "1", "4", "AE", "8A", "5x", "j"]) if rng.random() < 0.1 else "8"
    body = [(112, "T")] if kind == "1" else [(37, "O"), (58, "x" * rng.randint(0, 80)), (43, "Y")]
    return compose("FIX.4.4" if rng.random() < 0.999 else "FIX.4.2", [(35, kind), *order, *body])


def stream(rng: random.Random, damage: float) -> bytes:
    pieces, n = [LOGON], 2
    for _ in range(300):
        one = message(rng, n)
        if rng.random() < damage:
            at = rng.randrange(len(one))
            one = one[:at] + bytes([rng.randrange(256)]) + one[at + rng.randint(0, 1) :]
        pieces.append(one)
        n += rng.choices([1, 0, 2], [0.996, 0.002, 0.002])[0]
    return b"".join(pieces)


def run(data: bytes, sizes: list[int]) -> tuple[list[tuple[bytes, int]], list[Action], int]:
    core = SessionCore(SessionConfig("PB", "US"), Numbers(), ManualClock())
    log: list[tuple[bytes, int]] = []
    rest: list[Action] = []
    at = 0
    for size in sizes:
        todo = core.receive(data[at : at + size])
        at += size
        while todo:
            action = todo.pop(0)
            if isinstance(action, Append):
                log += zip(action.messages, action.next_in, strict=True)
                todo += core.committed(len(action.messages))
            elif isinstance(action, Replay):
                rest += [Send(message) for message in action.messages]
            elif isinstance(action, Send):
                rest.append(action)
    return log, rest, core.next_in


@pytest.mark.parametrize("seed", range(60))
def test_both_ways_agree(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    data = stream(rng, damage=(0.0, 0.01, 0.1)[seed % 3])
    sizes = [rng.choice([1, 7, 300, 5_000, 100_000]) for _ in range(2_000)]
    fast = run(data, sizes)
    monkeypatch.setattr(FastLane, "take", lambda *_: [])
    assert fast == run(data, sizes)


def test_it_takes_whole_runs_and_stops_where_it_must() -> None:
    lane = FastLane("FIX.4.4", "PB", "US", 1_000)
    head = [(35, "8"), (49, "PB"), (56, "US")]
    fills = [compose("FIX.4.4", [*head, (34, str(n)), (52, "x"), (58, "y" * n)]) for n in range(5, 25)]
    assert lane.take(bytearray(b"".join(fills)), 5) == fills
    assert lane.take(bytearray(b"".join(fills)[:-1]), 5) == fills[:-1]
    assert lane.take(bytearray(b"".join(fills)), 4) == []
    broken = fills[7][:-4] + b"%03d\x01" % ((int(fills[7][-4:-1]) + 1) % 256)
    assert lane.take(bytearray(b"".join([*fills[:7], broken, *fills[8:]])), 5) == fills[:7]
    wrapped = fills[7][:-4] + b"%03d\x01" % (int(fills[7][-4:-1]) + 256)
    assert lane.take(bytearray(b"".join([*fills[:7], wrapped])), 5) == fills[:7]
