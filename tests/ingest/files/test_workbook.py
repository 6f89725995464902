"""Workbooks: header below titles, dates and numbers as typed, what is no workbook refused in one line."""

import io
import zipfile
from datetime import date
from decimal import Decimal
from xml.sax.saxutils import escape

import pytest

from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import file_dialect
from ingest.files.read import FileRefused
from ingest.normalise_reference import Reference

pytest.importorskip("python_calamine")
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def relations(target: str, kind: str) -> str:
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )


def workbook(rows: list[list[object]]) -> bytes:
    """The least that is an XLSX file: one sheet, texts inline."""

    def cell(value: object, place: str) -> str:
        if isinstance(value, str):
            return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f'<c r="{place}"><v>{value}</v></c>'

    lines = "".join(
        f'<row r="{at}">' + "".join(cell(value, f"{chr(65 + n)}{at}") for n, value in enumerate(row)) + "</row>"
        for at, row in enumerate(rows, 1)
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", relations("xl/workbook.xml", "officeDocument"))
        archive.writestr("xl/_rels/workbook.xml.rels", relations("worksheets/sheet1.xml", "worksheet"))
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
            '<sheet name="Trades" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>'
        )
    return out.getvalue()


TITLES: list[list[object]] = [["Daily trades"], ["20_Nov_2026"], *([[""]] * 7)]
HEADER: list[object] = [
    "GS Entity",
    "Trade Id",
    "Account",
    "Side",
    "Quantity",
    "Price",
    "Currency",
    "Trade Date",
    "ISIN",
]


def read(data: bytes, dialect: str = "gs_xls_trades") -> FileBatch:
    feed = Feed(name="GS", role="PB", party="GS", dialect=dialect)
    return batch_from_file(data, "t.xlsx", feed, CsvMap(), Reference({}), dialect=file_dialect(dialect))


def test_a_report_is_read_from_below_its_titles() -> None:
    row: list[object] = ["GSI", "T1", "A1", "Buy", 1500, 12.35, "EUR", "20-Nov-2026", "US0846707026"]
    batch = read(workbook([*TITLES, HEADER, row, ["Total", "", "", "", 1500]]))
    (found,) = batch.normalised.trades.to_pylist()
    assert (found["qty"], found["price"], found["price_scale"], found["line"]) == (1500, Decimal("12.35"), 2, 11)
    assert (str(batch.business_date), batch.kind) == ("2026-11-20", "xls")
    assert batch.normalised.messages["outcome"].to_pylist() == ["FACT", "IGNORED"]


def old_workbook(rows: list[list[object]]) -> bytes:
    """A workbook of Excel 97 (BIFF8 in a compound file), dates as Excel keeps them."""
    xlwt = pytest.importorskip("xlwt", reason="xlwt, which writes .xls files, is not installed")
    book = xlwt.Workbook()
    sheet = book.add_sheet("Trades")
    day = xlwt.easyxf(num_format_str="DD-MMM-YYYY")
    for at, row in enumerate(rows):
        for n, value in enumerate(row):
            sheet.write(at, n, value, *([day] if isinstance(value, date) else []))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_an_xls_file_of_the_old_kind_is_read_as_the_new_ones_are() -> None:
    row: list[object] = ["GSI", "T1", "A1", "Sell", 1500.5, 12.35, "EUR", date(2026, 11, 20), "US0846707026"]
    data = old_workbook([*TITLES, HEADER, row])
    assert data.startswith(b"\xd0\xcf\x11\xe0")
    (found,) = read(data).normalised.trades.to_pylist()
    assert (found["qty"], found["price"], found["side"]) == (Decimal("1500.5"), Decimal("12.35"), "SELL")
    assert (found["trade_date"], found["instrument_id"]) == (date(2026, 11, 20), "ISIN:US0846707026")


def test_other_titles_another_header() -> None:
    header: list[object] = [
        "Deal Code",
        "Account No",
        "B/S",
        "Nominal",
        "Deal Price",
        "Deal Currency",
        "Deal Date",
        "ISIN",
    ]
    row: list[object] = ["D1", "A1", "S", 100, 5, "CHF", "20/11/2026", "US0846707026"]
    batch = read(workbook([["UBS AG"], ["20/11/2026"], *([["x"]] * 14), header, row]), "ubs_xls_trades")
    assert batch.normalised.trades["trade_uid"].to_pylist() == ["D1"] and str(batch.business_date) == "2026-11-20"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04 but no archive", "not a readable workbook"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "not a readable workbook"),
        (workbook([["nothing"]])[:-30], "not a readable workbook"),
        (b"Trade Id,Account\n1,2\n", "not a readable workbook"),
        (workbook([["only"], ["titles"]]), "no header row"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(FileRefused, match=told) as error:
        read(data)
    assert "\n" not in str(error.value)


def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(3):
            archive.writestr(f"part{n}", bytes(2**28))
    with pytest.raises(FileRefused, match="unpacks to more than 512 MB"):
        read(out.getvalue())


def test_a_sheet_that_spans_more_than_memory_is_refused() -> None:
    # Two cells in opposite corners: 1.5 kB that the library makes 17 billion cells of, and its process ends.
    data = workbook([["x", "y"]])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name).replace(b'<c r="B1"', b'</row><row r="1048576"><c r="XFD1048576"')
            new.writestr(name, part)
    with pytest.raises(FileRefused, match="spans more than can be read") as error:
        read(out.getvalue())
    assert "\n" not in str(error.value)
