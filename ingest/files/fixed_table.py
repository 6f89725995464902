"""Files of fixed-width records as columns of text: header, data records, trailer with a count; implied decimals."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.file_dialect import FixedField, FixedLayout
from ingest.files.read import Decoded, FileRefused
from ingest.files.records import Records
from ingest.files.table import CsvTable, Span

_SHOWN = 60


def read_fixed(source: Decoded, file: str, layout: FixedLayout) -> CsvTable:
    """The records in `source`; a record that is too short, or of no known type, is bad by itself.

    Raises FileRefused: `no_trailer` and `record_count` when the end is missing or counts other records than there
    are (the file was cut on its way), `no_header` when it does not begin as the layout says.
    """
    records = Records(source.data)
    lines = [records.raw(at).decode("utf-8", "replace") for at in range(len(records))]
    _check_header(file, lines, layout)
    good: list[int] = []
    ignored: list[Span] = []
    bad: list[Span] = []
    declared: int | None = None
    ended, needed = False, _needed(layout)
    for at, text in enumerate(lines):
        line, raw = int(records.lines[at]), records.raw(at)
        if layout.trailer and text.startswith(layout.trailer):
            declared, ended = _counted(text, layout), True
            ignored.append(Span(line, raw, "totals_row", "the trailer"))
        elif (layout.header and text.startswith(layout.header)) or text.startswith(layout.ignored):
            ignored.append(Span(line, raw, "no_data", "a record without a trade"))
        elif not text.startswith(layout.record):
            shown = text[:_SHOWN]
            bad.append(Span(line, raw, "unknown_record", f"the record starts with {shown[:8]!r}, of no known type"))
        elif len(text.rstrip()) > layout.width or len(text) < needed:
            detail = f"the record has {len(text)} characters, the layout {layout.width}"
            bad.append(Span(line, raw, "record_width", detail))
        else:
            good.append(at)
    _check_end(file, layout, ended, declared, len(good) + len(bad))
    kept = [lines[at].ljust(layout.width) for at in good]
    return CsvTable(
        tuple(field.name for field in layout.fields), 1, b"", "", _cells(kept, layout),
        records.lines[np.array(good, dtype=np.int64)], tuple(records.raw(at) for at in good),
        tuple(ignored), tuple(bad), declared,
    )  # fmt: skip


def _check_header(file: str, lines: list[str], layout: FixedLayout) -> None:
    if layout.header and not (lines and lines[0].startswith(layout.header)):
        shown = lines[0][:_SHOWN] if lines else ""
        raise FileRefused(
            file, 1, "no_header", f"the file must begin with {layout.header!r}, the first line reads {shown!r}"
        )


def _needed(layout: FixedLayout) -> int:
    """How long a record must be: some senders cut the blanks at its end, and a number is never blank there."""
    ends = [end for field, (_, end) in zip(layout.fields, layout.places(), strict=True) if field.form != "X"]
    return max(ends, default=len(layout.record))


def _counted(text: str, layout: FixedLayout) -> int | None:
    found = re.search(layout.count, text) if layout.count else None
    return int(found.group(1)) if found and found.group(1).isdecimal() else None


def _check_end(file: str, layout: FixedLayout, ended: bool, declared: int | None, have: int) -> None:
    if layout.trailer and not ended:
        raise FileRefused(file, 0, "no_trailer", f"there is no trailer {layout.trailer!r}: the file was cut short")
    if declared is not None and declared != have:
        raise FileRefused(file, 0, "record_count", f"the trailer says {declared} records, the file has {have}")


def _cells(lines: list[str], layout: FixedLayout) -> pa.Table:
    text = pa.array(lines, pa.string())
    columns = {}
    for at, (field, (start, end)) in enumerate(zip(layout.fields, layout.places(), strict=True)):
        cells = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(text, start, end))
        columns[f"c{at}"] = cells if field.form == "X" else _number(cells, field)
    return pa.table(columns)


def _number(cells: pa.Array, field: FixedField) -> pa.Array:
    """Digits with implied decimals as a written number; what is none stays as it is, for the reader to refuse."""
    pattern = r"^\d+[+-]$" if field.form == "S" else r"^\d+$"
    proper = pc.match_substring_regex(cells, pattern)
    sign = pc.if_else(pc.ends_with(cells, "-"), "-", "")
    digits = pc.utf8_lpad(pc.replace_substring_regex(cells, r"[+-]$", ""), field.decimals + 1, "0")
    whole = pc.utf8_slice_codeunits(digits, 0, -field.decimals) if field.decimals else digits
    written = pc.binary_join_element_wise(sign, pc.utf8_ltrim(whole, "0"), "")
    written = _with_zero(written)
    if field.decimals:
        written = pc.binary_join_element_wise(written, pc.utf8_slice_codeunits(digits, -field.decimals), ".")
    if field.zero_is_empty:
        written = pc.if_else(pc.match_substring_regex(cells, r"^0+[+-]?$"), "", written)
    return pc.if_else(proper, written, cells)


def _with_zero(written: pa.Array) -> pa.Array:
    bare = pc.is_in(written, pa.array(["", "-"]))
    return pc.if_else(bare, pc.binary_join_element_wise(written, "0", ""), written)
