"""A file as a Normalised batch: delimited rows or the messages of a FIX log, with an outcome for every row received."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.feeds import Feed
from ingest.files.arrival import Arrival, arrival
from ingest.files.books import BookRows, rows_of_book
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import FileDialect, detected
from ingest.files.layout import LaidOut, lay_out
from ingest.files.numbered_lines import NumberedLines
from ingest.files.read import FileKind, FileRefused, container_of, encoding_of, kind_of
from ingest.files.received import RawRow
from ingest.files.reference_file import rows_of_reference
from ingest.files.rows import CsvRows, rows_by_dialect, rows_from_csv
from ingest.files.sheet import Problem
from ingest.fix.index import Ints
from ingest.fix.pieces import Pieces
from ingest.fix.sniff import find_pieces, looks_damaged
from ingest.fix.stamps import stamped
from ingest.normalise import (
    MESSAGE_SCHEMA,
    PART_MESSAGES,
    QUARANTINE_SCHEMA,
    Normalised,
    RawBatch,
    joined,
    normalise,
)
from ingest.normalise_reference import Reference
from ingest.normalise_trades import FEE_SCHEMA, IDENTIFIER_SCHEMA, TRADE_SCHEMA
from ingest.quarantine import quarantine_id
from ingest.reference_rows import KNOWN_AT

_TIMESTAMP = TYPES["ts"].arrow
_DAY_NS = 86_400_000_000_000
_RUN_MESSAGES = 4 * PART_MESSAGES
_TIMED = "event_time_utc"
_SENTENCE = re.compile(rb"[A-Za-z][^=\x01 ]*+ [^=\x01]*+$")


Lay = Callable[[Normalised], Normalised]
Work = Callable[[RawBatch], Normalised]
# The runs of a long log, worked on in whatever order by whomever; what each gave, in theirs.
Share = Callable[[Iterable[RawBatch], Work], list[Normalised]]


def one_by_one(runs: Iterable[RawBatch], work: Work) -> list[Normalised]:
    """What each run gives, worked on here."""
    return [work(run) for run in runs]


@dataclass(frozen=True, slots=True)
class FileBatch:
    """A file's rows ready for the store; `lines` gives the line of each message by message id.

    `business_date` is the day the file says it is of, else the latest trade or statement date in it.
    """

    normalised: Normalised
    kind: FileKind
    encoding: str
    lines: Mapping[str, int]
    columns: dict[str, str]
    unused: tuple[str, ...]
    notes: tuple[str, ...]
    business_date: date | None = None


def batch_from_file(
    data: bytes,
    file: str,
    feed: Feed,
    mapping: CsvMap,
    reference: Reference,
    *,
    recorded: bool = False,
    dialect: FileDialect | None = None,
    lay: Lay = lambda part: part,
    share: Share = one_by_one,
) -> FileBatch:
    """Whatever the bytes are, read. The receiving time of a row is its own: sending time, else event time.

    `recorded` means that a FIX log was written by a receiver: the time a line starts with is when it was received, and
    what follows it is a message even where nothing can be read of it. `dialect` is the kind of file it is known to be;
    without one it is looked for, and a FIX log or a delimited table is read as such. `lay` is what is done with every
    part of a long log once it is read: it may put the same tables elsewhere than into memory. `share` may have others
    read some of the parts.

    Raises FileRefused when the file is empty, no known kind, or cannot be used as a whole.
    """
    kind = kind_of(data)
    if kind is FileKind.EMPTY:
        raise FileRefused(file, 0, "empty_file", "the file is empty")
    dialect = dialect or (detected(data) if kind is not FileKind.FIX else None)
    if dialect is not None:
        return _by_dialect(data, file, feed, dialect, reference)
    if kind is FileKind.BINARY:
        what = container_of(data)
        raise FileRefused(file, 0, "not_text", f"this is {what}" if what else "neither a FIX log nor a delimited table")
    if kind is FileKind.FIX:
        return _fix_log(data, file, feed, recorded, lambda run: lay(normalise(run, reference)), share)
    return _table(rows_from_csv(data, file, feed, mapping, reference), file, feed, FileKind.CSV)


def batch_of_rows(
    data: bytes, file: str, feed: Feed, mapping: CsvMap, reference: Reference, *, dialect: FileDialect | None = None
) -> FileBatch:
    """Delimited rows, whatever their cells hold, by the map or by a dialect. Raises FileRefused as for a file."""
    if dialect is not None:
        return _by_dialect(data, file, feed, dialect, reference)
    return _table(rows_from_csv(data, file, feed, mapping, reference), file, feed, FileKind.CSV)


def received(batch: FileBatch, feed: Feed) -> tuple[FileBatch, Arrival]:
    """The batch with the time its file came, as its feed's slots have it, and that time.

    Without slots trades keep their own times, and other facts are taken to come with the last time the file tells,
    else at the end of its business date. A FIX log says itself when its messages were received.
    """
    normalised, latest = batch.normalised, _latest(batch.normalised)
    found = None if batch.kind is FileKind.FIX else arrival(feed, latest, batch.business_date)
    day = batch.business_date
    end = (day - date(1970, 1, 1)).days * _DAY_NS + _DAY_NS - 1_000_000_000 if day else 0
    at = found or Arrival(latest or end, "")
    trades = normalised.trades
    if found is not None and trades.num_rows:
        place = trades.schema.get_field_index("recv_time_utc")
        trades = trades.set_column(place, trades.schema.field(place), _moments(found.at_ns, trades.num_rows))
    facts = {name: _filled(rows, at.at_ns) for name, rows in normalised.facts.items()}
    return replace(batch, normalised=replace(normalised, trades=trades, facts=facts)), at


def _latest(normalised: Normalised) -> int | None:
    """The last time told to the second or better, UTC ns."""
    trades = normalised.trades
    known = trades["event_time_utc"].filter(pc.not_equal(trades["event_time_precision"], "d"))
    columns = [known, *(rows["event_time_utc"] for rows in normalised.facts.values() if _TIMED in rows.schema.names)]
    found = [pc.max(column.cast(pa.int64())).as_py() for column in columns]
    return max((at for at in found if at is not None), default=None)


def _filled(rows: pa.Table, at_ns: int) -> pa.Table:
    moments = _moments(at_ns, rows.num_rows)
    for name in ("recv_time_utc", KNOWN_AT, _TIMED):
        if name in rows.schema.names:
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pc.coalesce(rows[name], moments))
    return rows


def _moments(at_ns: int, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(at_ns, pa.int64()), count).cast(_TIMESTAMP)


def _session(file: str, feed: Feed) -> str:
    return f"{feed.name}/{file}"


def _fix_log(data: bytes, file: str, feed: Feed, recorded: bool, work: Work, share: Share) -> FileBatch:
    found = find_pieces(data)
    times: Ints = np.zeros(len(found), dtype=np.int64)
    if recorded:
        found, times = stamped(found)
    session = _session(file, feed)
    text = np.flatnonzero(~found.are_messages).tolist()
    spare = [
        (at, raw)
        for at, raw in zip(text, found.raws(text), strict=True)
        if not looks_damaged(raw) and (not times[at] or _SENTENCE.match(raw) is not None)
    ]
    log_text = [(at + 1, RawRow(int(found.lines[at]), raw, "IGNORED")) for at, raw in spare]
    runs = share(_runs(found, times, _others(len(found), [at for at, _ in spare]), file, feed), work)
    normalised = _received_when_sent(runs[0] if len(runs) == 1 else joined(runs))
    messages = normalised.messages
    if spare:
        messages = pa.concat_tables([messages, _messages(log_text, session, feed)]).sort_by("number")
    notes = (f"{len(spare)} line{'' if len(spare) == 1 else 's'} of log text without a message",) if spare else ()
    whole = replace(normalised, messages=messages)
    return FileBatch(whole, FileKind.FIX, encoding_of(data), NumberedLines(session, found.lines), {}, (), notes)


def _runs(found: Pieces, times: Ints, kept: Ints, file: str, feed: Feed) -> Iterator[RawBatch]:
    """The messages at the `kept` places, some parts at a time.

    A run is a whole number of parts, so what it gives does not depend on its size.
    """
    session = _session(file, feed)
    for first in range(0, max(len(kept), 1), _RUN_MESSAGES):
        places = kept[first : first + _RUN_MESSAGES]
        numbers = (places + 1).tolist()
        yield RawBatch(
            messages=found.raws(places),
            message_ids=[f"{session}:{number}" for number in numbers],
            numbers=numbers,
            lane=session,
            sessions=[session] * len(places),
            recv_ts=times[places],
            feeds=[feed] * len(places),
            live=False,
            file=file,
            lines=found.lines[places].tolist(),
            prefixes=found.prefixes(places),
        )


def _others(count: int, positions: Sequence[int]) -> Ints:
    return np.delete(np.arange(count), np.array(positions, dtype=np.int64))


def _received_when_sent(normalised: Normalised) -> Normalised:
    trades = normalised.trades
    sent = trades["sent_time_utc"].combine_chunks() if trades.num_rows else pa.array([], _TIMESTAMP)
    event = trades["event_time_utc"].combine_chunks() if trades.num_rows else pa.array([], _TIMESTAMP)
    noted = trades["recv_time_utc"].combine_chunks() if trades.num_rows else pa.array([], _TIMESTAMP)
    own = pc.if_else(pc.equal(noted.cast(pa.int64()), 0), None, noted)
    moment = pc.coalesce(own, sent, event)
    at = trades.schema.get_field_index("recv_time_utc")
    trades = trades.set_column(at, trades.schema.field(at), moment)
    return replace(normalised, trades=trades)


def _by_dialect(data: bytes, file: str, feed: Feed, dialect: FileDialect, reference: Reference) -> FileBatch:
    """A file of a known kind. What is new in its layout is one more received row, set aside as I07."""
    laid = lay_out(data, file, dialect)
    kind = FileKind(dialect.kind)
    if dialect.contents == "trades":
        batch = _table(rows_by_dialect(laid, file, feed, dialect, reference), file, feed, kind)
    elif not laid.columns:
        batch = _books(None, laid, file, feed, kind)
    else:
        read = rows_of_reference if dialect.contents == "reference" else rows_of_book
        batch = _books(read(laid, file, feed, dialect, reference), laid, file, feed, kind)
    if laid.drift:
        problem = Problem("schema_drift", f"{file}: {'; '.join(laid.drift)}; its rows were read", "I07")
        header = laid.source.original(laid.table.header_raw)
        row = RawRow(laid.table.header_line, header, "QUARANTINE", problem)
        batch = _with_row(batch, row, file, feed)
    return replace(batch, business_date=laid.stated_date or batch.business_date)


def _table(rows: CsvRows, file: str, feed: Feed, kind: FileKind) -> FileBatch:
    session = _session(file, feed)
    trades = rows.trades
    at = trades.schema.get_field_index("message_id")
    mine = pa.array([f"{session}:{position + 1}" for position in rows.trade_rows], pa.string())
    trades = trades.set_column(at, trades.schema.field(at), mine)
    normalised = Normalised(
        trades, rows.fees, IDENTIFIER_SCHEMA.empty_table(), *_received_rows(rows.received, session, feed)
    )
    latest = pc.max(trades["trade_date"]).as_py() if trades.num_rows else None
    return FileBatch(
        normalised, kind, rows.encoding, _lines(rows.received, session), rows.columns, rows.unused, rows.notes, latest
    )


def _books(rows: BookRows | None, laid: LaidOut, file: str, feed: Feed, kind: FileKind) -> FileBatch:
    session = _session(file, feed)
    received = rows.received if rows else ()
    facts = {}
    if rows is not None:
        at = rows.facts.schema.get_field_index("message_id")
        mine = pa.array([f"{session}:{position + 1}" for position in rows.fact_rows], pa.string())
        facts[rows.table] = rows.facts.set_column(at, "message_id", mine)
        for name, (others, fact) in rows.beside.items():
            facts[name] = others.append_column("message_id", mine.take(fact))
    normalised = Normalised(
        TRADE_SCHEMA.empty_table(), FEE_SCHEMA.empty_table(), IDENTIFIER_SCHEMA.empty_table(),
        *_received_rows(received, session, feed), facts,
    )  # fmt: skip
    used = set(laid.columns.values())
    unused = tuple(name for name in laid.table.header if name and name not in used)
    return FileBatch(
        normalised, kind, laid.source.encoding, _lines(received, session), dict(laid.columns), unused,
        rows.notes if rows else (), rows.latest if rows else None,
    )  # fmt: skip


def _with_row(batch: FileBatch, row: RawRow, file: str, feed: Feed) -> FileBatch:
    """The batch with one more received row, numbered 0: the file itself."""
    session = _session(file, feed)
    messages, quarantine = _received_rows([row], session, feed, first=0)
    normalised = replace(
        batch.normalised,
        messages=pa.concat_tables([messages, batch.normalised.messages]),
        quarantine=pa.concat_tables([quarantine, batch.normalised.quarantine]),
    )
    return replace(batch, normalised=normalised, lines={f"{session}:0": row.line, **batch.lines})


def _lines(rows: Sequence[RawRow], session: str) -> dict[str, int]:
    return {f"{session}:{number}": row.line for number, row in enumerate(rows, 1)}


def _received_rows(rows: Sequence[RawRow], session: str, feed: Feed, first: int = 1) -> tuple[pa.Table, pa.Table]:
    """Messages and quarantine of the rows, numbered from `first`."""
    numbered = list(enumerate(rows, first))
    bad = [
        {
            "quarantine_id": quarantine_id(f"{session}:{number}", row.problem.reason),
            "message_id": f"{session}:{number}",
            "feed": feed.name,
            "recv_ts": 0,
            "code": row.problem.code,
            "reason": row.problem.reason,
            "detail": row.problem.detail,
            "raw": row.raw,
            "execution": "",
        }
        for number, row in numbered
        if row.problem
    ]
    return _messages(numbered, session, feed), pa.Table.from_pylist(bad, schema=QUARANTINE_SCHEMA)


def _messages(rows: Sequence[tuple[int, RawRow]], session: str, feed: Feed) -> pa.Table:
    columns: dict[str, list[object]] = {
        "message_id": [f"{session}:{number}" for number, _ in rows],
        "lane": [session] * len(rows),
        "session": [session] * len(rows),
        "number": [number for number, _ in rows],
        "feed": [feed.name] * len(rows),
        "recv_ts": [0] * len(rows),
        "sha256": [sha256(row.raw).hexdigest() for _, row in rows],
        "length": [len(row.raw) for _, row in rows],
        "msg_type": [None] * len(rows),
        "outcome": [row.outcome for _, row in rows],
        "raw": [row.raw for _, row in rows],
        "execution": [""] * len(rows),
    }
    return pa.Table.from_arrays([pa.array(columns[f.name], f.type) for f in MESSAGE_SCHEMA], schema=MESSAGE_SCHEMA)
