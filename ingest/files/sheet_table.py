"""Excel workbooks as delimited text: each row a line of its own, dates in ISO form, numbers as a person sees them."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from ingest.files.read import Decoded, FileRefused
from ingest.files.sheet_worker import REFUSED

_MAX_UNPACKED = 512 * 2**20
_SECONDS = 600
_WORKER = Path(__file__).with_name("sheet_worker.py")


def sheet_as_csv(data: bytes, file: str, sheet: str) -> Decoded:
    """The named sheet of an XLS, XLSX, XLSB or ODS workbook (the first if no name is given) as comma-separated lines.

    Line n is row n. The workbook is read in a process of its own: two cells a million rows apart make the library ask
    for more memory than there is, and end its process. Raises FileRefused: `not_text` when the bytes are no workbook
    or the extra is not installed, `no_sheet` when it has no such sheet, `too_large`.
    """
    _check_archive(data, file)
    # -P keeps this folder, which has modules named as those of the standard library, off the path.
    command = [sys.executable, "-P", str(_WORKER), sheet]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise FileRefused(file, 0, "too_large", f"the workbook was not read in {_SECONDS} seconds") from None
    if done.returncode == 0:
        return Decoded(done.stdout, "utf-8")
    if done.returncode == REFUSED:
        slug, _, told = done.stdout.decode("utf-8").partition(" ")
        raise FileRefused(file, 0, slug, told)
    # The library gave up: what it calls impossible, or no memory for what the sheet says it spans.
    told = "not a readable workbook, or one whose sheet spans more than can be read"
    raise FileRefused(file, 0, "not_text", told)


def _check_archive(data: bytes, file: str) -> None:
    """Refuse a zip archive that unpacks to far more than a report needs."""
    if not data.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        told = " ".join(str(error).split())[:200]
        raise FileRefused(file, 0, "not_text", f"not a readable workbook: {told}") from None
    if size > _MAX_UNPACKED:
        raise FileRefused(file, 0, "too_large", f"the workbook unpacks to more than {_MAX_UNPACKED // 2**20} MB")
