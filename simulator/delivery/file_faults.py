"""What goes wrong with files: empty ones sent again in full (I06), new or moved columns (I07), the same file twice."""

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy.random import Generator

from simulator.delivery.labels import Labels
from simulator.records import SECOND_NS, Source
from simulator.truth import NoiseTruth

# A file this long after it was due is missed.
GRACE_NS = 600 * SECOND_NS
# A header has at least this many columns; titles and trailers have fewer.
_HEADER_COLUMNS = 4
_NEW_COLUMN, _NEW_VALUE = "Desk Reference", "PRIME-1"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file a broker sent: its name inside the folder, when it was due (UTC nanoseconds) and its rows."""

    source: Source
    name: str
    due_ns: int
    rows: int


def spoil(rng: Generator, folder: Path, sent: Sequence[Sent], labels: Labels, empty: int, drifted: int) -> list[Sent]:
    """Make `empty` files empty and `drifted` ones (CSV alone) of another layout; returns all files there are now.

    What an empty file should have held comes in another one, marked _R, so that no trade is lost.
    """
    order = [sent[at] for at in rng.permutation(len(sent))]
    emptied, rest = order[:empty], order[empty:]
    files = list(rest)
    for number, file in enumerate(emptied):
        path = folder / file.name
        again = path.with_name(f"{path.stem}_R{path.suffix}")
        path.rename(again)
        path.write_bytes(_header(again) if number % 2 and path.suffix == ".csv" else b"")
        _label(labels, "I06", file, "file", "no rows")
        files += [Sent(file.source, file.name, file.due_ns, 0)]
        files += [Sent(file.source, str(again.relative_to(folder)), file.due_ns + 2 * GRACE_NS, file.rows)]
        rest.append(files[-1])
    tables = [file for file in rest if file.name.endswith(".csv")]
    for number, file in enumerate(tables[:drifted]):
        shown = _drift(folder / file.name, moved=number % 2 == 1)
        _label(labels, "I07", file, "columns", shown)
    return sorted(files, key=lambda file: file.name)


def repeat(folder: Path, file: Sent) -> tuple[Sent, NoiseTruth]:
    """The same file once more under another name, as it is re-sent when nobody is sure that it arrived."""
    path = folder / file.name
    again = path.with_name(f"{path.stem}_again{path.suffix}")
    shutil.copyfile(path, again)
    name = str(again.relative_to(folder))
    return Sent(file.source, name, file.due_ns, file.rows), NoiseTruth(file.source.name, name, ("N22",))


def _label(labels: Labels, code: str, file: Sent, field: str, shown: str) -> None:
    late = GRACE_NS if code == "I06" else 0
    labels.add(code, file.source, [file.name], file.due_ns, field=field, shown=shown, detectable_ns=file.due_ns + late)


def _header(path: Path) -> bytes:
    """The lines of a CSV file up to its header; all of it when no line looks like one."""
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.count(b",") >= _HEADER_COLUMNS - 1:
            return b"".join(lines[: number + 1])
    return b"".join(lines)


def _drift(path: Path, moved: bool) -> str:
    """Give the table one column more, or put the first one last; says what was done."""
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    width = max(len(row) for row in rows) if rows else 0
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n" if "\r\n" in text else "\n")
    shown, seen = "", False
    for row in rows:
        if len(row) != width:
            writer.writerow(row)
        elif moved:
            shown = shown or f"column {row[0]!r} moved to the end"
            writer.writerow([*row[1:], row[0]])
        else:
            at = width // 2
            writer.writerow([*row[:at], _NEW_VALUE if seen else _NEW_COLUMN, *row[at:]])
            shown, seen = f"new column {_NEW_COLUMN!r}", True
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    return shown
