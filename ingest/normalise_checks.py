"""Text a trade cannot do without: template words never filled in, and values that swallowed the next field."""

import numpy as np
import pyarrow as pa

from ingest.fix.index import Bools, Ints
from ingest.fix.tags import tag_name
from ingest.fix.values import objects
from ingest.normalise_part import Extract
from ingest.quarantine import is_placeholder, swallowed_field, value_problem
from ingest.symbology import has_symbol

_NEEDED = ("trade_uid", "account_raw", "symbol", "security_id")
_OPENS_PLACEHOLDER = np.zeros(256, dtype=np.bool_)
_OPENS_PLACEHOLDER[list(b"<{*?#XxNnTt0")] = True


def check_texts(extract: Extract) -> None:
    """Record placeholders and swallowed fields in the identifiers, account and instrument of each row.

    Only values that begin like a placeholder are looked at, and swallowed fields only where the batch holds more `=`
    than fields.
    """
    index = extract.part.index
    equals = int(np.count_nonzero(index.octets == ord("=")))
    swallowed = equals > int(np.count_nonzero(index.tag >= 0))
    for name in _NEEDED:
        fields = extract.fields(name)
        here = np.maximum(fields, 0)
        suspect = (fields >= 0) & (swallowed | _OPENS_PLACEHOLDER[index.octets[index.value_start[here]]])
        rows = np.flatnonzero(suspect)
        for row in rows[_bad(extract.text(name), rows)].tolist():
            field = int(fields[row])
            text = index.value(field).decode("latin-1")
            if name == "symbol" and not has_symbol(text):
                continue
            if is_placeholder(text) or swallowed_field(text):
                tag = int(index.tag[field])
                problem = value_problem(f"{tag_name(tag) or name}({tag})", text)
                extract.part.problems.add(int(extract.message[row]), problem.reason, problem.detail)


def _bad(texts: pa.Array, rows: Ints) -> Bools:
    """Which rows hold a text that looks wrong, each distinct one looked at once."""
    encoded = texts.take(pa.array(rows)).dictionary_encode()
    wrong = [
        text is not None and (is_placeholder(text) or swallowed_field(text)) for text in objects(encoded.dictionary)
    ]
    found: Bools = np.array([*wrong, False], dtype=np.bool_)[encoded.indices.fill_null(len(wrong)).to_numpy()]
    return found
