"""Custom tags and notes as JSON and flags as text, built for a whole batch."""

import json
from collections import defaultdict
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.fix.flags import shown
from ingest.fix.index import Ints
from ingest.fix.values import objects, texts
from ingest.normalise_part import Part

FIRST_CUSTOM_TAG = 5000
_AWKWARD = r'["\\[:cntrl:]]'  # what JSON writes otherwise


def flag_names(flags: Ints) -> pa.Array:
    """Comma list of flag names per row, null where none is set."""
    codes, inverse = np.unique(flags, return_inverse=True)
    names = []
    for code in codes.tolist():
        names.append(",".join(shown(code)) or None)
    return pa.array(names, pa.string()).take(pa.array(inverse))


def custom_fields(part: Part, messages: Ints) -> pa.Array:
    """Tags from 5000 up of each row's message as a JSON object of tag to value (a list where a tag repeats).

    Before them what was noted while the message was read, under a word or the tag it is about: what a log wrote before
    the message first.
    """
    members = [found for found in (_prefixes(part), _notes(part), _custom(part)) if found is not None]
    if not members:
        return pa.nulls(len(messages), pa.string())
    inner = members[0]
    for more in members[1:]:
        both = pc.binary_join_element_wise(inner, more, ", ")
        inner = pc.coalesce(both, inner, more)
    per_message = pc.binary_join_element_wise("{", inner, "}", "")
    return per_message.take(pa.array(messages))


def _prefixes(part: Part) -> pa.Array | None:
    """The member `"prefix": "..."` of each message, null where nothing stood before it."""
    prefixes = part.prefixes
    if prefixes is None or prefixes.null_count == len(prefixes):
        return None
    if not pc.any(pc.match_substring_regex(prefixes, _AWKWARD)).as_py():
        return pc.binary_join_element_wise('"prefix": "', prefixes, '"', "")
    return pa.array([None if text is None else _member("prefix", text) for text in objects(prefixes)], pa.string())


def _notes(part: Part) -> pa.Array | None:
    """The members noted of each message; few have any."""
    if not part.notes:
        return None
    members: list[str | None] = [None] * part.index.count
    for message, notes in part.notes.items():
        members[message] = ", ".join([_member(name, text) for name, text in notes.items()])
    return pa.array(members, pa.string())


@lru_cache(maxsize=65_536)
def _member(name: str, text: str) -> str:
    return f"{json.dumps(name)}: {json.dumps(text, ensure_ascii=False)}"


def _custom(part: Part) -> pa.Array | None:
    """The members for each message's custom tags, null where it has none."""
    custom = np.flatnonzero(part.index.tag >= FIRST_CUSTOM_TAG)
    if not len(custom):
        return None
    values = texts(part.index, custom)
    owners, tags = part.index.message[custom], part.index.tag[custom]
    repeated = len(np.unique(owners * 10_000_000 + tags)) < len(custom)
    if repeated or pc.any(pc.match_substring_regex(values, _AWKWARD)).as_py():
        return _careful(owners, tags, values, part.index.count)
    names = pa.array(tags).cast(pa.string())
    pairs = pc.binary_join_element_wise('"', names, '": "', pc.fill_null(values, ""), '"', "")
    counts = np.bincount(owners, minlength=part.index.count)
    offsets = pa.array(np.append(0, np.cumsum(counts)), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, pairs), ", ")
    return pc.if_else(pa.array(counts > 0), joined, pa.scalar(None, pa.string()))


def _careful(owners: Ints, tags: Ints, values: pa.Array, count: int) -> pa.Array:
    found: dict[int, dict[str, str | list[str]]] = defaultdict(dict)
    for owner, tag, value in zip(owners.tolist(), tags.tolist(), values.to_pylist(), strict=True):
        fields, name, text = found[owner], str(tag), value or ""
        if name not in fields:
            fields[name] = text
        else:
            earlier = fields[name]
            fields[name] = [*earlier, text] if isinstance(earlier, list) else [earlier, text]
    rows = [json.dumps(found[n], ensure_ascii=False)[1:-1] if n in found else None for n in range(count)]
    return pa.array(rows, pa.string())
