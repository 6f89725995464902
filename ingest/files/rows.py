"""A delimited file as canonical trade rows: every received row becomes a trade, is ignored, or is bad with a reason."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.ids import record_id
from domain.schema import arrow_schema
from domain.trade import TRADE
from ingest.feeds import Feed
from ingest.files import codes
from ingest.files.csv_map import CsvMap, resolve
from ingest.files.economics import Columns, read_dates, read_identifiers, read_money, read_numbers, read_sides
from ingest.files.read import FileRefused, decode
from ingest.files.sheet import Mask, Problem, Sheet, is_empty, nulls
from ingest.files.table import Span, read_table
from ingest.normalise_reference import Reference
from ingest.normalise_trades import EVENT_KEY_FIELDS, event_key
from ingest.symbology import Evidence, instrument_id

_TEXTS = ("order_id", "client_order_id", "cross_uid", "block_id", "exec_broker_id", "venue_mic", "asset_class",
          "strategy", "uti")  # fmt: skip
_DAY_NS = 86_400_000_000_000
_SOURCES = {"isin": "4", "sedol": "2", "cusip": "1", "figi": "S"}


@dataclass(frozen=True, slots=True)
class RawRow:
    """One received row as evidence: header line, newline, row, in the file's own encoding; `line` from 1."""

    line: int
    raw: bytes
    outcome: str
    problem: Problem | None = None


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


def rows_from_csv(data: bytes, file: str, feed: Feed, mapping: CsvMap, reference: Reference) -> CsvRows:
    """Trades of one delimited file, columnar. Raises FileRefused when the whole file cannot be used.

    A bad cell sets its row aside (I01, or I03 and I04 for an unknown security or account) and never the file; dates
    whose order nothing settles, a missing required column or mixed decimal marks refuse the file.
    """
    source = decode(data)
    table = read_table(source, file, mapping.knows)
    columns = resolve(table.header, mapping, file, table.header_line)
    sheet = Sheet(table, columns, mapping)
    ignored = _set_aside(sheet)
    found, price = read_numbers(sheet, file)
    found |= read_sides(sheet, found)
    days, moments = read_dates(sheet, file, mapping.zone)
    found |= days
    found |= read_money(sheet, found, price)
    found |= read_identifiers(sheet)
    found |= _texts(sheet)
    found["account_id"] = _accounts(sheet, feed, reference, days["trade_date"])
    found["instrument_id"] = _instruments(found, reference)
    sheet.fail(nulls(found["instrument_id"]), "unknown_instrument", "symbol", "names no instrument", "I03")
    known_time = ~moments.empty & ~moments.bad
    midnight = pc.fill_null(found["trade_date"].cast(pa.int32()).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    found["event_time_utc"] = pa.array(np.where(known_time, moments.ns, midnight * _DAY_NS)).cast(pa.timestamp("ns"))
    found["event_time_precision"] = pc.if_else(pa.array(known_time), moments.precision, "d")
    found["tz_source"] = pc.if_else(pa.array(known_time), moments.tz_source, "date")
    found["ext"] = _extras(sheet)
    _check_count(sheet)
    good = sheet.good()
    received, trade_rows = _received(sheet, ignored, source.original, good)
    trades = _trades(sheet, found, feed, file, good, [received[row].raw for row in trade_rows])
    latest = pc.max(trades["event_time_utc"].cast(pa.int64())).as_py() if trades.num_rows else 0
    unused = tuple(name for name in table.header if name and name not in columns.values())
    return CsvRows(trades, trade_rows, received, columns, unused, tuple(sheet.notes), source.encoding, latest)


def _set_aside(sheet: Sheet) -> list[Span]:
    """Rows that are no trades: those the map skips, and a last row of sums without id, account and security."""
    drop = np.zeros(sheet.count, dtype=bool)
    header = sheet.table.header
    for name, value in sheet.mapping.skip_rows_where.items():
        if name not in header:
            raise FileRefused("map file", 0, "bad_map", f"skip_rows_where: the file has no column {name!r}")
        cells = sheet.table.text.column(header.index(name))
        drop |= pc.equal(cells, value).to_numpy()
    why = {int(row): "skipped_by_map" for row in np.flatnonzero(drop)}
    if sheet.count:
        last = np.zeros(sheet.count, dtype=bool)
        last[-1] = True
        for name in ("trade_uid", "account", "symbol", "isin", "cusip", "sedol", "figi"):
            if name in sheet.columns:
                last &= is_empty(sheet.cells(name))
        why |= {int(row): "totals_row" for row in np.flatnonzero(last & ~drop)}
        drop |= last
    spans = [
        Span(int(sheet.table.lines[row]), sheet.table.raws[row], reason, reason.replace("_", " "))
        for row, reason in sorted(why.items())
    ]
    if spans:
        sheet.keep_only(~drop)
    return spans


def _texts(sheet: Sheet) -> Columns:
    found = {name: codes.by_unique(sheet.cells(name), lambda text: text) for name in _TEXTS}
    uid = sheet.cells("trade_uid")
    sheet.fail_empty("trade_uid", is_empty(uid))
    found["trade_uid"] = uid
    found["prev_uid"] = pc.if_else(pc.equal(sheet.cells("prev_uid"), ""), None, sheet.cells("prev_uid"))
    found["account_raw"] = sheet.cells("account")
    found["pb_id"] = codes.by_unique(sheet.cells("pb_id"), lambda text: text.upper())
    return found


def _accounts(sheet: Sheet, feed: Feed, reference: Reference, days: pa.Array) -> pa.Array:
    """Canonical account per row: the map's own aliases, the account map on the trade date, else as written."""
    cells = sheet.cells("account")
    sheet.fail_empty("account", is_empty(cells))
    own = sheet.mapping.accounts
    if not reference.accounts:
        return codes.by_unique(cells, lambda text: own.get(text, text))
    pairs = zip(cells.to_pylist(), days.to_pylist(), strict=True)
    found = {}
    for pair in set(pairs):
        match = reference.account(feed.party, pair[0], pair[1])
        found[pair] = own.get(pair[0]) or (match.account_id if match else pair[0])
    return pa.array([found[pair] for pair in zip(cells.to_pylist(), days.to_pylist(), strict=True)], pa.string())


def _instruments(found: Columns, reference: Reference) -> pa.Array:
    """Instrument id per row, looked up once per distinct combination of identifiers and trade date."""
    names = (*_SOURCES, "symbol")
    parts = [pc.fill_null(found[name], "") for name in names]
    parts.append(pc.fill_null(found["trade_date"].cast(pa.string()), "") if reference.instruments else "")
    keys = pc.dictionary_encode(pc.binary_join_element_wise(*parts, "\x1f"))
    answers = []
    for key in keys.dictionary.to_pylist():
        *ids, symbol, day = key.split("\x1f")
        evidence = Evidence(
            symbol or None,
            None,
            tuple((_SOURCES[n], value) for n, value in zip(_SOURCES, ids, strict=True) if value),
            "",
        )
        on = pa.scalar(day).cast(pa.date32()).as_py() if day else None
        answers.append(instrument_id(evidence, reference.instruments, on))
    return pa.array(answers, pa.string()).take(keys.indices)


def _extras(sheet: Sheet) -> pa.Array:
    """Cells of columns nobody asked for, as JSON by header; they are kept, not used."""
    used = set(sheet.columns.values())
    spare = [(at, name) for at, name in enumerate(sheet.table.header) if name and name not in used]
    if not spare:
        return pa.nulls(sheet.count, pa.string())
    names = [name for _, name in spare]
    rows = zip(*(sheet.table.text.column(at).to_pylist() for at, _ in spare), strict=True)
    kept = [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]
    return pa.array([json.dumps(row, ensure_ascii=False) if row else None for row in kept], pa.string())


def _check_count(sheet: Sheet) -> None:
    declared = sheet.table.declared_rows
    have = sheet.count + len(sheet.table.bad)
    if declared is not None and declared != have:
        sheet.notes.append(f"the trailer says {declared} rows, the file has {have}")


def _received(
    sheet: Sheet, ignored: list[Span], original: Callable[[bytes], bytes], good: Mask
) -> tuple[tuple[RawRow, ...], tuple[int, ...]]:
    """Every received row in file order, and the positions of the good ones in that order."""
    table = sheet.table
    head = table.header_raw + b"\n"
    entries: list[tuple[int, int, RawRow]] = []
    for row, (line, raw) in enumerate(zip(table.lines.tolist(), table.raws, strict=True)):
        problem = sheet.problems.get(row)
        outcome = "QUARANTINE" if problem else "FACT"
        entries.append((line, row if good[row] else -1, RawRow(line, original(head + raw), outcome, problem)))
    for span in (*table.ignored, *ignored):
        entries.append((span.line, -1, RawRow(span.line, original(head + span.raw), "IGNORED")))
    for span in table.bad:
        problem = Problem("cell_count", span.detail)
        entries.append((span.line, -1, RawRow(span.line, original(head + span.raw), "QUARANTINE", problem)))
    entries.sort(key=lambda entry: entry[0])
    positions = [at for at, entry in enumerate(entries) if entry[1] >= 0]
    return tuple(entry[2] for entry in entries), tuple(positions)


def _trades(sheet: Sheet, found: Columns, feed: Feed, file: str, good: Mask, raws: list[bytes]) -> pa.Table:
    """The good rows with every column of the trade record the file can give; the rest is null."""
    count = len(raws)
    keep = pa.array(good)
    columns = {name: values.filter(keep) for name, values in found.items()}
    head = len(sheet.table.header_raw) + 1
    hashes = [hashlib.sha256(raw).hexdigest() for raw in raws]
    source = f"{feed.name}/{file}"
    same = {
        "feed": feed.name, "source_id": source, "source_role": feed.role, "level": sheet.mapping.level, "version": 1,
        "file": file, "message_id": "", "execution": "", "raw_start": head,
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
