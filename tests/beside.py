"""Runs the folders of tests/ beside each other, three at a time and the longest first: `python -m tests.beside [ARGS]`.

Arguments are pytest's. One that names something below tests/ is run alone. The status is pytest's, 0 where all passed.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[1]
# One more than the cores this is meant for: who starts services waits much of the time.
AT_A_TIME = 3
# The longest first; what is not named here comes last, in one run of its own.
LONGEST = ("app", "matching", "ingest", "contracts", "console", "house", "alerting")
NO_TEST_CHOSEN = 5


def runs() -> dict[str, list[str]]:
    """What each run is given, by its name and in the order they are started; together all there are."""
    folders = sorted(path.name for path in (ROOT / "tests").iterdir() if any(path.glob("**/test_*.py")))
    shared: dict[bool, list[str]] = {True: [], False: []}
    for path in sorted((ROOT / "tests" / "journeys").glob("test_*.py")):
        shared["office" in path.read_text(encoding="utf-8")].append(f"tests/journeys/{path.name}")
    rest = [name for name in folders if name not in (*LONGEST, "journeys")]
    return {
        "tests/journeys, alone": shared[False],
        **{f"tests/{name}": [f"tests/{name}"] for name in LONGEST},
        "tests/journeys, one service": shared[True],
        " ".join(rest): [f"tests/{name}" for name in rest],
    }


def run(folders: Sequence[str], arguments: Sequence[str]) -> tuple[int, str, float]:
    """One run: its status, what it printed, and the seconds it took."""
    begun = time.monotonic()
    # A cache of its own: two runs would write it at once.
    cache = ROOT / ".pytest_cache" / folders[0].replace("/", "-")
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache}", *arguments, *folders]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout, time.monotonic() - begun


def main(arguments: Sequence[str]) -> int:
    """Run them all and print each as it ends; seconds by folder come last."""
    if any(one.startswith("tests") for one in arguments):
        return subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], cwd=ROOT).returncode
    begun, spent, failed = time.monotonic(), {}, 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        waiting = {pool.submit(run, folders, arguments): name for name, folders in runs().items()}
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
