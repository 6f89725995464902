"""The books of a day: the files add up, differ where a label or a consequence says so, and nowhere else."""

import csv
import io
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from simulator.books.cash import interest
from simulator.books.make import make_books
from simulator.books.setting import rounded, scaled_text
from simulator.books.shapes import Books, brokers_of
from simulator.calendars import trading_days
from simulator.faults.corrupt import Corrupted, bookings, corrupt
from simulator.faults.rates import planned
from simulator.flow.day import trade_day
from simulator.flow.live import live
from simulator.flow.trades import Trades
from simulator.ids import uids
from simulator.market.actions import Kind, actions_on
from simulator.market.universe import make_world
from simulator.market.world import CURRENCIES, Asset
from simulator.profiles import PROFILES
from simulator.records import MONEY_UNIT, Records, Side, Source

SEED = 11
WORLD = make_world(SEED)
FIRST = date(2026, 11, 20)
DAYS = [(day - date(1970, 1, 1)).days for day in trading_days(FIRST, 2)]
DAY, STAMP = DAYS[0], "20261120"
OWN = tuple(code for code in planned(PROFILES["day"], 1) if code[0] in "PCS")
TRADE_CODES = ("T01", "T02", "T05", "T06", "T10", "T14", "T16", "T20", "T22", "T27")
STRESS = replace(PROFILES["stress"], fills=16_000, codes=OWN + TRADE_CODES, adversarial=0)
PAIRS = (Asset.FX_SPOT, Asset.FX_FWD, Asset.FX_NDF)

Line = tuple[str, str]


class Day:
    """A day's trades and books, and the books' files read back."""

    def __init__(self, profile=STRESS, day=DAY, opening=None):
        self.clean: Trades = trade_day(SEED, day, WORLD, profile)
        self.spoiled: Corrupted = corrupt(SEED, day, WORLD, profile, self.clean)
        self.profile = profile
        self.books: Books = self.again(day, opening)
        self.by_code = defaultdict(list)
        for label in self.books.breaks:
            self.by_code[label.code].append(label)

    def again(self, day=DAY, opening=None) -> Books:
        return make_books(SEED, day, WORLD, self.profile, self.clean, self.spoiled.trades, self.spoiled.breaks, opening)

    def rows(self, party: str, kind: str, stamp: str = STAMP) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.books.files[f"{party}/{kind}_{stamp}.csv"].decode())))


@pytest.fixture(scope="module")
def stressed() -> Day:
    return Day()


def account_of(alias: str) -> str:
    at = np.flatnonzero((WORLD.accounts.alias == alias) | (WORLD.accounts.account_id == alias))
    return str(WORLD.accounts.account_id[at[0]])


def keys_of_line() -> dict[str, str]:
    lines = WORLD.instruments
    found = {}
    for row, key in enumerate(lines.key.tolist()):
        for name in (lines.isin[row], lines.symbol[row], lines.broker_symbol[row]):
            if name:
                found.setdefault(str(name), key)
    return found


KEYS = keys_of_line()


def positions(rows: list[dict[str, str]]) -> dict[Line, dict[str, str]]:
    """Rows of a broker's file by account and instrument: an ISIN nobody knows stays as it is."""
    made = {}
    for row in rows:
        values = list(row.values())
        name = values[2] or values[5]
        made[account_of(values[1]), KEYS.get(name, name)] = row
    assert len(made) == len(rows)
    return made


def net(row: dict[str, str]) -> int:
    values = list(row.values())
    return int(values[7]) - int(values[8])


def standing(records: Records) -> Records:
    alive = live(records) & (records.account >= 0) & ((records.source != Source.OMS) | (records.pb > 0))
    return records.take(alive)


def traded(records: Records, source: Source) -> Counter[Line]:
    """What one side's live records add to each line."""
    made: Counter[Line] = Counter()
    part = records.take((records.source == source) & ~np.isin(WORLD.instruments.asset[records.instrument], PAIRS))
    for account, line, side, qty in zip(
        *(c.tolist() for c in (part.account, part.instrument, part.side, part.qty)), strict=True
    ):
        key = str(WORLD.accounts.account_id[account]), str(WORLD.instruments.key[line])
        made[key] += qty if side == Side.BUY else -qty
    return made


def lines_of(labels, code: str = "") -> dict[Line, object]:
    return {
        tuple(member.uid.split("|")): label
        for label in labels
        if label.code.startswith("P") and label.code.startswith(code)
        for member in (*label.external_ids, *label.internal_ids)
    }


def fund_lines(day: Day, snapshot: str) -> dict[Line, int]:
    return {
        (row["Account"], row["Instrument Id"]): net(row)
        for row in day.rows("fund", "positions")
        if row["Snapshot"] == snapshot
    }


def test_every_code_is_planted_as_often_as_planned(stressed):
    counts = planned(STRESS, bookings(stressed.clean.records))
    found = Counter(label.code for label in stressed.books.breaks)
    assert found == {code: counts[code] for code in OWN} and not stressed.books.short
    ids = [label.break_id for label in (*stressed.books.breaks, *stressed.spoiled.breaks)]
    assert len(ids) == len(set(ids))


def test_realistic_numbers_too():
    day = Day(replace(PROFILES["smoke"], fills=3_000))
    counts = planned(day.profile, bookings(day.clean.records))
    assert Counter(label.code for label in day.books.breaks) == {code: counts[code] for code in OWN}


def test_broker_positions_are_opening_plus_bookings_but_for_planted_breaks(stressed):
    opening, labelled = fund_lines(stressed, "SOD"), lines_of(stressed.books.breaks)
    records = standing(stressed.spoiled.trades.records)
    checked = 0
    for source in brokers_of(STRESS.pbs):
        shown = positions(stressed.rows(source.name.lower(), "positions"))
        mine = {str(name) for name in WORLD.accounts.account_id[WORLD.accounts.pb == source]}
        moved = traded(records, source)
        for line in {*(line for line in opening if line[0] in mine), *moved, *shown}:
            if line in labelled and labelled[line].code not in ("P04", "P07", "P08"):
                continue
            checked += 1
            assert (net(shown[line]) if line in shown else 0) == opening.get(line, 0) + moved[line], line
    assert checked > 4_000


def test_fund_positions_are_opening_plus_trades_and_transfers(stressed):
    opening, closing = fund_lines(stressed, "SOD"), fund_lines(stressed, "EOD")
    moved, transfers = traded(standing(stressed.spoiled.trades.records), Source.OMS), lines_of(stressed.books.breaks)
    for line in {*opening, *closing, *moved}:
        if line in transfers and transfers[line].code == "P08":
            continue
        assert closing.get(line, 0) == opening.get(line, 0) + moved[line], line
    for label in stressed.by_code["P08"]:
        source, target = (tuple(member.uid.split("|")) for member in label.internal_ids)
        off = [closing.get(line, 0) - opening.get(line, 0) - moved[line] for line in (source, target)]
        assert off[0] == -off[1] < 0


def test_splits_are_in_the_opening_and_unplanted_brokers_know_them(stressed):
    ratios = {a.instrument: a for a in actions_on(WORLD, SEED, DAY) if a.kind is Kind.SPLIT}
    assert len({ratio.instrument for ratio in ratios.values()}) > 5
    labels = lines_of(stressed.books.breaks, "P02")
    opening, moved = fund_lines(stressed, "SOD"), traded(standing(stressed.spoiled.trades.records), Source.OMS)
    for (account, key), label in labels.items():
        ratio = next(a for at, a in ratios.items() if WORLD.instruments.key[at] == key)
        after = opening[account, key]
        off = int(label.shown_value) - int(label.true_value)
        assert (after + off) * ratio.numerator == after * ratio.denominator
        assert int(label.true_value) == after + moved[account, key]


def test_position_labels_are_what_the_files_show(stressed):
    files = {s.name: positions(stressed.rows(s.name.lower(), "positions")) for s in brokers_of(STRESS.pbs)}
    fund = fund_lines(stressed, "EOD")
    for label in stressed.books.breaks:
        if label.code[0] != "P":
            continue
        line = tuple(label.external_ids[0].uid.split("|"))
        row, inside = files[label.pb].get(line), tuple(label.internal_ids[0].uid.split("|"))
        qty = net(row) if row else 0
        values = list(row.values()) if row else []
        assert label.materiality >= 0 and label.detectable_at >= label.visible_at_internal
        if label.code in ("P01", "P02", "P05"):
            assert (qty, fund.get(inside, 0)) == (int(label.shown_value), int(label.true_value))
            assert label.shown_value != label.true_value
        elif label.code == "P03":
            assert line[1] == label.shown_value != label.true_value == inside[1] and inside not in files[label.pb]
            assert qty == fund[inside]
        elif label.code == "P04":
            assert (
                values[8 if label.field == "short_qty" else 7] == label.shown_value and min(values[7], values[8]) != "0"
            )
            assert qty == fund[inside]
        elif label.code == "P07":
            assert values[10] == label.shown_value and Decimal(label.shown_value) != Decimal(label.true_value)
            assert qty == fund[inside]
        else:
            shown_by_fund, shown_by_broker = fund.get(inside, 0), qty
            right, wrong = int(label.true_value), int(label.shown_value)
            expected = (wrong, right) if label.code == "P06" else (right, wrong)
            assert (shown_by_fund, shown_by_broker) == expected


def test_positions_that_differ_have_a_label_or_a_consequence(stressed):
    labelled = lines_of(stressed.books.breaks)
    entailed = {tuple(c.external_ids[0].uid.split("|")): c for c in stressed.books.consequences if c.code == "P01"}
    assert not entailed.keys() & labelled.keys()
    fund, seen = fund_lines(stressed, "EOD"), set()
    closes = {
        (r["Account"], r["Instrument Id"]): (r["Price"], r["Market Value"])
        for r in stressed.rows("fund", "positions")
        if r["Snapshot"] == "EOD"
    }
    for source in brokers_of(STRESS.pbs):
        for line, row in positions(stressed.rows(source.name.lower(), "positions")).items():
            seen.add(line)
            values = list(row.values())
            same = net(row) == fund.get(line, 0) and min(values[7], values[8]) == "0"
            same = same and (values[10], values[12]) == closes.get(line) and values[9] == "TRADE_DATE"
            assert same != (line in labelled or line in entailed), (source, line)
    for line in fund.keys() - seen:
        assert line in labelled or line in entailed
    assert entailed


def test_consequences_name_the_breaks_behind_them(stressed):
    known = {label.break_id for label in (*stressed.spoiled.breaks, *stressed.books.breaks)}
    assert {c.code for c in stressed.books.consequences} >= {"P01", "C01", "S01"}
    for consequence in stressed.books.consequences:
        assert consequence.explained_by and set(consequence.explained_by) <= known


def cash(day: Day, party: str, stamp: str = STAMP):
    """Opening and closing balances and entries of a statement: by account and currency, and by entry id."""
    opening, closing, entries = {}, {}, {}
    for row in day.rows(party, "cash", stamp):
        uid, _, account, ccy, kind, value_date, amount, reference, _ = row.values()
        key = account_of(account), ccy
        if kind in ("OPENING BALANCE", "BALANCE"):
            (opening if kind.startswith("O") else closing)[key] = Decimal(amount)
        else:
            entries[uid] = (key, kind, value_date, Decimal(amount), reference)
    return opening, closing, entries


def test_cash_adds_up_but_for_balances_nothing_explains(stressed):
    slips = {tuple(label.external_ids[0].uid.split("|")): label for label in stressed.by_code["C01"]}
    for party in ("fund", *(source.name.lower() for source in brokers_of(STRESS.pbs))):
        opening, closing, entries = cash(stressed, party)
        expected = Counter(opening)
        for key, _, _, amount, _ in entries.values():
            expected[key] += amount
        for key in expected.keys() | closing.keys():
            label = slips.get(key) if party != "fund" else None
            off = Decimal(label.shown_value) - Decimal(label.true_value) if label else Decimal(0)
            assert closing.get(key, Decimal(0)) == expected[key] + off, (party, key)
            assert label is None or off != 0


def test_trade_entries_are_the_net_of_the_bookings(stressed):
    records = standing(stressed.spoiled.trades.records)
    for source in brokers_of(STRESS.pbs):
        part = records.take(records.source == source)
        expected: Counter[tuple[str, str, str]] = Counter()
        columns = (part.account, part.instrument, part.settle_ccy, part.settle_date, part.net, part.side, part.qty)
        for account, line, ccy, settles, amount, side, qty in zip(*(c.tolist() for c in columns), strict=True):
            who, when = str(WORLD.accounts.account_id[account]), str(np.datetime64(settles, "D"))
            expected[who, CURRENCIES[ccy], when] += amount
            if WORLD.instruments.asset[line] in PAIRS[:2]:
                bought = qty * MONEY_UNIT if side == Side.BUY else -qty * MONEY_UNIT
                expected[who, CURRENCIES[WORLD.instruments.ccy[line]], when] += bought
        _, _, entries = cash(stressed, source.name.lower())
        shown = {(*key, day): amount for key, kind, day, amount, _ in entries.values() if kind == "TRADE"}
        assert shown == {key: Decimal(amount) / MONEY_UNIT for key, amount in expected.items() if amount}


def test_cash_entries_that_differ_have_a_label_or_a_consequence(stressed):
    own = cash(stressed, "fund")[2]
    ours = {(*key, *rest): amount for key, kind, day, amount, ref in own.values() for rest in [(kind, day, ref)]}
    named = {
        member.uid: label
        for label in stressed.books.breaks
        if label.code in ("C02", "C03", "C04", "C05")
        for member in label.external_ids
    }
    entailed = {m.uid for c in stressed.books.consequences for m in (*c.internal_ids, *c.external_ids)}
    theirs = {}
    for source in brokers_of(STRESS.pbs):
        for uid, (key, kind, day, amount, ref) in cash(stressed, source.name.lower())[2].items():
            theirs[*key, kind, day, ref] = amount
            expected = ours.get((*key, kind, day, ref))
            assert (amount != expected) == (uid in named or uid in entailed), (uid, amount, expected)
            if uid in named:
                assert amount == Decimal(named[uid].shown_value)
                assert expected == (Decimal(named[uid].true_value) if named[uid].true_value else None)
                assert named[uid].materiality == abs(amount - (expected or 0))
    for uid, (key, kind, day, _, ref) in own.items():
        assert (*key, kind, day, ref) in theirs or uid in entailed
    assert len(named) == sum(len(stressed.by_code[code]) for code in ("C02", "C03", "C04", "C05"))


def test_balances_that_differ_have_a_label_or_a_consequence(stressed):
    fund, differing = cash(stressed, "fund")[1], set()
    for source in brokers_of(STRESS.pbs):
        for key, amount in cash(stressed, source.name.lower())[1].items():
            if fund.get(key) != amount:
                differing.add("|".join(key))
    said = {m.uid for c in stressed.books.consequences for m in c.external_ids if c.code == "C01"}
    said |= {label.external_ids[0].uid for label in stressed.by_code["C01"]}
    assert differing <= said


def test_settlement_reports_every_booking_and_only_labelled_ones_miss(stressed):
    records = standing(stressed.spoiled.trades.records)
    misses = {label.external_ids[0].uid: label for code in ("S01", "S02") for label in stressed.by_code[code]}
    entailed = {c.external_ids[0].uid for c in stressed.books.consequences if c.code == "S01"}
    shown = {}
    for source in brokers_of(STRESS.pbs):
        rows = stressed.rows(source.name.lower(), "settlement")
        part = records.take(records.source == source)
        assert [row["Trade Id"] for row in rows] == uids(part, source).to_pylist()
        shown |= {row["Trade Id"]: row for row in rows}
        for row, qty in zip(rows, part.qty.tolist(), strict=True):
            assert int(row["Settled Quantity"]) + int(row["Remaining Quantity"]) == qty
            missed = row["Settlement Status"] in ("FAILED", "PARTIAL")
            assert missed == (row["Trade Id"] in misses or row["Trade Id"] in entailed) == bool(row["Reason Code"])
            assert row["Settlement Status"] != "PENDING" or row["Settlement Date"] > "2026-11-24"
    for uid, label in misses.items():
        field = "Settlement Status" if label.code == "S01" else "Settled Quantity"
        assert shown[uid][field] == label.shown_value != label.true_value
    for label in stressed.by_code["S03"]:
        row = shown[label.external_ids[0].uid]
        assert row["SSI Id"] == label.shown_value != label.true_value
        assert row["SSI Id"].split("-")[-1] == label.true_value.split("-")[-1]


def test_settlement_breaks_are_about_bookings_without_another(stressed):
    traded_uids = {member for label in stressed.spoiled.breaks for member in label.external_ids}
    ours = [label.external_ids[0] for code in ("S01", "S02", "S03") for label in stressed.by_code[code]]
    assert len(ours) == len(set(ours)) and not traded_uids & set(ours)


def test_affirmations_say_what_the_records_say(stressed):
    pending = {m.uid for label in stressed.spoiled.breaks if label.code == "T27" for m in label.external_ids}
    said = {}
    for source in brokers_of(STRESS.pbs):
        for row in stressed.rows(source.name.lower(), "affirmations"):
            said[row["Trade Id"]] = row["Affirmation Status"]
            assert bool(row["Affirmed At"]) == (row["Affirmation Status"] == "AFFIRMED")
            assert row["Affirmed At"] < "2026-11-21T02:00:00Z"
    assert pending and pending == {uid for uid, status in said.items() if status != "AFFIRMED"}


def test_a_day_without_breaks_agrees_in_everything():
    day = Day(replace(PROFILES["noise-only"], fills=4_000))
    assert not day.books.breaks and not day.books.consequences
    closing = day.books.closing
    assert (closing.fund_qty == closing.broker_qty).all() and (closing.fund_cash == closing.broker_cash).all()
    fund, own = fund_lines(day, "EOD"), cash(day, "fund")
    shown, balances = {}, {}
    for source in brokers_of(day.profile.pbs):
        shown |= {line: net(row) for line, row in positions(day.rows(source.name.lower(), "positions")).items()}
        balances |= cash(day, source.name.lower())[1]
        assert {row["Settlement Status"] for row in day.rows(source.name.lower(), "settlement")} <= {
            "SETTLED",
            "PENDING",
        }
    assert shown == fund and balances == own[1]


def test_same_seed_same_books(stressed):
    again = stressed.again()
    assert again.files == stressed.books.files
    assert again.breaks == stressed.books.breaks and again.consequences == stressed.books.consequences


def test_the_next_day_opens_as_the_day_closed_and_late_deliveries_arrive():
    profile = replace(PROFILES["soak"], fills=2_500, days=2)
    first = Day(profile)
    second = Day(profile, DAYS[1], first.books.closing)
    stamp = "20261123"
    assert second.books.closing.number == 2
    cured = [label for label in first.books.breaks if label.cured_at is not None]
    assert {label.code[0] for label in cured} == {"P", "S"}
    assert all(label.cured_at is None for label in second.books.breaks)
    fails = first.by_code["S01"]
    assert {label.cured_at is None for label in fails} == {True, False}
    for label in fails:
        rows = second.rows(label.pb.lower(), "settlement", stamp)
        status = next(row["Settlement Status"] for row in rows if row["Trade Id"] == label.external_ids[0].uid)
        assert status == ("FAILED" if label.cured_at is None else "SETTLED")
    known = {label.break_id for day in (first, second) for label in (*day.spoiled.breaks, *day.books.breaks)}
    for consequence in second.books.consequences:
        assert consequence.explained_by and set(consequence.explained_by) <= known
    for party in ("fund", *(source.name.lower() for source in brokers_of(profile.pbs))):
        assert cash(second, party, stamp)[0] == {key: v for key, v in cash(first, party)[1].items() if v}


def test_only_the_profile_s_brokers_have_books():
    day = Day(replace(PROFILES["smoke"], fills=1_000, pbs="AC"))
    assert {name.split("/")[0] for name in day.books.files} == {"fund", "alpha", "charlie"}
    assert day.books.files.keys() == day.books.arrivals.keys()
    assert {label.pb for label in day.books.breaks} <= {"ALPHA", "CHARLIE"}


def test_where_lines_are_scarce_every_code_gets_its_share_and_the_rest_is_told():
    day = Day(replace(STRESS, fills=3_000, breaks="realistic", rate_factor=60.0, codes=OWN))
    counts = planned(day.profile, bookings(day.clean.records))
    found = Counter(label.code for label in day.books.breaks)
    assert all(found[code] for code in OWN)
    assert day.books.short and all(found[code] + missing == counts[code] for code, missing in day.books.short.items())


@pytest.mark.parametrize(
    ("value", "unit", "least", "text"),
    [(125_000, 10_000, 2, "12.50"), (-1, 10_000, 2, "-0.0001"), (0, 10_000, 2, "0.00"), (3 * 10**8, 10**8, 0, "3")],
)
def test_numbers_as_text(value, unit, least, text):
    assert scaled_text(value, unit, least) == text


def test_money_rounds_half_away_from_zero_and_interest_to_the_cent():
    assert [rounded(n, 2) for n in (1, -1, 3, -3)] == [1, -1, 2, -2]
    # A million dollars at 4.5% over 360 days.
    assert interest(1_000_000 * MONEY_UNIT, 0) == 125 * MONEY_UNIT
    assert interest(1_000_000 * MONEY_UNIT, 0, year=365) == 1_232_900
