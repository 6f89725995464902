"""Emitters: every message is framed, and each emitter's text reads back as the numbers, ids, dates of the records."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from simulator import ids
from simulator.emit import alpha, bravo, charlie_fix, oms
from simulator.emit.context import Context
from simulator.emit.fix import frame
from simulator.emit.text import SOH, decimal, local, log_time, plain, tags, utc
from simulator.market.universe import make_world
from simulator.market.world import CURRENCIES, World
from simulator.records import (
    MONEY_UNIT,
    PRICE_UNIT,
    SECOND_NS,
    Level,
    Orders,
    Records,
    Source,
    Status,
)
from tests.simulator.emit_sample import DAY, FEEDS, OPEN_NS, check_trades, made_orders, reference, sample


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7)


@pytest.fixture(scope="module")
def orders(world: World) -> Orders:
    return made_orders(world)


def framed(emitter: Any, context: Context, records: Records, rows: Any = None, **marks: Any) -> pa.BinaryArray:
    rows = emitter.heads(records) if rows is None else rows
    types, bodies = emitter.render(context, records, rows)
    sending = utc(records.arrive_ns[rows])
    seq = np.arange(2, len(rows) + 2)
    return frame(emitter.BEGIN, emitter.SENDER, "TIEOUT", seq, sending, types, bodies, **marks)


def read(source: Source, messages: pa.BinaryArray, world: World) -> FileBatch:
    log = b"".join(raw + b"\n" for raw in messages.to_pylist())
    return batch_from_file(log, f"{source.name}.fix", FEEDS[source], CsvMap(), reference(world))


def check_ids(found: dict[str, list[Any]], context: Context, records: Records, source: Source) -> None:
    assert found["trade_uid"] == ids.uids(records, source).to_pylist()
    assert [uid or "" for uid in found["prev_uid"]] == ids.referred(records, source).to_pylist()
    assert found["client_order_id"] == context.client_order_id(records).to_pylist()


def test_numbers_and_times_as_text() -> None:
    values = np.array([0, 1, 10**8, -12_345_678, 12_300_000_000, 99_999_999])
    assert decimal(values, PRICE_UNIT, 2).to_pylist() == ["0.00", "0.00", "1.00", "-0.12", "123.00", "1.00"]
    mixed = decimal(values, PRICE_UNIT, np.array([0, 8, 2, 4, 6, 8], np.int8)).to_pylist()
    assert mixed == ["0", "0.00000001", "1.00", "-0.1235", "123.000000", "0.99999999"]
    assert plain(values, PRICE_UNIT).to_pylist() == ["0", "0.00000001", "1", "-0.12345678", "123", "0.99999999"]
    assert plain(np.array([12_345, 10_000]), MONEY_UNIT, 2).to_pylist() == ["1.2345", "1.00"]
    at = np.array([OPEN_NS + 1_002_003])
    assert utc(at).to_pylist() == ["20261120-14:30:00.001"]
    assert log_time(at).to_pylist() == ["2026-11-20T14:30:00.001002003Z"]
    assert local(at, "America/New_York").to_pylist() == ["20261120-09:30:00"]
    empty = pa.array(["", "x"])
    assert tags([(1, "a"), (2, empty), (3, "")]).to_pylist() == [f"1=a{SOH}", f"1=a{SOH}2=x{SOH}"]


def is_framed(raw: bytes) -> bool:
    head, _, rest = raw.partition(b"\x0135=")
    body = b"35=" + rest[: rest.rindex(b"10=")]
    sums = sum(raw[: raw.rindex(b"10=")]) % 256
    return int(head.rpartition(b"9=")[2]) == len(body) and raw.endswith(b"10=%03d\x01" % sums)


def test_frames_count_bytes_of_any_text_and_say_what_is_off() -> None:
    bodies = pa.array([f"58={name}{SOH}" for name in ("plain", "Crédit Hallaine", "Zürich", "x")])
    off = np.array([False, False, False, True])
    messages = frame(
        "FIX.4.4", "A", "B", np.array([2, 3, 4, 5]), utc(np.full(4, OPEN_NS)), "8", bodies,
        poss_dup=~off, orig_sending=utc(np.full(4, OPEN_NS - SECOND_NS)), poss_resend=off, padded=~off,
        wrong_checksum=off,
    ).to_pylist()  # fmt: skip
    assert [is_framed(raw) for raw in messages] == [True, True, True, False]
    assert "Crédit".encode("latin-1") in messages[1] and "Zürich".encode() in messages[2]
    assert b"\x019=0000" in messages[0] and b"\x0143=Y\x0152=" in messages[0] and b"\x01122=2026" in messages[0]
    assert b"97=Y" in messages[3] and b"43=Y" not in messages[3]


@pytest.mark.parametrize(
    ("emitter", "price_dp"), [(oms, 4), (alpha, 6), (bravo, 4), (charlie_fix, 4)], ids=lambda x: str(x)[-12:]
)
def test_fix_emitters_say_what_the_records_say(world: World, orders: Orders, emitter: Any, price_dp: int) -> None:
    context, source = Context(world, orders), emitter.SOURCE
    records = sample(world, orders, source, price_dp)
    messages = framed(emitter, context, records)
    assert all(is_framed(raw) for raw in messages.to_pylist())
    found = check_trades(read(source, messages, world), world, records, source)
    share = found["account_raw"] if source is Source.CHARLIE else None
    if share is not None:
        found["trade_uid"] = [uid.partition("/")[0] for uid in found["trade_uid"]]
        found["prev_uid"] = [uid and uid.partition("/")[0] for uid in found["prev_uid"]]
    check_ids(found, context, records, source)
    codes = [broker.code for broker in world.brokers]
    assert found["exec_broker_id"] == [codes[b] for b in records.broker]
    if source in (Source.ALPHA, Source.BRAVO):
        assert found["cross_uid"] == ids.quoted(records).to_pylist()


def test_noise_of_alpha_and_bravo_leaves_the_trade_the_same(world: World, orders: Orders) -> None:
    context = Context(world, orders)
    on = sum(1 << bit for bit in (1, 2, 6, 14, 15, 23, 29))
    for emitter, price_dp in ((alpha, 6), (bravo, 4)):
        records = sample(world, orders, emitter.SOURCE, price_dp).with_(noise=on)
        sterling = (records.ccy == CURRENCIES.index("GBP")).astype(np.int64)
        records = records.with_(noise=records.noise | (sterling << 7))
        messages = framed(emitter, context, records)
        assert all(is_framed(raw) for raw in messages.to_pylist())
        found = check_trades(read(emitter.SOURCE, messages, world), world, records, emitter.SOURCE)
        assert "EQUITY" in found["asset_class"] and all(found["ext"])
        assert set(found["event_time_precision"]) == {"s"}
    text = b"".join(messages.to_pylist())
    assert all(field in text for field in (b"\x0115=GBX\x01", b"\x0115=GBp\x01", b"\x0113=1\x01", b"\x0113=3\x01"))


def test_a_code_stands_for_the_settlement_date_and_a_rejected_booking_says_so(world: World, orders: Orders) -> None:
    context = Context(world, orders)
    records = sample(world, orders, Source.ALPHA, 6).take(slice(0, 4)).with_(noise=1 << 26, status=Status.REJECT)
    texts = framed(alpha, context, records).to_pylist()
    assert all(b"\x0163=2\x01" in raw and b"\x0164=" not in raw and b"\x01939=1\x01" in raw for raw in texts)
    records = sample(world, orders, Source.BRAVO).take(slice(0, 4)).with_(status=Status.REJECT)
    assert all(b"\x01150=8\x0139=8\x01" in raw for raw in framed(bravo, context, records).to_pylist())


def shares(world: World, orders: Orders) -> Records:
    """Three blocks of two to four accounts; the second is replaced, a share of the third cancelled on its own."""
    order = np.array([0, 0, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 2])
    n = len(order)
    serial = np.arange(1, n + 1)
    prev = np.array([0] * 9 + [3, 4, 5, 7])
    status = np.array([0] * 9 + [1, 1, 1, 2])
    base = sample(world, orders, Source.OMS).take(np.arange(n)).with_(
        level=Level.ALLOCATION, order=order, instrument=orders.instrument[order], side=orders.side[order], effect=0,
        status=status, serial=serial, root=np.where(prev > 0, prev, serial), prev=prev,
        version=np.where(prev > 0, 2, 1), account=serial % 12, trade_date=DAY, arrive_ns=OPEN_NS + order, price_dp=4,
        ccy=world.instruments.ccy[orders.instrument[order]], multiplier=1, event_ns=OPEN_NS, broker=0, coupon=0,
        settle_ccy=world.instruments.ccy[orders.instrument[order]],
    )  # fmt: skip
    return base.with_(pb=world.accounts.pb[base.account], net=np.where(base.side == 1, -base.gross, base.gross))


def test_the_shares_of_a_block_stand_in_one_message(world: World, orders: Orders) -> None:
    context, records = Context(world, orders), shares(world, orders)
    fills = sample(world, orders, Source.OMS).take(slice(0, 6)).with_(account=-1, pb=-1, serial=np.arange(900, 906))
    together = Records.concat([fills.take(slice(0, 3)), records, fills.take(slice(3, 6))])
    rows = oms.heads(together)
    assert rows.tolist() == [0, 1, 2, 3, 5, 8, 12, 15, 16, 17, 18]
    types, _ = oms.render(context, together, rows)
    assert types.to_pylist() == ["8"] * 3 + ["J"] * 5 + ["8"] * 3
    messages = framed(oms, context, together)
    assert all(is_framed(raw) for raw in messages.to_pylist())
    assert messages[0].as_py().count(b"\x011=MERIDIAN-BLK\x01") == 1
    assert b"\x0178=4\x01" in messages[5].as_py() and b"\x0153=" in messages[5].as_py()
    batch = read(Source.OMS, messages.take(pa.array(range(3, 8))), world)
    found = check_trades(batch, world, records, Source.OMS)
    assert found["trade_uid"] == ids.uids(records, Source.OMS).to_pylist()
    assert found["pb_id"] == [Source(pb).name for pb in records.pb]
    # In chunks the same messages come out.
    parts = [framed(oms, context, together, rows[at : at + 4]) for at in range(0, len(rows), 4)]
    bodies = [raw.partition(b"\x0152=")[2][:-7] for part in parts for raw in part.to_pylist()]
    assert bodies == [raw.partition(b"\x0152=")[2][:-7] for raw in messages.to_pylist()]
