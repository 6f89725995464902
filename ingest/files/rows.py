"""A delimited file as canonical trade rows: every received row becomes a trade, is ignored, or is bad with a reason."""

import hashlib
import json
import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.ids import record_id
from domain.schema import arrow_schema
from domain.trade import TRADE
from ingest.feeds import Feed
from ingest.files import codes
from ingest.files.contract import by_open_close, contract_evidence, own_units, read_asset, read_terms, unit_columns
from ingest.files.csv_map import CsvMap, resolve
from ingest.files.economics import Columns, read_dates, read_identifiers, read_money, read_numbers, read_sides
from ingest.files.fees import fee_rows, read_fees
from ingest.files.file_dialect import FileDialect
from ingest.files.identity import accounts_of, instruments_of, require_account
from ingest.files.layout import LaidOut
from ingest.files.pairs import turn_pairs
from ingest.files.read import Decoded, decode
from ingest.files.rebooked import keep_commission
from ingest.files.received import RawRow, check_count, head, received, set_aside
from ingest.files.sheet import Mask, Sheet, is_empty, nulls
from ingest.files.table import read_table
from ingest.normalise_reference import Reference
from ingest.normalise_trades import EVENT_KEY_FIELDS, FEE_SCHEMA, TRADE_SCHEMA, event_key

_TEXTS = ("order_id", "client_order_id", "cross_uid", "block_id", "exec_broker_id", "venue_mic", "strategy", "uti")
_KEYS = ("trade_uid", "account", "symbol", "isin", "cusip", "sedol", "figi", "identifier")
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class CsvRows:
    """What a file gave: `trades` in row order, `trade_rows` their positions in `received`, and how it was read.

    The columns of `trades` that only the caller knows (message_id, execution, recv_time_utc) are empty.
    """

    trades: pa.Table
    trade_rows: tuple[int, ...]
    received: tuple[RawRow, ...]
    columns: dict[str, str]
    unused: tuple[str, ...]
    notes: tuple[str, ...]
    encoding: str
    latest_ns: int
    fees: pa.Table = field(default_factory=FEE_SCHEMA.empty_table)


def rows_from_csv(data: bytes, file: str, feed: Feed, mapping: CsvMap, reference: Reference) -> CsvRows:
    """Trades of one delimited file, columnar. Raises FileRefused when the whole file cannot be used.

    A bad cell sets its row aside (I01, or I03 and I04 for an unknown security or account) and never the file; dates
    whose order nothing settles, a missing required column or mixed decimal marks refuse the file.
    """
    source = decode(data)
    table = read_table(source, file, mapping.knows)
    columns = resolve(table.header, mapping, file, table.header_line)
    return _rows(Sheet(table, columns, mapping), source, file, feed, reference)


def rows_by_dialect(laid: LaidOut, file: str, feed: Feed, dialect: FileDialect, reference: Reference) -> CsvRows:
    """Trades of one file of a known kind; otherwise as `rows_from_csv`."""
    if not laid.columns:
        return CsvRows(TRADE_SCHEMA.empty_table(), (), (), {}, (), (), laid.source.encoding, 0)
    return _rows(Sheet(laid.table, laid.columns, dialect), laid.source, file, feed, reference)


def _rows(sheet: Sheet, source: Decoded, file: str, feed: Feed, reference: Reference) -> CsvRows:
    table, columns, mapping = sheet.table, sheet.columns, sheet.mapping
    ignored = set_aside(sheet, _KEYS)
    found, price = read_numbers(sheet, file)
    found["asset_class"] = read_asset(sheet)
    scale = own_units(sheet, found, price.scale)
    found |= unit_columns(found["asset_class"])
    days, moments, day_first = read_dates(sheet, file, mapping.zone)
    found |= days
    found |= read_terms(sheet, found, day_first)
    found |= read_sides(sheet, found)
    found["side"] = by_open_close(sheet, found["side"], found["position_effect"], found["asset_class"])
    found |= read_money(sheet, found, scale)
    found |= read_identifiers(sheet)
    turn_pairs(sheet, found)
    found |= _texts(sheet)
    found |= _versions(sheet, found["status"])
    keep_commission(sheet, found)
    require_account(sheet)
    found["account_id"] = accounts_of(sheet, feed, reference, days["trade_date"])
    found["instrument_id"] = instruments_of(sheet, found, reference, days["trade_date"], contract_evidence(found))
    sheet.fail(nulls(found["instrument_id"]), "unknown_instrument", "symbol", "names no instrument", "I03")
    known_time = ~moments.empty & ~moments.bad
    midnight = pc.fill_null(found["trade_date"].cast(pa.int32()).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    found["event_time_utc"] = pa.array(np.where(known_time, moments.ns, midnight * _DAY_NS)).cast(pa.timestamp("ns"))
    found["event_time_precision"] = pc.if_else(pa.array(known_time), moments.precision, "d")
    found["tz_source"] = pc.if_else(pa.array(known_time), moments.tz_source, "date")
    found["ext"] = _extras(sheet)
    fees = read_fees(sheet, file)
    found["flags"] = sheet.flags()
    check_count(sheet)
    good = sheet.good()
    told, trade_rows = received(sheet, ignored, source.original, good)
    trades = _trades(sheet, found, feed, file, good, [told[row].raw for row in trade_rows])
    latest = pc.max(trades["event_time_utc"].cast(pa.int64())).as_py() if trades.num_rows else 0
    unused = tuple(name for name in table.header if name and name not in {*columns.values(), *mapping.fees.values()})
    return CsvRows(
        trades, trade_rows, told, dict(columns), unused, tuple(sheet.notes), source.encoding, latest,
        fee_rows(fees, trades["record_id"], good),
    )  # fmt: skip


def _texts(sheet: Sheet) -> Columns:
    found = {name: codes.by_unique(sheet.cells(name), lambda text: text) for name in _TEXTS}
    uid = sheet.cells("trade_uid")
    sheet.fail_empty("trade_uid", is_empty(uid))
    found["trade_uid"] = uid
    found["prev_uid"] = pc.if_else(pc.equal(sheet.cells("prev_uid"), ""), None, sheet.cells("prev_uid"))
    found["account_raw"] = sheet.cells("account")
    found["pb_id"] = codes.by_unique(sheet.cells("pb_id"), lambda text: text.upper())
    return found


def _versions(sheet: Sheet, status: pa.Array) -> Columns:
    """Version per row, 1 where none is told. A later version that calls itself new replaces the one before it."""
    if not sheet.has("version"):
        return {"version": pa.repeat(pa.scalar(1, pa.int64()), sheet.count)}
    pattern = re.compile(sheet.mapping.version_pattern or r"^0*(\d{1,9})$")

    def number(text: str) -> str | None:
        found = pattern.search(text)
        return found.group(1) if found and found.group(1).isdecimal() else None

    version = pc.fill_null(codes.by_unique(sheet.cells("version"), number).cast(pa.int64()), 1)
    again = pc.and_(pc.greater(version, 1), pc.equal(status, "NEW"))
    return {"version": version, "status": pc.if_else(pc.fill_null(again, False), "CORRECT", status)}


def _extras(sheet: Sheet) -> pa.Array:
    """Cells of columns nobody asked for, as JSON by header; they are kept, not used."""
    used = {*sheet.columns.values(), *sheet.mapping.fees.values()}
    spare = [(at, name) for at, name in enumerate(sheet.table.header) if name and name not in used]
    if not spare:
        return pa.nulls(sheet.count, pa.string())
    names = [name for _, name in spare]
    rows = zip(*(sheet.table.text.column(at).to_pylist() for at, _ in spare), strict=True)
    kept = [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]
    return pa.array([json.dumps(row, ensure_ascii=False) if row else None for row in kept], pa.string())


def _trades(sheet: Sheet, found: Columns, feed: Feed, file: str, good: Mask, raws: list[bytes]) -> pa.Table:
    """The good rows with every column of the trade record the file can give; the rest is null."""
    count = len(raws)
    keep = pa.array(good)
    columns = {name: values.filter(keep) for name, values in found.items()}
    start = len(head(sheet))
    hashes = [hashlib.sha256(raw).hexdigest() for raw in raws]
    source = f"{feed.name}/{file}"
    same = {
        "feed": feed.name, "source_id": source, "source_role": feed.role, "level": sheet.mapping.level,
        "file": file, "message_id": "", "execution": "", "raw_start": start,
    }  # fmt: skip
    columns |= {name: pa.repeat(pa.scalar(value), count) for name, value in same.items()}
    columns["raw_sha256"] = pa.array(hashes, pa.string())
    columns["record_id"] = pa.array([record_id(feed.name, text, 0, "trade_event") for text in hashes], pa.string())
    columns["raw_end"] = pa.array([len(raw) for raw in raws], pa.int64())
    columns["line"] = pa.array(sheet.table.lines[good], pa.int64())
    columns["recv_time_utc"] = columns["event_time_utc"]
    if feed.role == "PB":
        columns["pb_id"] = pa.repeat(pa.scalar(feed.party), count)
    content = [columns[name].cast(pa.string()) for name in EVENT_KEY_FIELDS]
    keys = pc.binary_join_element_wise(*content, "\x1f", null_handling="replace", null_replacement="")
    columns["event_key"] = pa.array([event_key([key]) for key in keys.to_pylist()], pa.string())
    schema = arrow_schema(TRADE)
    return pa.table([columns.get(f.name, pa.nulls(count, f.type)).cast(f.type) for f in schema], schema=schema)
