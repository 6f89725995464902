"""Rows of one message family as canonical trade records, with their fees and identifiers."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.ids import digest128
from domain.schema import TABLES, TYPES, arrow_schema
from ingest.dialects.dialect import FIX_LEVELS
from ingest.fix.decode import group_rows, whole_messages
from ingest.fix.flags import Flag
from ingest.fix.index import Ints
from ingest.fix.plans import Family
from ingest.fix.values import decimals, joined, objects, texts
from ingest.normalise_checks import check_texts
from ingest.normalise_ext import custom_fields, flag_names
from ingest.normalise_hash import sha256_hex
from ingest.normalise_identity import (
    account_columns,
    asset_columns,
    capacity_column,
    contract_columns,
    side_columns,
)
from ingest.normalise_instrument import asset_of_master, instrument_columns, master_terms
from ingest.normalise_money import money_columns
from ingest.normalise_pairs import read_pairs, turn_pairs
from ingest.normalise_part import Extract, Part, nulls_of
from ingest.normalise_quirks import mark_group_tails
from ingest.normalise_times import date_columns, mark_late, settle_dates, time_columns
from ingest.normalise_units import order_ids
from ingest.quarantine import GROUP_COUNT, value_problem

TRADE_SCHEMA = arrow_schema(TABLES["trade_event"])
FEE_SCHEMA = arrow_schema(TABLES["trade_fee"])
IDENTIFIER_SCHEMA = arrow_schema(TABLES["trade_identifier"])
_UNIT_SEPARATOR = "\x1f"  # as domain.ids joins
EVENT_KEY_FIELDS = (
    "feed", "level", "trade_uid", "prev_uid", "status", "trade_date", "account_id", "side", "qty", "price",
    "settle_date", "commission", "net_money", "instrument_id",
)  # fmt: skip


def family_trades(part: Part, family: Family, messages: Ints, status: pa.Array) -> tuple[Extract, dict[str, pa.Array]]:
    """Every column of the trade record for the family's messages, in row order; problems are recorded on the part."""
    if family.count_tag is None:
        segments = whole_messages(part.index, messages)
    else:
        segments = group_rows(part.index, part.tags, messages, family.count_tag)
        for message, declared, found in segments.miscounted:
            detail = f"Group {family.count_tag} announces {declared} entries but holds {found}."
            part.problems.add(message, GROUP_COUNT, detail)
    mark_group_tails(part, segments.message, segments.first, segments.last)
    extract = Extract(part, family, segments, status.take(pa.array(segments.message)))
    columns = time_columns(extract)
    columns |= date_columns(extract, columns["event_time_utc"])
    columns |= asset_columns(extract)
    columns |= contract_columns(extract, columns["asset_class"])
    pairs = read_pairs(extract, columns["asset_class"])
    columns |= instrument_columns(extract, columns)
    terms = master_terms(extract, columns["instrument_id"], columns["trade_date"])
    columns["asset_class"] = asset_of_master(columns, terms)
    columns |= side_columns(extract, columns["asset_class"])
    columns |= money_columns(extract, columns, terms)
    columns |= turn_pairs(extract, columns, pairs)
    mark_late(extract, columns)
    columns["settle_date"] = settle_dates(extract, columns)
    columns |= account_columns(extract, columns["trade_date"])
    columns |= _id_columns(extract, columns)
    for name in ("order_id", "client_order_id", "cross_uid", "uti", "settle_type", "strategy", "exec_broker_id"):
        columns[name] = extract.text(name)
    columns["venue_mic"], columns["capacity"] = extract.text("venue_mic"), capacity_column(extract)
    check_texts(extract)
    columns |= _provenance_columns(extract)
    keyed = columns
    if part.dialect.fill_mode != "incremental" and family.name == "EXECUTION":
        # After a bust an order may come to the same total once more: another report, another event.
        keyed = {**columns, "trade_uid": joined([columns["trade_uid"], extract.text("trade_uid")], _UNIT_SEPARATOR)}
    columns["event_key"] = _event_keys(part, keyed)
    return extract, columns


def _id_columns(extract: Extract, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Identities and chain; an allocation is named by block and IndividualAllocID(467), else by block and account."""
    account = columns["account_raw"]
    uid, previous, alloc = extract.text("trade_uid"), extract.text("prev_uid"), extract.text("alloc_id")
    extract.require("trade_uid", nulls_of(uid))
    types = extract.part.message_type.take(pa.array(extract.message))
    level = _levels(extract, types)
    block = extract.text("block_id")
    if extract.family.count_tag == 78:
        share = pc.coalesce(alloc, account)
        share = _numbered(extract.message, share)
        uid, previous = (pc.binary_join_element_wise(c, share, "/", null_handling="emit_null") for c in (uid, previous))
    version = pc.if_else(pc.equal(extract.status, "NEW"), 1, 2).cast(pa.int64())
    status = extract.status
    if extract.part.dialect.exec_id_version_suffix is not None:
        version, status, previous = _suffix_versions(extract, uid, previous, version)
    if extract.part.dialect.id_scope == "account":
        uid, previous = (
            pc.binary_join_element_wise(account, one, "/", null_handling="emit_null") for one in (uid, previous)
        )
    totals = order_ids(extract, uid, columns["qty"])
    if totals is not None:
        uid, version = totals
    return {
        "trade_uid": uid, "prev_uid": previous, "alloc_id": alloc, "block_id": block, "level": level,
        "version": version, "status": status,
    }  # fmt: skip


def _numbered(messages: Ints, share: pa.Array) -> pa.Array:
    """The allocation's name, with `#2`, `#3`... where one message names it again: two shares, not a repeated one."""
    codes = share.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = messages * (len(share) + 1) + codes
    if len(np.unique(pairs)) == len(pairs):
        return share
    seen: dict[int, int] = {}
    names = []
    for pair, name in zip(pairs.tolist(), objects(share), strict=True):
        seen[pair] = seen.get(pair, 0) + 1
        names.append(name if name is None or seen[pair] == 1 else f"{name}#{seen[pair]}")
    return pa.array(names, pa.string())


def _levels(extract: Extract, types: pa.Array) -> pa.Array:
    encoded = types.dictionary_encode()
    levels = extract.part.dialect.levels
    names = [levels[code] for code in encoded.dictionary.to_pylist()]
    found = pa.array(names, pa.string()).take(encoded.indices)
    index = extract.part.index
    for key, level in extract.part.dialect.level.items():
        kind, plus, tag = key.partition("+")
        carries = np.zeros(index.count, dtype=np.bool_)
        if plus:
            carries[index.message[extract.part.tags == int(tag)]] = True
        here = pc.fill_null(pc.equal(types, kind), False)
        if plus:
            here = pc.and_(here, pa.array(carries[extract.message]))
        found = pc.if_else(here, level, found)
    usual = [FIX_LEVELS[code] for code in encoded.dictionary.to_pylist()]
    other = pc.not_equal(found, pa.array(usual, pa.string()).take(encoded.indices))
    extract.part.mark(extract.message[other.to_numpy(zero_copy_only=False)], Flag.LEVEL)
    return found


def _suffix_versions(
    extract: Extract, uid: pa.Array, previous: pa.Array, version: pa.Array
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """ExecIDs that end in a version: a higher one corrects the one before it (Interactive Brokers' `.01`, `.02`)."""
    pattern = re.compile(extract.part.dialect.exec_id_version_suffix or "")
    versions, statuses, chain = version.to_pylist(), extract.status.to_pylist(), previous.to_pylist()
    for row, text in enumerate(uid.to_pylist()):
        match = pattern.search(text) if text else None
        if match is None or not match[1].isdigit() or statuses[row] == "CANCEL":
            continue
        versions[row] = int(match[1])
        if versions[row] > 1 and chain[row] is None:
            digits = str(versions[row] - 1).zfill(len(match[1]))
            chain[row] = text[: match.start(1)] + digits + text[match.end(1) :]
            statuses[row] = "CORRECT"
            extract.part.mark(extract.message[row : row + 1], Flag.ID_VERSION)
    return pa.array(versions, pa.int64()), pa.array(statuses, pa.string()), pa.array(chain, pa.string())


def _provenance_columns(extract: Extract) -> dict[str, pa.Array]:
    part, rows = extract.part, extract.rows.segments
    picked = pa.array(extract.message)
    sha = part.sha256.take(picked)
    n = len(extract)
    start = part.index.start[rows.first] - part.index.message_start[extract.message]
    end = part.index.value_end[rows.last - 1] + 1 - part.index.message_start[extract.message]
    reframed = part.reframed[extract.message]
    return {
        "record_id": _record_ids(part, sha, rows.ordinal),
        "message_id": part.message_ids.take(picked),
        "execution": pa.array([""] * n, pa.string()),
        "feed": pa.array([part.feed.name] * n, pa.string()),
        "source_id": part.sessions.take(picked),
        "source_role": pa.array([part.feed.role] * n, pa.string()),
        "raw_sha256": sha,
        "raw_start": pa.array(start, pa.int64(), mask=reframed),
        "raw_end": pa.array(end, pa.int64(), mask=reframed),
        "file": pa.array([part.file] * n, pa.string()),
        "line": part.lines.take(picked),
        "flags": flag_names(part.index.flags[extract.message]),
        "ext": custom_fields(part, extract.message),
    }


def _record_ids(part: Part, sha: pa.Array, ordinal: Ints) -> pa.Array:
    """As domain.ids.record_id, for all rows at once."""
    count = len(sha)
    source, kind = (pa.array([text] * count, pa.string()) for text in (part.feed.name, "trade_event"))
    texts_to_hash = joined([source, sha, pa.array(ordinal, pa.int64()).cast(pa.string()), kind], _UNIT_SEPARATOR)
    return sha256_hex(texts_to_hash, 32, part.index.kernels)


def _event_keys(part: Part, columns: dict[str, pa.Array]) -> pa.Array:
    """digest128 over the content fields: what makes a repeated report the same event."""
    parts = [columns[name].cast(pa.string()) for name in EVENT_KEY_FIELDS]
    return sha256_hex(joined(parts, _UNIT_SEPARATOR), 32, part.index.kernels)


def event_key(values: Sequence[str]) -> str:
    """The event key of one record from its EVENT_KEY_FIELDS as text, empty for null."""
    return digest128(*values)


def fee_rows(extract: Extract, record_ids: pa.Array) -> pa.Table:
    """MiscFees(136) entries and the dialect's fee tags: one row per amount, in wire order."""
    part, index = extract.part, extract.part.index
    custom = {tag: t.removeprefix("fee.") for tag, t in part.dialect.custom.items() if t.startswith("fee.")}
    owner = extract.rows.row_of_field
    amounts = np.flatnonzero(np.isin(part.tags, np.array([137, *custom], dtype=np.int64)) & (owner >= 0))
    if not len(amounts):
        return FEE_SCHEMA.empty_table()
    text = texts(index, amounts)
    amount, refused = decimals(text, TYPES["money"].arrow)
    for at in np.flatnonzero(refused).tolist():
        problem = value_problem(f"MiscFeeAmt({int(index.tag[amounts[at]])})", text[at].as_py())
        part.problems.add(int(index.message[amounts[at]]), problem.reason, problem.detail)
    rows = owner[amounts]
    opened = np.append(True, rows[1:] != rows[:-1])
    place = np.arange(len(rows))
    ordinal = place - np.maximum.accumulate(np.where(opened, place, 0))

    def beside(tag: int) -> pa.Array:
        """The entry's other value: the one between this amount and the next."""
        found = np.full(len(amounts), -1, dtype=np.int64)
        positions = np.flatnonzero(part.tags == tag)
        entry = np.searchsorted(amounts, positions) - 1
        ok = (entry >= 0) & (owner[positions] == rows[np.maximum(entry, 0)])
        found[entry[ok][::-1]] = positions[ok][::-1]
        return texts(index, found)

    kinds = pa.nulls(len(amounts), pa.string())
    if custom:
        kinds = pa.array([custom.get(tag) for tag in index.tag[amounts].tolist()], pa.string())
    keep = pa.array(~refused)
    table = pa.Table.from_arrays(
        [record_ids.take(pa.array(rows)), pa.array(ordinal, pa.int64()), pc.coalesce(kinds, beside(139)),
         beside(138), amount, beside(891)],
        schema=pa.schema([f.with_nullable(True) for f in FEE_SCHEMA]),
    )  # fmt: skip
    return table.filter(keep).cast(FEE_SCHEMA)


def identifier_rows(extract: Extract, record_ids: pa.Array) -> pa.Table:
    """SecurityID(48) with its source(22), and every SecurityAltID(455) of the row."""
    part = extract.part
    source, value = extract.text("security_id_source"), extract.text("security_id")
    tables = [_identifiers(record_ids, source, value)]
    owner = extract.rows.row_of_field
    positions = np.flatnonzero((part.index.tag == 455) & (owner >= 0))
    if len(positions):
        virtual = part.tags[positions] - 102_000
        ok = virtual >= 0
        sources = pa.array([chr(code) for code in virtual[ok].tolist()], pa.string())
        rows = record_ids.take(pa.array(owner[positions[ok]]))
        tables.append(_identifiers(rows, sources, texts(part.index, positions[ok])))
    return pa.concat_tables(tables)


def _identifiers(record_ids: pa.Array, source: pa.Array, value: pa.Array) -> pa.Table:
    known = pc.and_(pc.is_valid(source), pc.is_valid(value))
    columns = [column.filter(known) for column in (record_ids, source, value)]
    return pa.Table.from_arrays(columns, schema=IDENTIFIER_SCHEMA)
