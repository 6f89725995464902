"""A day's books: positions, cash, settlement and affirmations of both sides, with what is wrong in them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from simulator.books import entailed, plant_cash, plant_positions, settlement
from simulator.books.cash import Till, open_till
from simulator.books.positions import Desk, open_desk
from simulator.books.setting import Finding, Setting, label
from simulator.books.settlement import Report
from simulator.books.shapes import Books, OpenItems, State, booked, brokers_of
from simulator.books.sheet import AFFIRMATIONS, SETTLEMENT, cash_file, csv_bytes, entry_uid, positions_file
from simulator.books.touch import Touched, touched
from simulator.faults.corrupt import bookings
from simulator.faults.rates import planned
from simulator.flow.live import live
from simulator.flow.trades import Trades
from simulator.market.world import World
from simulator.profiles import Profile
from simulator.records import I64, Source
from simulator.truth import BreakTruth, Consequence

_FUND = "fund"


def make_books(
    seed: int,
    day: int,
    world: World,
    profile: Profile,
    clean: Trades,
    shown: Trades,
    labels: Sequence[BreakTruth],
    opening: State | None = None,
) -> Books:
    """The books of `day` (days since 1970), which `opening` (None: the first day of a run) leads into.

    `clean` are the trades as they really were, `shown` as the sides state them, `labels` the breaks planted between
    the two; every version of a record counts, the next morning's too. The profile says how many breaks of the codes
    P, C and S are planted; the differences that `labels` entail are named in `consequences`.
    """
    setting = Setting.of(seed, day, world, profile, opening.number if opening else 0)
    records = shown.records
    standing = live(records) & booked(records)
    touch = touched(records, labels)
    counts = planned(profile, bookings(clean.records))
    desk = open_desk(setting, records, standing, touch, opening)
    till = open_till(setting, desk, records, standing, touch, opening)
    report = settlement.open_report(setting, records, standing, _misdated(touch, labels))
    consequences = entailed.positions(setting, desk, desk.fund, desk.broker)
    consequences += entailed.settlements(report, touch, len(records))
    breaks = _plant_positions(setting, desk, counts)
    cash_breaks, labelled = _plant_cash(setting, till, counts)
    settlement.plant(setting, report, touch, len(records), counts)
    settle_breaks, failed = _label_settlement(setting, report)
    why = entailed.balance_reasons(till, labelled)
    consequences += [*failed, *entailed.entries(setting, till, labelled)]
    consequences += entailed.balances(setting, till, labelled, why)
    told, left = settlement.carried(setting, opening.items if opening else OpenItems.none())
    files, arrivals = _files(setting, desk, till, report, told)
    closing = _closing(opening, desk, till, why, OpenItems.concat([left, settlement.still_open(report)]))
    made = [*breaks, *cash_breaks, *settle_breaks]
    return Books(files, arrivals, made, consequences, closing, _short(counts, made))


def _misdated(touch: Touched, labels: Sequence[BreakTruth]) -> I64:
    """Rows of the records about whose settlement date the sides disagree for good."""
    wrong = np.array([one.code == "T14" and one.cured_at is None for one in labels], np.bool_)
    rows: I64 = np.unique(touch.row[wrong[touch.label]])
    return rows


def _short(counts: Mapping[str, int], made: Sequence[BreakTruth]) -> dict[str, int]:
    found = Counter(one.code for one in made)
    return {code: n - found[code] for code, n in counts.items() if code[0] in "PCS" and n > found[code]}


def _numbered(findings: Sequence[Finding]) -> list[tuple[int, Finding]]:
    """Findings with their number among those of the same code."""
    counted: dict[str, int] = {}
    made = []
    for one in findings:
        counted[one.code] = counted.get(one.code, 0) + 1
        made.append((counted[one.code], one))
    return made


def _plant_positions(setting: Setting, desk: Desk, counts: Mapping[str, int]) -> list[BreakTruth]:
    findings = plant_positions.plant(setting, desk, counts)
    seen = (setting.fund_ns, setting.brokers_ns)
    return [label(setting, one, number, seen, setting.cured_books_ns) for number, one in _numbered(findings)]


def _plant_cash(setting: Setting, till: Till, counts: Mapping[str, int]) -> tuple[list[BreakTruth], dict[int, str]]:
    """The planted cash breaks, and the id of each by the place of its entry or the key of its balance."""
    planted = plant_cash.plant(setting, till, counts)
    breaks, labelled = [], {}
    for (number, finding), one in zip(_numbered([each.finding for each in planted]), planted, strict=True):
        if one.entry >= 0:
            entry = till.entries[one.entry]
            ours = (entry_uid(setting, Source.OMS, one.entry),) if entry.ours is not None else ()
            finding = replace(finding, internal=ours, external=(entry_uid(setting, entry.pb, one.entry),))
        seen = (setting.fund_ns if finding.internal else None, setting.brokers_ns)
        made = label(setting, finding, number, seen, None)
        breaks.append(made)
        labelled[one.entry if one.entry >= 0 else entailed.balance_key(one.cell)] = made.break_id
    return breaks, labelled


def _label_settlement(setting: Setting, report: Report) -> tuple[list[BreakTruth], list[Consequence]]:
    breaks, failed = [], []
    for (number, finding), missed in zip(_numbered([one.finding for one in report.misses]), report.misses, strict=True):
        cured = setting.cured_settled_ns if missed.heals else None
        breaks.append(label(setting, finding, number, (None, setting.settled_ns), cured))
        if missed.also:
            failed.append(Consequence("S01", (), breaks[-1].external_ids, (breaks[-1].break_id,)))
    return breaks, failed


def _files(
    setting: Setting, desk: Desk, till: Till, report: Report, told: OpenItems
) -> tuple[dict[str, bytes], dict[str, int]]:
    files: dict[str, bytes] = {}
    arrivals: dict[str, int] = {}
    for party in (Source.OMS, *brokers_of(setting.profile.pbs)):
        ours = party is Source.OMS
        at = setting.fund_ns if ours else setting.brokers_ns
        made = {"positions": (positions_file(setting, desk, party), at), "cash": (cash_file(setting, till, party), at)}
        if not ours:
            made["settlement"] = (_settlement_file(setting, report, told, party), setting.settled_ns)
            made["affirmations"] = (_affirmation_file(setting, report, party), setting.affirmed_ns)
        for kind, (content, arrival) in made.items():
            name = f"{_FUND if ours else party.name.lower()}/{kind}_{setting.text()}.csv"
            files[name], arrivals[name] = content, arrival
    return files, arrivals


def _settlement_file(setting: Setting, report: Report, told: OpenItems, party: Source) -> bytes:
    items, uid = settlement.items_of(report, np.flatnonzero(report.records.source == party))
    earlier = told.take(told.source == party)
    uid = pa.concat_arrays([uid, pa.array(earlier.uid.tolist(), pa.string())])
    columns = settlement.settlement_columns(setting, OpenItems.concat([items, earlier]), uid, len(earlier))
    return csv_bytes(SETTLEMENT, columns)


def _affirmation_file(setting: Setting, report: Report, party: Source) -> bytes:
    at = np.flatnonzero(report.records.source == party)
    uid = report.uid.take(pa.array(at))
    return csv_bytes(AFFIRMATIONS, settlement.affirmation_columns(setting, report.records.take(at), uid))


def _closing(
    opening: State | None, desk: Desk, till: Till, reasons: Mapping[int, tuple[str, ...]], items: OpenItems
) -> State:
    fund, broker = till.closing()
    why_qty = {cell: desk.why.get(cell, ()) for cell in np.flatnonzero(desk.fund_after != desk.broker_after).tolist()}
    why_cash = {cell: reasons.get(cell, ()) for cell in np.flatnonzero(fund != broker).tolist()}
    number = (opening.number if opening else 0) + 1
    return State(
        number, desk.fund_after, desk.broker_after, fund, broker, why_qty, why_cash, desk.late, items
    )  # fmt: skip
