"""CSV export of the queue, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from console.filters import QueueFilter
from console.queue import window
from console.rows import Row, whole
from console.wording import break_name, severity_word
from warehouse.port import Warehouse

PAGE_ROWS = 20_000
MAX_EXPORT_ROWS = 200_000
# A cell that starts with one of these is run as a formula by Excel, LibreOffice and Google Sheets.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "＝", "＋", "－", "＠")
HEADINGS = (
    "break_id", "severity", "code", "break", "state", "resolution", "ticket", "assignee", "prime_broker", "symbol",
    "instrument", "account", "side", "internal_value", "broker_value", "exposure", "exposure_ccy", "score",
    "opened_utc", "deadline_utc", "headline",
)  # fmt: skip


def guard(value: object) -> str:
    """The cell's text; a text that could start a formula gets a leading apostrophe. Plain numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + "Z"
    cell = str(value)
    if isinstance(value, str) and cell.lstrip(" ").startswith(_FORMULA_STARTS):
        return "'" + cell
    return cell


def _cells(row: Row, base_ccy: str) -> list[str]:
    level = whole(row, "severity")
    values = (
        row["break_id"], severity_word(level), row["code"], break_name(str(row["code"])), row["state"],
        row["resolution"], row["ticket_number"], row["assignee"], row["pb_id"], row["symbol"], row["instrument_id"],
        row["account_id"], row["side"], row["left_value"], row["right_value"], row["exposure_base"], base_ccy,
        row["score"], row["opened_at"] or row["first_seen"], row["deadline_at"], row["headline"],
    )  # fmt: skip
    return [guard(value) for value in values]


def csv_lines(warehouse: Warehouse, chosen: QueueFilter, now_ns: int, base_ccy: str) -> Iterator[str]:
    """The filtered queue as CSV text, a page at a time, heading first, at most MAX_EXPORT_ROWS rows."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(HEADINGS)
    for offset in range(0, MAX_EXPORT_ROWS, PAGE_ROWS):
        found = window(warehouse, chosen, now_ns, offset, PAGE_ROWS)
        for row in found:
            writer.writerow(_cells(row, base_ccy))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        if len(found) < PAGE_ROWS:
            return
