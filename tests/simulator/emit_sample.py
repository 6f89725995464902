"""Records of every kind to emit, the reference data that names them, and what must come back out of ingest."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.files.batch import FileBatch
from ingest.normalise_reference import Reference, build_reference
from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import MONEY_UNIT, PRICE_UNIT, SECOND_NS, Orders, Records, Side, Source, Status

EPOCH = date(1970, 1, 1)
DAY = (date(2026, 11, 20) - EPOCH).days
OPEN_NS = DAY * 86_400 * SECOND_NS + 14 * 3600 * SECOND_NS + 30 * 60 * SECOND_NS
ROWS = 240
SIDES = {Side.BUY: "BUY", Side.SELL: "SELL", Side.SELL_SHORT: "SELL_SHORT", Side.SELL_SHORT_EXEMPT: "SELL_SHORT_EXEMPT"}


def made_orders(world: World) -> Orders:
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
