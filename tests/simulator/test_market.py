"""The simulated world: sizes, identifiers that check, settlement dates, reference files the service can load."""

from datetime import date
from pathlib import Path

import holidays
import numpy as np
import pytest

from app.reference_file import read, table_for
from domain.schema import TABLES
from ingest.files import codes
from ingest.normalise_reference import build_reference
from ingest.symbology import Evidence, instrument_id, normalised_symbol
from simulator.calendars import (
    fixing_dates,
    next_settle,
    next_settle_day,
    open_lines,
    settle_date,
    settle_dates,
    trading_days,
)
from simulator.market.accounts import BLOCK_ACCOUNT
from simulator.market.identifiers import lei
from simulator.market.listing import as_date, day_number
from simulator.market.money import usd
from simulator.market.prices import closes
from simulator.market.reference import reference_files
from simulator.market.universe import KINDS, in_32nds, kinds, make_world, weights
from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import MONEY_UNIT, PRICE_UNIT, Source

FIRST = date(2026, 11, 20)
DAY = day_number(FIRST)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7)


def row_of(world: World, symbol: str) -> int:
    return int(np.flatnonzero(world.instruments.symbol == symbol)[0])


def settle(world: World, symbol: str, day: date) -> date:
    return as_date(settle_dates(world, np.array([row_of(world, symbol)], np.int32), day_number(day))[0])


def test_same_seed_same_world_another_seed_another(world: World) -> None:
    again, other = make_world(7), make_world(8)
    assert all(
        np.array_equal(getattr(world.instruments, name), getattr(again.instruments, name))
        for name in world.instruments.__dataclass_fields__
    )
    assert not np.array_equal(world.instruments.key, other.instruments.key)


@pytest.mark.parametrize("seed", [1, 7, 4242])
def test_sizes_and_unique_names(seed: int) -> None:
    world = make_world(seed)
    lines = world.instruments
    counts = np.bincount(kinds(world), minlength=len(KINDS)).tolist()
    assert dict(zip(KINDS, counts, strict=True)) == {
        "equity": 300, "option": 60, "future": 16, "fx": 34, "bond": 60, "otc": 10
    }  # fmt: skip
    equity = kinds(world) == 0
    american = np.isin(lines.mic, ("XNYS", "XNAS", "ARCX"))
    assert (equity & american).sum() == 210
    assert len(set(lines.key.tolist())) == len(lines)
    for column in (lines.isin, lines.cusip, lines.sedol, lines.symbol):
        shown = [text for text in column.tolist() if text]
        assert len(set(shown)) == len(shown)
    assert (lines.price > 0).all() and (lines.price % lines.tick == 0).all()


def test_identifiers_check(world: World) -> None:
    lines = world.instruments
    assert all(codes.isin(text) for text in lines.isin.tolist() if text)
    assert all(codes.cusip(text) == text for text in lines.cusip.tolist() if text)
    assert all(codes.sedol(text) == text for text in lines.sedol.tolist() if text)
    american = np.char.startswith(lines.isin, "US")
    assert (np.char.str_len(lines.cusip[american]) == 9).all()
    abroad = (kinds(world) == 0) & ~american
    assert (np.char.str_len(lines.sedol[abroad]) == 7).all()
    assert all(broker.lei == lei(broker.lei[:18]) and len(broker.lei) == 20 for broker in world.brokers)
    assert int("".join(str(int(char, 36)) for char in world.brokers[0].lei)) % 97 == 1


def test_options_and_futures(world: World) -> None:
    lines = world.instruments
    options = np.flatnonzero(lines.asset == Asset.OPTION)
    assert set(np.char.str_len(lines.symbol[options]).tolist()) == {21}
    assert set(lines.multiplier[options].tolist()) == {100, 150}
    for row in options.tolist():
        symbol = str(lines.symbol[row])
        assert symbol[6:12] == f"{as_date(lines.expiry[row]):%y%m%d}"
        assert int(symbol[13:]) * PRICE_UNIT == int(lines.strike[row]) * 1000
        assert (symbol[12] == "C") == (lines.put_call[row] == 1)
        assert lines.asset[lines.underlying[row]] in (Asset.EQUITY, Asset.ETF)
    dated = (lines.expiry > 0) & (kinds(world) != KINDS.index("otc"))
    assert (lines.expiry[dated] > DAY + 30).all()
    assert in_32nds(world).sum() == 6


def test_partner_lines_are_of_the_same_kind(world: World) -> None:
    lines = world.instruments
    rows = np.flatnonzero(lines.line >= 0)
    assert (kinds(world)[rows] == kinds(world)[lines.line[rows]]).all()
    assert (lines.line[rows] != rows).all()
    goog, googl = row_of(world, "GOOG"), row_of(world, "GOOGL")
    assert lines.line[goog] == googl and lines.line[googl] == goog
    assert lines.line[row_of(world, "VOD.L")] == row_of(world, "VOD")


def test_accounts_by_broker_with_their_aliases(world: World) -> None:
    accounts = world.accounts
    assert np.bincount(accounts.pb).tolist() == [0, 3, 3, 2, 2, 2]
    own = accounts.alias != accounts.account_id
    assert set(accounts.pb[own].tolist()) == {Source.BRAVO, Source.DELTA}
    assert len({*accounts.account_id.tolist(), *accounts.alias.tolist(), *accounts.master.tolist()}) == 29


def test_weights_fall_by_rank_within_a_kind(world: World) -> None:
    share = weights(world)
    equity = share[kinds(world) == 0]
    assert share.sum() == pytest.approx(len(KINDS))
    assert equity[0] / equity[1] == pytest.approx(2**0.9)
    assert (np.diff(equity) < 0).all()


def test_settlement_over_holidays(world: World) -> None:
    # Columbus Day: New York trades, Fedwire does not pay.
    assert settle(world, "AAPL", date(2025, 10, 10)) == date(2025, 10, 14)
    assert settle(world, "AAPL", FIRST) == date(2026, 11, 23)
    assert settle(world, "VOD.L", FIRST) == date(2026, 11, 24)
    assert settle(world, "SAP.DE", date(2026, 12, 22)) == date(2026, 12, 28)
    assert settle(world, "EUR/USD", FIRST) == date(2026, 11, 24)
    assert settle(world, "USD/CAD", FIRST) == date(2026, 11, 23)
    # Tokyo rests on the 23rd; Thanksgiving is no value date but counts on the way.
    assert settle(world, "USD/JPY", FIRST) == date(2026, 11, 25)
    assert settle(world, "EUR/USD", date(2026, 11, 24)) == date(2026, 11, 27)
    assert settle(world, "EUR/USD", date(2026, 11, 25)) == date(2026, 11, 27)
    assert settle(world, "ESH7", date(2026, 11, 25)) == date(2026, 11, 27)


def test_settlement_agrees_day_by_day_with_the_calendars(world: World) -> None:
    lines = world.instruments
    rows = np.array([row_of(world, symbol) for symbol in ("AAPL", "VOD.L", "SAP.DE", "ASML.AS")], np.int32)
    for day in trading_days(date(2026, 3, 25), 40):
        shown = settle_dates(world, rows, day_number(day))
        expected = [settle_date(str(lines.mic[row]), day) for row in rows.tolist()]
        assert [as_date(number) for number in shown.tolist()] == expected
        later = [next_settle_day(str(lines.mic[row]), on) for row, on in zip(rows.tolist(), expected, strict=True)]
        assert [as_date(number) for number in next_settle(world, rows, shown).tolist()] == later


def test_treasuries_settle_by_sifma_and_forwards_on_their_date(world: World) -> None:
    lines = world.instruments
    rows = np.arange(len(lines), dtype=np.int32)
    dates = settle_dates(world, rows, DAY)
    forward = np.isin(lines.asset, (Asset.FX_FWD, Asset.FX_NDF))
    assert (dates[forward] == lines.expiry[forward]).all()
    assert (dates > DAY).all() and (next_settle(world, rows, dates) > dates).all()
    treasury = rows[np.char.startswith(lines.cusip, "91282C")]
    good_friday_eve = day_number(date(2026, 4, 2))
    opens = holidays.financial_holidays("XSIF", years=2026)
    expected = date(2026, 4, 3) if date(2026, 4, 3) not in opens else date(2026, 4, 6)
    assert {as_date(day) for day in settle_dates(world, treasury, good_friday_eve).tolist()} == {expected}
    assert (fixing_dates(world, rows)[forward] < lines.expiry[forward]).all()


def test_a_day_each_row_and_open_markets(world: World) -> None:
    aapl = row_of(world, "AAPL")
    rows, days = np.array([aapl, aapl], np.int32), np.array([DAY, DAY - 1], np.int32)
    assert settle_dates(world, rows, days).tolist() == [DAY + 3, DAY]
    thanksgiving = open_lines(world, day_number(date(2026, 11, 26)))
    assert not thanksgiving[aapl] and thanksgiving[row_of(world, "VOD.L")]
    assert open_lines(world, DAY).all()
    assert trading_days(date(2026, 11, 25), 3) == [date(2026, 11, 25), date(2026, 11, 27), date(2026, 11, 30)]


def test_usd_is_exact_for_large_amounts(world: World) -> None:
    ccy = np.array([CURRENCIES.index(code) for code in ("USD", "GBP", "KRW", "EUR")], np.int8)
    amount = np.array([90_000_000_000, 100, 10**12, -7], np.int64) * MONEY_UNIT
    expected = [int(a) * int(world.usd[c]) / PRICE_UNIT for a, c in zip(amount, ccy, strict=True)]
    assert usd(world, amount, ccy).tolist() == pytest.approx(expected, rel=1e-15)
    assert usd(world, amount, ccy)[0] == amount[0]


def test_reference_files_load_and_resolve_every_name(world: World, tmp_path: Path) -> None:
    days = [day_number(day) for day in trading_days(FIRST, 3)]
    files = reference_files(world, days, 7)
    assert files == reference_files(world, days, 7)
    tables = {}
    for name, content in files.items():
        path = tmp_path / Path(name).name
        path.write_bytes(content)
        table = table_for(path)
        assert content.split(b"\n", 1)[0].decode().split(",") == [
            name for name in TABLES[path.stem].columns if name != "known_at"
        ]
        tables[path.stem] = read(path, table)
    lines = world.instruments
    known = build_reference({}, tables["account_map"], tables["identifier_history"])
    for row, key in enumerate(lines.key.tolist()):
        shown = [("4", lines.isin[row]), ("1", lines.cusip[row]), ("2", lines.sedol[row])]
        for pair in [(source, str(value)) for source, value in shown if value]:
            assert instrument_id(Evidence(None, None, (pair,), ""), known.instruments, FIRST) == key
        for symbol in (str(lines.symbol[row]), str(lines.broker_symbol[row])):
            assert instrument_id(Evidence(symbol, None, (), ""), known.instruments, FIRST) == key
    assert instrument_id(Evidence("USD/EUR", None, (), ""), known.instruments, FIRST) == "EUR/USD"
    account_checks(world, known.account)
    assert tables["close_price"].num_rows == len(lines) * len(days)
    kinds_of_action = set(tables["corporate_action"]["action_type"].to_pylist())
    assert kinds_of_action == {"SPLIT", "RENAME", "DIVIDEND", "COUPON"}


def account_checks(world: World, account: object) -> None:
    accounts = world.accounts
    assert callable(account)
    for row, account_id in enumerate(accounts.account_id.tolist()):
        pb = Source(accounts.pb[row]).name
        for alias in (account_id, str(accounts.alias[row]), str(accounts.master[row])):
            assert account(pb, alias, FIRST).account_id == account_id
        assert account("MERIDIAN", account_id, FIRST).pb_id == pb
    assert account("MERIDIAN", BLOCK_ACCOUNT, FIRST).pb_id is None


def test_no_two_lines_share_a_symbol_without_its_punctuation(world: World) -> None:
    lines = world.instruments
    seen: dict[str, int] = {}
    for column in (lines.symbol, lines.broker_symbol):
        for row, symbol in enumerate(column.tolist()):
            assert seen.setdefault(normalised_symbol(symbol), row) == row


def test_closing_prices_are_near_and_on_tick(world: World) -> None:
    lines, shown = world.instruments, closes(world, 7, DAY)
    assert (shown % lines.tick == 0).all() and (shown > 0).all()
    assert (np.abs(shown - lines.price) <= lines.price // 20 + lines.tick).all()
    assert not np.array_equal(shown, closes(world, 7, DAY + 3))
