"""The report as JSON, CSV and the files of an output folder."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def json_pieces(report: Report) -> Iterator[str]:
    """One JSON object, indented, keys sorted, piece by piece: a large result is never in memory as a whole."""
    parts = report.parts()
    for name in sorted(parts):
        part = parts[name]
        yield "{" if name == min(parts) else ","
        yield f"\n  {json.dumps(name)}: "
        if isinstance(part, str | dict) or not part:
            yield _indented(part, "  ")
            continue
        for at, item in enumerate(part):
            yield f"{',' if at else '['}\n    {_indented(item, '    ')}"
        yield "\n  ]"
    yield "\n}\n"


def _indented(value: object, indent: str) -> str:
    # No text holds a line break: JSON writes those otherwise.
    plain = value if isinstance(value, str | dict) else list(value)  # type: ignore[call-overload]
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, indent=2).replace("\n", f"\n{indent}")


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
    _replace(folder / "groups.jsonl", report.groups.texts())
    _replace(folder / "breaks.jsonl", report.breaks.texts())
    _replace(folder / "quarantine.jsonl", [[dump(item) for item in report.quarantine]])
    _replace(folder / "summary.json", [[json.dumps(report.summary, ensure_ascii=False, sort_keys=True, indent=2)]])


def _replace(path: Path, chunks: Iterable[Sequence[str]]) -> None:
    """The lines of all chunks in the file's place."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        for lines in chunks:
            file.write("".join([f"{line}\n" for line in lines]))
    temporary.replace(path)
