"""The simulated world as columns: instruments of every asset class, the fund's accounts, brokers and currencies."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from simulator.records import I8, I16, I32, I64, Columns

Text = npt.NDArray[np.str_]

FUND = "MERIDIAN"
CURRENCIES = ("USD", "GBP", "EUR", "JPY", "HKD", "CHF", "CAD", "AUD", "KRW", "INR")


class Asset(IntEnum):
    """Asset classes; the names are the canonical record's."""

    EQUITY = 0
    ETF = 1
    OPTION = 2
    FUTURE = 3
    FX_SPOT = 4
    FX_FWD = 5
    FX_NDF = 6
    BOND = 7
    CDS = 8
    TRS = 9


@dataclass(frozen=True, slots=True, eq=False)
class Instruments(Columns):
    """Tradable lines. `key` is the instrument_id of the reference files (the ISIN, else a readable name).

    `symbol` is how the fund writes it, `broker_symbol` how a broker may. Prices and ticks are in PRICE_UNITs of the
    currency's major unit: bonds per 100 of face, FX as the rate of `ccy2` per one of `ccy`, CDS as upfront points.
    `multiplier` is the contract size (1 for cash instruments). `expiry` (days, 0: none) is the option's or future's
    expiry, the bond's maturity or the forward's value date; `strike` in PRICE_UNITs; `put_call` -1 none, 0 put, 1
    call; `coupon` in basis points; `underlying` is a row of this table or -1; `line` a row of another line of the
    same issuer (share class, ADR, next series) or -1. `ccy2` is `ccy` where there is no pair.
    """

    key: Text
    symbol: Text
    broker_symbol: Text
    name: Text
    isin: Text
    cusip: Text
    sedol: Text
    mic: Text
    asset: I8
    ccy: I8
    ccy2: I8
    price: I64
    tick: I64
    multiplier: I64
    expiry: I32
    strike: I64
    put_call: I8
    coupon: I32
    underlying: I32
    line: I32


@dataclass(frozen=True, slots=True, eq=False)
class Accounts(Columns):
    """The fund's accounts. `pb` is a Source; `alias` is how that broker writes it, `master` its master-sub form."""

    account_id: Text
    alias: Text
    master: Text
    fund: Text
    strategy: Text
    pb: I16


@dataclass(frozen=True, slots=True)
class Broker:
    """An executing broker: the fund's code for it, its LEI and MPID, and other spellings of its name."""

    code: str
    name: str
    lei: str
    mpid: str
    other_name: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything static a day needs; `usd` is US dollars per unit of each of CURRENCIES, in PRICE_UNITs."""

    instruments: Instruments
    accounts: Accounts
    brokers: tuple[Broker, ...]
    usd: I64
