"""What we know ourselves: our own trades of the same days, by every id a counterparty could quote."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from ingest.learn.fix_sample import Row, read_rows


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """One of our bookings; the time is UTC without saying so."""

    side: str
    qty: Decimal | None
    price: Decimal | None
    account: str
    moment: datetime | None
    client_order_id: str = ""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our own day: `trades` by ExecID(17) or IndividualAllocID(467), and the values of other fields.

    `names` maps a canonical field (cross_uid, order_id, client_order_id, block_id, account_raw, symbol, isin,
    exec_broker_id, uti) to the values we used.
    """

    trades: Mapping[str, OwnTrade] = field(default_factory=dict)
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether a log of ours was given at all."""
        return bool(self.trades)

    def overlap(self, field_name: str, values: Iterable[str]) -> float:
        """Share of distinct values that are ours in that field; 0 where we know none."""
        distinct = set(values)
        mine = self.names.get(field_name, frozenset())
        return len(distinct & mine) / len(distinct) if distinct and mine else 0.0

    def moments(self, field_name: str) -> Mapping[str, datetime]:
        """Our time by trade id (`cross_uid`), or of the last fill by order (`client_order_id`)."""
        if field_name == "cross_uid":
            return {uid: trade.moment for uid, trade in self.trades.items() if trade.moment}
        found: dict[str, datetime] = {}
        for trade in self.trades.values():
            if trade.moment and trade.client_order_id:
                found[trade.client_order_id] = max(trade.moment, found.get(trade.client_order_id, trade.moment))
        return found


_FIELDS: Mapping[str, tuple[int, ...]] = {
    "order_id": (37,), "client_order_id": (11,), "block_id": (70,), "account_raw": (1, 79), "symbol": (55,),
    "uti": (1903,),
}  # fmt: skip
_SOURCES = {"4": "isin", "2": "sedol", "1": "cusip"}


def read_ours(logs: Iterable[bytes]) -> Ours:
    """Our own trades from FIX logs. What is no FIX message is passed over."""
    trades: dict[str, OwnTrade] = {}
    names: dict[str, set[str]] = {}
    for data in logs:
        for row in read_rows(data):
            _add(row, trades, names)
    return Ours(trades, {name: frozenset(values) for name, values in names.items()})


def _add(row: Row, trades: dict[str, OwnTrade], names: dict[str, set[str]]) -> None:
    for name, tags in _FIELDS.items():
        for tag in tags:
            if value := row.get(tag):
                names.setdefault(name, set()).add(value)
    if (source := _SOURCES.get(row.get(22))) and row.get(48):
        names.setdefault(source, set()).add(row.get(48))
    uid = row.get(467) or row.get(17) or row.get(571)
    if not uid:
        return
    names.setdefault("cross_uid", set()).add(uid)
    price = row.number(153, 31, 6)
    order = row.get(11)
    trades.setdefault(uid, OwnTrade(row.get(54), row.number(80, 32), price, row.get(79, 1), row.time(60), order))
