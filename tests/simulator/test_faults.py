"""Planted breaks: every label is true, nothing else is touched, set-ups and variations are what they say."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal

import numpy as np
import pytest

from simulator.faults.corrupt import Corrupted, bookings, corrupt
from simulator.faults.noise import SHARES, SPLIT
from simulator.faults.rates import RATES, cured, planned
from simulator.flow.day import trade_day
from simulator.flow.fees import recompute
from simulator.flow.live import live
from simulator.flow.trades import Trades
from simulator.ids import uids
from simulator.market.money import usd
from simulator.market.universe import make_world
from simulator.market.world import CURRENCIES, Asset, World
from simulator.profiles import PROFILES, Profile
from simulator.records import MONEY_UNIT, PRICE_UNIT, Records, Side, Source, Status, noisy
from simulator.truth import BreakTruth, Member

DAY = 20_777  # 20 November 2026
SEED = 5
NAMES = [f.name for f in fields(Records)]
TRADE_CODES = [code for code in RATES if code[0] == "T"]
# Columns that a broken record may show differently from the clean one; the first ones must be among them.
_MONEY = {"gross", "net", "upfront"}
DIFFERS: dict[str, tuple[set[str], set[str]]] = {
    "T05": ({"qty"}, _MONEY),
    "T06": ({"price"}, {*_MONEY, "price_dp"}),
    "T07": ({"side"}, {"effect", "net"}),
    "T08": (set(), {"side", "effect"}),
    "T09": ({"instrument"}, set()),
    "T10": ({"account"}, set()),
    "T11": ({"qty"}, _MONEY),
    "T12": ({"source", "pb", "account"}, {*_MONEY, "serial", "root", "price", "price_dp", "arrive_ns"}),
    "T13": ({"trade_date"}, set()),
    "T14": ({"settle_date"}, set()),
    "T15": ({"settle_ccy"}, {"ccy", "fx_rate", "net"}),
    "T16": ({"commission"}, {"net"}),
    "T17": (set(), {"fee_sec", "fee_exchange", "tax", "net"}),
    "T18": ({"net"}, set()),
    "T19": ({"accrued"}, {"net"}),
    "T20": ({"fx_rate"}, {"net"}),
    "T21": ({"multiplier"}, {"gross", "net"}),
    "T25": ({"status"}, {"group"}),
    "T26": ({"broker"}, set()),
    "T27": ({"affirm"}, set()),
    "T28": ({"arrive_ns"}, set()),
    "T29": ({"price"}, {"gross", "net", "price_dp"}),
    "T30": (set(), {"uti", "coupon", "upfront", "net"}),
}
Row = dict[str, int]


@dataclass(frozen=True, slots=True)
class Day:
    """A clean day and what became of it, rows by member."""

    world: World
    profile: Profile
    clean: Trades
    made: Corrupted
    before: dict[Member, int]
    after: dict[Member, list[int]]

    def was(self, member: Member) -> Row:
        return self._row(self.clean.records, self.before[member])

    def shown(self, member: Member) -> Row:
        """The first version shown under an id (two sources keep it over all versions)."""
        return self.versions(member)[0]

    def versions(self, member: Member) -> list[Row]:
        rows = [self._row(self.made.trades.records, at) for at in self.after[member]]
        return sorted(rows, key=lambda row: row["version"])

    @staticmethod
    def _row(records: Records, at: int) -> Row:
        return {name: int(getattr(records, name)[at]) for name in NAMES}

    def of(self, code: str, case: str = "") -> list[BreakTruth]:
        return [label for label in self.made.breaks if label.code == code and label.case == case]

    def asset(self, row: Row) -> Asset:
        return Asset(int(self.world.instruments.asset[row["instrument"]]))


def members(records: Records) -> Iterator[tuple[Member, int]]:
    for source in Source:
        rows = np.flatnonzero(records.source == source)
        for uid, row in zip(uids(records.take(rows), source).to_pylist(), rows.tolist(), strict=True):
            yield Member(source.name, uid), row


def make_day(profile: Profile) -> Day:
    world = make_world(SEED)
    clean = trade_day(SEED, DAY, world, profile)
    made = corrupt(SEED, DAY, world, profile, clean)
    before: dict[Member, int] = {}
    for member, row in members(clean.records):
        if clean.records.version[row] == 1:
            before[member] = row
    after: dict[Member, list[int]] = {}
    for member, row in members(made.trades.records):
        after.setdefault(member, []).append(row)
    return Day(world, profile, clean, made, before, after)


@pytest.fixture(scope="module")
def stress() -> Day:
    return make_day(replace(PROFILES["stress"], fills=120_000))


def difference(before: Row, after: Row) -> set[str]:
    return {name for name in NAMES if before[name] != after[name]} - {"noise"}


def test_stress_plants_every_trade_code_in_the_number_asked_for(stress: Day) -> None:
    assert dict(stress.made.short) == {}
    counts = Counter(label.code for label in stress.made.breaks if not label.case)
    assert counts == {code: RATES[code][1] + cured(code, RATES[code][1]) for code in TRADE_CODES}
    healed = Counter(label.code for label in stress.made.breaks if label.cured_at and not label.case)
    assert healed == {"T28": 400} | {code: n for code in TRADE_CODES if (n := cured(code, RATES[code][1]))}
    for code in TRADE_CODES:
        spread = {label.pb for label in stress.of(code)}
        assert len(spread) >= 2, code


def test_rates_add_up_and_profiles_choose() -> None:
    assert len(RATES) == 53 and sum(n for _, n in RATES.values()) == 9_510
    assert sum(planned(PROFILES["noise-only"], 10_000).values()) == 0
    some = planned(replace(PROFILES["day"], codes=("T05", "C01")), 10_000)
    assert {code: n for code, n in some.items() if n} == {"T05": 25, "C01": 5}
    assert min(planned(PROFILES["smoke"], 100).values()) == 1


@pytest.mark.parametrize("code", DIFFERS)
def test_the_named_field_differs_and_only_what_follows_from_it(stress: Day, code: str) -> None:
    required, follows = DIFFERS[code]
    for label in stress.of(code):
        for at, member in enumerate(label.external_ids[:2] if code == "T11" else label.external_ids[:1]):
            after = stress.shown(member)
            if code == "T12":
                before = stress.was(label.internal_ids[0])
                kept = {"instrument", "side", "trade_date", "settle_date", "group", "ccy", "commission"}
                assert not kept & difference(before, after) or len(label.internal_ids) > 1
                assert Source(before["pb"]).name != label.pb == Source(after["source"]).name
                continue
            changed = difference(stress.was(member), after)
            assert required <= changed <= required | follows, (label, changed)
            assert changed, label
            assert at or label.true_value != label.shown_value


def test_money_follows_from_what_is_shown(stress: Day) -> None:
    named = {m for label in stress.made.breaks for m in label.external_ids}
    free = {m for code in ("T18", "T30", "T15", "T09") for label in stress.of(code) for m in label.external_ids}
    rows = np.array([row for member in named - free for row in stress.after[member]])
    shown = stress.made.trades.records.take(rows)
    again = recompute(shown, stress.world)
    assert (again.gross == shown.gross).all() and (again.net == shown.net).all()


def test_missing_records_are_absent_and_late_ones_come(stress: Day) -> None:
    shown_groups = set(stress.made.trades.records.group.tolist())
    for label in stress.of("T01"):
        ours = [stress.shown(member) for member in label.internal_ids]
        if label.cured_at is None:
            assert not label.external_ids and label.visible_at_external is None
            assert int(label.group_id) not in shown_groups
            assert label.detectable_at >= max(row["arrive_ns"] for row in ours) + 60 * 10**9
        else:
            (late,) = [stress.shown(member) for member in label.external_ids]
            assert late["arrive_ns"] == label.cured_at > label.detectable_at
            assert difference(stress.was(label.external_ids[0]), late) == {"arrive_ns"}


def test_unknown_trades_and_orphans_are_nobody_elses(stress: Day) -> None:
    known = {(row.uid) for row in stress.before}
    for label in [*stress.of("T02"), *stress.of("T24")]:
        (member,) = label.external_ids
        (row,) = stress.versions(member)
        assert member not in stress.before and not label.internal_ids
        assert row["group"] == 0 and row["order"] == -1 and row["cross"] == 0
        assert (row["status"] == Status.NEW) == (label.code == "T02")
        if label.code == "T24":
            assert label.shown_value not in known and row["prev"] and row["status"] in (Status.CANCEL, Status.CORRECT)


@pytest.mark.parametrize(("code", "side"), [("T03", "external_ids"), ("T04", "internal_ids")])
def test_duplicates_state_the_same_trade_under_another_id(stress: Day, code: str, side: str) -> None:
    for label in stress.of(code):
        first, again = (stress.shown(member) for member in getattr(label, side))
        assert difference(first, again) <= {"serial", "root", "group", "arrive_ns"}
        assert first["group"] and not again["group"] and first["arrive_ns"] <= again["arrive_ns"]


def test_split_shares_add_up_to_the_same_block(stress: Day) -> None:
    for label in stress.of("T11"):
        before, after = ([rows(m)["qty"] for m in label.external_ids] for rows in (stress.was, stress.shown))
        assert sum(before) == sum(after) and before != after
        one, two = (stress.shown(member) for member in label.external_ids)
        assert one["order"] == two["order"] and one["source"] == two["source"] and one["account"] != two["account"]


def test_stale_cancels_and_corrections_are_on_one_side_only(stress: Day) -> None:
    for label in [*stress.of("T22"), *stress.of("T23"), *stress.of("T22", "wrong_twin_cancelled")]:
        newest = {}
        for side, ids in (("ours", label.internal_ids), ("theirs", label.external_ids)):
            versions = [row for member in ids for row in stress.versions(member)]
            newest[side] = Status(max(versions, key=lambda row: row["version"])["status"])
        expected = Status.CANCEL if label.code == "T22" else Status.CORRECT
        assert sorted(newest.values()) == sorted([Status.NEW, expected])
        if label.code == "T22":
            assert (newest["ours"] is Status.CANCEL) == (label.true_value == "cancelled")


def test_cured_bookings_end_as_they_should_have_been(stress: Day) -> None:
    labels = [label for label in stress.made.breaks if label.cured_at and label.code not in ("T01", "T28")]
    assert len(labels) > 200
    for label in labels:
        versions = [row for member in label.external_ids for row in stress.versions(member)]
        last = max(versions, key=lambda row: row["version"])
        assert last["arrive_ns"] == label.cured_at and last["status"] == Status.CORRECT
        changed = difference(stress.was(label.external_ids[0]), last)
        assert changed <= {"serial", "status", "prev", "version", "arrive_ns"}


def test_late_records_come_inside_their_grace(stress: Day) -> None:
    for label in stress.of("T28"):
        assert label.cured_at is not None and label.cured_at == label.visible_at_external
        assert 15 * 10**9 < label.cured_at - label.detectable_at < 60 * 10**9


def test_codes_of_one_kind_are_planted_on_that_kind(stress: Day) -> None:
    kinds = {
        "T19": {Asset.BOND},
        "T21": {Asset.OPTION, Asset.FUTURE},
        "T30": {Asset.CDS, Asset.TRS},
        "T08": {Asset.EQUITY, Asset.ETF},
    }
    for code, assets in kinds.items():
        assert {stress.asset(stress.was(label.external_ids[0])) for label in stress.of(code)} <= assets
    for label in stress.of("T20"):
        row = stress.was(label.external_ids[0])
        assert row["fx_rate"] and row["settle_ccy"] != row["ccy"]
    for label in stress.of("T07"):
        before, after = stress.was(label.external_ids[0]), stress.shown(label.external_ids[0])
        assert (before["side"] == Side.BUY) != (after["side"] == Side.BUY)
    for label in stress.of("T10"):
        account = stress.shown(label.external_ids[0])["account"]
        assert Source(int(stress.world.accounts.pb[account])).name == label.pb


def test_rounding_is_beyond_the_digits_and_within_the_money(stress: Day) -> None:
    for label in stress.of("T29"):
        before, after = stress.was(label.external_ids[0]), stress.shown(label.external_ids[0])
        assert abs(before["price"] - after["price"]) > PRICE_UNIT // 200
        assert after["price"] % 10 ** (8 - after["price_dp"]) == 0
        for name in ("gross", "net"):
            assert abs(before[name] - after[name]) <= max(200, abs(before[name]) // 20_000)


def test_no_record_belongs_to_two_labels_unless_it_says_so(stress: Day) -> None:
    owners: dict[Member, list[BreakTruth]] = {}
    for label in stress.made.breaks:
        for member in (*label.internal_ids, *label.external_ids):
            owners.setdefault(member, []).append(label)
    shared = [labels for labels in owners.values() if len(labels) > 1]
    assert {label.case for labels in shared for label in labels} == {"two_breaks"}
    assert {tuple(sorted(label.code for label in labels)) for labels in shared} == {("T05", "T14")}
    ids = [label.break_id for label in stress.made.breaks]
    assert len(set(ids)) == len(ids)


def test_everything_else_stays_as_it_was(stress: Day) -> None:
    named = {m for label in stress.made.breaks for m in (*label.internal_ids, *label.external_ids)}
    named |= {m for case in stress.made.cases for m in case.members}
    clean, shown = stress.clean.records, stress.made.trades.records
    split = noisy(shown.noise, SPLIT)
    pairs = [(row, stress.after[m][0]) for m, row in stress.before.items() if m not in named and m in stress.after]
    before, after = np.array(pairs).T
    whole = ~split[after]
    for name in NAMES:
        if name != "noise":
            assert (getattr(clean, name)[before][whole] == getattr(shown, name)[after][whole]).all(), name
    gone = {m for m in stress.before if m not in stress.after}
    absent = [label for label in stress.of("T01") if not label.cured_at]
    assert len(gone) == len(absent) + len(stress.of("T12"))


def test_groups_tie_both_sides(stress: Day) -> None:
    def lonely(records: Records) -> set[int]:
        rows = np.flatnonzero(live(records) & (records.group > 0))
        ours = records.source[rows] == Source.OMS
        return set(records.group[rows[ours]].tolist()) ^ set(records.group[rows[~ours]].tolist())

    assert lonely(stress.made.trades.records) <= lonely(stress.clean.records)


def test_adversarial_set_ups_are_what_they_say(stress: Day) -> None:
    counts = Counter(case.name for case in stress.made.cases)
    assert set(counts.values()) == {20} and len(counts) == 8
    labels = {label.break_id: label for label in stress.made.breaks}
    for case in stress.made.cases:
        mine = [labels[name] for name in case.break_ids]
        assert all(label.case == case.name for label in mine)
        before = [stress.was(m) for m in case.members if m in stress.before]
        after = [stress.shown(m) for m in case.members]
        CHECKS[case.name](before, after, mine)


def check_twins(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    assert not labels and difference(before[0], before[1]) <= {
        "serial", "root", "cross", "group", "arrive_ns", "cum_qty", "avg_price", "commission", "fee_exchange",
    }  # fmt: skip
    assert [row["cross"] for row in after] == [row["cross"] for row in reversed(before)]


def check_wrong_twin(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    assert [label.code for label in labels] == ["T22", "T22"]
    assert {label.true_value for label in labels} == {"live", "cancelled"}
    assert before[0]["price"] == before[1]["price"] and before[0]["event_ns"] == before[1]["event_ns"]


def check_offsetting(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    assert [label.code for label in labels] == ["T05", "T05"]
    assert sum(row["qty"] for row in before) == sum(row["qty"] for row in after)
    assert len({(row["account"], row["instrument"], row["side"]) for row in before}) == 1


def check_two_breaks(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    assert [label.code for label in labels] == ["T05", "T14"]
    assert {"qty", "settle_date"} <= difference(before[0], after[0])


def check_cured(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    assert [label.code for label in labels] == ["T06"] and labels[0].cured_at


def check_inside(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    changed = difference(before[0], after[0])
    assert not labels and changed <= {"price", "price_dp", "gross", "commission", "net"}
    if "commission" in changed:
        unit = MONEY_UNIT if CURRENCIES[before[0]["ccy"]] == "JPY" else 100
        assert abs(after[0]["commission"] - before[0]["commission"]) <= max(unit, before[0]["commission"] // 100)
    assert abs(after[0]["price"] - before[0]["price"]) < PRICE_UNIT // 200


def check_outside(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    (label,) = labels
    if label.code == "T16":
        moved = after[0]["commission"] - before[0]["commission"]
        assert max(100, before[0]["commission"] // 100) < moved
    else:
        assert label.code == "T06" and abs(after[0]["price"] - before[0]["price"]) > PRICE_UNIT // 200
        assert abs(after[0]["gross"] - before[0]["gross"]) > max(200, before[0]["gross"] // 20_000)


def check_two_brokers(before: list[Row], after: list[Row], labels: list[BreakTruth]) -> None:
    assert [label.code for label in labels] == ["T02"] and len(before) == 1
    assert difference(before[0], after[0]) == set() and after[0]["source"] != after[1]["source"]
    assert all(after[0][name] == after[1][name] for name in ("instrument", "side", "qty", "settle_date"))


CHECKS = {
    "twins_swapped": check_twins,
    "wrong_twin_cancelled": check_wrong_twin,
    "offsetting": check_offsetting,
    "two_breaks": check_two_breaks,
    "break_and_cure": check_cured,
    "inside_tolerance": check_inside,
    "outside_tolerance": check_outside,
    "two_brokers": check_two_brokers,
}


def test_what_is_at_stake_is_told_in_dollars_too(stress: Day) -> None:
    for label in stress.made.breaks[::97]:
        amount = np.array([int(label.materiality * MONEY_UNIT)])
        value = usd(stress.world, amount, np.array([CURRENCIES.index(label.ccy)], np.int8))
        assert label.materiality_usd == Decimal(int(value[0])) / MONEY_UNIT
    assert all(label.materiality > 0 for label in stress.made.breaks)


def test_times_are_in_order(stress: Day) -> None:
    for label in stress.made.breaks:
        seen = [at for at in (label.visible_at_internal, label.visible_at_external) if at]
        assert label.detectable_at >= (min(seen) if label.cured_at else max(seen))
        assert label.cured_at is None or label.cured_at > label.detectable_at


@pytest.fixture(scope="module")
def quiet() -> Day:
    return make_day(PROFILES["noise-only"])


def test_noise_alone_breaks_nothing(quiet: Day) -> None:
    assert not quiet.made.breaks and not quiet.made.cases
    clean, shown = quiet.clean.records, quiet.made.trades.records
    split = np.flatnonzero(noisy(shown.noise, SPLIT))
    added = len(shown) - len(clean)
    assert added * 2 == len(split) and 0.01 < added / bookings(clean) < 0.03
    first, second = split[:added], np.arange(len(clean), len(shown))
    first = first[np.argsort(shown.group[first])]
    second = second[np.argsort(shown.group[second])]
    assert (shown.group[first] == shown.group[second]).all()
    for name in ("qty", "gross", "accrued", "commission", "fee_sec", "fee_exchange", "tax", "net", "upfront"):
        whole = getattr(clean, name)[first]
        assert (getattr(shown, name)[first] + getattr(shown, name)[second] == whole).all(), name
    assert (shown.qty > 0).all()
    same = np.setdiff1d(np.arange(len(clean)), first)
    for name in NAMES:
        if name != "noise":
            assert (getattr(clean, name)[same] == getattr(shown, name)[same]).all(), name


def test_variations_are_only_where_the_broker_writes_so_and_about_as_often(quiet: Day) -> None:
    shown = quiet.made.trades.records
    lines = quiet.world.instruments
    for source, shares in SHARES.items():
        mine = shown.take(shown.source == source)
        allowed = sum(1 << number for number in (*shares, 18, 25, 27))
        assert not (mine.noise & ~allowed).any(), source
    alpha, bravo, delta = (shown.take(shown.source == s) for s in (Source.ALPHA, Source.BRAVO, Source.DELTA))
    assert noisy(alpha.noise, 23).mean() == pytest.approx(0.6, abs=0.03)
    assert noisy(alpha.noise, 6).mean() == pytest.approx(0.5, abs=0.03)
    assert noisy(alpha.noise, 24).mean() == pytest.approx(0.05, abs=0.02)
    assert noisy(bravo.noise, 5).all() and (lines.ccy[bravo.instrument[noisy(bravo.noise, 7)]] == 1).all()
    assert (lines.asset[delta.instrument[noisy(delta.noise, 9)]] == Asset.OPTION).all()
    tomorrow = alpha.take(noisy(alpha.noise, 26))
    assert len(tomorrow) and (tomorrow.settle_date > tomorrow.trade_date).all()


def test_the_same_seed_gives_the_same_day_and_leaves_the_clean_one_alone() -> None:
    profile = replace(PROFILES["smoke"], charlie_fix=True)
    world = make_world(SEED)
    clean = trade_day(SEED, DAY, world, profile)
    kept = {name: getattr(clean.records, name).copy() for name in NAMES}
    first, second = (corrupt(SEED, DAY, world, profile, clean) for _ in range(2))
    assert first.breaks == second.breaks and first.cases == second.cases
    for name in NAMES:
        assert (getattr(first.trades.records, name) == getattr(second.trades.records, name)).all(), name
        assert (getattr(clean.records, name) == kept[name]).all(), name
    other = corrupt(SEED + 1, DAY, world, profile, clean)
    assert [label.group_id for label in other.breaks] != [label.group_id for label in first.breaks]


def test_codes_and_brokers_limit_what_is_planted() -> None:
    world = make_world(SEED)
    profile = replace(PROFILES["smoke"], fills=6_000, codes=("T05", "T12"), pbs="ACD", adversarial=3)
    made = corrupt(SEED, DAY, world, profile, trade_day(SEED, DAY, world, profile))
    assert {label.code for label in made.breaks} == {"T05", "T12"}
    assert {label.pb for label in made.breaks} <= {"ALPHA", "CHARLIE", "DELTA"}
    assert {case.name for case in made.cases} == {"twins_swapped", "offsetting", "inside_tolerance"}
