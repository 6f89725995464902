"""The compiled lane made ready beside the work: a thread compiles or loads it, the NumPy lane serves until then."""

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from sys import byteorder
from threading import Thread
from typing import TYPE_CHECKING, Any

from ingest.fix.codec.block import Block, Lane, Octets
from ingest.fix.codec.numpy_lane import NumpyLane
from ingest.fix.codec.plan import Plan

if TYPE_CHECKING:
    from ingest.fix.codec.batch_kernels import BatchKernels

_COMPLETE = "complete"
_SOURCES = (
    "batch_kernels.py", "compiled.py", "kernels.py", "kernels_index.py", "kernels_place.py", "kernels_sha.py",
    "kernels_values.py", "plan.py", "simd.py",
)  # fmt: skip


class Jit:
    """The machine code of the compiled lane, once it is there: `batch` serves the normaliser, `block` the codec.

    `failure` says why it will not come.
    """

    def __init__(self) -> None:
        self.batch: BatchKernels | None = None
        self.block: Callable[..., None] | None = None
        self.failure = ""
        self._thread: Thread | None = None

    @property
    def ready(self) -> bool:
        """True when the compiled lane can serve."""
        return self.batch is not None and self.block is not None

    def warm(self, cache_dir: Path | None = None) -> None:
        """Make the machine code ready in a thread that keeps nothing alive; a second call does nothing.

        What is not in the cache yet is compiled by a process of low priority: many seconds of Python, which would hold
        up every other thread here.
        """
        if self._thread is None and not self.failure:
            self._thread = Thread(target=self._warm, args=(cache_dir,), name="jit", daemon=True)
            self._thread.start()

    def _warm(self, cache_dir: Path | None) -> None:
        self.failure = _obstacle()
        folder = None if self.failure else private_folder(cache_dir, _digest())
        if folder is not None and not (folder / _COMPLETE).exists():
            arguments = [str(cache_dir)] if cache_dir else []
            child = [sys.executable, "-c", "from ingest.fix.codec.jit import main; main()", *arguments]
            with suppress(OSError), (folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # one process compiles, others wait for what it made
                if not (folder / _COMPLETE).exists():
                    subprocess.run(child, check=False, stdin=subprocess.DEVNULL, capture_output=True)
        if not self.failure:
            self.compile(cache_dir)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for a warm-up under way; True when the compiled lane can serve."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)
        return self.ready

    def compile(self, cache_dir: Path | None) -> None:
        """Compile now, or load from the cache; without numba, or where it fails, `failure` says so."""
        self.failure = _obstacle()
        if self.failure:
            return
        try:
            with code_cache(cache_dir) as folder:
                self._compile(folder is not None)
            if folder is not None:
                (folder / _COMPLETE).touch()
        except Exception as error:  # whatever numba or LLVM raises, the NumPy lane goes on serving
            self.failure = f"numba could not compile: {type(error).__name__}: {error}".splitlines()[0]

    def _compile(self, cache: bool) -> None:
        from ingest.fix.codec.batch_kernels import BatchKernels
        from ingest.fix.codec.compiled import compile_block

        self.batch = BatchKernels(cache=cache)
        self.block = compile_block(cache=cache)


class SwitchingLane:
    """The NumPy lane until the compiled one is ready, then that."""

    def __init__(self, plan: Plan, jit: Jit) -> None:
        self._plan, self._jit = plan, jit
        self._numpy: Lane = NumpyLane(plan)
        self._numba: Lane | None = None

    @property
    def name(self) -> str:
        """The lane that serves now."""
        return "numba" if self._jit.block is not None else "numpy"

    def decode(self, octets: Octets, start: int, limit: int, cap: int) -> Block:
        """See `Lane.decode`."""
        if self._numba is None and self._jit.block is not None:
            from ingest.fix.codec.numba_lane import NumbaLane

            self._numba = NumbaLane(self._plan, self._jit.block)
        return (self._numba or self._numpy).decode(octets, start, limit, cap)


@contextmanager
def code_cache(wanted: Path | None = None) -> Iterator[Path | None]:
    """While functions are declared, numba keeps their code in this folder; None where there is none to be had."""
    import numba

    folder = private_folder(wanted, _digest())
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        # Elsewhere than beside the source, which may be read-only.
        config.CACHE_DIR = str(folder) if folder else before
        yield folder
    finally:
        config.CACHE_DIR = before


def _obstacle() -> str:
    """Why there can be no compiled lane here; empty when there can."""
    if find_spec("numba") is None:
        return "numba is not installed (extra `fast`)"
    return "" if byteorder == "little" else "the compiled lane needs a little-endian machine"


def _digest() -> str:
    """Changes with the lane's sources (numba looks at the declaring file alone), numba and the processor."""
    from llvmlite.binding import get_host_cpu_name

    folder = resources.files("ingest.fix.codec")
    sources = b"".join((folder / name).read_bytes() for name in _SOURCES)
    return sha256(f"{version('numba')} {get_host_cpu_name()} ".encode() + sources).hexdigest()[:16]


def private_folder(wanted: Path | None, name: str) -> Path | None:
    """A cache folder only this user can write, made where needed: in `wanted`, else in the user's cache, else in temp.

    Cached code is executed when it is loaded, so a folder of somebody else's is never used. None where none can be had.
    """
    home = Path("~").expanduser()
    places = [wanted] if wanted else [home / ".cache" / "tieout", Path(tempfile.gettempdir()) / f"tieout-{os.getuid()}"]
    for place in places:
        folder = place / "jit" / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for owned in (folder, folder.parent, place):
                found = owned.lstat()
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
                    raise PermissionError(owned)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def main() -> None:
    """Fill the cache (in the folder named, else the user's) and end."""
    with suppress(OSError, AttributeError):
        os.nice(10)
    Jit().compile(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
