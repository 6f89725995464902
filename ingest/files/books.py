"""Positions, cash, settlement and affirmations of a file as rows of their tables, bad rows set aside one by one."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.ids import digest128, record_id
from domain.schema import TABLES, TYPES, arrow_schema
from ingest.feeds import Feed
from ingest.files import codes
from ingest.files.aliases import key_of
from ingest.files.economics import Columns, read_identifiers
from ingest.files.file_dialect import FileDialect
from ingest.files.identity import accounts_of, instruments_of
from ingest.files.layout import LaidOut
from ingest.files.numbers import decimal_mark, numbers
from ingest.files.received import RawRow, check_count, received, set_aside
from ingest.files.sheet import Sheet, is_empty, nulls
from ingest.files.times import dates, day_first, times
from ingest.normalise_reference import Reference

TABLE_OF: Mapping[str, str] = MappingProxyType(
    {"positions": "position_snapshot", "cash": "cash_entry", "settlement": "settlement_status",
     "affirmations": "affirmation"}
)  # fmt: skip
_NUMBERS: Mapping[str, str] = MappingProxyType(
    {"qty": "qty", "long_qty": "qty", "short_qty": "qty", "price": "price", "market_value": "money", "amount": "money",
     "settled_qty": "qty", "remaining_qty": "qty"}
)  # fmt: skip
_DATES = ("as_of_date", "statement_date", "value_date", "settle_date")
_KEYS = ("entry_uid", "trade_uid", "confirm_id", "account", "symbol", "isin", "cusip", "sedol", "identifier")
_ENTRY_WORDS = """
OPENING_BALANCE: openingbalance opening openbalance startingcash startbalance
BALANCE: balance closingbalance closing endingcash endbalance cashbalance
TRADE: trade trades buy sell settlement tradesettlement
DIVIDEND: dividend dividends div cashdividend
COUPON: coupon bondinterest couponpayment
INTEREST: interest financing financinginterest debitinterest creditinterest shortinterest borrowfee
MARGIN: margin variationmargin vm initialmargin
WIRE: wire transfer deposit withdrawal depositswithdrawals
FEE: fee fees charge commission otherfees
"""
_BASIS = MappingProxyType({
    "tradedate": "TRADE_DATE", "td": "TRADE_DATE", "trade": "TRADE_DATE",
    "settledate": "SETTLE_DATE", "sd": "SETTLE_DATE", "settle": "SETTLE_DATE", "settlementdate": "SETTLE_DATE",
})  # fmt: skip
_SNAPSHOTS = MappingProxyType({"sod": "SOD", "startofday": "SOD", "eod": "EOD", "endofday": "EOD",
                               "intraday": "INTRADAY"})  # fmt: skip
_SETTLES = MappingProxyType({
    "pending": "PENDING", "open": "PENDING", "matched": "PENDING", "settled": "SETTLED", "done": "SETTLED",
    "partial": "PARTIAL", "partiallysettled": "PARTIAL", "failed": "FAILED", "fail": "FAILED", "failing": "FAILED",
    "cancelled": "CANCELLED", "canceled": "CANCELLED",
})  # fmt: skip
_AFFIRMS = MappingProxyType({
    "affirmed": "AFFIRMED", "3": "AFFIRMED", "pending": "PENDING", "received": "PENDING", "1": "PENDING",
    "unaffirmed": "PENDING", "rejected": "REJECTED", "2": "REJECTED", "confirmrejected": "REJECTED", "dk": "REJECTED",
    "disaffirmed": "REJECTED",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class BookRows:
    """What a file gave: `facts` in row order with an empty `message_id`, `fact_rows` their positions in `received`.

    `beside` are rows of other tables, and by position the fact each came with. recv_time_utc and, where a row tells no
    time, event_time_utc are null for the caller to fill.
    """

    table: str
    facts: pa.Table
    fact_rows: tuple[int, ...]
    received: tuple[RawRow, ...]
    notes: tuple[str, ...]
    latest: date | None
    beside: Mapping[str, tuple[pa.Table, pa.Array]] = field(default_factory=dict)


def rows_of_book(laid: LaidOut, file: str, feed: Feed, dialect: FileDialect, reference: Reference) -> BookRows:
    """The rows of one file. A bad cell sets its row aside (I01; I03, I04 unknown security or account).

    Raises FileRefused when nothing settles the order of its dates or both decimal marks are in use.
    """
    sheet = Sheet(laid.table, laid.columns, dialect)
    ignored = set_aside(sheet, [name for name in _KEYS if name in laid.columns])
    found = _numbers(sheet, file) | _dates(sheet, file) | _READERS[dialect.contents](sheet, dialect)
    for name in dialect.required():
        sheet.fail_empty(name, is_empty(sheet.cells(name)))
    day = next((found[name] for name in _DATES if name in found), pa.nulls(sheet.count, pa.date32()))
    found["account_id"] = accounts_of(sheet, feed, reference, day)
    found["pb_id"] = _prime_broker(sheet, feed, reference, day)
    if dialect.contents in ("positions", "cash"):
        found["instrument_id"] = _instruments(sheet, reference, day, dialect)
    check_count(sheet)
    good = sheet.good()
    told, fact_rows = received(sheet, ignored, laid.source.original, good)
    raws = [told[row].raw for row in fact_rows]
    facts = _facts(sheet, found, feed, file, dialect, raws)
    days = pc.max(day.filter(pa.array(good))).as_py() if sheet.count else None
    return BookRows(TABLE_OF[dialect.contents], facts, fact_rows, told, tuple(sheet.notes), days)


def _numbers(sheet: Sheet, file: str) -> Columns:
    given = [name for name in _NUMBERS if sheet.has(name)]
    mark = sheet.mapping.decimal or decimal_mark([sheet.cells(name) for name in given], file)
    found = {}
    for name in given:
        cleaned = numbers(sheet.cells(name), TYPES[_NUMBERS[name]].arrow, mark)
        sheet.fail(cleaned.bad, "bad_number", name, "is not a number Tieout can hold exactly")
        found[name] = cleaned.values
    return found


def _dates(sheet: Sheet, file: str) -> Columns:
    given = [name for name in (*_DATES, "event_time") if sheet.has(name)]
    dated = [(sheet.columns.get(name, name), sheet.cells(name)) for name in given]
    first = day_first(dated, sheet.mapping.date_format, file, sheet.table.header_line)
    found: Columns = {}
    for name in given:
        if name == "event_time":
            continue
        found[name], bad = dates(sheet.cells(name), first, sheet.mapping.date_format == "EXCEL")
        sheet.fail(bad, "bad_date", name, "is not a date Tieout can read")
    if sheet.has("event_time"):
        none = pa.nulls(sheet.count, pa.date32())
        moments = times(sheet.cells("event_time"), none, first, sheet.mapping.zone)
        sheet.fail(moments.bad, "bad_time", "event_time", "is not a time Tieout can read")
        found["event_time_utc"] = pa.array(moments.ns, mask=moments.bad | moments.empty).cast(pa.timestamp("ns"))
    return found


def _coded(sheet: Sheet, name: str, words: Mapping[str, str], default: str | None = None) -> pa.Array:
    """The column's codes in our words; a word nobody knows sets its row aside."""
    cells = sheet.cells(name)
    found = codes.by_unique(cells, lambda text: words.get(key_of(text)))
    sheet.fail(nulls(found) & ~is_empty(cells), "enum_unmapped", name, "is a word Tieout does not know here")
    return pc.fill_null(found, default) if default else found


def _positions(sheet: Sheet, dialect: FileDialect) -> Columns:
    ccy = codes.by_unique(sheet.cells("price_ccy"), lambda text: codes.minor_unit(text)[0])
    found = {
        "snapshot_type": _coded(sheet, "snapshot_type", _SNAPSHOTS, "EOD"),
        "basis": _coded(sheet, "basis", _BASIS),
        "price_ccy": ccy,
    }
    lacking = np.ones(sheet.count, dtype=bool)
    for name in ("long_qty", "short_qty", "qty"):
        if sheet.has(name):
            lacking &= is_empty(sheet.cells(name))
    sheet.fail(lacking, "missing_required_field", next(n for n in ("qty", "long_qty", "short_qty")), "is empty")
    return found


def _cash(sheet: Sheet, dialect: FileDialect) -> Columns:
    words = {word: name for line in _ENTRY_WORDS.strip().splitlines() for name, _, rest in [line.partition(":")]
             for word in rest.split()} | {key_of(word): name for word, name in dialect.entry_types.items()}  # fmt: skip
    ccy = codes.by_unique(sheet.cells("ccy"), lambda text: text.upper())
    odd = codes.by_unique(ccy, lambda text: None if codes.is_currency(text) else "odd")
    sheet.fail(~nulls(odd), "bad_currency", "ccy", "is not a currency code")
    return {"entry_type": _coded(sheet, "entry_type", words), "ccy": ccy, "reference": _text(sheet, "reference")}


def _settlement(sheet: Sheet, dialect: FileDialect) -> Columns:
    texts = {name: _text(sheet, name) for name in ("trade_uid", "reason_code", "place_of_settlement", "ssi_id")}
    return {**texts, "settle_status": _coded(sheet, "settle_status", _SETTLES)}


def _affirmations(sheet: Sheet, dialect: FileDialect) -> Columns:
    texts = {name: _text(sheet, name) for name in ("confirm_id", "trade_uid")}
    return {**texts, "affirm_status": _coded(sheet, "affirm_status", _AFFIRMS)}


_READERS: Mapping[str, Callable[[Sheet, FileDialect], Columns]] = MappingProxyType(
    {"positions": _positions, "cash": _cash, "settlement": _settlement, "affirmations": _affirmations}
)


def _text(sheet: Sheet, name: str) -> pa.Array:
    return codes.by_unique(sheet.cells(name), lambda text: text)


def _instruments(sheet: Sheet, reference: Reference, day: pa.Array, dialect: FileDialect) -> pa.Array:
    """Instrument per row; cash entries may be about none."""
    shown = np.zeros(sheet.count, dtype=bool)
    for name in ("isin", "cusip", "sedol", "figi", "symbol", "identifier"):
        if sheet.has(name):
            shown |= ~is_empty(sheet.cells(name))
    if dialect.contents == "cash":
        spare: dict[int, object] = dict(sheet.problems)
        found = read_identifiers(sheet)
        sheet.problems = {row: p for row, p in sheet.problems.items() if row in spare or shown[row]}
    else:
        found = read_identifiers(sheet)
    ids = instruments_of(sheet, found, reference, day)
    if dialect.contents == "positions":
        sheet.fail(nulls(ids), "unknown_instrument", "symbol", "names no instrument", "I03")
    return pc.if_else(pa.array(shown), ids, None)


def _prime_broker(sheet: Sheet, feed: Feed, reference: Reference, day: pa.Array) -> pa.Array:
    """The feed's own party, or for our side what the file or the account map says."""
    if feed.role == "PB":
        return pa.repeat(pa.scalar(feed.party), sheet.count)
    cells = sheet.cells("account").to_pylist()
    known = {}
    for pair in set(zip(cells, day.to_pylist(), strict=True)):
        match = reference.account(feed.party, pair[0], pair[1])
        known[pair] = match.pb_id if match else None
    mapped = pa.array([known[pair] for pair in zip(cells, day.to_pylist(), strict=True)], pa.string())
    return pc.coalesce(codes.by_unique(sheet.cells("pb_id"), lambda text: text.upper()), mapped)


def _facts(sheet: Sheet, found: Columns, feed: Feed, file: str, dialect: FileDialect, raws: list[bytes]) -> pa.Table:
    """The good rows with every column of their table; those the caller fills are null."""
    table = TABLE_OF[dialect.contents]
    keep, count = pa.array(sheet.good()), len(raws)
    columns = {name: values.filter(keep) for name, values in found.items()}
    if "qty" in columns and "long_qty" not in columns:
        zero = pa.scalar(0, columns["qty"].type)
        columns["long_qty"] = pc.max_element_wise(columns["qty"], zero)
        columns["short_qty"] = pc.abs(pc.min_element_wise(columns["qty"], zero))
    if "short_qty" in columns:
        columns["short_qty"] = pc.abs(columns["short_qty"])
    hashes = [hashlib.sha256(raw).hexdigest() for raw in raws]
    told = _statements(columns, hashes) if dialect.contents == "positions" and feed.source != "table" else hashes
    ids = [record_id(feed.name, text, 0, table) for text in told]
    same = {"feed": feed.name, "source_role": feed.role, "file": file, "execution": ""}
    columns |= {name: pa.repeat(pa.scalar(value), count) for name, value in same.items()}
    columns["flags"] = sheet.flags().filter(keep)
    columns |= {"record_id": pa.array(ids, pa.string()), "raw_sha256": pa.array(hashes, pa.string())}
    columns["line"] = pa.array(sheet.table.lines[sheet.good()], pa.int64())
    if dialect.contents == "cash":
        columns["entry_uid"] = _entry_uids(sheet, columns, keep, ids)
        statement = columns.get("statement_date", pa.nulls(count, pa.date32()))
        columns["value_date"] = pc.coalesce(columns.get("value_date", statement), statement)
    schema = arrow_schema(TABLES[table])
    arrays = [columns.get(f.name, pa.nulls(count, f.type)).cast(f.type) for f in schema]
    fields = [pa.field(f.name, f.type) for f in schema]
    return pa.table(
        [*arrays, pa.repeat(pa.scalar(""), count)], schema=pa.schema([*fields, ("message_id", pa.string())])
    )


def _statements(columns: Columns, hashes: list[str]) -> list[str]:
    """What a holding is known by: its row, and all that the file says of the account.

    A file that is sent again replaces what it said of an account, so a row that stayed as it was is told anew where
    another one changed; where none did, it repeats what is known.
    """
    names = [columns[name].to_pylist() for name in ("account_id", "as_of_date", "snapshot_type") if name in columns]
    keys = list(zip(*names, strict=True))
    of: dict[tuple[object, ...], set[str]] = {}
    for key, text in zip(keys, hashes, strict=True):
        of.setdefault(key, set()).add(text)
    whole = {key: digest128(*sorted(texts)) for key, texts in of.items()}
    return [f"{text}|{whole[key]}" for key, text in zip(keys, hashes, strict=True)]


def _entry_uids(sheet: Sheet, columns: Columns, keep: pa.Array, ids: list[str]) -> pa.Array:
    """Their own id; a balance is named by account, currency, kind and day, anything else by its content."""
    own = _text(sheet, "entry_uid").filter(keep)
    names = ("account_id", "ccy", "entry_type")
    parts = [columns[name].to_pylist() for name in names]
    derived = [
        digest128(*map(str, row)) if str(row[2]).endswith("BALANCE") else ids[at]
        for at, row in enumerate(zip(*parts, columns.get("value_date", columns["ccy"]).to_pylist(), strict=True))
    ]
    return pc.coalesce(own, pa.array(derived, pa.string()))
