"""Hashes of many short texts as Arrow text columns, without a Python string per value."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.fix.values import objects

if TYPE_CHECKING:
    from ingest.fix.codec.batch_kernels import BatchKernels

_DIGEST_BYTES = 32
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)


def sha256_hex(
    contents: Sequence[bytes] | pa.Array, digits: int = 64, kernels: "BatchKernels | None" = None
) -> pa.Array:
    """The first `digits` hex digits of each content's SHA-256; an Arrow array holds text without nulls."""
    octets = _compiled(contents, kernels) if kernels is not None and len(contents) else None
    if octets is None:
        texts = objects(contents.cast(pa.binary())) if isinstance(contents, pa.Array) else contents
        octets = np.frombuffer(b"".join([sha256(content).digest() for content in texts]), dtype=np.uint8)
    count = len(contents)
    octets = octets.reshape(count, _DIGEST_BYTES)[:, : digits // 2]
    offsets = np.arange(count + 1, dtype=np.int32) * digits
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(_HEX[octets]))]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def _compiled(contents: Sequence[bytes] | pa.Array, kernels: "BatchKernels") -> npt.NDArray[np.uint8] | None:
    if isinstance(contents, pa.Array):
        if contents.offset or contents.null_count or contents.type not in (pa.string(), pa.binary()):
            return None
        _, bounds, data = contents.buffers()
        return kernels.digests(data.address if data else 0, np.frombuffer(bounds, dtype=np.int32), len(contents))
    joined = b"".join(contents)
    if not joined:
        return None
    starts = np.zeros(len(contents) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, contents), dtype=np.int64, count=len(contents)), out=starts[1:])
    return kernels.digests(np.frombuffer(joined, dtype=np.uint8).ctypes.data, starts, len(contents))
