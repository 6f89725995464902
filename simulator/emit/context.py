"""What all emitters look up: instruments, accounts, brokers, orders; and the texts they share, amounts above all."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator import ids
from simulator.emit.text import choose, coded, glue, plain
from simulator.market.accounts import BLOCK_ACCOUNT
from simulator.market.world import CURRENCIES, FUND, Asset, World
from simulator.records import I8, I64, MONEY_UNIT, Bool, Effect, Index, Orders, Records, Side, Source, noisy

# Minor units: what a broker writes for a hundredth of the currency.
PENCE = ("GBX", "GBp")
_UTI_PREFIX = f"549300{FUND}FUND42"
_TYPES = {
    Asset.EQUITY: "CS", Asset.ETF: "ETF", Asset.OPTION: "OPT", Asset.FUTURE: "FUT", Asset.FX_SPOT: "FXSPOT",
    Asset.FX_FWD: "FXFWD", Asset.FX_NDF: "FXNDF", Asset.BOND: "CORP", Asset.CDS: "CDS", Asset.TRS: "TRS",
}  # fmt: skip
_DERIVATIVES = (Asset.OPTION, Asset.FUTURE)
_FX = (Asset.FX_SPOT, Asset.FX_FWD, Asset.FX_NDF)


@dataclass(frozen=True, slots=True)
class Context:
    """The world and the day's orders, which records point into by row."""

    world: World
    orders: Orders

    def instrument(self, records: Records, column: str) -> pa.StringArray:
        """A text column of the instruments, one text per record."""
        return pa.array(getattr(self.world.instruments, column)).take(pa.array(records.instrument))

    def term(self, records: Records, column: str) -> npt.NDArray[np.integer]:
        """A numeric column of the instruments, one number per record."""
        found: npt.NDArray[np.integer] = getattr(self.world.instruments, column)[records.instrument]
        return found

    def is_asset(self, records: Records, *assets: Asset) -> Bool:
        """Where the record's instrument is of one of these asset classes."""
        return np.isin(self.term(records, "asset"), assets)

    def derivative(self, records: Records) -> Bool:
        """Where the quantity counts contracts."""
        return self.is_asset(records, *_DERIVATIVES)

    def currency_pair(self, records: Records) -> Bool:
        """Where the instrument is a currency pair."""
        return self.is_asset(records, *_FX)

    def security_type(self, records: Records) -> pa.StringArray:
        """SecurityType(167)."""
        return coded(self.term(records, "asset"), [_TYPES[asset] for asset in Asset])

    def account(self, records: Records, column: str) -> pa.StringArray:
        """A text column of the accounts; the block account where a record names none."""
        texts = [*getattr(self.world.accounts, column).tolist(), BLOCK_ACCOUNT]
        return coded(np.where(records.account < 0, len(texts) - 1, records.account), texts)

    def broker(self, records: Records, column: str = "code") -> pa.StringArray:
        """A text of the executing broker."""
        return coded(records.broker, [str(getattr(broker, column)) for broker in self.world.brokers])

    def symbol(self, records: Records, alias: Bool) -> pa.StringArray:
        """Symbol as the fund writes it, where `alias` is on as a broker may."""
        ours = self.instrument(records, "symbol")
        return choose(alias, self.instrument(records, "broker_symbol"), ours) if alias.any() else ours

    def security(self, records: Records, other: Bool) -> tuple[pa.StringArray, pa.StringArray]:
        """SecurityID(48) and its source(22): the ISIN; where `other` is on the CUSIP or SEDOL if there is one.

        An instrument without an ISIN is named by its symbol (source 8).
        """
        table = self.world.instruments
        lacks = table.isin == ""
        first = np.where(lacks, table.symbol, table.isin), np.where(lacks, "8", "4")
        second = table.cusip, np.full(len(table), "1")
        for value, source in ((table.sedol, "2"), first):
            gap = second[0] == ""
            second = np.where(gap, value, second[0]), np.where(gap, source, second[1])
        row = pa.array(records.instrument.astype(np.int64) + np.where(other, len(table), 0))
        shown, sources = (np.concatenate([one, two]) for one, two in zip(first, second, strict=True))
        return pa.array(shown).take(row), pa.array(sources).take(row)

    def order_id(self, records: Records, prefix: str = "MO") -> pa.StringArray:
        """OrderID(37); another prefix is the broker's own number of the same order."""
        return ids.order_ids(self.orders, records.order, prefix)

    def client_order_id(self, records: Records) -> pa.StringArray:
        """ClOrdID(11)."""
        return ids.client_order_ids(self.orders, records.order)


def own(records: Records, source: Source) -> Bool:
    """Which records `source` states."""
    mine: Bool = records.source == source
    return mine


def currency(codes: I8) -> pa.StringArray:
    """Currency codes."""
    return coded(codes, CURRENCIES)


def money(amounts: I64) -> pa.StringArray:
    """Amounts with two digits after the point, more where they have more."""
    return plain(amounts, MONEY_UNIT, 2)


def shown_net(records: Records) -> I64:
    """Net money as statements print it: what a buy pays and what a sale brings is positive."""
    net: I64 = np.where(records.side == Side.BUY, -records.net, records.net)
    return net


def fees(records: Records) -> I64:
    """All fees and taxes but the commission."""
    total: I64 = records.fee_sec + records.fee_exchange + records.tax
    return total


def covers(context: Context, records: Records) -> Bool:
    """Buys that close a short position; contracts say open or close apart."""
    found: Bool = (records.side == Side.BUY) & (records.effect == Effect.CLOSE) & ~context.derivative(records)
    return found


def side_words(context: Context, records: Records, words: tuple[str, str, str, str, str]) -> pa.StringArray:
    """The side in words for buy, sell, sell short, sell short exempt and buy to cover."""
    place = np.select([records.side == side for side in Side], [0, 1, 2, 3])
    return coded(np.where(covers(context, records), 4, place), words)


def effect(records: Records) -> pa.StringArray:
    """PositionEffect(77), empty where none is stated."""
    return coded(records.effect, ("", "O", "C"))


def uti(records: Records) -> pa.StringArray:
    """Unique trade identifiers: the fund's LEI-like prefix and a number; empty where the trade has none."""
    if not records.uti.any():
        return coded(np.zeros(len(records), np.int8), ("",))
    return choose(records.uti != 0, glue(_UTI_PREFIX, ids.number_text(records.uti, 12)), "")


def in_chunks(count: int, size: int) -> list[Index]:
    """Row numbers in runs of at most `size`, so that a flow's text never stands in memory at once."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def has(records: Records, number: int) -> Bool:
    """Where benign variation `number` is on."""
    return noisy(records.noise, number)


def is_empty(text: pa.StringArray) -> Bool:
    """Where the text is empty."""
    empty: Bool = pc.equal(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
    return empty
