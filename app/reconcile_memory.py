"""What a large tie-out takes of the process: garbage is looked for seldom, and what is free goes back to the system."""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

# Records are plain data in their hundreds of thousands, none of which is garbage: looking through all of them each time
# some hundreds more were made takes a tenth of all the time.
_NEW_OBJECTS = 200_000


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Meanwhile cycles are looked for after every 200,000 new objects only."""
    before = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def give_back() -> None:
    """Memory that is free inside this process goes back to the system, where the C library can do so."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
