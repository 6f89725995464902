"""kill -9 of real processes at random moments: nothing acknowledged is lost, nothing is taken twice, order is kept."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.app.victim import LANES, message

ROOT = Path(__file__).parents[2]


class Victim:
    """One process and what it said so far."""

    def __init__(self, role: str, folder: Path, seed: int) -> None:
        command = [sys.executable, "-m", "tests.app.victim", role, str(folder), str(seed)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def until(self, said: int, what: str = "", seconds: float = 60) -> None:
        """Wait until it said that many lines, or that many of `what`."""
        deadline = time.monotonic() + seconds
        while (self.lines.count(what) if what else len(self.lines)) < said:
            assert self.process.poll() is None and time.monotonic() < deadline, self.end()
            time.sleep(0.002)

    def end(self) -> str:
        """kill -9; what it wrote to standard error."""
        self.process.send_signal(signal.SIGKILL)
        _, errors = self.process.communicate() if not self.reader.is_alive() else ("", "")
        self.process.wait(10)
        self.reader.join(10)
        return errors

    def acknowledged(self) -> dict[str, int]:
        """The last number of each lane it said to be durable; a line that was cut off said nothing."""
        found: dict[str, int] = {}
        for line in self.lines:
            lane, _, number = line.partition(" ")
            if lane in LANES and number.isdigit():
                found[lane] = int(number)
        return found


KILLS = [
    pytest.param(1, 4, marks=pytest.mark.timeout(180)),
    *(pytest.param(seed, 100, marks=[pytest.mark.heavy, pytest.mark.timeout(3_600)]) for seed in range(2, 12)),
]


@pytest.mark.parametrize(("seed", "kills"), KILLS)
def test_nothing_acknowledged_is_lost_and_nothing_is_taken_twice(tmp_path: Path, seed: int, kills: int) -> None:
    chance = random.Random(seed)
    acknowledged = dict.fromkeys(LANES, 0)
    with contextlib.ExitStack() as stack:
        alive = {role: Victim(role, tmp_path, seed) for role in ("producer", "consumer")}
        stack.callback(lambda: [victim.end() for victim in alive.values()])
        for kill in range(kills):
            alive["producer"].until(chance.randint(1, 30))
            if chance.random() < 0.7:
                alive["consumer"].until(1)
            time.sleep(chance.uniform(0, 0.05))
            for role in chance.choice([("producer",), ("consumer",), ("producer", "consumer")]):
                alive[role].end()
                acknowledged |= alive[role].acknowledged()
                alive[role] = Victim(role, tmp_path, seed * 1_000 + kill)
        alive["producer"].until(5)
        alive["producer"].end()
        acknowledged |= alive["producer"].acknowledged()
        alive["consumer"].end()
        alive["consumer"] = Victim("consumer", tmp_path, 0)
        alive["consumer"].until(1, "idle", 120)
    rows = sqlite3.connect(tmp_path / "sink.sqlite").execute("SELECT * FROM taken ORDER BY rowid").fetchall()
    for lane in LANES:
        numbers = [number for name, number, _, _ in rows if name == lane]
        assert numbers == list(range(1, len(numbers) + 1)), "once each, in order, without a hole"
        assert len(numbers) >= acknowledged[lane] > 0
    assert all(body == message(lane, number) for lane, number, body, _ in rows)
