"""What the flow hands on: a day's orders and every version of every record, on the fund's side and the brokers'."""

from dataclasses import dataclass

from simulator.records import Orders, Records


@dataclass(frozen=True, slots=True)
class Trades:
    """One day. `records.order` points into `orders`."""

    orders: Orders
    records: Records
