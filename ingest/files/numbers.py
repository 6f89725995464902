"""Number cells as exact decimals, a column at a time: thousands separators, parentheses, either decimal mark."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.read import FileRefused

Mask = npt.NDArray[np.bool_]

_TYPO_RATIO = 20  # one cell in twenty against the others is a bad cell, not another convention
NOTHING = pa.array(["", "-", "--", "n/a", "N/A", "#N/A", "NA", "null", "NULL", "None", "NaN", "nan", "nil"])
_CLUTTER = r"[\s\x{a0}\x{202f}'’$€£¥]"
_POINT_GROUPED = r"^-?\d{1,3}(,\d{2,3})*,\d{3}(\.\d*)?$"
_COMMA_GROUPED = r"^-?\d{1,3}(\.\d{3})+(,\d*)?$"
_SURELY_COMMA = r"^[(+-]?\d{1,3}(\.\d{3})+,\d*\D?$|^[(+-]?\d+,(\d{1,2}|\d{4,})\D?$|^[(+-]?\d{1,3}(\.\d{3}){2,}\D?$"
_SURELY_POINT = (
    r"^[(+-]?\d{1,3}(,\d{2,3})*,\d{3}\.\d*\D?$|^[(+-]?\d+\.(\d{1,2}|\d{4,})\D?$|^[(+-]?\d{1,3}(,\d{3}){2,}\D?$"
)
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned column: values (null where empty or bad), which cells are bad, digits after the point as shown."""

    values: pa.Array
    bad: Mask
    scale: npt.NDArray[np.int64]


def decimal_mark(columns: Iterable[pa.ChunkedArray], file: str) -> str:
    """`.` or `,`, from cells that can be read one way only. A stray typo does not decide.

    Raises FileRefused (`mixed_decimal_marks`) when both are in real use.
    """
    comma, point = _Proof(), _Proof()
    for column in columns:
        text = pc.replace_substring_regex(_flat(column), _CLUTTER, "")
        comma.add(text, _SURELY_COMMA)
        point.add(text, _SURELY_POINT)
    few, many = sorted((comma.count, point.count))
    if few * _TYPO_RATIO > many:
        detail = (
            f'numbers are written both ways ({comma.example} and {point.example}): set decimal: "." or "," in the map'
        )
        raise FileRefused(file, 0, "mixed_decimal_marks", detail)
    return "," if comma.count > point.count else "."


def numbers(column: pa.ChunkedArray, kind: pa.Decimal128Type, mark: str) -> Cleaned:
    """The column as decimals of type `kind`; a cell that is no number, or does not fit exactly, is bad."""
    # Once per distinct cell: nearly every column of a file says the same few amounts again and again.
    encoded = _flat(column).dictionary_encode()
    one = _numbers(encoded.dictionary, kind, mark)
    if encoded.null_count:
        return _numbers(_flat(column), kind, mark)
    at = encoded.indices.to_numpy()
    return Cleaned(one.values.take(encoded.indices), one.bad[at], one.scale[at])


def _numbers(shown: pa.Array, kind: pa.Decimal128Type, mark: str) -> Cleaned:
    text = pc.replace_substring_regex(shown, _CLUTTER, "")
    text = pc.replace_substring_regex(text, r"^\x{2212}", "-")
    text = pc.replace_substring_regex(text, r"^\((.+)\)$", r"-\1")
    text = pc.replace_substring_regex(text, r"^([^-].*)-$", r"-\1")
    text = pc.replace_substring_regex(text, r"^\+", "")
    grouped = _matches(text, _POINT_GROUPED if mark == "." else _COMMA_GROUPED)
    bare = pc.replace_substring(text, "," if mark == "." else ".", "")
    text = pc.if_else(pa.array(grouped), bare, text)
    if mark == ",":
        dotted = _matches(text, r"\.") & ~grouped
        text = pc.if_else(pa.array(dotted), "not a number", pc.replace_substring(text, ",", "."))
    empty = pc.is_in(shown, NOTHING).to_numpy(zero_copy_only=False)
    plain = _matches(text, r"[.]\d*$")
    scale = np.where(plain, pc.utf8_length(pc.replace_substring_regex(text, r"^.*[.]", "")).to_numpy(), 0)
    text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
    good = _matches(text, _NUMBER) & ~empty
    good &= _fits(text, kind)
    values, cast_bad = _cast(pc.if_else(pa.array(good), text, None), kind)
    return Cleaned(values, (~good & ~empty) | cast_bad, scale.astype(np.int64))


def _fits(text: pa.Array, kind: pa.Decimal128Type) -> Mask:
    whole = kind.precision - kind.scale
    too_long = _matches(text, rf"^-?0*[1-9]\d{{{whole},}}(\.|$)") | _matches(text, rf"\.\d{{{kind.scale + 1},}}$")
    return ~too_long


def _cast(text: pa.Array, kind: pa.Decimal128Type) -> tuple[pa.Array, Mask]:
    try:
        return pc.cast(text, kind), np.zeros(len(text), dtype=bool)
    except pa.ArrowInvalid:  # an exponent that does not fit: find the cells one by one
        values, bad = [], np.zeros(len(text), dtype=bool)
        for at, cell in enumerate(text):
            try:
                values.append(pc.cast(cell, kind))
            except pa.ArrowInvalid:
                values.append(pa.scalar(None, kind))
                bad[at] = True
        return pa.array([value.as_py() for value in values], kind), bad


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _matches(text: pa.Array, pattern: str) -> Mask:
    found: Mask = pc.fill_null(pc.match_substring_regex(text, pattern), False).to_numpy(zero_copy_only=False)
    return found


class _Proof:
    """Cells that can be read with one decimal mark only: how many, and the first."""

    def __init__(self) -> None:
        self.count = 0
        self.example = ""

    def add(self, text: pa.Array, pattern: str) -> None:
        hits = np.flatnonzero(_matches(text, pattern))
        if len(hits) and not self.count:
            self.example = str(text[int(hits[0])].as_py())
        self.count += len(hits)
