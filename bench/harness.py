"""The bench's grammar: contenders doing the same work in the same process, reported as ratios to ours."""

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of doing the work: `run` returns how many units it did."""

    name: str
    run: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU seconds (user and system, this process and its children) and units done."""

    name: str
    units: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def rate(self) -> float:
        """Units per CPU second."""
        return self.units / self.cpu_seconds if self.cpu_seconds else float("inf")


@dataclass(frozen=True, slots=True)
class Bench:
    """A named comparison; the first contender is ours. `notes` are measured and shown behind it."""

    title: str
    unit: str
    contenders: Sequence[Contender]
    skipped: Sequence[str] = ()
    repeat: int = 3
    notes: Callable[[], Sequence[str]] | None = None


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measure(contender: Contender, repeat: int) -> Measured:
    """The best of `repeat` runs by CPU time: other work on the machine only ever adds."""
    best: Measured | None = None
    for _ in range(repeat):
        cpu, wall = _cpu(), time.perf_counter()
        units = contender.run()
        result = Measured(contender.name, units, _cpu() - cpu, time.perf_counter() - wall)
        if best is None or result.rate > best.rate:
            best = result
    assert best is not None
    return best


def report(bench: Bench) -> str:
    """The comparison as text: rate per CPU second and how many times faster ours is."""
    measured = [measure(contender, bench.repeat) for contender in bench.contenders]
    ours = measured[0]
    lines = [bench.title]
    for item in measured:
        ratio = "ours" if item is ours else f"ours is {ours.rate / item.rate:,.1f} x"
        wall = f"{item.wall_seconds * 1000:>9,.0f} ms wall"
        lines.append(f"  {item.name:<46}{item.rate:>12,.0f} {bench.unit}/CPU-s  {wall}   {ratio}")
    lines += [f"  {note}" for note in (bench.notes() if bench.notes else ())]
    lines += [f"  skipped: {reason}" for reason in bench.skipped]
    return "\n".join(lines)
