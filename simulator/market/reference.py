"""The world as reference files: one CSV per table, everything dated from 2015 unless a day of the run changed it."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from simulator.market.accounts import BLOCK_ACCOUNT, DELTA_TYPES
from simulator.market.actions import Action, Kind, actions_on
from simulator.market.instructions import instructions
from simulator.market.listing import as_date
from simulator.market.prices import closes
from simulator.market.world import CURRENCIES, FUND, Asset, World
from simulator.records import PRICE_UNIT, Source

_SINCE = "2015-01-01"
_ANYONE = "*"
# SecurityIDSource(22): CUSIP, SEDOL, ISIN, exchange symbol.
_CUSIP, _SEDOL, _ISIN, _SYMBOL = "1", "2", "4", "8"
_PERCENT = (Asset.BOND, Asset.CDS)
_PAIRS = (Asset.FX_SPOT, Asset.FX_FWD, Asset.FX_NDF)
_PRICE_SOURCE = "CLOSE"

_Row = Sequence[object]


def reference_files(world: World, days: Sequence[int], seed: int) -> dict[str, bytes]:
    """`reference/NAME.csv` -> content, for a run over `days` (since 1970)."""
    actions = [action for day in days for action in actions_on(world, seed, day)]
    tables: dict[str, tuple[str, Iterable[_Row]]] = {
        "instrument": (
            "instrument_id,name,asset_class,ccy,mic,multiplier,price_unit,valid_from,valid_to",
            _instruments(world),
        ),
        "identifier_history": (
            "instrument_id,id_source,id_value,valid_from,valid_to",
            _identifiers(world, actions),
        ),
        "account_map": (
            "alias,party,account_id,fund,pb_id,custodian_id,valid_from,valid_to",
            _accounts(world),
        ),
        "corporate_action": (
            "action_id,instrument_id,action_type,ex_date,record_date,pay_date,ratio,amount,ccy,new_instrument_id,valid_from",
            (_action(world, action) for action in actions),
        ),
        "fx_rate": ("from_ccy,to_ccy,rate,valid_from,valid_to", _rates(world)),
        "close_price": ("instrument_id,price_date,price,ccy,price_source,valid_from", _closes(world, days, seed)),
        "ssi": (
            "ssi_id,party,account_id,market,place_of_settlement,agent,agent_account,valid_from,valid_to",
            _instructions(world),
        ),
    }
    return {f"reference/{name}.csv": _csv(header, rows) for name, (header, rows) in tables.items()}


def _csv(header: str, rows: Iterable[_Row]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return out.getvalue().encode()


def decimal(units: int) -> str:
    """PRICE_UNITs as text without trailing zeros."""
    whole, part = divmod(units, PRICE_UNIT)
    return f"{whole}.{part:08d}".rstrip("0").rstrip(".")


def _instruments(world: World) -> Iterator[_Row]:
    lines = world.instruments
    for row, key in enumerate(lines.key.tolist()):
        asset = Asset(lines.asset[row])
        unit = "PERCENT" if asset in _PERCENT else "MAJOR"
        until = as_date(lines.expiry[row] + 1).isoformat() if lines.expiry[row] else ""
        ccy, multiplier = CURRENCIES[lines.ccy[row]], int(lines.multiplier[row])
        yield key, lines.name[row], asset.name, ccy, lines.mic[row], multiplier, unit, _SINCE, until


def _identifiers(world: World, actions: Sequence[Action]) -> Iterator[_Row]:
    """Every name of every line; a renamed one's earlier names end on the day, its present ones may be used before."""
    lines = world.instruments
    taken: set[tuple[str, str]] = set()
    for row, key in enumerate(lines.key.tolist()):
        for pair in _names(world, row):
            if pair not in taken:
                taken.add(pair)
                yield key, *pair, _SINCE, ""
    for action in actions:
        if action.kind is Kind.RENAME:
            until = as_date(action.ex_day).isoformat()
            old = ((_ISIN, action.old_isin), (_CUSIP, action.old_cusip), (_SYMBOL, action.old_symbol))
            for pair in old:
                if pair[1] and pair not in taken:
                    taken.add(pair)
                    yield lines.key[action.instrument], *pair, _SINCE, until


def _names(world: World, row: int) -> Iterator[tuple[str, str]]:
    lines = world.instruments
    for source, column in ((_ISIN, lines.isin), (_CUSIP, lines.cusip), (_SEDOL, lines.sedol)):
        if column[row]:
            yield source, str(column[row])
    symbols = [str(lines.symbol[row]), str(lines.broker_symbol[row])]
    if Asset(lines.asset[row]) in _PAIRS:
        # A broker may quote the pair the other way round: the same line.
        ccy, ccy2 = CURRENCIES[lines.ccy[row]], CURRENCIES[lines.ccy2[row]]
        symbols += [text.replace(ccy, "*", 1).replace(ccy2, ccy, 1).replace("*", ccy2, 1) for text in symbols]
    for symbol in dict.fromkeys(symbols):
        yield _SYMBOL, symbol


def _accounts(world: World) -> Iterator[_Row]:
    """Each account's own name for everyone; its broker's names, and the fund's, as theirs: a stranger's stand out."""
    accounts = world.accounts
    for row, account_id in enumerate(accounts.account_id.tolist()):
        pb = Source(accounts.pb[row])
        alias = str(accounts.alias[row])
        aliases = [(account_id, _ANYONE), (account_id, FUND), (alias, pb.name), (str(accounts.master[row]), pb.name)]
        if pb is Source.DELTA:
            aliases += [(f"{alias}{kind}", pb.name) for kind in DELTA_TYPES]
        for name, party in aliases:
            yield name, party, account_id, accounts.fund[row], pb.name, "", _SINCE, ""
    for party in (_ANYONE, FUND):
        yield BLOCK_ACCOUNT, party, BLOCK_ACCOUNT, FUND, "", "", _SINCE, ""


def _action(world: World, action: Action) -> _Row:
    lines, kind = world.instruments, action.kind
    key, ccy = lines.key[action.instrument], CURRENCIES[lines.ccy[action.instrument]]
    ex_day, pay_day = as_date(action.ex_day), as_date(action.pay_day)
    ratio = amount = new_key = ""
    if kind is Kind.SPLIT:
        ratio = decimal(action.numerator * PRICE_UNIT // action.denominator)
    elif kind is Kind.RENAME:
        key, new_key = action.old_isin, key
    else:
        amount = decimal(action.amount)
    return (
        action.action_id, key, str(kind), ex_day, ex_day, pay_day, ratio, amount, ccy if amount else "", new_key,
        ex_day,
    )  # fmt: skip


def _rates(world: World) -> Iterator[_Row]:
    for ccy, rate in zip(CURRENCIES, world.usd.tolist(), strict=True):
        if ccy != "USD":
            yield ccy, "USD", decimal(rate), _SINCE, ""


def _closes(world: World, days: Sequence[int], seed: int) -> Iterator[_Row]:
    lines = world.instruments
    currencies = [CURRENCIES[ccy] for ccy in lines.ccy2.tolist()]
    for day in days:
        on = as_date(day).isoformat()
        for key, price, ccy in zip(lines.key.tolist(), closes(world, seed, day).tolist(), currencies, strict=True):
            yield key, on, decimal(price), ccy, _PRICE_SOURCE, on


def _instructions(world: World) -> Iterator[_Row]:
    for one in instructions(world):
        account_id = world.accounts.account_id[one.account]
        yield one.ssi_id, one.party, account_id, one.market, one.place, one.agent, one.agent_account, _SINCE, ""
