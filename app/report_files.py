"""The report as JSON, CSV and the files of an output folder."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.report import Report
from app.report_rows import dump
from app.report_words import ids, places

Json = Mapping[str, Any]

OUTPUTS = ("groups.jsonl", "breaks.jsonl", "quarantine.jsonl", "summary.json")
CSV_COLUMNS = (
    "severity", "code", "name", "pb_id", "account_id", "symbol", "instrument_id", "side", "trade_date", "settle_date",
    "field_family", "left_value", "right_value", "delta", "ccy", "exposure", "exposure_base", "deadline_at", "owner",
    "headline", "next_step", "rule_id", "pass_id", "rule_set_hash", "group_id", "break_id",
)  # fmt: skip
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def json_text(report: Report) -> str:
    """One JSON object, indented, keys sorted."""
    return json.dumps(report.as_json(), ensure_ascii=False, sort_keys=True, indent=2) + "\n"


def csv_text(report: Report) -> str:
    """The breaks, one a row, with the evidence of both sides; cells a spreadsheet could run are quoted with `'`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, "our_trades", "their_trades", "our_evidence", "their_evidence"])
    for item in report.breaks:
        cells = [item[name] for name in CSV_COLUMNS]
        cells += [ids(item["left"]), ids(item["right"]), places(item["left"]), places(item["right"])]
        writer.writerow([guarded(cell) for cell in cells])
    return out.getvalue()


def guarded(cell: object) -> str:
    """A cell that no spreadsheet reads as a formula (CWE-1236); plain numbers stay numbers."""
    text = "" if cell is None else str(cell)
    if text.startswith(_FORMULA_START) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def write_folder(report: Report, folder: Path) -> None:
    """Write the four files of `OUTPUTS`, each replaced at once. Raises OSError when the folder cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "groups.jsonl", _lines(report.groups))
    _replace(folder / "breaks.jsonl", _lines(report.breaks))
    _replace(folder / "quarantine.jsonl", _lines(report.quarantine))
    _replace(folder / "summary.json", json.dumps(report.summary, ensure_ascii=False, sort_keys=True, indent=2) + "\n")


def _lines(items: Iterable[Json]) -> str:
    return "".join(dump(item) + "\n" for item in items)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)
