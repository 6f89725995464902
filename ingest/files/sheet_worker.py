"""A workbook as CSV, in a process of its own: what the library aborts on, or swallows memory for, ends here alone.

Run as a script, it reads the workbook from its input and writes comma-separated lines. It ends with REFUSED and one
line (slug, blank, reason) when the workbook cannot be used. It imports nothing of Tieout: it must start quickly.
"""

import csv
import io
import sys
from datetime import date, datetime, time
from typing import Any

REFUSED = 3
MAX_CELLS = 20_000_000
MAX_MEMORY_BYTES = 4 * 2**30
MAX_CPU_SECONDS = 300
_MISSING = "not_text reading Excel workbooks needs the extra xls: pip install 'tieout[xls]'; or save the sheet as CSV"


def main(sheet: str) -> int:
    """Read, write; the exit status."""
    _limit()
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        return _refused(_MISSING)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        names = book.sheet_names
        if not names:
            return _refused("no_sheet the workbook has no sheet")
        if sheet and sheet not in names:
            return _refused(f"no_sheet no sheet {sheet!r}; it has {', '.join(names)[:200]}")
        page = book.get_sheet_by_name(sheet or names[0])
        if page.total_height * page.total_width > MAX_CELLS:
            return _refused(f"too_large the sheet has more than {MAX_CELLS:,} cells")
        rows = page.to_python(skip_empty_area=False)
    except (CalamineError, OSError, ValueError, OverflowError) as error:
        return _refused(f"not_text not a readable workbook: {error}")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([_text(cell) for cell in row] or [""])
    sys.stdout.buffer.write(out.getvalue().encode("utf-8", "replace"))
    return 0


def _limit() -> None:
    try:
        import resource
    except ImportError:  # no such limits on this system
        return
    for kind, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CPU, MAX_CPU_SECONDS), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard < 0 else min(most, hard), hard))


def _refused(told: str) -> int:
    sys.stdout.buffer.write(" ".join(told.split())[:400].encode("utf-8", "replace"))
    return REFUSED


def _text(cell: Any) -> str:
    """A cell as text on one line. A float is shown by its shortest digits, which is what was typed."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return " ".join(str(cell).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
