"""Fuzzing: cases by seed and number, each held to a bound of work and memory, and the input of a failure made small.

python -m tests.fuzz.harness TARGET --seed 2 --case 1234     runs one case again
"""

import argparse
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

# Of one case of some ten thousand bytes: a hundred times what the slowest needs, a fraction of what a hang would.
CASE_CPU_SECONDS = 10.0
CASE_MEMORY_BYTES = 400 * 2**20
_SHRINK_CPU_SECONDS = 20.0


class Hang(BaseException):
    """A case used more processor time than any input of its size may."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads bytes from outside.

    `build` makes the input of a case, `check` reads it and asserts what must hold for any bytes; both draw everything
    from the generator they are given.
    """

    name: str
    build: Callable[[random.Random], bytes]
    check: Callable[[bytes, random.Random], None]
    smoke_cases: int


class Finding(AssertionError):
    """An input that broke a property; the text says which, and how to run it again."""


def run_case(target: Target, seed: int, case: int, keep: Path | None = None) -> None:
    """One case. Raises Finding; `keep` is the folder its input is written to, as made and as small as it could be."""
    data = target.build(random.Random(f"{target.name}:{seed}:{case}"))
    failure = _failure(target, data, seed, case)
    if failure is None:
        return
    small = _shrunk(target, data, seed, case, failure)
    again = f"python -m tests.fuzz.harness {target.name} --seed {seed} --case {case}"
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{target.name}-{seed}-{case}").write_bytes(data)
        (keep / f"{target.name}-{seed}-{case}.small").write_bytes(small)
    told = f"{type(failure).__name__}: {failure}"
    raise Finding(f"{told}\n{again}\n{len(small)} of {len(data)} bytes: {small[:600]!r}") from failure


def run_for(target: Target, seed: int, seconds: float, keep: Path | None = None) -> int:
    """Cases from 0 on until the time is over; how many. Raises Finding at the first that fails."""
    end = time.monotonic() + seconds
    case = 0
    while case == 0 or time.monotonic() < end:
        run_case(target, seed, case, keep)
        case += 1
    return case


def _failure(target: Target, data: bytes, seed: int, case: int) -> BaseException | None:
    rng = random.Random(f"{target.name}:{seed}:{case}:check")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with bounded_work(CASE_CPU_SECONDS):
            target.check(data, rng)
    except (Exception, Hang) as error:
        return error
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return MemoryError(f"{grown:,} bytes for {len(data):,}") if grown > CASE_MEMORY_BYTES else None


@contextmanager
def bounded_work(seconds: float) -> Iterator[None]:
    """Raises Hang in the body once it has used so much processor time (not wall time: the machine is shared)."""

    def over(_: int, frame: FrameType | None) -> None:
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?"
        raise Hang(f"more than {seconds:g} s of processor time, at {place}")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _place(error: BaseException | None) -> tuple[object, ...]:
    """What failed and where: two inputs that fail there fail in the same way."""
    last = None
    for frame, line in traceback.walk_tb(error.__traceback__ if error else None):
        last = (frame.f_code.co_filename, line)
    return type(error), last


def _shrunk(target: Target, data: bytes, seed: int, case: int, failure: BaseException) -> bytes:
    """The input without the pieces that are not needed to fail in the same way."""
    if isinstance(failure, Hang | MemoryError):
        return data
    place = _place(failure)
    end, size = time.process_time() + _SHRINK_CPU_SECONDS, max(len(data) // 2, 1)
    while size and time.process_time() < end:
        at = 0
        while at < len(data) and time.process_time() < end:
            less = data[:at] + data[at + size :]
            if _place(_failure(target, less, seed, case)) == place:
                data = less
            else:
                at += size
        size //= 2
    return data


def main(arguments: list[str]) -> None:
    """Run one case again, or cases of one target for a while."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.harness")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args(arguments)
    target = TARGETS[asked.target]
    if asked.case is not None:
        run_case(target, asked.seed, asked.case, asked.keep)
        print(f"{target.name} {asked.seed}:{asked.case} holds")
    else:
        print(f"{target.name}: {run_for(target, asked.seed, asked.seconds, asked.keep):,} cases hold")


if __name__ == "__main__":
    main(sys.argv[1:])
