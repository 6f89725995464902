"""Rows of reference data: the columns files may have of them, what tells one from another, and which are new."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.fields import Kind, Table
from domain.schema import TABLES
from warehouse.port import Warehouse

_SEPARATOR = "\x1f"
IDENTIFIERS = ("isin", "cusip", "sedol", "figi", "symbol")
# Tables that files may bring, and the columns that may stand for the instrument or the account.
FED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "instrument": IDENTIFIERS,
        "identifier_history": (),
        "account_map": (),
        "corporate_action": (*IDENTIFIERS, "identifier", "identifier_type"),
        "close_price": (*IDENTIFIERS, "identifier", "identifier_type"),
        "fx_rate": (),
        "ssi": ("account",),
        "expected_cash": ("account", *IDENTIFIERS, "identifier", "identifier_type"),
    }
)


# When a row was learnt: not what it says, so no file has it and no row differs by it.
KNOWN_AT = "known_at"


def is_reference(table: str) -> bool:
    """Whether a table holds effective-dated reference data."""
    return table in TABLES and TABLES[table].kind is Kind.REFERENCE


def file_columns(table: str) -> tuple[str, ...]:
    """Columns that a file of this table may have; those with `!` must be there."""
    others = FED[table]
    spare = {"valid_from"}
    spare |= {"instrument_id"} if "identifier" in others else set()
    spare |= {"account_id"} if "account" in others else set()
    stated = [field for field in TABLES[table].fields if field.name != KNOWN_AT]
    own = [f"{f.name}!" if f.required and f.name not in spare else f.name for f in stated]
    return (*own, *others)


def key_columns(table: Table) -> list[str]:
    """Columns that tell a row from another: its identity, and since when it holds."""
    keys = [field.name for field in table.fields if "identity" in field.role]
    return keys + [name for name in ("valid_from", "day") if name in table.columns and name not in keys][:1]


def row_keys(table: Table, rows: pa.Table) -> pa.Array:
    """One text per row that is equal where the rows are versions of the same thing from the same day."""
    columns = [
        pc.fill_null(rows[name].combine_chunks().cast(pa.string()), "")
        if name in rows.column_names
        else pa.repeat(pa.scalar(""), rows.num_rows)
        for name in key_columns(table)
    ]
    return pc.binary_join_element_wise(*columns, _SEPARATOR)


def learnt(rows: pa.Table, at_ns: int | None) -> pa.Table:
    """The rows, learnt at `at_ns` (UTC ns); None where they were known all along."""
    times = pa.repeat(pa.scalar(at_ns, pa.int64()), rows.num_rows).cast(pa.timestamp("ns"))
    place = rows.schema.get_field_index(KNOWN_AT)
    return rows.append_column(KNOWN_AT, times) if place < 0 else rows.set_column(place, KNOWN_AT, times)


def fresh_rows(warehouse: Warehouse, table: Table, rows: pa.Table) -> pa.Table:
    """The rows whose key is neither stored nor earlier among them; a stored row is never changed."""
    if not rows.num_rows:
        return rows
    keys = row_keys(table, rows)
    first = np.zeros(len(keys), dtype=np.bool_)
    first[np.unique(keys.dictionary_encode().indices.to_numpy(), return_index=True)[1]] = True
    known = warehouse.query(f"SELECT {', '.join(key_columns(table))} FROM {table.name}")
    if known.num_rows:
        first &= pc.invert(pc.is_in(keys, row_keys(table, known))).to_numpy(zero_copy_only=False)
    return rows.filter(pa.array(first))
