"""Prime brokers' files: refused in one line, or every row read, set aside or ignored with its bytes; the same twice."""

import io
import zipfile
from functools import cache
from random import Random

from domain.errors import PermanentError
from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file, received
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import FileDialect, file_dialect, file_dialect_names
from ingest.files.read import FileKind, FileRefused, decode
from tests.fuzz.corpus import files
from tests.fuzz.harness import Target
from tests.fuzz.mutate import NASTY, damaged
from tests.fuzz.targets_fix import reference

_CSV = b"""Prime Broker Ltd
Trade Id,Account,Side,Symbol,ISIN,Quantity,Price,Currency,Trade Date,Settle Date,Trade Time,Commission,Status
T1,A1,BUY,AAPL,US0378331005,100,187.25,USD,2026-06-04,2026-06-05,13:30:01,1.50,NEW
T2,A1,SELL,MSFT,US5949181045,"1,200",410.5,USD,2026-06-04,2026-06-05,13:31:01.250,2,NEW
T3,A2,SS,VOD,GB00BH4HKS39,5000,72.35,GBX,2026-06-04,2026-06-08,08:00,,CXL
Total,,,,,6300,,,,,,3.50,
"""


def _table(rng: Random) -> bytes:
    data = rng.choice([_CSV, *(d for name, d in files().items() if name.endswith(".csv"))])
    data = _messed(rng, data)
    return (
        data.decode("latin-1").encode(rng.choice(["utf-16", "utf-16-le", "utf-8-sig"])) if rng.random() < 0.1 else data
    )


def _messed(rng: Random, data: bytes) -> bytes:
    if rng.random() < 0.5:
        lines = data.split(b"\n")
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(lines))
            cells = lines[at].split(b",")
            cells[rng.randrange(len(cells))] = rng.choice([*NASTY, b'"a\nb"', b'""', b'"', b"y" * 140_000, b"x" * 300])
            lines[at] = b",".join(cells)
        data = b"\n".join(lines)
    if rng.random() < 0.6:
        data = damaged(rng, data, list(files().values()), 3)
    return data.replace(b",", rng.choice([b"\t", b";", b"|"])) if rng.random() < 0.15 else data


def _fixed(rng: Random) -> bytes:
    return damaged(rng, next(d for n, d in files().items() if "GTDE" in n), list(files().values()), 3)


def _xml(rng: Random) -> bytes:
    data = damaged(rng, next(d for n, d in files().items() if n.endswith(".xml")), list(files().values()), 3)
    if rng.random() < 0.1:
        data = data.replace(b"<FlexQ", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><FlexQ', 1)
    return data


def _fix(rng: Random) -> bytes:
    return damaged(rng, next(d for n, d in files().items() if n.endswith("oms.fix")), list(files().values()), 4)


def check_file(data: bytes, rng: Random) -> None:
    """By the dialect it is of, by another, or by none: FileRefused in one line, or every row has one outcome."""
    name = rng.choice([None, None, *(n for n in file_dialect_names() if file_dialect(n).kind != "xls")])
    check_with(data, file_dialect(name) if name else None, rng.random() < 0.3)


def check_with(data: bytes, dialect: FileDialect | None, recorded: bool) -> None:
    """The file with one dialect, twice."""
    one, two = (_read(data, dialect, recorded) for _ in range(2))
    if isinstance(one, str) or isinstance(two, str):
        assert one == two, "refused otherwise the second time"
        return
    made = one.normalised
    rows = made.messages.to_pylist()
    keys = [row["message_id"] for row in rows]
    assert len(set(keys)) == len(keys), "two rows with one id"
    by_outcome = {name: {r["message_id"] for r in rows if r["outcome"] == name} for name in _OUTCOMES}
    assert sum(map(len, by_outcome.values())) == len(rows), "a row without an outcome"
    assert set(made.quarantine["message_id"].to_pylist()) == by_outcome["QUARANTINE"]
    assert all(row["reason"] and row["detail"] for row in made.quarantine.to_pylist())
    told = {m for table in (made.trades, *made.facts.values()) for m in table["message_id"].to_pylist()}
    assert told <= by_outcome["FACT"], "a fact of a row that was refused or ignored"
    assert one.kind is FileKind.FIX or told == by_outcome["FACT"], "a row called a fact that is none"
    _every_line_is_kept(data, one, [row["raw"] for row in rows])
    assert made.messages.equals(two.normalised.messages) and made.trades.equals(two.normalised.trades), (
        "not the same twice"
    )


_OUTCOMES = ("FACT", "QUARANTINE", "IGNORED", "SESSION", "DUPLICATE")


def _every_line_is_kept(data: bytes, batch: FileBatch, raws: list[bytes]) -> None:
    """Without quotes a record is a line: each that follows the first kept one is kept too, as it was received."""
    if batch.kind not in (FileKind.CSV, FileKind.TAB, FileKind.FIXED) or b'"' in data or not batch.lines:
        return
    source = decode(data)
    if source.encoding != "utf-8":
        return
    plain = source.data if b"\n" in source.data else source.data.replace(b"\r", b"\n")
    lines = [line.removesuffix(b"\r") for line in plain.split(b"\n")]
    first = min(line for line in batch.lines.values() if line)
    kept = set(batch.lines.values())
    lost = [at for at, line in enumerate(lines, 1) if at > first and line.strip(b" ,;|\t\r") and at not in kept]
    assert not lost, f"line {lost[0]} is lost: {lines[lost[0] - 1][:80]!r}"
    for key, raw in zip(batch.lines, raws, strict=False):
        line = lines[batch.lines[key] - 1]
        assert key.endswith(":0") or raw.endswith(line), f"other bytes than line {batch.lines[key]}"


def _read(data: bytes, dialect: FileDialect | None, recorded: bool) -> FileBatch | str:
    feed = Feed(name="F", role="PB", party="P", dialect=dialect.name if dialect else "generic")
    try:
        batch = batch_from_file(data, "f", feed, CsvMap(), reference(), recorded=recorded, dialect=dialect)
        received(batch, feed)
    except FileRefused as error:
        assert str(error) and "\n" not in str(error), f"not one line: {error}"
        return str(error)
    return batch


def _book(rng: Random) -> bytes:
    """A workbook, damaged as a file or, with a sound archive around it, in its parts."""
    if rng.random() < 0.3:
        return damaged(rng, workbook(_sheet()), [], 3)
    return workbook(damaged(rng, _sheet(), [], 3))


@cache
def _sheet() -> bytes:
    rows = [line.split(b",") for line in _CSV.replace(b'"1,200"', b"1200").strip().split(b"\n")]
    out = []
    for n, row in enumerate(rows, 1):
        cells = b"".join(
            b'<c r="%c%d" t="inlineStr"><is><t>%s</t></is></c>' % (65 + at, n, cell) for at, cell in enumerate(row)
        )
        out.append(b'<row r="%d">%s</row>' % (n, cells))
    space = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return b'<?xml version="1.0"?><worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>' % (space, b"".join(out))


def workbook(sheet: bytes) -> bytes:
    """The smallest XLSX around a worksheet."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    link = f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/%s" Target="%s"/></Relationships>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (
            ("_rels/.rels", link % ("officeDocument", "xl/workbook.xml")),
            ("xl/_rels/workbook.xml.rels", link % ("worksheet", "worksheets/sheet1.xml")),
            (
                "xl/workbook.xml",
                f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="S" sheetId="1" r:id="r1"/>'
                "</sheets></workbook>",
            ),
            ("xl/worksheets/sheet1.xml", sheet),
        ):
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def check_book(data: bytes, _: Random) -> None:
    """A workbook by a dialect that fits the sheet."""
    columns = {
        "trade_uid": ("Trade Id",), "account": ("Account",), "side": ("Side",), "isin": ("ISIN",), "qty": ("Quantity",),
        "price": ("Price",), "trade_ccy": ("Currency",), "trade_date": ("Trade Date",),
    }  # fmt: skip
    try:
        dialect = FileDialect(name="book", kind="xls", columns=columns)
    except PermanentError as error:  # pragma: no cover
        raise AssertionError(str(error)) from error
    check_with(data, dialect, False)


FILES = [
    Target("table", _table, check_file, 120),
    Target("fixed", _fixed, check_file, 150),
    Target("xml", _xml, check_file, 200),
    Target("fix_log", _fix, check_file, 100),
    Target("workbook", _book, check_book, 20),
]
