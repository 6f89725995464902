"""Excel workbooks as delimited text: each row a line of its own, dates in ISO form, numbers as a person sees them."""

import csv
import io
import zipfile
from datetime import date, datetime, time
from typing import Any

from ingest.files.read import Decoded, FileRefused

_MAX_CELLS = 20_000_000
_MAX_UNPACKED = 512 * 2**20
_MISSING = "reading Excel workbooks needs the extra xls: pip install 'tieout[xls]'; or save the sheet as CSV"


def sheet_as_csv(data: bytes, file: str, sheet: str) -> Decoded:
    """The named sheet of an XLS, XLSX, XLSB or ODS workbook (the first if no name is given) as comma-separated lines.

    Line n is row n. Raises FileRefused: `not_text` when the bytes are no workbook or the extra is not installed,
    `no_sheet` when it has no such sheet, `too_large`.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise FileRefused(file, 0, "not_text", _MISSING) from None
    _check_archive(data, file)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        names = book.sheet_names
        if not names or (sheet and sheet not in names):
            told = f"no sheet {sheet!r}; it has {', '.join(names)[:200]}" if names else "the workbook has no sheet"
            raise FileRefused(file, 0, "no_sheet", told)
        page = book.get_sheet_by_name(sheet or names[0])
        if page.total_height * page.total_width > _MAX_CELLS:
            raise FileRefused(file, 0, "too_large", f"the sheet has more than {_MAX_CELLS:,} cells")
        rows = page.to_python(skip_empty_area=False)
    except (CalamineError, OSError, ValueError, OverflowError) as error:
        raise FileRefused(file, 0, "not_text", f"not a readable workbook: {_line(error)}") from None
    except BaseException as error:
        # What the library calls impossible arrives as its own kind of exception.
        if type(error).__name__ != "PanicException":
            raise
        raise FileRefused(file, 0, "not_text", f"not a readable workbook: {_line(error)}") from None
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([_text(cell) for cell in row] or [""])
    return Decoded(out.getvalue().encode("utf-8", "replace"), "utf-8")


def _check_archive(data: bytes, file: str) -> None:
    """Refuse a zip archive that unpacks to far more than a report needs."""
    if not data.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise FileRefused(file, 0, "not_text", f"not a readable workbook: {_line(error)}") from None
    if size > _MAX_UNPACKED:
        raise FileRefused(file, 0, "too_large", f"the workbook unpacks to more than {_MAX_UNPACKED // 2**20} MB")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


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
