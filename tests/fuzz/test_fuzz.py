"""No bytes from outside end in an exception, a hang, damage taken as good, or two answers (`tests/fuzz/harness.py`).

The smoke takes the same cases every time. The long run (`make check-heavy`) shares HEAVY_SECONDS among the targets;
TIEOUT_FUZZ_SEED and TIEOUT_FUZZ_SECONDS ask for other cases, or more of them.
"""

import os
from pathlib import Path

import pytest

from tests.fuzz.harness import Hang, Target, bounded_work, run_case, run_for
from tests.fuzz.targets import TARGETS

SEED = 1
HEAVY_SECONDS = 600.0
_ALL = [pytest.param(target, id=name) for name, target in TARGETS.items()]


@pytest.mark.parametrize("target", _ALL)
def test_smoke(target: Target, tmp_path: Path) -> None:
    for case in range(target.smoke_cases):
        run_case(target, SEED, case, tmp_path)


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", _ALL)
def test_ten_minutes(target: Target, tmp_path: Path) -> None:
    seconds = float(os.environ.get("TIEOUT_FUZZ_SECONDS", HEAVY_SECONDS))
    done = run_for(target, int(os.environ.get("TIEOUT_FUZZ_SEED", SEED + 1)), seconds / len(TARGETS), tmp_path)
    print(f"{target.name}: {done:,} cases")


def test_a_hang_is_ended() -> None:
    with pytest.raises(Hang, match="processor time"), bounded_work(0.05):
        while True:
            pass


def test_a_failure_is_told_with_its_smallest_input(tmp_path: Path) -> None:
    def check(data: bytes, _: object) -> None:
        assert b"x" not in data, "there is an x"

    target = Target("toy", lambda rng: rng.randbytes(50) + b"x" + rng.randbytes(50), check, 1)
    with pytest.raises(AssertionError, match=r"there is an x(.|\n)*toy --seed 3 --case 4\n1 of 101 bytes: b'x'"):
        run_case(target, 3, 4, tmp_path)
    assert (tmp_path / "toy-3-4.small").read_bytes() == b"x"
