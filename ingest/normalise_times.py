"""When: event, sending and receiving time, trade date, settlement date, each with what was done to find it."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.fix.flags import Flag
from ingest.fix.index import Bools
from ingest.fix.times import PRECISIONS, local_days, odd_date, read_dates, read_times, session_days, to_utc
from ingest.normalise_part import Extract, nulls_of
from ingest.normalise_quirks import mark_zone
from ingest.settlement import Settlement


def time_columns(extract: Extract) -> dict[str, pa.Array]:
    """Event, sending and receiving time: TransactTime(60) in the dialect's zone, SendingTime(52) always UTC."""
    part, fields = extract.part, extract.fields("event_time")
    nanos, precision, ok, odd = read_times(part.index, fields)
    tags = part.index.tag[np.maximum(fields, 0)]
    zone = np.full(len(extract), "utc", dtype=object)
    if part.dialect.tz60 != "UTC":
        local = ok & (tags == 60)
        nanos[local], doubtful = to_utc(nanos[local], part.dialect.tz60)
        zone[local] = part.dialect.tz60
        part.mark(extract.message[np.flatnonzero(local)[doubtful]], Flag.TIME_AMBIGUOUS)
    extract.refuse("event_time", ~ok & (fields >= 0), number=False)
    extract.require("event_time", fields < 0)
    part.mark(extract.message[np.flatnonzero(odd)], Flag.TIME_ODD)
    sent, _, sent_ok, _ = read_times(part.index, extract.fields("sending_time"))
    if extract.has("orig_sending_time"):
        original, _, original_ok, _ = read_times(part.index, extract.fields("orig_sending_time"))
        replayed = original_ok & ((part.index.flags[extract.message] & Flag.POSS_DUP) > 0)
        sent, sent_ok = np.where(replayed, original, sent), sent_ok | replayed
    both = ok & sent_ok & (tags == 60) & ((part.index.flags[extract.message] & Flag.POSS_DUP) == 0)
    mark_zone(part, extract.message, sent, nanos, both)
    ts = TYPES["ts"].arrow
    names = pa.array(PRECISIONS, pa.string())
    return {
        "event_time_utc": pa.array(nanos, pa.int64(), mask=~ok).cast(ts),
        "event_time_precision": names.take(pa.array(precision)),
        "sent_time_utc": pa.array(sent, pa.int64(), mask=~sent_ok).cast(ts),
        "recv_time_utc": pa.array(part.recv_ns[extract.message], pa.int64()).cast(ts),
        "tz_source": pa.array(zone, pa.string()),
    }


def date_columns(extract: Extract, event_time: pa.Array) -> dict[str, pa.Array]:
    """TradeDate(75), else the event's day in the market's zone, the next from the session's roll on; SettlDate(64)."""
    part = extract.part
    fields = extract.fields("trade_date")
    days, ok = _dates(extract, "trade_date")
    absent = fields < 0
    if absent.any():
        known = ~nulls_of(event_time)
        nanos = event_time.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        days = np.where(absent, session_days(nanos, part.dialect.market_tz, part.dialect.session_roll), days)
        part.mark(extract.message[absent & known], Flag.TRADE_DATE)
        ok = ok | (absent & known)
    settle_days, settle_ok = _dates(extract, "settle_date")
    return {
        "trade_date": pa.array(days.astype(np.int32), pa.date32(), mask=~ok),
        "settle_date": pa.array(settle_days, pa.date32(), mask=~settle_ok),
    }


def _dates(extract: Extract, name: str) -> tuple[npt.NDArray[np.int32], Bools]:
    """Days since 1970 of a date field; what can only be one date is read and marked, anything else is a problem."""
    part, fields = extract.part, extract.fields(name)
    days, ok = read_dates(part.index, fields)
    for row in np.flatnonzero(~ok & (fields >= 0)).tolist():
        found = odd_date(part.index.value(int(fields[row])).decode("latin-1"))
        if found is not None:
            days[row], ok[row] = found, True
            part.mark(extract.message[row : row + 1], Flag.DATE_FORM)
    extract.refuse(name, ~ok & (fields >= 0), number=False)
    return days, ok


def mark_late(extract: Extract, columns: dict[str, pa.Array]) -> None:
    """Mark what was told on a later day than its trade date: as-of trades, late corrections and cancels."""
    sent = columns["sent_time_utc"]
    known = ~nulls_of(sent) & ~nulls_of(columns["trade_date"])
    nanos = sent.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    told = local_days(nanos, extract.part.dialect.market_tz)
    traded = columns["trade_date"].cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
    extract.part.mark(extract.message[known & (told > traded)], Flag.AS_OF)


def settle_dates(extract: Extract, columns: dict[str, pa.Array]) -> pa.Array:
    """SettlDate(64), else computed from SettlType(63), market and currency, marked, with what it rests on noted."""
    stated = columns["settle_date"]
    part, missing = extract.part, nulls_of(stated) & (extract.fields("settle_date") < 0)
    if not missing.any():
        return stated
    rows = np.flatnonzero(missing)
    picked = pa.array(rows)
    said = zip(
        rows.tolist(),
        *(column.take(picked).to_pylist() for column in (
            columns["trade_date"], columns["trade_ccy"], columns["asset_class"], extract.text("venue_mic"),
            extract.text("settle_type"),
        )),
        strict=True,
    )  # fmt: skip
    known: dict[tuple[object, ...], Settlement | None] = {}
    computed: dict[int, date] = {}
    for row, trade_date, *terms in said:
        key = (trade_date, *terms)
        if key not in known:
            known[key] = part.reference.calendars.settle(trade_date, *terms) if trade_date else None
        found = known[key]
        if found is not None:
            computed[row] = found.day
            part.note(int(extract.message[row]), "settle_date", found.basis)
    part.mark(extract.message[list(computed)], Flag.SETTLE_COMPUTED)
    mask = np.zeros(len(stated), dtype=np.bool_)
    mask[list(computed)] = True
    return pc.replace_with_mask(stated, pa.array(mask), pa.array(list(computed.values()), pa.date32()))
