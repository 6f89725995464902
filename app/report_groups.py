"""The match groups of a report, rendered column by column: there are as many as trades."""

import json
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.report_lazy import LazyRows
from app.report_rows import GROUPS, SCHEMA_VERSION, text_of
from warehouse.port import Warehouse

Ints = npt.NDArray[np.int64]

# In the order in which every result names the records of a side.
_MEMBERS = """
SELECT m.group_id, m.side, e.file, e.line, e.feed, e.trade_uid, e.version
FROM match_member m JOIN trade_event e ON e.record_id = m.record_id
WHERE e.status IN ('NEW', 'CORRECT', 'CANCEL')
ORDER BY e.feed, e.trade_uid, e.version, e.record_id
"""
_AWKWARD = r'["\\[:cntrl:]]'  # what JSON writes otherwise
# Behind every text, so that lists of texts sort as Python sorts them.
_LEAST = "\x00"


def group_rows(warehouse: Warehouse) -> LazyRows:
    """Every match group by prime broker, level, pass and members; rows as `report_rows.group_row` makes them."""
    groups, members = warehouse.query(GROUPS), warehouse.query(_MEMBERS).combine_chunks()
    if not groups.num_rows:
        return LazyRows(0, lambda first, last: [])
    owner = pc.index_in(members["group_id"], groups["group_id"]).combine_chunks().fill_null(-1).to_numpy()
    left, right = (_Side(members, owner, side, groups.num_rows) for side in ("L", "R"))
    names = ("pb_id", "level", "pass_id")
    keys = pa.table({name: pc.fill_null(groups[name], "") for name in names} | {"l": left.keys(), "r": right.keys()})
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])

    def texts(first: int, last: int) -> list[str]:
        chosen = order.slice(first, last - first)
        places = chosen.to_numpy().astype(np.int64)
        found: list[str] = _lines(groups.take(chosen), left.texts(places), right.texts(places))
        return found

    return LazyRows(groups.num_rows, lambda a, b: [json.loads(text) for text in texts(a, b)], texts)


class _Side:
    """The members of one side, those of a group next to each other."""

    def __init__(self, members: pa.Table, owner: Ints, side: str, count: int) -> None:
        mine = np.flatnonzero(pc.equal(members["side"], side).to_numpy() & (owner >= 0))
        mine = mine[np.argsort(owner[mine], kind="stable")]
        self._members = members.take(pa.array(mine)).combine_chunks()
        self._counts = np.bincount(owner[mine], minlength=count)
        self._first = np.cumsum(self._counts) - self._counts

    def keys(self) -> pa.Array:
        """Per group its members as one text to sort by."""
        version = pc.utf8_lpad(self._members["version"].cast(pa.string()), 9, "0")
        feed, uid = (self._members[name] for name in ("feed", "trade_uid"))
        each = pc.binary_join_element_wise(feed, uid, version, "\x1f")
        return _joined(pc.binary_join_element_wise(each, "", _LEAST), self._counts, "")

    def texts(self, groups: Ints) -> pa.Array:
        """The members of some groups as JSON lists."""
        counts = self._counts[groups]
        steps = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = self._members.take(pa.array(np.repeat(self._first[groups], counts) + steps))
        each = pc.binary_join_element_wise(
            '{"file":', _quoted(chosen["file"]), ',"line":', pc.fill_null(chosen["line"].cast(pa.string()), "null"),
            ',"source":', _quoted(chosen["feed"]), ',"trade_uid":', _quoted(chosen["trade_uid"]),
            ',"version":', chosen["version"].cast(pa.string()), "}", "",
        )  # fmt: skip
        return pc.binary_join_element_wise("[", _joined(each, counts, ","), "]", "")


def _joined(texts: pa.ChunkedArray, counts: Ints, separator: str) -> pa.Array:
    """The texts of each list joined, lists of `counts` texts one after another."""
    offsets = pa.array(np.append(0, np.cumsum(counts)), pa.int32())
    flat = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return pc.binary_join(pa.ListArray.from_arrays(offsets, flat), separator)


def _lines(groups: pa.Table, left: pa.Array, right: pa.Array) -> list[str]:
    def told(name: str, show: Callable[[object], object] = lambda value: value) -> pa.Array:
        return _distinct(groups[name], lambda value: json.dumps(show(value), ensure_ascii=False))

    lines = pc.binary_join_element_wise(
        '{"cardinality":', told("cardinality"), ',"confidence":', told("confidence", text_of),
        ',"group_id":', _quoted(groups["group_id"]), ',"interchangeable":', told("interchangeable", bool),
        ',"left":', left, ',"level":', told("level"), ',"pass_id":', told("pass_id"), ',"pb_id":', told("pb_id"),
        ',"residual":', told("residual", text_of), ',"right":', right,
        ',"rule_set_hash":', told("rule_set_hash"), f',"schema":"tieout.group/{SCHEMA_VERSION}"}}', "",
    )  # fmt: skip
    found: list[str] = lines.to_pylist()
    return found


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as JSON, null as `null`."""
    if pc.any(pc.match_substring_regex(column, _AWKWARD)).as_py():
        return _distinct(column, lambda value: json.dumps(value, ensure_ascii=False))
    return pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null")


def _distinct(column: pa.ChunkedArray, show: Callable[[object], str]) -> pa.Array:
    """Each distinct value, null among them, shown once."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return pa.array([show(value) for value in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)
