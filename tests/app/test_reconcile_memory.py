"""What a tie-out takes of the process, and gives back."""

import gc
import mmap
from io import StringIO
from pathlib import Path

import pytest

from app.reconcile import UNUSABLE, ReconcileOptions, run
from app.reconcile_memory import give_back, seldom_collected

_STATM = Path("/proc/self/statm")


def test_cycles_are_looked_for_as_before_once_a_tie_out_is_over(tmp_path: Path) -> None:
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold()[0] > 100 * before[0]
    assert run(ReconcileOptions(config=tmp_path / "none.yaml"), StringIO(), StringIO()) == UNUSABLE
    assert gc.get_threshold() == before


@pytest.mark.skipif(not _STATM.exists(), reason="the system does not tell what a process has")
def test_what_is_free_goes_back_to_the_system() -> None:
    def resident() -> int:
        return int(_STATM.read_text().split()[1]) * mmap.PAGESIZE

    kept = [bytearray(8_000) for _ in range(12_000)]
    last = bytearray(8_000)
    filled = resident()
    del kept
    give_back()
    assert resident() < filled - 48_000_000 and len(last) == 8_000
