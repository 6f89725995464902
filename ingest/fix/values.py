"""Field values of a batch as Arrow columns: text, exact decimals, and mapped codes."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.fix.index import FieldIndex, Ints

KEY_SEPARATOR = "\x01"  # the one character no field value holds
_INLINE_BYTES = 12
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(8)] + [2**64 - 1], dtype=np.uint64)


def texts(index: FieldIndex, fields: Ints) -> pa.Array:
    """Values of the given fields as an Arrow string column; -1 and empty values become null.

    Bytes that are not UTF-8 are read as Latin-1, which keeps every one of them.
    """
    if len(fields) == 0 or int(fields.max()) < 0:
        return pa.nulls(len(fields), pa.string())
    if index.kernels is not None:
        found = index.kernels.texts(index.octets, index.value_start, index.value_end, fields)
        if found is not None:
            return found
    gaps = int(fields.min()) < 0
    here = np.maximum(fields, 0) if gaps else fields
    start = index.value_start[here]
    length = index.value_end[here] - start
    if gaps:
        length[fields < 0] = 0
    views = np.empty((len(fields), 2), dtype=np.uint64)
    head, tail = index.words[start], index.words[start + 8]
    inline = np.minimum(length, _INLINE_BYTES)
    first4 = head & _MASKS[np.minimum(inline, 4)]
    views[:, 0] = length.astype(np.uint64) | (first4 << np.uint64(32))
    rest = ((head >> np.uint64(32)) | (tail << np.uint64(32))) & _MASKS[np.maximum(inline - 4, 0)]
    long = length > _INLINE_BYTES
    views[:, 1] = np.where(long, start.astype(np.uint64) << np.uint64(32), rest) if long.any() else rest
    present = length > 0
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    column = pa.Array.from_buffers(
        pa.binary_view(), len(fields), [validity, pa.py_buffer(views), pa.py_buffer(index.data)]
    )
    binary = column.cast(pa.binary())
    try:
        return binary.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if v is None else as_text(v) for v in objects(binary)], pa.string())


def objects(column: pa.Array) -> list[Any]:
    """Text or bytes as Python objects, None for null; many times faster than `to_pylist`."""
    found: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return found


def joined(columns: Iterable[pa.Array], separator: str = KEY_SEPARATOR) -> pa.Array:
    """Text columns joined row by row, null as empty: the key of a look-up, which splits at KEY_SEPARATOR again."""
    return pc.binary_join_element_wise(*columns, separator, null_handling="replace", null_replacement="")


def as_text(value: bytes) -> str:
    """UTF-8 where the bytes are valid UTF-8, else Latin-1 (lossless)."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def decimals(column: pa.Array, kind: pa.Decimal128Type) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Text to exact decimals of the given type, and which values could not be held exactly (they become null).

    Exponents are read; more digits than the type holds, thousands separators, NaN and any other text are refused.
    """
    if column.null_count == len(column):
        return pa.nulls(len(column), kind), np.zeros(len(column), dtype=np.bool_)
    try:
        return column.cast(kind), np.zeros(len(column), dtype=np.bool_)
    except pa.ArrowInvalid:
        values = [None if text is None else exact(text, kind) for text in objects(column)]
        found = pa.array(values, kind)
        refused = pc.and_(pc.is_valid(column), pc.is_null(found))
        return found, refused.to_numpy(zero_copy_only=False)


def exact(text: str, kind: pa.Decimal128Type) -> Decimal | None:
    """One value on the slow lane: the decimal if the type holds it without loss, else None."""
    if "_" in text or not text.isascii():
        return None
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not value.is_finite() or value.adjusted() >= kind.precision - kind.scale or value.adjusted() < -kind.scale - 60:
        return None if value.is_nan() or value.is_infinite() or value != 0 else Decimal(0)
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    # Zeros beyond the scale go all at once: one by one, a number of a million digits would take hours.
    spare = max(-kind.scale - exponent, 0)
    if not spare:
        return value
    return None if any(digits[-spare:]) else Decimal((sign, digits[:-spare], -kind.scale))


def scales(column: pa.Array) -> pa.Array:
    """Digits after the point as shown, per value (`100` 0, `100.50` 2, `1.5e-3` 4)."""
    dot = pc.find_substring(column, ".")
    shown = pc.subtract(pc.subtract(pc.binary_length(column), dot), 1)
    plain = pc.if_else(pc.less(dot, 0), 0, shown).cast(pa.int64())
    exponent = pc.match_substring(column, "e", ignore_case=True)
    if pc.any(exponent).as_py():
        odd = [_exponent_scale(t) if e else None for t, e in zip(column.to_pylist(), exponent.to_pylist(), strict=True)]
        return pc.coalesce(pa.array(odd, pa.int64()), plain)
    return plain


def _exponent_scale(text: str) -> int | None:
    try:
        exponent = Decimal(text.strip()).as_tuple().exponent
    except InvalidOperation:
        return None
    return max(0, -exponent) if isinstance(exponent, int) else None


def mapped(column: pa.Array, mapping: Mapping[str, str]) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Codes through a mapping, and which present values the mapping does not know (they become null)."""
    if column.null_count == len(column):
        return column, np.zeros(len(column), dtype=np.bool_)
    encoded = column.dictionary_encode()
    names = pa.array([mapping.get(code) for code in encoded.dictionary.to_pylist()], pa.string())
    result = names.take(encoded.indices)
    unknown = pc.and_(pc.is_valid(column), pc.is_null(result))
    return result, unknown.to_numpy(zero_copy_only=False)
