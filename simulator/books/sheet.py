"""The books as CSV files: each party's own header words, one row a position, entry, booking or confirmation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from simulator.books.cash import Till
from simulator.books.positions import Desk
from simulator.books.setting import Setting, scaled_text
from simulator.market.actions import Kind
from simulator.market.world import CURRENCIES
from simulator.records import I64, MONEY_UNIT, PRICE_UNIT, Source

# Columns: date, account, ISIN, CUSIP, SEDOL, symbol, name, long, short, basis, price, currency, market value.
_POSITIONS: Mapping[Source, str] = MappingProxyType(
    {
        Source.OMS: "As Of Date,Account,ISIN,CUSIP,SEDOL,Symbol,Security Name,Long Quantity,Short Quantity,Basis,"
        "Price,Currency,Market Value,Snapshot,Instrument Id",
        Source.ALPHA: "As Of Date,Account,ISIN,CUSIP,SEDOL,Symbol,Security Name,Long Quantity,Short Quantity,Basis,"
        "Closing Price,Currency,Market Value",
        Source.BRAVO: "Position Date,Account No,ISIN Code,CUSIP No,SEDOL Code,Ticker,Description,Qty Long,Qty Short,"
        "Position Basis,Price,Ccy,Market Value Local",
        Source.CHARLIE: "Business Date,Client Account,ISIN,CUSIP,SEDOL,Ticker Symbol,Instrument,Long,Short,Basis,"
        "Mark,CCY,MV",
        Source.DELTA: "Report Date,Account Number,Security ISIN,CUSIP Number,SEDOL,Security Symbol,Security "
        "Description,Long Shares,Short Shares,Trade or Settle Date,Market Price,Currency Code,Market Value",
        Source.ECHO: "Report Date,Account Id,ISIN,CUSIP,SEDOL,Symbol,Description,Quantity Long,Quantity Short,Basis,"
        "Mark Price,Currency,Position Value",
    }
)
# Columns: entry id, date, account, currency, type, value date, amount, reference, symbol.
_CASH: Mapping[Source, str] = MappingProxyType(
    {
        Source.OMS: "Entry Id,Statement Date,Account,Currency,Entry Type,Value Date,Amount,Reference,Symbol",
        Source.ALPHA: "Entry Id,Statement Date,Account,Currency,Entry Type,Value Date,Amount,Reference,Symbol",
        Source.BRAVO: "Transaction Ref,Statement Date,Account No,Ccy,Transaction Type,Value Date,Amount,Narrative,"
        "Ticker",
        Source.CHARLIE: "Entry No,Business Date,Client Account,CCY,Type,Value Date,Net Amount,Description,Ticker "
        "Symbol",
        Source.DELTA: "Activity Id,Report Date,Account Number,Currency Code,Activity Type,Value Date,Amount,Activity "
        "Description,Security Symbol",
        Source.ECHO: "Transaction ID,Report Date,Account Id,Currency,Type,Settle Date,Amount,Description,Symbol",
    }
)
SETTLEMENT = (
    "Trade Id,Account,Settlement Status,Reason Code,Settlement Date,Settled Quantity,Remaining Quantity,"
    "Place of Settlement,SSI Id,Status Time"
)
AFFIRMATIONS = "Confirm Id,Trade Id,Account,Affirmation Status,Affirmed At"
OPENING, CLOSING = "OPENING BALANCE", "BALANCE"
_TRADE_DATE, _SETTLE_DATE = "TRADE_DATE", "SETTLE_DATE"
_SYMBOLS_OF_OURS = (Source.OMS, Source.ALPHA, Source.DELTA)


def csv_bytes(header: str, columns: Sequence[Sequence[str] | pa.Array]) -> bytes:
    """A header and columns of text as a CSV file."""
    names = header.split(",")
    table = pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
    sink = pa.BufferOutputStream()
    sink.write(f"{header}\n".encode())
    # The writer quotes either every text or none.
    special = any(pc.any(pc.match_substring_regex(column, '[",\r\n]')).as_py() for column in table.columns)
    quoting = "needed" if special else "none"
    pa_csv.write_csv(table, sink, pa_csv.WriteOptions(include_header=False, quoting_style=quoting))
    made: bytes = sink.getvalue().to_pybytes()
    return made


def positions_file(setting: Setting, desk: Desk, party: Source) -> bytes:
    """The positions one party shows: a broker at the end of the day, the fund at its start too."""
    columns, ours = _columns(setting, party), party is Source.OMS
    if ours:
        keys = setting.world.instruments.key.tolist()
        rows = [
            (
                *_position(setting, desk, columns, cell, qty, int(prices[cell % len(keys)])),
                snapshot,
                keys[cell % len(keys)],
            )
            for snapshot, array, prices in (
                ("SOD", desk.fund_opening, setting.previous_closes),
                ("EOD", desk.fund, setting.closes),
            )
            for cell, qty in _held(array)
        ]
    else:
        prices = setting.closes.tolist()
        shown = {cell: qty for cell, qty in _held(desk.broker) if desk.place(cell)[0] == party}
        rows = [
            _position(setting, desk, columns, cell, qty, desk.price.get(cell, prices[cell % len(prices)]))
            for cell, qty in shown.items()
        ]
    header = _POSITIONS[party]
    return csv_bytes(header, list(zip(*rows, strict=True)) or [[]] * len(header.split(",")))


def _held(array: I64) -> list[tuple[int, int]]:
    flat = array.reshape(-1)
    cells = np.flatnonzero(flat)
    return list(zip(cells.tolist(), flat[cells].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Columns:
    """Texts by account and by instrument as one party writes them; `ours` if it is the fund."""

    ours: bool
    date: str
    accounts: list[str]
    names: list[tuple[str, ...]]
    ccys: list[str]
    past: Mapping[int, tuple[str, ...]]


def _columns(setting: Setting, party: Source) -> _Columns:
    lines, accounts, ours = setting.world.instruments, setting.world.accounts, party is Source.OMS
    symbols = lines.symbol if party in _SYMBOLS_OF_OURS else lines.broker_symbol
    names = list(
        zip(*(each.tolist() for each in (lines.isin, lines.cusip, lines.sedol, symbols, lines.name)), strict=True)
    )
    renamed = setting.actions_of(Kind.RENAME)
    past = {
        one.instrument: (one.old_isin, one.old_cusip, "", one.old_symbol, names[one.instrument][-1]) for one in renamed
    }
    owners = (accounts.account_id if ours else accounts.alias).tolist()
    return _Columns(
        ours, setting.text("%Y-%m-%d"), owners, names, [CURRENCIES[ccy] for ccy in lines.ccy.tolist()], past
    )


def _position(setting: Setting, desk: Desk, columns: _Columns, cell: int, net: int, price: int) -> tuple[str, ...]:
    _, account, line = desk.place(cell)
    both = 0 if columns.ours else desk.box.get(cell, 0)
    return (
        columns.date,
        columns.accounts[account],
        *(columns.past if not columns.ours and cell in desk.old else columns.names)[line],
        str(max(net, 0) + both),
        str(max(-net, 0) + both),
        _SETTLE_DATE if not columns.ours and cell in desk.dated else _TRADE_DATE,
        scaled_text(price, PRICE_UNIT, 2),
        columns.ccys[line],
        scaled_text(setting.worth(line, net, price), MONEY_UNIT, 2),
    )


def symbol(setting: Setting, line: int, party: Source) -> str:
    """A line's symbol as a party writes it."""
    lines = setting.world.instruments
    return str((lines.symbol if party in _SYMBOLS_OF_OURS else lines.broker_symbol)[line])


def entry_uid(setting: Setting, party: Source, place: int) -> str:
    """The id of the entry at a place of the till, as one party gives it."""
    prefix = "MEC" if party is Source.OMS else f"{party.name[0]}CE"
    return f"{prefix}{setting.text('%y%m%d')}{place + 1:06d}"


def cash_file(setting: Setting, till: Till, party: Source) -> bytes:
    """One party's statement: opening balances, the day's entries, closing balances."""
    ours = party is Source.OMS
    opening = till.fund_opening if ours else till.broker_opening
    closing = till.closing()[0 if ours else 1]
    rows = list(_balances(setting, opening, party, OPENING))
    for place, entry in enumerate(till.entries):
        amount = entry.ours if ours else entry.theirs
        if amount is not None and (ours or entry.pb is party):
            name = symbol(setting, entry.instrument, party) if entry.instrument >= 0 else ""
            spot = (entry.account, entry.ccy, entry.kind, entry.value_date)
            rows.append(_cash(setting, party, entry_uid(setting, party, place), spot, amount, entry.reference, name))
    rows += _balances(setting, closing, party, CLOSING)
    return csv_bytes(_CASH[party], list(zip(*rows, strict=True)) or [[]] * len(_CASH[party].split(",")))


def _balances(setting: Setting, array: I64, party: Source, kind: str) -> list[tuple[str, ...]]:
    made = []
    for cell in np.flatnonzero(array).tolist():
        pb, account, ccy = (int(at) for at in np.unravel_index(cell, array.shape))
        if party in (Source.OMS, pb):
            amount = int(array.reshape(-1)[cell])
            made.append(_cash(setting, party, "", (account, ccy, kind, setting.day), amount, "", ""))
    return made


def _cash(
    setting: Setting, party: Source, uid: str, spot: tuple[int, int, str, int], amount: int, reference: str, name: str
) -> tuple[str, ...]:
    accounts = setting.world.accounts
    account, ccy, kind, day = spot
    return (
        uid,
        setting.text("%Y-%m-%d"),
        str((accounts.account_id if party is Source.OMS else accounts.alias)[account]),
        CURRENCIES[ccy],
        kind,
        setting.text("%Y-%m-%d", day),
        scaled_text(amount, MONEY_UNIT, 2),
        reference,
        name,
    )
