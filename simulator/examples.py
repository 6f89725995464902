"""The hand-sized example: one fund log, two prime brokers' files, eight breaks; writes the files in examples/."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from simulator.wire import Header, compact, message, plain, utc_ms

TRADE_DATE = date(2026, 11, 20)
SETTLE_DATE = date(2026, 11, 23)
_CENT = Decimal("0.01")
_PER_SHARE = Decimal("0.005")
_NORTHGATE, _HARBOUR = ("MERID-LS-01", "NORTHGATE"), ("MERID-QT-02", "HARBOUR")
_SIDES = {"1": "Buy", "2": "Sell", "5": "Sell Short"}

# number, prime broker, order, UTC time, side, symbol, quantity, price
_FILLS = """
01 N 01 14:31:04.118 1 AAPL 300 231.45
02 N 01 14:31:09.502 1 AAPL 200 231.46
03 N 02 14:36:41.007 2 MSFT 400 428.10
04 H 03 14:40:12.833 1 NVDA 600 141.60
05 H 03 14:40:12.833 1 NVDA 600 141.60
06 H 03 14:41:55.410 1 NVDA 300 141.62
07 N 04 14:52:30.264 1 BRK.B 150 472.60
08 N 05 15:04:18.990 1 JPM 500 243.10
09 H 06 15:10:02.147 5 TSLA 250 338.20
10 H 07 15:22:37.655 1 KO 1000 63.70
11 N 08 15:31:48.031 2 XOM 700 120.55
12 N 09 15:45:20.776 1 WMT 800 88.15
13 H 10 15:58:11.309 1 DIS 400 115.65
14 H 11 16:07:29.584 2 PEP 350 159.20
15 N 12 16:20:44.912 1 SPY 200 595.50
16 N 12 16:20:51.376 1 SPY 100 595.52
17 H 13 16:42:06.228 1 IBM 300 222.95
18 N 14 17:05:33.690 2 CAT 120 395.60
19 H 15 17:31:57.045 1 AMD 450 138.60
20 N 16 18:02:14.871 1 CVX 600 160.80
21 H 17 18:26:40.523 5 INTC 2000 24.35
22 N 18 19:01:08.337 2 V 250 309.45
23 H 19 19:40:59.168 1 MRK 500 98.45
24 H 20 20:15:22.404 2 GE 275 180.20
"""

# symbol, as the brokers write it, ISIN
_LINES = """
AAPL AAPL US0378331005
AMD AMD US0079031078
BRK.B BRK/B US0846707026
CAT CAT US1491231015
CVX CVX US1667641005
DIS DIS US2546871060
GE GE US3696043013
IBM IBM US4592001014
INTC INTC US4581401001
JPM JPM US46625H1005
KO KO US1912161007
MRK MRK US58933Y1055
MSFT MSFT US5949181045
NVDA NVDA US67066G1040
ORCL ORCL US68389X1054
PEP PEP US7134481081
SPY SPY US78462F1030
TSLA TSLA US88160R1014
V V US92826C8394
WMT WMT US9311421039
XOM XOM US30231G1022
"""

README = """\
# A day small enough to read

`fund.fix` is what our own order system says it traded on 20 November 2026: 24 fills, FIX 4.4, one per line.
`northgate.csv` and `harbour.fix` are what the prime brokers NORTHGATE and HARBOUR say they booked. Account
`MERID-LS-01` is held at NORTHGATE, `MERID-QT-02` at HARBOUR. Eight trades do not tie out:

| code | what you should see | fund | prime broker |
|---|---|---|---|
| T01 | missing at NORTHGATE: bought 600 CVX at 160.80 | `ME20` | nothing |
| T02 | missing on our side: HARBOUR booked a buy of 175 ORCL at 190.15 | nothing | `HB-9025` |
| T03 | booked twice at HARBOUR: bought 400 DIS at 115.65 | `ME13` | `HB-9013`, `HB-9026` |
| T05 | quantity: JPM 500 here, 300 at NORTHGATE | `ME08` | `NG-4108` |
| T06 | price: AMD 138.60 here, 139.10 at HARBOUR | `ME19` | `HB-9019` |
| T07 | side: we sold 350 PEP, HARBOUR booked a buy | `ME14` | `HB-9014` |
| T14 | settlement date: MSFT 23 November here, 24 November at NORTHGATE | `ME03` | `NG-4103` |
| T16 | commission: WMT 4.00 here, 12.00 at NORTHGATE | `ME12` | `NG-4112` |

Everything else ties out, although it does not look the same: NORTHGATE writes `BRK/B` and four decimals, HARBOUR
speaks FIX 4.2 with trade ids of its own, and `ME04` and `ME05` are two real fills with the same
second, size and price.

`python -m simulator.examples` writes these files again, byte for byte.
"""


@dataclass(frozen=True, slots=True)
class _Order:
    """One order of the fund: `account` is its id and its prime broker, `line` symbol, brokers' symbol and ISIN."""

    order_id: str
    client_order_id: str
    account: tuple[str, str]
    line: tuple[str, str, str]
    side: str
    qty: int


@dataclass(frozen=True, slots=True)
class _Leg:
    """What one side states about one trade; times are UTC nanoseconds."""

    uid: str
    order: _Order
    side: str
    qty: int
    price: Decimal
    commission: Decimal
    settle_date: date
    event_ns: int
    arrive_ns: int
    cum_qty: int
    avg_price: Decimal


@dataclass(frozen=True, slots=True)
class _Booked:
    """A broker's line: its own id and what it shows."""

    uid: str
    leg: _Leg


def example_files() -> dict[str, bytes]:
    """The files of the example by name; always the same bytes."""
    fills = [_fill(row.split()) for row in _FILLS.strip().splitlines()]
    return {
        "fund.fix": _log(_fund(fills)),
        "northgate.csv": _csv(_northgate(fills)),
        "harbour.fix": _log(_harbour_messages(_harbour(fills))),
        "README.md": README.encode(),
    }


def write_examples(folder: Path) -> None:
    """Write the example into `folder`, made if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in example_files().items():
        (folder / name).write_bytes(content)


def _line(symbol: str) -> tuple[str, str, str]:
    ours, theirs, isin = next(row for row in map(str.split, _LINES.strip().splitlines()) if row[0] == symbol)
    return ours, theirs, isin


def _fill(row: list[str]) -> _Leg:
    number, broker, order_number, clock, side, symbol, qty_text, price_text = row
    account = _NORTHGATE if broker == "N" else _HARBOUR
    qty, price = int(qty_text), Decimal(price_text)
    siblings = [other for other in map(str.split, _FILLS.strip().splitlines()) if other[2] == order_number]
    filled = [other for other in siblings if other[0] <= number]
    total, cum = (sum(int(other[6]) for other in rows) for rows in (siblings, filled))
    notional = sum((int(other[6]) * Decimal(other[7]) for other in filled), Decimal(0))
    order = _Order(f"MO{order_number}", f"MC{order_number}", account, _line(symbol), side, total)
    moment = datetime.fromisoformat(f"{TRADE_DATE.isoformat()}T{clock}000+00:00")
    at_ns = int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
    return _Leg(
        uid=f"ME{number}",
        order=order,
        side=side,
        qty=qty,
        price=price,
        commission=(_PER_SHARE * qty).quantize(_CENT, ROUND_HALF_UP),
        settle_date=SETTLE_DATE,
        event_ns=at_ns,
        arrive_ns=at_ns + 40_000_000,
        cum_qty=cum,
        avg_price=(notional / cum).quantize(Decimal("0.0001"), ROUND_HALF_UP),
    )


def _fund(fills: list[_Leg]) -> Iterable[tuple[int, bytes]]:
    for seq, leg in enumerate(fills, 2):
        order, (account, pb), (symbol, _, isin) = leg.order, leg.order.account, leg.order.line
        leaves = order.qty - leg.cum_qty
        tags = [
            (37, order.order_id),
            (11, order.client_order_id),
            (17, leg.uid),
            (150, "F"),
            (39, "1" if leaves else "2"),
            (1, account),
            (55, symbol),
            (48, isin),
            (22, "4"),
            (54, leg.side),
            (38, str(order.qty)),
            (32, str(leg.qty)),
            (31, plain(leg.price)),
            (14, str(leg.cum_qty)),
            (151, str(leaves)),
            (6, plain(leg.avg_price)),
            (15, "USD"),
            (60, utc_ms(leg.event_ns)),
            (75, compact(TRADE_DATE)),
            (64, compact(leg.settle_date)),
            (12, plain(leg.commission)),
            (13, "3"),
            (453, "1"),
            (448, pb),
            (447, "D"),
            (452, "4"),
        ]
        header = Header("FIX.4.4", "MERIDIAN_OMS", "TIEOUT", seq, leg.arrive_ns)
        yield leg.arrive_ns, message(header, "8", tags)


def _northgate(fills: list[_Leg]) -> list[_Booked]:
    """T01 CVX is left out, T05 JPM, T14 MSFT and T16 WMT are changed."""
    booked = []
    for leg in fills:
        if leg.order.account != _NORTHGATE or leg.uid == "ME20":
            continue
        shown = {
            "ME08": replace(leg, qty=300),
            "ME03": replace(leg, settle_date=date(2026, 11, 24)),
            "ME12": replace(leg, commission=Decimal("12.00")),
        }.get(leg.uid, leg)
        booked.append(_Booked(f"NG-41{leg.uid[2:]}", shown))
    return booked


def _harbour(fills: list[_Leg]) -> list[_Booked]:
    """T06 AMD and T07 PEP are changed, T03 DIS comes twice, T02 ORCL is a trade we do not know."""
    booked = []
    for leg in fills:
        if leg.order.account != _HARBOUR:
            continue
        late = replace(leg, arrive_ns=leg.arrive_ns + 8_000_000_000)
        shown = {
            "ME19": replace(late, price=Decimal("139.10")),
            "ME14": replace(late, side="1"),
        }.get(leg.uid, late)
        booked.append(_Booked(f"HB-90{leg.uid[2:]}", shown))
    double = next(item for item in booked if item.leg.uid == "ME13")
    stray_order = _Order("XO77", "AW77", _HARBOUR, _line("ORCL"), "1", 175)
    stray = replace(
        double.leg, uid="", order=stray_order, side="1", qty=175, price=Decimal("190.15"), commission=Decimal("0.88"),
        cum_qty=175, avg_price=Decimal("190.15"),
    )  # fmt: skip
    minute_ns = 60_000_000_000
    booked.append(_Booked("HB-9025", _moved(stray, 95 * minute_ns)))
    booked.append(_Booked("HB-9026", _moved(double.leg, 12 * minute_ns, event=False)))
    return sorted(booked, key=lambda item: item.leg.arrive_ns)


def _moved(leg: _Leg, by_ns: int, event: bool = True) -> _Leg:
    return replace(leg, arrive_ns=leg.arrive_ns + by_ns, event_ns=leg.event_ns + (by_ns if event else 0))


def _harbour_messages(booked: list[_Booked]) -> Iterable[tuple[int, bytes]]:
    for seq, item in enumerate(booked, 2):
        leg, order = item.leg, item.leg.order
        _, symbol, isin = order.line
        leaves = max(order.qty - leg.cum_qty, 0)
        tags = [
            (37, f"H{order.order_id}"),
            (11, order.client_order_id),
            (17, item.uid),
            (20, "0"),
            (150, "1" if leaves else "2"),
            (39, "1" if leaves else "2"),
            (1, order.account[0]),
            (55, symbol),
            (48, isin),
            (22, "4"),
            (54, leg.side),
            (38, str(order.qty)),
            (32, str(leg.qty)),
            (31, f"{leg.price:.4f}"),
            (14, str(leg.cum_qty)),
            (151, str(leaves)),
            (6, f"{leg.avg_price:.4f}"),
            (15, "USD"),
            (60, utc_ms(leg.event_ns)),
            (75, compact(TRADE_DATE)),
            (64, compact(leg.settle_date)),
            (12, plain(leg.commission)),
            (13, "3"),
        ]
        if leg.uid:
            tags.append((527, leg.uid))
        header = Header("FIX.4.2", "HARBOUR", "MERIDIAN", seq, leg.arrive_ns)
        yield leg.arrive_ns, message(header, "8", tags)


def _log(messages: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(f"{utc_ms(at_ns)} ".encode() + raw.replace(b"\x01", b"|") + b"\n" for at_ns, raw in messages)


def _csv(booked: list[_Booked]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("Trade Id", "Client Trade Id", "Account", "Side", "Symbol", "ISIN", "Quantity", "Price", "Currency",
         "Trade Date", "Settlement Date", "Execution Time", "Commission", "Net Amount")
    )  # fmt: skip
    for item in booked:
        leg, (_, symbol, isin) = item.leg, item.leg.order.line
        gross = (leg.qty * leg.price).quantize(_CENT, ROUND_HALF_UP)
        net = gross + leg.commission if leg.side == "1" else gross - leg.commission
        clock = utc_ms(leg.event_ns)
        writer.writerow(
            (item.uid, leg.uid, leg.order.account[0], _SIDES[leg.side], symbol, isin, leg.qty,
             f"{leg.price:.4f}", "USD", TRADE_DATE.isoformat(), leg.settle_date.isoformat(),
             f"{TRADE_DATE.isoformat()}T{clock[9:17]}Z", f"{leg.commission:.2f}", f"{net:.2f}")
        )  # fmt: skip
    return out.getvalue().encode()


if __name__ == "__main__":
    write_examples(Path(__file__).parents[1] / "examples")
