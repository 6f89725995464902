"""What is done for whole columns, in threads or by proof gives what one at a time gives, bit for bit."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.schema import TYPES
from ingest import normalise as normaliser
from ingest import normalise_money as money
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.files import numbers as cells
from ingest.fix import sniff
from ingest.fix.index import Ints
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference
from simulator.profiles import PROFILES
from simulator.simulate import in_memory

_PIECES = (  # messages that prove their end, and pieces that break the proof
    b"8=FIX.4.4\x019=5\x0135=0\x0110=161\x01", b"8=FIX.4.4\x019=7\x0135=0\x0110=161\x01", b"8=FIX", b"18=FIX.4.2",
    b"\n",
    b"\r\n", b"2026-11-20T14:30:01Z ", b"8=FIXT.1.1\x019=5\x0135=A\x0110=999\x01", b"text", b"10=000\x01",
    b"9=00000005\x01",
    b"8=FIX.4.2|9=5|35=0|10=161|", b"\x01",
)  # fmt: skip


def _nothing_proven(octets: object, starts: Ints, most: int) -> Ints:
    return np.full(len(starts), -1, dtype=np.int64)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=24))
def test_a_log_is_cut_where_each_message_alone_would_be_cut(pieces: Sequence[bytes]) -> None:
    data = b"".join(pieces)
    found = list(sniff.find_messages(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sniff, "proven_ends", _nothing_proven)
        assert list(sniff.find_messages(data)) == found


def _tables(found: Normalised) -> dict[str, pa.Table]:
    tables = {field.name: getattr(found, field.name) for field in fields(found)}
    facts: dict[str, pa.Table] = tables.pop("facts")
    return {**tables, **facts}


def test_threads_and_sizes_of_parts_do_not_change_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    day = in_memory(replace(PROFILES["smoke"], fills=300), 7, date(2026, 11, 20))
    messages = [raw for stream in day.streams.values() for _, raw in stream]
    count, feed = len(messages), Feed(name="F", role="INTERNAL", party="US", dialect="generic", grace_seconds=60)
    batch = RawBatch(
        messages, [f"m:{n}" for n in range(count)], list(range(count)), "lane", ["s"] * count,
        np.zeros(count, dtype=np.int64), [feed] * count, live=False,
    )  # fmt: skip
    found = []
    for threads, part in ((1, 64), (4, 64)):
        monkeypatch.setattr(normaliser, "_THREADS", threads)
        monkeypatch.setattr(normaliser, "PART_MESSAGES", part)
        found.append(_tables(normalise(batch, Reference(load_dialects()))))
    assert all(found[0][name].equals(table) for name, table in found[1].items())
    assert found[0]["trades"].num_rows > 300 and found[0].keys() == found[1].keys()


_AMOUNTS = st.decimals("-99999999", "99999999", places=4)


@given(st.lists(st.tuples(_AMOUNTS, _AMOUNTS, st.sampled_from(["1", "100", "0.25"]), st.booleans()), max_size=8))
def test_products_by_column_are_products_one_by_one(rows: list[tuple[Decimal, Decimal, str, bool]]) -> None:
    qty = pa.array([row[0] for row in rows], TYPES["qty"].arrow)
    price = pa.array([row[1] for row in rows], TYPES["price"].arrow)
    size = pa.array([Decimal(row[2]) for row in rows], TYPES["qty"].arrow)
    percent = pa.array([row[3] for row in rows], pa.bool_())
    assert money.gross_money(qty, price, size, percent) == money._one_by_one(qty, price, size, percent)


def test_numbers_of_distinct_cells_are_the_numbers_of_cells() -> None:
    column = pa.array(["1,234.50", "-", "(5)", "7-", "x", "1,234.50", "0.100", "x", "1e2", ""])
    by_cell, by_column = (f(column, pa.decimal128(28, 10), ".") for f in (cells._numbers, cells.numbers))
    assert by_column.values == by_cell.values
    assert by_column.bad.tolist() == by_cell.bad.tolist() and by_column.scale.tolist() == by_cell.scale.tolist()
