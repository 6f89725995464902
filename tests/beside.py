"""Runs the folders of tests/ beside each other, two at a time and the longest first: `python -m tests.beside [ARGS]`.

Arguments are pytest's. One that names something below tests/ is run alone. The status is pytest's, 0 where all passed.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[1]
AT_A_TIME = 2
# The longest first; what is not named here comes last, in one run of its own.
LONGEST = ("journeys", "app", "matching", "ingest", "contracts", "console", "house", "alerting")
NO_TEST_CHOSEN = 5


def runs() -> list[list[str]]:
    """The folders of each run, in the order they are started; together all there are."""
    folders = sorted(path.name for path in (ROOT / "tests").iterdir() if any(path.glob("**/test_*.py")))
    rest = [name for name in folders if name not in LONGEST]
    return [[f"tests/{name}" for name in names] for names in (*([name] for name in LONGEST), rest)]


def run(folders: Sequence[str], arguments: Sequence[str]) -> tuple[int, str, float]:
    """One run: its status, what it printed, and the seconds it took."""
    begun = time.monotonic()
    # No cache: two runs would write it at once.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, *folders]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout, time.monotonic() - begun


def main(arguments: Sequence[str]) -> int:
    """Run them all and print each as it ends; seconds by folder come last."""
    if any(one.startswith("tests") for one in arguments):
        return subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], cwd=ROOT).returncode
    begun, spent, failed = time.monotonic(), {}, 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        waiting = {pool.submit(run, folders, arguments): " ".join(folders) for folders in runs()}
        for one in as_completed(waiting):
            status, text, seconds = one.result()
            print(f"{waiting[one]}\n{text}", flush=True)
            spent[waiting[one]] = seconds
            failed = failed or (status if status != NO_TEST_CHOSEN else 0)
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{seconds:5.0f} s  {name}")
    print(f"{time.monotonic() - begun:5.0f} s  all, {'failed' if failed else 'passed'}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
