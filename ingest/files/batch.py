"""A file as a Normalised batch: delimited rows or the messages of a FIX log, with an outcome for every row received."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.feeds import Feed
from ingest.files.csv_map import CsvMap
from ingest.files.read import FileKind, FileRefused, container_of, decode, kind_of
from ingest.files.rows import CsvRows, RawRow, rows_from_csv
from ingest.fix.sniff import find_messages, looks_damaged
from ingest.fix.stamps import stamped
from ingest.normalise import MESSAGE_SCHEMA, QUARANTINE_SCHEMA, Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference
from ingest.normalise_trades import FEE_SCHEMA, IDENTIFIER_SCHEMA
from ingest.quarantine import quarantine_id

_TIMESTAMP = TYPES["ts"].arrow
_SENTENCE = re.compile(rb"[A-Za-z][^=\x01]* [^=\x01]*$")


@dataclass(frozen=True, slots=True)
class FileBatch:
    """A file's rows ready for the store; `lines` gives the line of each message by message id."""

    normalised: Normalised
    kind: FileKind
    encoding: str
    lines: dict[str, int]
    columns: dict[str, str]
    unused: tuple[str, ...]
    notes: tuple[str, ...]


def batch_from_file(
    data: bytes, file: str, feed: Feed, mapping: CsvMap, reference: Reference, *, recorded: bool = False
) -> FileBatch:
    """Whatever the bytes are, read. The receiving time of a row is its own: sending time, else event time.

    `recorded` means that a FIX log was written by a receiver: the time a line starts with is when it was received, and
    what follows it is a message even where nothing can be read of it.

    Raises FileRefused when the file is empty, no known kind, or cannot be used as a whole.
    """
    kind = kind_of(data)
    if kind is FileKind.EMPTY:
        raise FileRefused(file, 0, "empty_file", "the file is empty")
    if kind is FileKind.BINARY:
        what = container_of(data)
        raise FileRefused(file, 0, "not_text", f"this is {what}" if what else "neither a FIX log nor a delimited table")
    if kind is FileKind.FIX:
        return _fix_log(data, file, feed, reference, recorded)
    return _table(rows_from_csv(data, file, feed, mapping, reference), file, feed)


def _session(file: str, feed: Feed) -> str:
    return f"{feed.name}/{file}"


def _fix_log(data: bytes, file: str, feed: Feed, reference: Reference, recorded: bool) -> FileBatch:
    found = list(find_messages(data))
    times: Sequence[int] = [0] * len(found)
    if recorded:
        found, times = stamped(found)
    text = [
        not piece.is_message and not looks_damaged(piece.raw) and (not at_ns or _SENTENCE.match(piece.raw) is not None)
        for piece, at_ns in zip(found, times, strict=True)
    ]
    session = _session(file, feed)
    kept = [(number, piece) for number, (piece, plain) in enumerate(zip(found, text, strict=True), 1) if not plain]
    batch = RawBatch(
        messages=[piece.raw for _, piece in kept],
        message_ids=[f"{session}:{number}" for number, _ in kept],
        numbers=[number for number, _ in kept],
        lane=session,
        sessions=[session] * len(kept),
        recv_ts=np.array([times[number - 1] for number, _ in kept], dtype=np.int64),
        feeds=[feed] * len(kept),
        live=False,
        file=file,
        lines=[piece.line for _, piece in kept],
    )
    normalised = _received_when_sent(normalise(batch, reference))
    spare = [(number, piece) for number, (piece, plain) in enumerate(zip(found, text, strict=True), 1) if plain]
    log_text = [(number, RawRow(piece.line, piece.raw, "IGNORED")) for number, piece in spare]
    messages = pa.concat_tables([normalised.messages, _messages(log_text, session, feed)])
    lines = {f"{session}:{number}": piece.line for number, piece in enumerate(found, 1)}
    notes = (f"{len(spare)} line{'' if len(spare) == 1 else 's'} of log text without a message",) if spare else ()
    whole = replace(normalised, messages=messages.sort_by("number"))
    return FileBatch(whole, FileKind.FIX, decode(data).encoding, lines, {}, (), notes)


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


def _table(rows: CsvRows, file: str, feed: Feed) -> FileBatch:
    session = _session(file, feed)
    numbered = list(enumerate(rows.received, 1))
    ids = [f"{session}:{number}" for number, _ in numbered]
    trades = rows.trades
    at = trades.schema.get_field_index("message_id")
    mine = pa.array([ids[position] for position in rows.trade_rows], pa.string())
    trades = trades.set_column(at, trades.schema.field(at), mine)
    bad = [
        {
            "quarantine_id": quarantine_id(ids[number - 1], row.problem.reason),
            "message_id": ids[number - 1],
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
    normalised = Normalised(
        trades,
        FEE_SCHEMA.empty_table(),
        IDENTIFIER_SCHEMA.empty_table(),
        _messages(numbered, session, feed),
        pa.Table.from_pylist(bad, schema=QUARANTINE_SCHEMA),
    )
    lines = {ids[number - 1]: row.line for number, row in numbered}
    return FileBatch(normalised, FileKind.CSV, rows.encoding, lines, rows.columns, rows.unused, rows.notes)


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
