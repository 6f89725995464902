"""The text of ids: every source names its records its own way, from the same serials the ledger counts by."""

from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.records import I16, I32, I64, Level, Orders, Records, Source

_EPOCH = date(1970, 1, 1)
# Serials are padded to this width: ids of a day sort in the order they were made.
SERIAL_DIGITS = 8
_PREFIX = MappingProxyType(
    {Source.OMS: "ME", Source.ALPHA: "ALT-", Source.BRAVO: "B7", Source.CHARLIE: "CHA", Source.DELTA: "DT",
     Source.ECHO: "9"}
)  # fmt: skip
# DELTA and ECHO keep one id over all versions of a trade; the version stands beside it.
BY_ROOT = frozenset({Source.DELTA, Source.ECHO})


def day_text(days: I32, form: str = "%y%m%d") -> pa.StringArray:
    """Days since 1970 in a strftime form, one text per row."""
    unique, inverse = np.unique(days, return_inverse=True)
    texts = pa.array([f"{_EPOCH + timedelta(days=int(day)):{form}}" for day in unique], pa.string())
    return texts.take(pa.array(inverse))


def number_text(values: I64, width: int = 0) -> pa.StringArray:
    """Whole numbers as text, padded with zeros to `width`."""
    text = pa.array(values).cast(pa.string())
    return pc.utf8_lpad(text, width, "0") if width else text


def _named(prefix: str, day: I32, serial: I64) -> pa.StringArray:
    return pc.binary_join_element_wise(prefix, day_text(day), number_text(serial, SERIAL_DIGITS), "")


def uids(records: Records, source: Source) -> pa.StringArray:
    """What `source` calls each of its records; all rows must be its own. OMS allocations are `block/share`."""
    serial = records.root if source in BY_ROOT else records.serial
    fills = _named(_PREFIX[source], records.day, serial)
    shares = records.level == Level.ALLOCATION
    if source is not Source.OMS or not shares.any():
        return fills
    return pc.if_else(pa.array(shares), _share_uids(records), fills)


def referred(records: Records, source: Source) -> pa.StringArray:
    """The id of the version each record refers to; empty where it refers to none."""
    earlier = records.with_(serial=records.prev, version=earlier_version(records))
    return pc.if_else(pa.array(records.prev != 0), uids(earlier, source), "")


def earlier_version(records: Records) -> I16:
    """The version each record refers to: the one before, or the first where it refers to the original."""
    made: I16 = np.where(records.prev == records.root, 1, np.maximum(records.version - 1, 1)).astype(np.int16)
    return made


def quoted(records: Records) -> pa.StringArray:
    """The fund's id a broker's record quotes: an ExecID or, for an allocation, the IndividualAllocID(467).

    Of an allocation `cross` is the serial of the share's first version, whose id all versions keep.
    """
    shares = _named("MA", records.day, records.cross)
    fills = _named("ME", records.day, records.cross)
    text = pc.if_else(pa.array(records.level == Level.ALLOCATION), shares, fills)
    return pc.if_else(pa.array(records.cross != 0), text, "")


def share_ids(records: Records) -> pa.StringArray:
    """IndividualAllocID(467) of the fund's allocations: a replaced block keeps the names of its shares."""
    return _named("MA", records.day, records.root)


def _share_uids(records: Records) -> pa.StringArray:
    return pc.binary_join_element_wise(block_ids(records), share_ids(records), "/")


def block_ids(records: Records) -> pa.StringArray:
    """AllocID(70) of the fund's block: one per order and version of the allocation instruction."""
    number = np.maximum(records.order, 0).astype(np.int64) + 1
    name = _named("MB", records.day, number)
    again = pc.if_else(pa.array(records.version > 1), pc.binary_join_element_wise("R", number_text(
        records.version.astype(np.int64)), ""), "")  # fmt: skip
    return pc.binary_join_element_wise(name, again, "")


def order_ids(orders: Orders, rows: I32, prefix: str = "MO") -> pa.StringArray:
    """OrderID(37) of the order each row points at; trades of no order of ours (-1) get an id we never used."""
    return _of_orders(orders, rows, prefix, "XO")


def client_order_ids(orders: Orders, rows: I32) -> pa.StringArray:
    """ClOrdID(11) of the order each row points at."""
    return _of_orders(orders, rows, "MC", "AW")


def _of_orders(orders: Orders, rows: I32, prefix: str, away: str) -> pa.StringArray:
    at = np.maximum(rows, 0)
    ours = _named(prefix, orders.day[at], orders.number[at])
    strays = _named(away, orders.day[at], np.arange(1, len(rows) + 1, dtype=np.int64))
    return pc.if_else(pa.array(rows >= 0), ours, strays)
