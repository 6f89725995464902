"""Files of CHARLIE, DELTA and ECHO: each read by other code as the records say, harmless variations or not."""

import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from simulator import ids
from simulator.emit import charlie, delta, echo
from simulator.emit.context import Context
from simulator.market.universe import in_32nds, make_world
from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import MONEY_UNIT, PRICE_UNIT, SECOND_NS, Orders, Records, Source, Status
from tests.simulator.emit_sample import ROWS, check_trades, made_orders, reference, sample

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = date(1970, 1, 1)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7)


@pytest.fixture(scope="module")
def orders(world: World) -> Orders:
    return made_orders(world)


def written(emitter: Any, context: Context, records: Records) -> bytes:
    return b"".join(emitter.write(context, records, emitter.heads(records)))


def noise(*bits: int) -> int:
    return sum(1 << bit for bit in bits)


def local_time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND_NS, UTC).astimezone(NEW_YORK)


def read_csv(data: bytes, world: World) -> FileBatch:
    feed = Feed(name="charlie", role="PB", party="CHARLIE")
    return batch_from_file(data, "trades.csv", feed, CsvMap(**charlie.column_map()), reference(world))


@pytest.mark.parametrize("bits", [(), (2, 3, 4, 6, 14, 16)], ids=["plain", "noisy"])
def test_charlies_csv_reads_as_the_records_say(world: World, orders: Orders, bits: tuple[int, ...]) -> None:
    records = sample(world, orders, Source.CHARLIE).with_(noise=noise(*bits))
    context = Context(world, orders)
    batch = read_csv(written(charlie, context, records), world)
    assert batch.notes == ()
    found = check_trades(batch, world, records, Source.CHARLIE)
    assert found["trade_uid"] == ids.uids(records, Source.CHARLIE).to_pylist()
    assert [uid or "" for uid in found["prev_uid"]] == ids.referred(records, Source.CHARLIE).to_pylist()
    assert found["order_id"] == context.order_id(records).to_pylist()
    assert set(found["event_time_precision"]) == {"m" if bits else "s"}
    assert found["level"][0] == "ALLOCATION" and found["asset_class"][:3] == ["EQUITY", "ETF", "OPTION"]
    event = [at.replace(microsecond=0) for at in map(_utc, found["event_time_utc"])]
    shown = [datetime.fromtimestamp(ns // SECOND_NS, UTC) for ns in records.event_ns.tolist()]
    assert event == [at.replace(second=0) if bits else at for at in shown]


def _utc(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp(), UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def test_charlies_bonds_per_one_or_in_thousands_and_rows_without_trades(world: World, orders: Orders) -> None:
    context = Context(world, orders)
    records = sample(world, orders, Source.CHARLIE)
    bonds = records.take(world.instruments.asset[records.instrument] == Asset.BOND).with_(noise=noise(8))
    bonds = bonds.with_(serial=np.arange(1, len(bonds) + 1))
    trades = read_csv(written(charlie, context, bonds), world).normalised.trades
    small = bonds.serial % 2 == 1
    qty, price = trades["qty"].to_pylist(), trades["price"].to_pylist()
    assert qty == [Decimal(int(q)) / (1000 if s else 1) for q, s in zip(bonds.qty, small, strict=True)]
    assert price == [Decimal(int(p)) / PRICE_UNIT / (1 if s else 100) for p, s in zip(bonds.price, small, strict=True)]
    assert small.any() and not small.all()
    lines = written(charlie, context, records.take(slice(0, 0))).decode().splitlines()
    assert len(lines) == 2 and lines[1].startswith("TOTAL,RECORDS: 0,")


def fixed(line: str) -> dict[str, str]:
    """Fields of a DELTA record by their columns."""
    places = {
        "ref": (1, 21), "version": (21, 25), "status": (25, 26), "account": (26, 46), "order": (46, 66),
        "id_type": (66, 67), "id": (67, 103), "side": (143, 145), "open_close": (145, 146), "qty": (146, 162),
        "unit": (162, 163), "price": (163, 181), "ccy": (181, 184), "commission": (226, 240), "net": (278, 296),
        "trade_date": (315, 325), "settle_date": (325, 335), "time": (335, 341), "broker": (341, 349),
    }  # fmt: skip
    return {name: line[start:end].strip() for name, (start, end) in places.items()}


def signed(text: str) -> int:
    return int(text[-1] + text[:-1])


def points(text: str) -> Decimal:
    """A price in points, from decimals or 32nds."""
    whole, dash, rest = text.partition("-")
    if not dash:
        return Decimal(text)
    quarters = {"": 0, "2": 1, "+": 2, "7": 3}[rest[2:]]
    return Decimal(whole) + (Decimal(rest[:2]) + Decimal(quarters) / 4) / 32


@pytest.mark.parametrize("bits", [(), (1, 3, 4, 6, 9, 10, 28)], ids=["plain", "noisy"])
def test_deltas_fixed_width_lines_say_what_the_records_say(world: World, orders: Orders, bits: tuple[int, ...]) -> None:
    context, lines = Context(world, orders), world.instruments
    records = sample(world, orders, Source.DELTA, 6).with_(noise=noise(*bits))
    ticking = in_32nds(world)[records.instrument]
    records = records.with_(price=np.where(ticking, lines.price[records.instrument] // 100 * 100, records.price))
    text = written(delta, context, records).decode("ascii").splitlines()
    assert {len(line) for line in text} == {delta.WIDTH}
    assert text[0].startswith("BOF") and "11/20/2026" in text[0] and text[-1].split()[-1] == f"{ROWS:010d}"
    rows = [fixed(line) for line in text[1:-1]]
    assert [row["ref"] for row in rows] == ids.uids(records, Source.DELTA).to_pylist()
    assert [int(row["version"]) for row in rows] == records.version.tolist()
    assert [row["status"] for row in rows] == ["NCXR"[s] for s in records.status]
    assert [row["order"] for row in rows] == context.order_id(records).to_pylist()
    assert [points(row["price"]) * PRICE_UNIT for row in rows] == records.price.tolist()
    assert [signed(row["net"]) for row in rows] == records.net.tolist()
    assert [signed(row["commission"]) for row in rows] == records.commission.tolist()
    days = [f"{EPOCH + timedelta(days=int(d)):%m/%d/%Y}" for d in records.trade_date]
    assert [row["trade_date"] for row in rows] == days
    assert [row["ccy"] for row in rows] == [CURRENCIES[c] for c in records.ccy]
    masters = world.accounts.master[records.account]
    aliases = world.accounts.alias[records.account]
    shares = np.where([row["unit"] == "S" for row in rows], records.multiplier, 1) if bits else np.ones(ROWS, int)
    option = lines.asset[records.instrument] == Asset.OPTION
    assert [abs(signed(row["qty"])) for row in rows] == (records.qty * np.where(option, shares, 1)).tolist()
    if not bits:
        assert [row["side"] for row in rows] == [str(s) for s in records.side]
        assert all(row["account"][:-1] == alias for row, alias in zip(rows, aliases, strict=True))
        assert [row["time"] for row in rows] == [f"{local_time(ns):%H%M%S}" for ns in records.event_ns.tolist()]
        return
    assert [row["account"] for row in rows] == masters.tolist()
    assert {row["side"] for row in rows} == {"B", "S", "SS", "BC"} and not any(row["time"] for row in rows)
    assert all((signed(row["qty"]) < 0) == (row["side"][0] == "S") for row in rows)
    quarters = ticking & (records.price % (PRICE_UNIT // 128) == 0)
    assert ["-" in row["price"] for row in rows] == quarters.tolist() and quarters.any()
    assert "C" in {row["id_type"] for row in rows}
    assert {row["unit"] for row, yes in zip(rows, option, strict=True) if yes} == {"S"}


def trades_of(data: bytes) -> list[dict[str, str]]:
    return [dict(element.attrib) for element in ET.fromstring(data).iter("Trade")]


def test_echos_xml_says_what_the_records_say(world: World, orders: Orders) -> None:
    context = Context(world, orders)
    records = sample(world, orders, Source.ECHO, 8)
    rows = trades_of(written(echo, context, records))
    assert [row["tradeID"] for row in rows] == ids.uids(records, Source.ECHO).to_pylist()
    assert len({row["transactionID"] for row in rows}) == ROWS
    assert [row["origTradeID"] for row in rows] == ids.referred(records, Source.ECHO).to_pylist()
    cancelled = records.status == Status.CANCEL
    assert [row["transactionType"] == "TradeCancel" for row in rows] == cancelled.tolist()
    sides = {"BUY": 1, "SELL": 2, "BUY (Ca.)": 1, "SELL (Ca.)": 2}
    assert [sides[row["buySell"]] for row in rows] == np.minimum(records.side, 2).tolist()
    short = (records.side == 5) & (records.effect == 0)
    assert {row["openCloseIndicator"] for row, yes in zip(rows, short, strict=True) if yes} == {"O"}
    assert [abs(int(row["quantity"])) for row in rows] == records.qty.tolist()
    assert [row["quantity"][0] == "-" for row in rows] == ((records.side != 1) ^ cancelled).tolist()
    assert [Decimal(row["tradePrice"]) * PRICE_UNIT for row in rows] == records.price.tolist()
    assert [Decimal(row["netCash"]) * MONEY_UNIT for row in rows] == records.net.tolist()
    assert [-Decimal(row["ibCommission"]) * MONEY_UNIT for row in rows] == records.commission.tolist()
    assert [row["dateTime"] for row in rows] == [f"{local_time(ns):%Y%m%d;%H%M%S}" for ns in records.event_ns.tolist()]
    assert [row["orderReference"] for row in rows] == context.client_order_id(records).to_pylist()
    assert [row["ibExecID"][-2:] for row in rows] == [f"{v:02d}" for v in records.version]


def test_echos_variations_are_the_same_trade_told_otherwise(world: World, orders: Orders) -> None:
    context, lines = Context(world, orders), world.instruments
    records = sample(world, orders, Source.ECHO, 6).with_(noise=noise(11, 12, 29), status=0)
    asset = lines.asset[records.instrument]
    records = records.with_(noise=records.noise | ((asset < 2) & (records.ccy == 1)).astype(np.int64) << 7)
    rows = trades_of(written(echo, context, records))
    for row, kind, ours in zip(rows, asset, range(ROWS), strict=True):
        shown, price = Decimal(row["tradePrice"]), Decimal(int(records.price[ours])) / PRICE_UNIT
        turned = kind in (Asset.FX_SPOT, Asset.FX_FWD, Asset.FX_NDF)
        assert (row["buySell"] == "BUY") == ((records.side[ours] == 1) != turned)
        if kind in (Asset.FX_SPOT, Asset.FX_FWD):
            assert abs(1 / shown - price) / price < Decimal("1e-6")
            pair = str(lines.symbol[records.instrument[ours]])
            assert row["symbol"].startswith(f"{pair[4:7]}.{pair[:3]}") and row["currency"] == pair[4:7]
        elif row["currency"] == "GBX":
            assert shown == price * 100
        else:
            assert shown == price
        if turned:
            assert abs(Decimal(row["quantity"])) * MONEY_UNIT == int(records.gross[ours])
    assert any(row["currency"] == "GBX" for row in rows) and any(row["currency"] == "KRW" for row in rows)
    assert all(not row["counterparty"].isascii() for row in rows)
