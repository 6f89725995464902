"""The fast lane decides exactly as the core does without it, on any mix of good, odd and damaged input."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from domain.clock import ManualClock
from ingest.session.core import SessionCore
from ingest.session.fastlane import FastLane, use_machine_code
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


@pytest.fixture(params=["numpy", "machine code"])
def lane(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways to look at a run, where numba is installed."""
    if request.param == "machine code":
        pytest.importorskip("numba", reason="numba (the extra `fast`) is not installed")
        from ingest.session.compiled import compile_leading

        if not MACHINE_CODE:
            MACHINE_CODE.append(compile_leading())
        use_machine_code(MACHINE_CODE[0])
    yield
    use_machine_code(None)


MACHINE_CODE: list[Any] = []


def alike(rng: random.Random, damage: float) -> bytes:
    """What one engine sends: every header of the same shape, but for a few."""
    pieces, n = [LOGON], 2
    for _ in range(rng.choice([300, 1_500])):
        head = [(35, rng.choice("8888J")), (49, "PB"), (56, "US"), (34, str(n)), (52, "20260105-10:00:00.000")]
        odd = rng.random()
        if odd < damage:
            change = rng.choice([(35, "0"), (35, "1"), (49, "XX"), (34, f"0{n}"), (52, ""), (43, "Y"), (50, "D")])
            head = [pair for pair in head if pair[0] != change[0]] + [change]
            head.sort(key=lambda pair: [35, 49, 56, 34, 52, 50, 43].index(pair[0]))
        body = [(rng.choice((37, 37, 37, 97 if odd < damage * 2 else 11)), "Y"), (58, "x" * rng.randint(0, 300))]
        one = compose("FIX.4.4", [*head, *body])
        if rng.random() < damage:
            at = rng.randrange(len(one))
            one = one[:at] + bytes([rng.randrange(256)]) + one[at + rng.randint(0, 1) :]
        pieces.append(one)
        n += 1
    return b"".join(pieces)


@pytest.mark.parametrize("seed", range(60))
def test_both_ways_agree(seed: int, lane: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    damage = (0.0, 0.003, 0.1)[seed % 3]
    data = alike(rng, damage) if seed % 2 else stream(rng, damage)
    sizes = [rng.choice([1, 7, 300, 5_000, 100_000]) for _ in range(4_000)]
    fast = run(data, sizes)
    monkeypatch.setattr(FastLane, "take", lambda *_: None)
    assert fast == run(data, sizes)


def test_it_takes_whole_runs_and_stops_where_it_must(lane: None) -> None:
    fast = FastLane("FIX.4.4", "PB", "US", 1_000)
    head = [(35, "8"), (49, "PB"), (56, "US")]

    def taken(messages: list[bytes], expected: int = 1_005) -> list[bytes]:
        return list(fast.take(bytearray(b"".join(messages)), expected) or ())

    fills = [compose("FIX.4.4", [*head, (34, str(n)), (52, "x"), (58, "y" * (n % 70))]) for n in range(1_005, 1_205)]
    assert taken(fills) == fills
    assert taken([*fills[:-1], fills[-1][:-1]]) == fills[:-1]
    assert taken(fills, 1_004) == []
    for at in (7, 100):
        broken = fills[at][:-4] + b"%03d\x01" % ((int(fills[at][-4:-1]) + 1) % 256)
        assert taken([*fills[:at], broken, *fills[at + 1 :]]) == fills[:at]
        wrapped = fills[at][:-4] + b"%03d\x01" % (int(fills[at][-4:-1]) + 256)
        assert taken([*fills[:at], wrapped]) == fills[:at]
        assert taken([*fills[:at], *fills[at + 1 :]]) == fills[:at]
