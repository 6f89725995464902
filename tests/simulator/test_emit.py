"""Emitters: every message is framed, and each emitter's text reads back as the numbers, ids, dates of the records."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.normalise_reference import Reference, build_reference
from simulator import ids
from simulator.emit import alpha, bravo, charlie_fix, oms
from simulator.emit.context import Context
from simulator.emit.fix import frame
from simulator.emit.text import SOH, decimal, local, log_time, plain, tags, utc
from simulator.market.universe import make_world
from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import (
    MONEY_UNIT,
    PRICE_UNIT,
    SECOND_NS,
    Level,
    Orders,
    Records,
    Side,
    Source,
    Status,
)

EPOCH = date(1970, 1, 1)
DAY = (date(2026, 11, 20) - EPOCH).days
OPEN_NS = DAY * 86_400 * SECOND_NS + 14 * 3600 * SECOND_NS + 30 * 60 * SECOND_NS
ROWS = 240
SIDES = {Side.BUY: "BUY", Side.SELL: "SELL", Side.SELL_SHORT: "SELL_SHORT", Side.SELL_SHORT_EXEMPT: "SELL_SHORT_EXEMPT"}


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7)


@pytest.fixture(scope="module")
def orders(world: World) -> Orders:
    """One order per row of the sample, every asset class in turn."""
    made = np.random.default_rng(3)
    asset = world.instruments.asset
    kinds = np.arange(ROWS) % len(Asset)
    lines = np.array([made.choice(np.flatnonzero(asset == kind)) for kind in kinds], np.int32)
    return Orders(
        number=np.arange(1, ROWS + 1), day=np.full(ROWS, DAY, np.int32), instrument=lines,
        side=made.choice(np.array([1, 2, 5], np.int8), ROWS), effect=np.zeros(ROWS, np.int8),
        qty=made.integers(1, 900, ROWS) * 50_000, account=np.zeros(ROWS, np.int16), broker=np.zeros(ROWS, np.int8),
        rule=np.zeros(ROWS, np.int8), settle_date=np.full(ROWS, DAY + 4, np.int32), start_ns=np.full(ROWS, OPEN_NS),
    )  # fmt: skip


def sample(world: World, orders: Orders, source: Source, price_dp: int = 4) -> Records:
    """A record per order with sides and effects of every kind; the last twenty correct or cancel the first."""
    made = np.random.default_rng(int(source) + 11)
    n, lines = ROWS, world.instruments
    step = 10 ** (8 - price_dp)
    accounts = np.flatnonzero(world.accounts.pb == source) if source is not Source.OMS else np.arange(12)
    account = made.choice(accounts, n).astype(np.int16)
    serial = np.arange(1, n + 1)
    prev = np.where(serial > n - 20, serial - n + 20, 0)
    status = np.where(prev > 0, np.where(serial % 2, Status.CORRECT, Status.CANCEL), Status.NEW)
    order = np.where(prev > 0, prev - 1, serial - 1).astype(np.int32)
    asset = lines.asset[orders.instrument[order]]
    side = orders.side[order]
    gross = made.integers(10_000, 10**12, n) // 100 * 100
    commission = made.integers(0, 10**6, n) // 100 * 100
    blank = Records.blank(n)
    return blank.with_(
        source=source, status=status, serial=serial, root=np.where(prev > 0, prev, serial), prev=prev,
        version=np.where(prev > 0, 2, 1), day=DAY, order=order, group=serial, account=account,
        cross=serial if source in (Source.ALPHA, Source.BRAVO) else 0, pb=world.accounts.pb[account],
        instrument=orders.instrument[order], side=side,
        effect=np.where(asset == Asset.OPTION, 1 + serial % 2, np.where((side == 1) & (serial % 3 == 0), 2, 0)),
        qty=np.where(np.isin(asset, [Asset.BOND, Asset.FX_SPOT]), orders.qty[order], made.integers(1, 4000, n)),
        price=lines.price[orders.instrument[order]] // step * step + step * made.integers(1, 99, n), price_dp=price_dp,
        ccy=lines.ccy[orders.instrument[order]], settle_ccy=lines.ccy[orders.instrument[order]],
        multiplier=lines.multiplier[orders.instrument[order]], trade_date=DAY - serial % 2, settle_date=DAY + 4,
        gross=gross, commission=commission, fee_sec=np.where(serial % 3 == 0, 123_400, 0),
        fee_exchange=np.where(serial % 4 == 0, 5_500, 0), tax=np.where(serial % 5 == 0, 990_000, 0),
        accrued=np.where(asset == Asset.BOND, 345_678_00, 0), net=np.where(side == 1, -gross - commission, gross),
        broker=serial % len(world.brokers), uti=np.where(asset >= Asset.CDS, serial, 0),
        coupon=lines.coupon[orders.instrument[order]], event_ns=OPEN_NS + serial * 1_001 * 10**6,
        arrive_ns=OPEN_NS + serial * 2_000 * 10**6, order_qty=5_000, cum_qty=np.where(serial % 2, 5_000, 4_000),
        avg_price=lines.price[orders.instrument[order]],
    )  # fmt: skip


def reference(world: World) -> Reference:
    """Every name of every instrument and account, as reference files would give them."""
    lines = world.instruments
    names = {"4": lines.isin, "1": lines.cusip, "2": lines.sedol, "8": lines.symbol}
    rows = [
        (source, str(v), str(k)) for source, column in names.items() for v, k in zip(column, lines.key, strict=True)
    ]
    rows += [("8", str(v), str(k)) for v, k in zip(lines.broker_symbol, lines.key, strict=True)]
    rows = [row for row in rows if row[1]]
    identifiers = pa.table(
        {"id_source": [r[0] for r in rows], "id_value": [r[1] for r in rows], "instrument_id": [r[2] for r in rows],
         "valid_from": pa.array([EPOCH] * len(rows), pa.date32())}
    )  # fmt: skip
    aliases = [
        (str(alias), str(name)) for alias, name in zip(world.accounts.alias, world.accounts.account_id, strict=True)
    ]
    accounts = pa.table(
        {"party": ["*"] * len(aliases), "alias": [a for a, _ in aliases], "account_id": [n for _, n in aliases],
         "valid_from": pa.array([EPOCH] * len(aliases), pa.date32())}
    )  # fmt: skip
    return build_reference(load_dialects(), accounts, identifiers)


FEEDS = {
    Source.OMS: Feed(name="oms", role="INTERNAL", party="MERIDIAN"),
    Source.ALPHA: Feed(name="alpha", role="PB", party="ALPHA", dialect="alpha_ae44"),
    Source.BRAVO: Feed(name="bravo", role="PB", party="BRAVO", dialect="bravo_er42"),
    Source.CHARLIE: Feed(name="charlie", role="PB", party="CHARLIE", dialect="charlie_as44"),
}


def framed(emitter: Any, context: Context, records: Records, rows: Any = None, **marks: Any) -> pa.BinaryArray:
    rows = emitter.heads(records) if rows is None else rows
    types, bodies = emitter.render(context, records, rows)
    sending = utc(records.arrive_ns[rows])
    seq = np.arange(2, len(rows) + 2)
    return frame(emitter.BEGIN, emitter.SENDER, "TIEOUT", seq, sending, types, bodies, **marks)


def read(source: Source, messages: pa.BinaryArray, world: World) -> FileBatch:
    log = b"".join(raw + b"\n" for raw in messages.to_pylist())
    return batch_from_file(log, f"{source.name}.fix", FEEDS[source], CsvMap(), reference(world))


def units(column: pa.ChunkedArray, unit: int) -> list[int]:
    return [0 if value is None else int(value * unit) for value in column.to_pylist()]


def check_trades(batch: FileBatch, world: World, records: Records, source: Source) -> dict[str, list[Any]]:
    """All rows arrived, none in quarantine, and say what the records say; returns the columns for further looks."""
    assert batch.normalised.quarantine.num_rows == 0, batch.normalised.quarantine["detail"].to_pylist()[:3]
    trades = batch.normalised.trades
    assert trades["qty"].to_pylist() == [Decimal(int(q)) for q in records.qty]
    assert units(trades["price"], PRICE_UNIT) == records.price.tolist()
    assert trades["price_scale"].to_pylist() == records.price_dp.tolist()
    covers = (
        (records.side == 1)
        & (records.effect == 2)
        & ~np.isin(world.instruments.asset[records.instrument], [Asset.OPTION, Asset.FUTURE])
    )
    sides = ["BUY_COVER" if c else SIDES[Side(s)] for s, c in zip(records.side.tolist(), covers, strict=True)]
    assert trades["side"].to_pylist() == sides
    assert trades["status"].to_pylist() == [Status(s).name for s in records.status.tolist()]
    for name in ("trade_date", "settle_date"):
        days = [EPOCH + timedelta(days=d) for d in getattr(records, name).tolist()]
        assert trades[name].to_pylist() == days
    assert trades["account_id"].to_pylist() == world.accounts.account_id[records.account].tolist()
    assert trades["instrument_id"].to_pylist() == world.instruments.key[records.instrument].tolist()
    assert trades["trade_ccy"].to_pylist() == [CURRENCIES[c] for c in records.ccy]
    assert units(trades["commission"], MONEY_UNIT) == records.commission.tolist()
    assert units(trades["net_money"], MONEY_UNIT) == records.net.tolist()
    assert units(trades["accrued_interest"], MONEY_UNIT) == records.accrued.tolist()
    assert units(trades["multiplier"], 1) == records.multiplier.tolist()
    return {name: trades[name].to_pylist() for name in trades.column_names}


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
