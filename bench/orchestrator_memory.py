"""The engine's memory over many executions: `python -m bench.orchestrator_memory 100000` (10,000 in `make bench`)."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.orchestrator import all_through, five_tasks, step
from domain.clock import SystemClock
from orchestrator.embedded import EmbeddedEngine

_CALLERS = 64
_PARTS = 10
_MIB = 1024 * 1024
_PAGE_BYTES = 4096


def lines(executions: int = 10_000) -> Iterator[str]:
    """Resident memory and the size of the store after each tenth."""
    yield f"{executions:,} executions of five tasks with their whole history, {_CALLERS} at once"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "e.sqlite"
        engine = EmbeddedEngine(path, five_tasks(), {"step": step}, SystemClock())
        for part in range(_PARTS):
            numbers = range(part * executions // _PARTS, (part + 1) * executions // _PARTS)
            all_through(engine, numbers, lambda number: {"n": number}, _CALLERS)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            done = (part + 1) * executions // _PARTS
            yield f"  {done:>9,} done   {_resident() / _MIB:>7,.1f} MiB resident   {size / _MIB:>8,.1f} MiB on disk"
        engine.close()
    yield ""


def _resident() -> int:
    """Bytes this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


if __name__ == "__main__":
    for line in lines(int(sys.argv[1]) if sys.argv[1:] else 10_000):
        print(line, flush=True)
