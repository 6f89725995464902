"""Custom tags and notes as JSON and flags as text, built for a whole batch."""

import json
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.fix.flags import shown
from ingest.fix.index import Ints
from ingest.fix.values import texts
from ingest.normalise_part import Part

FIRST_CUSTOM_TAG = 5000


def flag_names(flags: Ints) -> pa.Array:
    """Comma list of flag names per row, null where none is set."""
    codes, inverse = np.unique(flags, return_inverse=True)
    names = []
    for code in codes.tolist():
        names.append(",".join(shown(code)) or None)
    return pa.array(names, pa.string()).take(pa.array(inverse))


def custom_fields(part: Part, messages: Ints) -> pa.Array:
    """Tags from 5000 up of each row's message as a JSON object of tag to value (a list where a tag repeats).

    Beside them what was noted while the message was read, under a word or the tag it is about.
    """
    custom = np.flatnonzero(part.index.tag >= FIRST_CUSTOM_TAG)
    if not len(custom) and not part.notes:
        return pa.nulls(len(messages), pa.string())
    values = texts(part.index, custom)
    owners, tags = part.index.message[custom], part.index.tag[custom]
    repeated = len(np.unique(owners * 10_000_000 + tags)) < len(custom)
    awkward = pc.any(pc.match_substring_regex(values, r'["\\[:cntrl:]]')).as_py()
    if repeated or awkward:
        return _with_notes(part, _careful(owners, tags, values, part.index.count)).take(pa.array(messages))
    names = pa.array(tags).cast(pa.string())
    pairs = pc.binary_join_element_wise('"', names, '": "', pc.fill_null(values, ""), '"', "")
    counts = np.bincount(owners, minlength=part.index.count)
    offsets = pa.array(np.append(0, np.cumsum(counts)), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, pairs), ", ")
    objects = pc.binary_join_element_wise("{", joined, "}", "")
    per_message = pc.if_else(pa.array(counts > 0), objects, pa.scalar(None, pa.string()))
    return _with_notes(part, per_message).take(pa.array(messages))


def _careful(owners: Ints, tags: Ints, values: pa.Array, count: int) -> pa.Array:
    found: dict[int, dict[str, str | list[str]]] = defaultdict(dict)
    for owner, tag, value in zip(owners.tolist(), tags.tolist(), values.to_pylist(), strict=True):
        fields, name, text = found[owner], str(tag), value or ""
        if name not in fields:
            fields[name] = text
        else:
            earlier = fields[name]
            fields[name] = [*earlier, text] if isinstance(earlier, list) else [earlier, text]
    rows = [json.dumps(found[n], ensure_ascii=False) if n in found else None for n in range(count)]
    return pa.array(rows, pa.string())


def _with_notes(part: Part, per_message: pa.Array) -> pa.Array:
    """The objects with the notes of the few messages that have some before their custom tags."""
    if not part.notes:
        return per_message
    mask = np.zeros(part.index.count, dtype=np.bool_)
    mask[list(part.notes)] = True
    texts_of = []
    for message in sorted(part.notes):
        custom = per_message[message].as_py()
        texts_of.append(
            json.dumps({**part.notes[message], **(json.loads(custom) if custom else {})}, ensure_ascii=False)
        )
    return pc.replace_with_mask(per_message, pa.array(mask), pa.array(texts_of, pa.string()))
