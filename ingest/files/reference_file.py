"""Files of reference data as rows of their tables, effective-dated, bad rows set aside one by one."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.fields import Field
from domain.schema import TABLES, TYPES, arrow_schema
from ingest.feeds import Feed
from ingest.files import codes
from ingest.files.aliases import key_of
from ingest.files.books import BookRows
from ingest.files.contract import read_asset
from ingest.files.economics import Columns, read_identifiers
from ingest.files.file_dialect import FileDialect
from ingest.files.identity import SOURCES, accounts_of, instruments_of
from ingest.files.layout import LaidOut
from ingest.files.numbers import decimal_mark, numbers
from ingest.files.received import check_count, received, set_aside
from ingest.files.sheet import Mask, Sheet, is_empty, nulls
from ingest.files.times import dates, day_first
from ingest.normalise_reference import Reference
from ingest.reference_rows import FED, IDENTIFIERS, KNOWN_AT

_NUMBERS = ("qty", "price", "rate", "money")
_CURRENCIES = ("ccy", "from_ccy", "to_ccy")
_SYMBOL = "8"  # SecurityIDSource(22): exchange symbol
# The day a row holds from, where no column says it.
_HOLDS_FROM: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"close_price": ("price_date",), "corporate_action": ("ex_date", "record_date", "pay_date")}
)
_ACTIONS = """
SPLIT: split stocksplit forwardsplit reversesplit fs rs bonus stockdividend
DIVIDEND: dividend cashdividend div cd ordinarydividend specialdividend
COUPON: coupon interest interestpayment bondinterest
RENAME: rename namechange symbolchange identifierchange tickerchange
MERGER: merger acquisition tender
"""
_UNITS = """
MAJOR: major units unit
MINOR: minor pence cents
PERCENT: percent pct percentofpar par
"""


def rows_of_reference(laid: LaidOut, file: str, feed: Feed, dialect: FileDialect, reference: Reference) -> BookRows:
    """The rows of one file of `dialect.table`. A bad cell sets its row aside (I01; I03, I04 an instrument or account
    nobody knows).

    A row holds from its `valid_from`, else the day it is about (prices, corporate actions), else the day the file
    states. Identifiers beside an instrument are rows of `identifier_history`.

    Raises FileRefused when nothing settles the order of its dates or both decimal marks are in use.
    """
    sheet, table = Sheet(laid.table, laid.columns, dialect), TABLES[dialect.table]
    ignored = set_aside(sheet, [field.name for field in table.fields if field.name in laid.columns])
    for name in dialect.required():
        sheet.fail_empty(name, is_empty(sheet.cells(name)))
    found = _numbers(sheet, table.fields, file) | _dates(sheet, table.fields, file)
    found = _texts(sheet, table.fields) | found
    _holds_from(sheet, found, laid)
    others = _who_and_what(sheet, found, feed, reference)
    check_count(sheet)
    good = sheet.good()
    told, fact_rows = received(sheet, ignored, laid.source.original, good)
    rows = _columns(found, dialect.table, sheet.count).filter(pa.array(good))
    facts = rows.append_column("message_id", pa.repeat(pa.scalar(""), rows.num_rows))
    beside = _names(rows, others, good) if dialect.table == "instrument" else {}
    day = pc.max(rows["valid_from"]).as_py() if rows.num_rows else None
    return BookRows(dialect.table, facts, fact_rows, told, tuple(sheet.notes), laid.stated_date or day, beside)


def _numbers(sheet: Sheet, fields: tuple[Field, ...], file: str) -> Columns:
    given = [field for field in fields if field.type in _NUMBERS and sheet.has(field.name)]
    mark = sheet.mapping.decimal or decimal_mark([sheet.cells(field.name) for field in given], file)
    found = {}
    for field in given:
        cleaned = numbers(sheet.cells(field.name), TYPES[field.type].arrow, mark)
        sheet.fail(cleaned.bad, "bad_number", field.name, "is not a number Tieout can hold exactly")
        if field.name in ("rate", "ratio", "multiplier"):
            low = pc.less_equal(cleaned.values, pa.scalar(Decimal(0), cleaned.values.type))
            sheet.fail(_where(low), "bad_number", field.name, "must be above zero")
        found[field.name] = cleaned.values
    return found


def _dates(sheet: Sheet, fields: tuple[Field, ...], file: str) -> Columns:
    given = [field.name for field in fields if field.type == "date" and sheet.has(field.name)]
    dated = [(sheet.columns.get(name, name), sheet.cells(name)) for name in given]
    first = day_first(dated, sheet.mapping.date_format, file, sheet.table.header_line)
    found: Columns = {}
    for name in given:
        found[name], bad = dates(sheet.cells(name), first, sheet.mapping.date_format == "EXCEL")
        sheet.fail(bad, "bad_date", name, "is not a date Tieout can read")
    return found


def _texts(sheet: Sheet, fields: tuple[Field, ...]) -> Columns:
    """Text columns; codes in our words."""
    found = {f.name: codes.by_unique(sheet.cells(f.name), lambda text: text) for f in fields if f.type == "str"}
    for name in _CURRENCIES:
        if name in found:
            found[name] = codes.by_unique(sheet.cells(name), lambda text: text.upper())
            odd = codes.by_unique(found[name], lambda text: None if codes.is_currency(text) else "odd")
            sheet.fail(~nulls(odd), "bad_currency", name, "is not a currency code")
    if "asset_class" in found:
        found["asset_class"] = read_asset(sheet)
    for name, lines in (("action_type", _ACTIONS), ("price_unit", _UNITS)):
        if name in found:
            words = {word: to for line in lines.strip().splitlines() for to, _, rest in [line.partition(":")]
                     for word in rest.split()}  # fmt: skip
            found[name] = codes.by_unique(sheet.cells(name), lambda text, words=words: words.get(key_of(text)))  # type: ignore[misc]
            unknown = nulls(found[name]) & ~is_empty(sheet.cells(name))
            sheet.fail(unknown, "enum_unmapped", name, "is a word Tieout does not know here")
    return found


def _holds_from(sheet: Sheet, found: Columns, laid: LaidOut) -> None:
    """valid_from of every row; a row that ends before it begins, or has no beginning, is set aside."""
    stated = pa.repeat(pa.scalar(laid.stated_date, pa.date32()), sheet.count)
    known = [found[name] for name in ("valid_from", *_HOLDS_FROM.get(sheet_table(sheet), ())) if name in found]
    found["valid_from"] = pc.coalesce(*known, stated)
    sheet.fail(nulls(found["valid_from"]), "missing_required_field", "valid_from", "is empty")
    if "valid_to" in found:
        ended = _where(pc.less_equal(found["valid_to"], found["valid_from"]))
        sheet.fail(ended, "bad_date", "valid_to", "is not after valid_from, so the row never holds")


def sheet_table(sheet: Sheet) -> str:
    """The reference table a sheet is of."""
    return sheet.mapping.table if isinstance(sheet.mapping, FileDialect) else ""


def _who_and_what(sheet: Sheet, found: Columns, feed: Feed, reference: Reference) -> Columns:
    """account_id and instrument_id where a file writes them its own way; returns the identifiers of each row."""
    table = sheet_table(sheet)
    if "account" in FED[table]:
        mapped = accounts_of(sheet, feed, reference, found["valid_from"])
        found["account_id"] = pc.coalesce(found["account_id"], mapped)
        strange = sheet.marks.get("I04_ACCOUNT", np.zeros(sheet.count, dtype=bool))
        sheet.fail(strange, "unknown_account", "account", "is not in the account map", "I04")
        sheet.fail_empty("account", nulls(found["account_id"]))
    if not any(sheet.has(name) for name in (*IDENTIFIERS, "identifier")):
        return {}
    before = dict(sheet.problems)
    ids = read_identifiers(sheet)
    if "identifier" not in FED[table]:
        # An instrument is named by its own id: the others are further names of it.
        sheet.problems = before
        return ids
    own = ~nulls(found["instrument_id"])
    sheet.problems = {row: problem for row, problem in sheet.problems.items() if row in before or not own[row]}
    found["instrument_id"] = pc.coalesce(
        found["instrument_id"], instruments_of(sheet, ids, reference, found["valid_from"])
    )
    if table != "expected_cash":
        sheet.fail(nulls(found["instrument_id"]), "unknown_instrument", "symbol", "names no instrument", "I03")
    return ids


def _columns(found: Columns, table: str, count: int) -> pa.Table:
    schema = arrow_schema(TABLES[table])
    arrays = [found.get(field.name, pa.nulls(count, field.type)).cast(field.type) for field in schema]
    return pa.table(arrays, schema=pa.schema([field.with_nullable(True) for field in schema]))


def _names(rows: pa.Table, ids: Columns, good: Mask) -> Mapping[str, tuple[pa.Table, pa.Array]]:
    """The identifiers of instruments, each valid as its instrument is."""
    tables, facts = [], []
    for name, source in (*SOURCES.items(), ("symbol", _SYMBOL)):
        if name not in ids:
            continue
        values = ids[name].filter(pa.array(good))
        at = pa.array(np.flatnonzero(~nulls(values)), pa.int64())
        some = rows.take(at)
        tables.append(
            pa.table(
                {
                    "instrument_id": some["instrument_id"],
                    "id_source": pa.repeat(pa.scalar(source), len(at)),
                    "id_value": values.take(at),
                    "valid_from": some["valid_from"],
                    "valid_to": some["valid_to"],
                    KNOWN_AT: some[KNOWN_AT],
                }
            )
        )
        facts.append(at)
    return {"identifier_history": (pa.concat_tables(tables), pa.concat_arrays(facts))} if tables else {}


def _where(mask: pa.Array) -> Mask:
    found: Mask = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return found
