"""The compiled lane made ready beside the work: a thread compiles or loads it, the NumPy lane serves until then."""

import os
import stat
import tempfile
from collections.abc import Callable
from hashlib import sha256
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from sys import byteorder
from threading import Thread
from typing import Any

from ingest.fix.codec.block import Block, Lane, Octets
from ingest.fix.codec.numpy_lane import NumpyLane
from ingest.fix.codec.plan import Plan

_SOURCES = ("compiled.py", "kernels.py", "kernels_place.py", "kernels_values.py", "plan.py", "simd.py")


class Jit:
    """The machine code of the compiled lane, once it is there. `failure` says why it will not come."""

    def __init__(self) -> None:
        self.block: Callable[..., None] | None = None
        self.failure = ""
        self._thread: Thread | None = None

    @property
    def ready(self) -> bool:
        """True when the compiled lane can serve."""
        return self.block is not None

    def warm(self, cache_dir: Path | None) -> None:
        """Start compiling in a thread that never keeps the process alive; a second call does nothing."""
        if self._thread is None and not self.failure:
            self._thread = Thread(target=self.compile, args=(cache_dir,), name="jit", daemon=True)
            self._thread.start()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for a warm-up under way; True when the compiled lane can serve."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)
        return self.ready

    def compile(self, cache_dir: Path | None) -> None:
        """Compile now, or load from the cache; without numba, or where it fails, `failure` says so."""
        if find_spec("numba") is None:
            self.failure = "numba is not installed (extra `fast`)"
            return
        if byteorder != "little":
            self.failure = "the compiled lane needs a little-endian machine"
            return
        try:
            self.block = _compiled(cache_dir)
        except Exception as error:  # whatever numba or LLVM raises, the NumPy lane goes on serving
            self.failure = f"numba could not compile: {type(error).__name__}: {error}".splitlines()[0]


class SwitchingLane:
    """The NumPy lane until the compiled one is ready, then that."""

    def __init__(self, plan: Plan, jit: Jit) -> None:
        self._plan, self._jit = plan, jit
        self._numpy: Lane = NumpyLane(plan)
        self._numba: Lane | None = None

    @property
    def name(self) -> str:
        """The lane that serves now."""
        return "numba" if self._jit.ready else "numpy"

    def decode(self, octets: Octets, start: int, limit: int, cap: int) -> Block:
        """See `Lane.decode`."""
        if self._numba is None and self._jit.block is not None:
            from ingest.fix.codec.numba_lane import NumbaLane

            self._numba = NumbaLane(self._plan, self._jit.block)
        return (self._numba or self._numpy).decode(octets, start, limit, cap)


def _compiled(cache_dir: Path | None) -> Callable[..., None]:
    import numba

    from ingest.fix.codec.compiled import compile_block

    folder = private_folder(cache_dir, _digest())
    if folder is None:
        return compile_block(cache=False)
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        # Read by numba when the function is declared: the cache is elsewhere than beside the (maybe read-only) source.
        config.CACHE_DIR = str(folder)
        return compile_block(cache=True)
    finally:
        config.CACHE_DIR = before


def _digest() -> str:
    """Changes with any source of the lane: numba itself looks at the declaring file alone."""
    folder = resources.files("ingest.fix.codec")
    return sha256(b"".join((folder / name).read_bytes() for name in _SOURCES)).hexdigest()[:16]


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
