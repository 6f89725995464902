"""Who and what the rows of a file are about: accounts and instruments through the reference data, once per name."""

import pyarrow as pa
import pyarrow.compute as pc

from ingest.feeds import Feed
from ingest.files import codes
from ingest.files.economics import Columns
from ingest.files.sheet import Sheet, is_empty
from ingest.normalise_reference import Reference
from ingest.symbology import Evidence, instrument_id

SOURCES = {"isin": "4", "sedol": "2", "cusip": "1", "figi": "S"}


def accounts_of(sheet: Sheet, feed: Feed, reference: Reference, days: pa.Array) -> pa.Array:
    """Canonical account per row: the map's own aliases, the account map on that day, else as written."""
    cells = sheet.cells("account")
    own = sheet.mapping.accounts
    if not reference.accounts:
        return codes.by_unique(cells, lambda text: own.get(text, text))
    pairs = zip(cells.to_pylist(), days.to_pylist(), strict=True)
    found = {}
    for pair in set(pairs):
        match = reference.account(feed.party, pair[0], pair[1])
        found[pair] = own.get(pair[0]) or (match.account_id if match else pair[0])
    return pa.array([found[pair] for pair in zip(cells.to_pylist(), days.to_pylist(), strict=True)], pa.string())


def instruments_of(found: Columns, reference: Reference, days: pa.Array, contract: pa.Array | None = None) -> pa.Array:
    """Instrument id per row, looked up once per distinct combination of identifiers, contract terms and day."""
    names = (*SOURCES, "symbol")
    count = len(found["symbol"])
    parts = [pc.fill_null(found[name], "") for name in names]
    parts.append(contract if contract is not None else pa.repeat(pa.scalar(""), count))
    parts.append(pc.fill_null(days.cast(pa.string()), "") if reference.instruments else "")
    keys = pc.dictionary_encode(pc.binary_join_element_wise(*parts, "\x1f"))
    answers = []
    for key in keys.dictionary.to_pylist():
        *ids, symbol, terms, day = key.split("\x1f")
        known = tuple((SOURCES[n], value) for n, value in zip(SOURCES, ids, strict=True) if value)
        on = pa.scalar(day).cast(pa.date32()).as_py() if day else None
        answers.append(instrument_id(Evidence(symbol or None, None, known, terms), reference.instruments, on))
    return pa.array(answers, pa.string()).take(keys.indices)


def require_account(sheet: Sheet) -> None:
    """Rows without an account cannot be used."""
    sheet.fail_empty("account", is_empty(sheet.cells("account")))
