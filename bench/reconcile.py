"""`tieout reconcile --config` of a simulated heavy day: messages a second from FIX bytes to breaks on disk, by stage.

`python -m bench reconcile` takes 100,000 fills; `python -m bench.reconcile FILLS` any other number (heavy: 1000000).
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

from simulator.profiles import PROFILES
from simulator.simulate import simulate

FILLS, SEED, DAY = 100_000, 7, date(2026, 11, 20)
_STAGES = (
    ("app.reconcile", "read_feeds", "read and normalise"),
    ("app.reconcile_match", "store_in_runs", "store"),
    ("app.reconcile_match", "match", "match"),
    ("app.reconcile_match", "build_report", "report"),
    ("app.reconcile", "write_folder", "write"),
)
_MIB = 1024  # ru_maxrss is in KiB


def lines(fills: int = FILLS) -> Iterator[str]:
    """The measurement as text; the reconciliation runs in a process of its own, so that the peak is its alone."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "day"
        simulate(replace(PROFILES["heavy"], fills=fills), SEED, DAY, folder)
        done = subprocess.run(
            [sys.executable, "-m", "bench.reconcile", "--measure", str(folder), str(Path(place) / "result")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout)
    wall, cpu = found["wall"], found["cpu"]
    yield f"tieout reconcile --config, heavy profile with {fills:,} fills: {found['messages']:,} messages and rows"
    yield f"  {found['messages'] / wall:>10,.0f} a second ({wall:,.1f} s), {found['messages'] / cpu:,.0f} a CPU second"
    yield f"  {found['peak']:>10,.0f} MiB at most ({found['reading']:,.0f} while reading)"
    yield f"  {found['breaks']:>10,} breaks, {found['groups']:,} groups"
    for name, (stage_wall, stage_cpu) in found["stages"].items():
        yield f"  {name:<20}{stage_wall:>8.1f} s  {stage_cpu:>8.1f} CPU-s  {stage_cpu / cpu:>5.0%}"
    yield ""


def _cpu() -> float:
    """Of this process and of the readers that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / _MIB


def _measure(folder: Path, out: Path) -> dict[str, Any]:
    """Reconcile once, with the time spent in each stage."""
    import importlib

    from app.reconcile import ReconcileOptions, run

    stages: dict[str, tuple[float, float]] = {}
    peaks: dict[str, float] = {}

    def timed(work: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def measured(*given: Any, **named: Any) -> Any:
            wall, cpu = perf_counter(), _cpu()
            result = work(*given, **named)
            stages[stage] = (perf_counter() - wall, _cpu() - cpu)
            peaks[stage] = _peak(resource.RUSAGE_SELF)
            return result

        return measured

    for name, function, stage in _STAGES:
        module = importlib.import_module(name)
        setattr(module, function, timed(getattr(module, function), stage))
    wall, cpu, told = perf_counter(), _cpu(), StringIO()
    status = run(ReconcileOptions(config=folder / "tieout.yaml", out=out), StringIO(), told)
    wall, cpu = perf_counter() - wall, _cpu() - cpu
    if status not in (0, 1):
        raise SystemExit(told.getvalue())
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    stages["everything else"] = (
        wall - sum(stage[0] for stage in stages.values()), cpu - sum(stage[1] for stage in stages.values()),
    )  # fmt: skip
    # Readers are there beside this process until all is read, and no longer.
    reading = peaks["read and normalise"] + _peak(resource.RUSAGE_CHILDREN)
    return {
        "messages": summary["rows"]["received"], "breaks": summary["breaks"], "groups": summary["groups"],
        "wall": wall, "cpu": cpu, "peak": max(reading, _peak(resource.RUSAGE_SELF)), "reading": reading,
        "stages": stages,
    }  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(_measure(Path(sys.argv[2]), Path(sys.argv[3]))))
    else:
        print("\n".join(lines(*map(int, sys.argv[1:2]))))
