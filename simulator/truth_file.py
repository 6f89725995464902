"""truth.jsonl: what a perfect reconciliation would say; rows by the million are written as columns."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.ids import number_text, uids
from simulator.records import I64, SECOND_NS, Bool, Index, Level, Records, Source, Status
from simulator.truth import BreakTruth, Consequence, MatchTruth, Member, NoiseTruth, TruthRow, Twins

_KINDS: Mapping[type, str] = {
    BreakTruth: "break", Consequence: "consequence", MatchTruth: "match", Twins: "twins", NoiseTruth: "noise",
}  # fmt: skip
_NAMES: Mapping[type, tuple[str, ...]] = {kind: tuple(f.name for f in fields(kind)) for kind in _KINDS}
_COMPACT = (",", ":")
_NOISE_CODES = range(1, 30)
_PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class TruthCounts:
    """Rows of each kind, and per source the live bookings and those of them in a match no break touches."""

    rows: Mapping[str, int]
    bookings: Mapping[str, int]
    clean: Mapping[str, int]


def write_truth(
    out: BinaryIO, run: Mapping[str, Any], records: Records, planted: Sequence[TruthRow], repeats: bool = True
) -> TruthCounts:
    """Write the file: `run` with the counts of bookings added, `planted` as given, then matches, twins and noise.

    `repeats` leaves the noise of records out when False. One JSON object a line, `kind` first, decimals as text.
    """
    alive = live(records)
    bookings, clean = _bookings(records, alive, planted)
    parts = {"match": match_lines(records, alive), "twins": twin_lines(records, alive)}
    parts["noise"] = noise_lines(records) if repeats else pa.array([], pa.string())
    head = {"kind": "run", **run, "bookings": bookings, "clean_bookings": sum(clean.values()), "clean": clean}
    out.write((json.dumps(head, separators=_COMPACT, default=str) + "\n").encode())
    out.writelines(truth_line(row) for row in planted)
    counts = {"run": 1}
    for row in planted:
        counts[_KINDS[type(row)]] = counts.get(_KINDS[type(row)], 0) + 1
    for kind, lines in parts.items():
        counts[kind] = counts.get(kind, 0) + len(lines)
        out.write(text_bytes(lines))
    return TruthCounts(counts, bookings, clean)


def truth_line(row: TruthRow) -> bytes:
    """One row as its line of the file."""
    content = {"kind": _KINDS[type(row)], **{name: getattr(row, name) for name in _NAMES[type(row)]}}
    return (json.dumps(content, default=_plain, separators=_COMPACT) + "\n").encode()


def _plain(value: object) -> object:
    return {"source": value.source, "uid": value.uid} if isinstance(value, Member) else str(value)


def text_bytes(lines: pa.Array) -> memoryview:
    """The texts of an array without nulls one after the other, without a copy."""
    if not len(lines):
        return memoryview(b"")
    wide = pa.types.is_large_string(lines.type) or pa.types.is_large_binary(lines.type)
    offsets = np.frombuffer(lines.buffers()[1], np.int64 if wide else np.int32)
    begin, end = int(offsets[lines.offset]), int(offsets[lines.offset + len(lines)])
    return memoryview(lines.buffers()[2])[begin:end]


def live(records: Records) -> Bool:
    """The last version of each record's chain, where it is not a cancel or a reject: what stands at the end."""
    source, root = records.source.astype(np.int64), records.root
    key = ((records.day.astype(np.int64) * 8 + source) << 27 | root) << 8 | records.version
    order = np.argsort(key, kind="stable")
    chain = (key >> 8)[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = chain[1:] != chain[:-1]
    alive = np.zeros(len(order), np.bool_)
    alive[order[last]] = True
    made: Bool = alive & ((records.status == Status.NEW) | (records.status == Status.CORRECT))
    return made


def uid_text(records: Records) -> pa.StringArray:
    """The id of each record as its own source writes it, all sources mixed."""
    return _by_source(records, lambda part, source: uids(part, source))


def _by_source(records: Records, name: Any) -> pa.StringArray:
    rows, texts = [np.zeros(0, np.int64)], []
    for source in Source:
        mine = np.flatnonzero(records.source == source)
        if len(mine):
            rows.append(mine)
            texts.append(name(records.take(mine), source))
    if not texts:
        return pa.array([], pa.string())
    back = np.argsort(np.concatenate(rows), kind="stable")
    return pa.chunked_array(texts).combine_chunks().take(pa.array(back))


def _member_text(records: Records) -> pa.StringArray:
    def named(part: Records, source: Source) -> pa.StringArray:
        return pc.binary_join_element_wise(f'{{"source":"{source.name}","uid":"', uids(part, source), '"}', "")

    return _by_source(records, named)


def match_lines(records: Records, alive: Bool) -> pa.StringArray:
    """One match row per group that has live records on both sides."""
    rows = np.flatnonzero(alive & (records.group > 0))
    outside = records.source[rows] != Source.OMS
    order = np.argsort(records.group[rows] * 2 + outside, kind="stable")
    rows, outside = rows[order], outside[order]
    group = records.group[rows]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if len(rows) else np.zeros(0, np.int64)
    ends = np.r_[starts[1:], len(rows)].astype(np.int64)
    external = np.add.reduceat(outside.astype(np.int64), starts) if len(rows) else np.zeros(0, np.int64)
    both = (external > 0) & (external < ends - starts)
    starts, ends, middle = starts[both], ends[both], (ends - external)[both]
    names = _member_text(records.take(rows))
    pb = pa.array([source.name for source in Source]).take(pa.array(records.source[rows[middle]] if len(rows) else []))
    return pc.binary_join_element_wise(
        '{"kind":"match","group_id":"', number_text(group[starts]), '","pb":"', pb.cast(pa.string()),
        '","internal_ids":[', _joined(names, starts, middle), '],"external_ids":[', _joined(names, middle, ends),
        "]}\n", "",
    )  # fmt: skip


def _joined(texts: pa.StringArray, starts: I64, ends: I64) -> pa.StringArray:
    """The texts of each slice with commas between them; slices may have gaps between them."""
    counts = ends - starts
    offsets = np.r_[0, np.cumsum(counts)].astype(np.int64)
    rows = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), texts.take(pa.array(rows)))
    return pc.binary_join(lists, ",").cast(pa.string())


def twin_lines(records: Records, alive: Bool) -> pa.StringArray:
    """One twins row per set of live records of one source that cannot be told apart but by their ids.

    Same account, instrument, side, quantity, price, dates and second: which of them ties to which counterpart is
    nobody's error.
    """
    rows = np.flatnonzero(alive & (records.qty != 0))
    key = _economics(records, rows)
    order = np.argsort(key, kind="stable")
    rows, key = rows[order], key[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(rows) else np.zeros(0, np.int64)
    ends = np.r_[starts[1:], len(rows)].astype(np.int64)
    several = ends - starts > 1
    starts, ends = starts[several], ends[several]
    if not len(starts):
        return pa.array([], pa.string())
    keep = np.repeat(starts - np.r_[0, np.cumsum(ends - starts)[:-1]], ends - starts) + np.arange((ends - starts).sum())
    mine = records.take(rows[keep])
    ends = np.cumsum(ends - starts)
    starts = np.r_[0, ends[:-1]]
    quoted = pc.binary_join_element_wise('"', uid_text(mine), '"', "")
    source = pa.array([source.name for source in Source]).take(pa.array(mine.source[starts]))
    return pc.binary_join_element_wise(
        '{"kind":"twins","source":"', source, '","uids":[', _joined(quoted, starts, ends), "]}\n", ""
    )


def _economics(records: Records, rows: Index) -> npt.NDArray[np.uint64]:
    """A 64-bit mix of what makes records interchangeable: equal columns give equal keys, others all but never."""
    key = np.zeros(len(rows), np.uint64)
    columns = (
        records.source, records.level, records.account, records.pb, records.instrument, records.side, records.qty,
        records.price, records.ccy, records.trade_date, records.settle_date, records.broker,
        records.event_ns // SECOND_NS,
    )  # fmt: skip
    # Blocks have no account yet: there the order tells fills apart.
    order = np.where((records.account < 0) & (records.level == Level.FILL), records.order + 1, 0)
    for column in (*columns, order):
        key ^= column[rows].astype(np.int64).view(np.uint64)
        key *= _PRIME
        key ^= key >> np.uint64(29)
    return key


def noise_lines(records: Records) -> pa.StringArray:
    """One noise row per record with any benign variation on."""
    rows = np.flatnonzero(records.noise != 0)
    masks, which = np.unique(records.noise[rows], return_inverse=True)
    codes = [",".join(f'"N{n:02d}"' for n in _NOISE_CODES if mask >> n & 1) for mask in masks.tolist()]
    mine = records.take(rows)
    source = pa.array([source.name for source in Source]).take(pa.array(mine.source))
    return pc.binary_join_element_wise(
        '{"kind":"noise","source":"', source, '","uid":"', uid_text(mine), '","codes":[',
        pa.array(codes, pa.string()).take(pa.array(which)), "]}\n", "",
    )  # fmt: skip


def _bookings(records: Records, alive: Bool, planted: Iterable[TruthRow]) -> tuple[dict[str, int], dict[str, int]]:
    """Per broker: live bookings, and those in a group of both sides that no planted break names."""
    touched = {
        (member.source, member.uid)
        for row in planted
        if isinstance(row, BreakTruth)
        for member in (*row.internal_ids, *row.external_ids)
    }
    ours = np.unique(records.group[alive & (records.source == Source.OMS)])
    bookings, clean = {}, {}
    for source in Source:
        rows = np.flatnonzero(alive & (records.source == source))
        if source is Source.OMS or not len(rows):
            continue
        bookings[source.name] = len(rows)
        mine = records.take(rows)
        tied = np.isin(mine.group, ours) & (mine.group > 0)
        named = pa.array([uid for name, uid in touched if name == source.name], pa.string())
        spoiled = pc.is_in(uids(mine, source), value_set=named).to_numpy(zero_copy_only=False)
        clean[source.name] = int((tied & ~spoiled).sum())
    return bookings, clean


def parse_truth(lines: Iterable[str | bytes]) -> list[TruthRow]:
    """The rows of a truth file as objects, the `run` row left out."""
    made: list[TruthRow] = []
    for line in lines:
        row = json.loads(line)
        kind = row.pop("kind")
        if kind != "run":
            made.append(_PARSERS[kind](row))
    return made


def _members(rows: Iterable[Mapping[str, str]]) -> tuple[Member, ...]:
    return tuple(Member(row["source"], row["uid"]) for row in rows)


def _sides(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "internal_ids": _members(row["internal_ids"]), "external_ids": _members(row["external_ids"])}


def _break(row: dict[str, Any]) -> BreakTruth:
    amounts = {name: Decimal(row[name]) for name in ("materiality", "materiality_usd")}
    return BreakTruth(**{**_sides(row), **amounts})


_PARSERS: Mapping[str, Any] = {
    "break": _break,
    "consequence": lambda row: Consequence(**{**_sides(row), "explained_by": tuple(row["explained_by"])}),
    "match": lambda row: MatchTruth(**_sides(row)),
    "twins": lambda row: Twins(row["source"], tuple(row["uids"])),
    "noise": lambda row: NoiseTruth(row["source"], row["uid"], tuple(row["codes"])),
}
