"""Messages that are no trades: answers to what was sent (AR, P, AT, AU, Q) and positions (AP) as facts of their own."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TABLES, arrow_schema
from ingest.fix.decode import group_rows, whole_messages
from ingest.fix.index import Ints
from ingest.fix.plans import ANSWERS, POSITION, Family
from ingest.fix.values import as_text, decimals, joined, mapped, objects
from ingest.normalise_ext import flag_names
from ingest.normalise_hash import sha256_hex
from ingest.normalise_identity import account_columns, asset_columns, contract_columns
from ingest.normalise_instrument import instrument_columns
from ingest.normalise_part import Extract, Part, nulls_of
from ingest.normalise_status import ANSWER, HOLDING, REJECT
from ingest.normalise_times import date_columns, time_columns
from ingest.quarantine import GROUP_COUNT, MISSING_FIELD

_MESSAGE_ID = "message_id"
_UNIT_SEPARATOR = "\x1f"  # as domain.ids joins

_ALLOCATION = {
    "0": "ACCEPTED", "1": "REJECTED", "2": "REJECTED", "3": "RECEIVED", "4": "PENDING", "5": "REJECTED",
    "6": "PENDING", "7": "CANCELLED", "8": "CANCELLED", "9": "ACCEPTED", "10": "REJECTED", "11": "PENDING",
    "12": "CANCELLED", "13": "PENDING", "14": "PENDING",
}  # fmt: skip
_STATUS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "AR": {
            "0": "ACCEPTED", "1": "REJECTED", "2": "CANCELLED", "3": "ACCEPTED", "4": "PENDING", "5": "PENDING",
            "6": "PENDING", "7": "CANCELLED", "8": "PENDING", "9": "ACCEPTED", "10": "ACCEPTED", "11": "REJECTED",
        },
        "P": _ALLOCATION, "AT": _ALLOCATION,
        "AU": {"1": "RECEIVED", "2": "REJECTED", "3": "ACCEPTED"},
    }
)  # fmt: skip
_AFFIRMED = {"RECEIVED": "PENDING", "REJECTED": "REJECTED", "ACCEPTED": "AFFIRMED"}
_END_OF_DAY = "EOD"
# PosType(703) that is a holding; the others are movements of a day or parts of one.
_HOLDING_TYPES = {"SOD": "SOD", "FIN": _END_OF_DAY, "TOT": "INTRADAY", "TQ": "INTRADAY"}
# PosAmtType(707) that values the holding, the better first.
_VALUES = ("SETL", "FMTM")


def other_facts(part: Part, status: pa.Array, framed: frozenset[int]) -> dict[str, pa.Table]:
    """Tables by name for the part's answers, positions and refusals that hold no readable trade.

    A refused message (status REJECT) whose trade could not be read is no longer a problem: the refusal itself is kept.
    `framed` are the messages that already had a problem before any was read; theirs stay.
    """
    unread = [place for place in part.problems.found if place not in framed and status[place].as_py() == REJECT]
    refused = np.array(sorted(unread), dtype=np.int64)
    for place in unread:
        del part.problems.found[place]
    answered = pc.fill_null(pc.equal(status, ANSWER), False).to_numpy(zero_copy_only=False)
    chosen = np.union1d(np.flatnonzero(answered), refused)
    answers = list(_answers(part, chosen[~np.isin(chosen, list(part.problems.found))]))
    found: dict[str, list[pa.Table]] = {"acknowledgement": answers}
    found["affirmation"] = [_affirmations(table) for table in answers]
    held = pc.fill_null(pc.equal(status, HOLDING), False).to_numpy(zero_copy_only=False)
    places = np.setdiff1d(np.flatnonzero(held), np.array(list(part.problems.found), dtype=np.int64))
    found["position_snapshot"] = [_positions(part, places)] if len(places) else []
    tables = {name: pa.concat_tables(several) for name, several in found.items() if several}
    return {name: table for name, table in tables.items() if table.num_rows}


def _answers(part: Part, messages: Ints) -> Iterator[pa.Table]:
    """Rows of `acknowledgement`, one per message or, where it names accounts, per account."""
    kinds = np.array(objects(part.message_type), dtype=object)[messages]
    for kind in sorted(set(kinds.tolist()) & set(ANSWERS)):
        subject, family = ANSWERS[kind]
        mine = messages[kinds == kind]
        if family.count_tag is None:
            yield _answer_rows(part, family, subject, mine, whole=True)
            continue
        # A group that does not hold what it announces must not lose the answer: then it is one row.
        wrong = group_rows(part.index, part.tags, mine, family.count_tag).miscounted
        broken = np.array([message for message, _, _ in wrong], dtype=np.int64)
        if len(broken):
            yield _answer_rows(part, family, subject, broken, whole=True)
        if len(broken) < len(mine):
            yield _answer_rows(part, family, subject, np.setdiff1d(mine, broken), whole=False)


def _answer_rows(part: Part, family: Family, subject: str, messages: Ints, *, whole: bool) -> pa.Table:
    count_tag = family.count_tag
    segments = (
        whole_messages(part.index, messages)
        if whole or count_tag is None
        else group_rows(part.index, part.tags, messages, count_tag)
    )
    extract = Extract(part, family, segments, pa.nulls(len(segments.message), pa.string()))
    uid = extract.text("trade_uid")
    extract.require("trade_uid", nulls_of(uid))
    times = time_columns(extract)
    raw = extract.text("account_raw")
    known = _accounts(extract, raw)
    code = extract.text("code")
    rows = {
        "feed": _same(part.feed.name, len(extract)),
        "source_role": _same(part.feed.role, len(extract)),
        "msg_type": _same(family.name, len(extract)),
        "subject": _same(subject, len(extract)),
        "trade_uid": uid,
        "client_order_id": extract.text("client_order_id"),
        "account_id": pc.coalesce(known["account_id"], raw),
        "account_raw": raw,
        "status": _status(extract, family.name, code),
        "code": code,
        "reason_code": extract.text("reason_code"),
        "reason": extract.text("reason"),
        "event_time_utc": times["event_time_utc"],
        "recv_time_utc": times["recv_time_utc"],
        "pb_id": known["pb_id"],
    }
    told = ("feed", "msg_type", "trade_uid", "client_order_id", "account_raw", "status", "code", "reason_code",
            "reason", "event_time_utc")  # fmt: skip
    return _facts(extract, "acknowledgement", rows, told)


def _status(extract: Extract, kind: str, code: pa.Array) -> pa.Array:
    """RECEIVED unless the message says more; a don't-know-trade and a refused report are REJECTED."""
    if kind not in _STATUS:
        return _same("REJECTED", len(extract))
    found, unknown = mapped(code, _STATUS[kind])
    found = pc.fill_null(pc.if_else(pa.array(unknown), "RECEIVED", found), "RECEIVED")
    reasons = extract.text("reason_code")
    if kind == "AR":
        # FIX 4.4 without TrdRptStatus(939): ExecType(150) tells only a rejection, and so does a reason.
        by_type = pc.equal(_tag_of(extract, "code"), 150)
        refused = pc.or_(pc.equal(code, "8"), pc.fill_null(pc.not_equal(reasons, "0"), False))
        found = pc.if_else(by_type, pc.if_else(pc.fill_null(refused, False), "REJECTED", "RECEIVED"), found)
    elif kind in ("P", "AT") and extract.has("reason_code"):
        # AllocStatus 2 refuses accounts: those with a code of their own, where any has one.
        own = pc.equal(_tag_of(extract, "reason_code"), 776)
        named = np.isin(extract.message, extract.message[own.to_numpy(zero_copy_only=False)])
        spared = pc.and_(pc.and_(pc.equal(code, "2"), pa.array(named)), pc.invert(own))
        found = pc.if_else(pc.fill_null(spared, False), "ACCEPTED", found)
    return found


def _tag_of(extract: Extract, name: str) -> pa.Array:
    """Which tag the field was read from, -1 where absent."""
    fields = extract.fields(name)
    return pa.array(np.where(fields >= 0, extract.part.index.tag[np.maximum(fields, 0)], -1))


def _accounts(extract: Extract, raw: pa.Array) -> dict[str, pa.Array]:
    """account_id and pb_id by the account map; an answer need not name an account."""
    part = extract.part
    matches = [part.reference.account(part.feed.party, alias, None) if alias else None for alias in raw.to_pylist()]
    held = pa.array([match.pb_id if match else None for match in matches], pa.string())
    if part.feed.role == "PB":
        held = _same(part.feed.party, len(extract))
    return {
        "account_id": pa.array([match.account_id if match else None for match in matches], pa.string()),
        "pb_id": pc.coalesce(extract.text("pb_party"), held),
    }


def _affirmations(answers: pa.Table) -> pa.Table:
    """Rows of `affirmation` from ConfirmationAck (AU): AffirmStatus(940) in words."""
    schema = arrow_schema(TABLES["affirmation"]).append(pa.field(_MESSAGE_ID, pa.string(), nullable=False))
    mine = answers.filter(pc.equal(answers["msg_type"], "AU"))
    status, _ = mapped(mine["status"].combine_chunks(), _AFFIRMED)
    known: dict[str, pa.Array | pa.ChunkedArray] = {
        "confirm_id": mine["trade_uid"],
        "trade_uid": pa.nulls(mine.num_rows, pa.string()),
        "affirm_status": status,
    }
    arrays = [known[field.name] if field.name in known else mine[field.name] for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _positions(part: Part, messages: Ints) -> pa.Table:
    """Rows of `position_snapshot` from PositionReport (AP): one per holding in NoPositions(702)."""
    count_tag = POSITION.count_tag or 0
    segments = group_rows(part.index, part.tags, messages, count_tag)
    for message, declared, found in segments.miscounted:
        detail = f"Group {count_tag} announces {declared} entries but holds {found}."
        part.problems.add(message, GROUP_COUNT, detail)
    extract = Extract(part, POSITION, segments, pa.nulls(len(segments.message), pa.string()))
    times = time_columns(extract)
    extract.require("trade_date", extract.fields("trade_date") < 0)
    as_of = date_columns(extract, times["event_time_utc"])["trade_date"]
    asset = asset_columns(extract)
    terms = asset | contract_columns(extract, asset["asset_class"])
    terms |= {"trade_date": as_of, "sent_time_utc": times["sent_time_utc"]}
    instrument = instrument_columns(extract, terms)["instrument_id"]
    account = account_columns(extract, as_of)
    long_qty, short_qty = (extract.decimal(name, "qty") for name in ("long_qty", "short_qty"))
    types = extract.text("position_type")
    kind = mapped(types, _HOLDING_TYPES)[0]
    final = pc.or_(
        pc.fill_null(pc.equal(extract.text("session"), _END_OF_DAY), False),
        pc.fill_null(pc.equal(extract.text("settle_price_type"), "1"), False),
    )
    kind = pc.if_else(pc.and_(pc.fill_null(pc.equal(kind, "INTRADAY"), False), final), _END_OF_DAY, kind)
    holds = pc.and_(pc.is_valid(kind), pc.or_(pc.is_valid(long_qty), pc.is_valid(short_qty)))
    without = np.setdiff1d(messages, extract.message[holds.to_numpy(zero_copy_only=False)])
    detail = "No LongQty(704) or ShortQty(705) of a holding: NoPositions(702) with PosType(703) SOD, FIN, TOT or TQ."
    part.problems.add_each(without.tolist(), MISSING_FIELD, detail)
    rows = {
        "feed": _same(part.feed.name, len(extract)),
        "source_role": _same(part.feed.role, len(extract)),
        "as_of_date": as_of,
        "snapshot_type": kind,
        "account_id": account["account_id"],
        "instrument_id": instrument,
        "long_qty": long_qty,
        "short_qty": short_qty,
        "price": extract.decimal("price", "price"),
        "price_ccy": extract.text("trade_ccy"),
        "market_value": _market_values(extract),
        "pb_id": account["pb_id"],
        "recv_time_utc": times["recv_time_utc"],
        "line": part.lines.take(pa.array(extract.message)),
        "file": _same(part.file, len(extract)),
        "report": extract.text("trade_uid"),
        "flags": flag_names(part.index.flags[extract.message]),
    }
    told = ("feed", "report", "as_of_date", "snapshot_type", "account_id", "instrument_id", "long_qty", "short_qty")
    return _facts(extract, "position_snapshot", rows, told, keep=holds)


def _market_values(extract: Extract) -> pa.Array:
    """PosAmt(708) of the message: its settlement value, else its mark to market, else the only amount there is."""
    index = extract.part.index
    amounts: dict[int, dict[str, str]] = {}
    wanted = set(extract.message.tolist())
    for field in np.flatnonzero(index.tag == 708).tolist():
        message = int(index.message[field])
        if message in wanted:
            before = int(index.tag[field - 1]) == 707 and index.message[field - 1] == message
            name = as_text(index.value(field - 1)) if before else ""
            amounts.setdefault(message, {}).setdefault(name, as_text(index.value(field)))
    chosen: list[str | None] = []
    for message in extract.message.tolist():
        known = amounts.get(message, {})
        only = next(iter(known.values())) if len(known) == 1 else None
        chosen.append(next((known[name] for name in _VALUES if name in known), only))
    values, refused = decimals(
        pa.array(chosen, pa.string()), arrow_schema(TABLES["position_snapshot"]).field("market_value").type
    )
    extract.part.problems.add_each(
        extract.message[refused].tolist(), MISSING_FIELD, "PosAmt(708) is not an amount the record can hold exactly."
    )
    return values


def _facts(
    extract: Extract, table: str, rows: dict[str, pa.Array], told: tuple[str, ...], keep: pa.Array | None = None
) -> pa.Table:
    """The rows as the table's columns with `message_id`, those of refused messages and not `keep` left out.

    A record's identity is what it tells (`told`), so that a repeated message brings nothing new.
    """
    part, picked = extract.part, pa.array(extract.message)
    content = joined([_same(table, len(extract)), *(rows[name].cast(pa.string()) for name in told)], _UNIT_SEPARATOR)
    rows |= {
        "record_id": sha256_hex(content, 32, part.index.kernels),
        "raw_sha256": part.sha256.take(picked),
        "execution": _same("", len(extract)),
        _MESSAGE_ID: part.message_ids.take(picked),
    }
    schema = arrow_schema(TABLES[table]).append(pa.field(_MESSAGE_ID, pa.string(), nullable=False))
    clean = pa.array(~np.isin(extract.message, list(part.problems.found)))
    loose = pa.schema([field.with_nullable(True) for field in schema])
    arrays = [rows.get(field.name, pa.nulls(len(extract), field.type)) for field in schema]
    whole = pa.Table.from_arrays(
        [array.cast(field.type) for array, field in zip(arrays, loose, strict=True)], schema=loose
    )
    return whole.filter(clean if keep is None else pc.and_(clean, keep)).cast(schema)


def _same(text: str | None, count: int) -> pa.Array:
    return pa.array([text] * count, pa.string())
