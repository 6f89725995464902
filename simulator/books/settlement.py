"""Settlement of a day's bookings: their status once due, the instructions used, S01 to S03, and affirmations."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator

from simulator.books.setting import Finding, Setting
from simulator.books.shapes import OpenItems
from simulator.books.touch import Touched
from simulator.emit.text import choose, coded, date, glue, log_time
from simulator.ids import number_text, uids
from simulator.market.instructions import Instruction, instructions, settlement_markets
from simulator.market.world import Asset, World
from simulator.records import I32, I64, SECOND_NS, Bool, Index, Records, Source

# Reasons as ISO 20022 codes them: none, lack of securities, counterparty lacks them, unmatched, on hold, wrong
# instruction, other settlement date.
REASONS = ("", "LACK", "CLAC", "NMAT", "PREA", "DEPT", "DDAT")
_LACKING = (1, 2, 3, 4)
_WRONG_INSTRUCTION = REASONS.index("DEPT")
_WRONG_DATE = REASONS.index("DDAT")
_DELIVERED = (Asset.EQUITY, Asset.ETF, Asset.BOND)
_HEALED = 0.5
_EVENING = "T21:00:00Z"
_AFFIRM_MINUTES = (5, 90)
_AFFIRM_LAST_SECONDS = 300


class Outcome(IntEnum):
    """Settlement status as brokers report it."""

    SETTLED = 0
    PENDING = 1
    PARTIAL = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class Missed:
    """A finding about one booking, and whether the next report puts it right; `also` says it failed because of it."""

    finding: Finding
    heals: bool
    also: bool = False


@dataclass(slots=True, eq=False)
class Report:
    """What the brokers report of bookings: one row each; `ssi` is a row of `known`, the instructions, -1 for none.

    `rows` are the bookings' places among the shown records, `entailed` places in the report of those that failed for
    a reason trade labels explain.
    """

    rows: Index
    records: Records
    known: tuple[Instruction, ...]
    uid: pa.StringArray
    status: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int8]
    settled: I64
    ssi: I32
    heals: npt.NDArray[np.bool_]
    misses: list[Missed]
    entailed: Index


def open_report(setting: Setting, shown: Records, standing: Bool, dated: Index) -> Report:
    """Every `standing` booking, settled if due; those in `dated` failed, because the sides name different dates."""
    rows = np.flatnonzero(standing & (shown.source != Source.OMS))
    records = shown.take(rows)
    due = records.settle_date <= setting.settled_day
    status = np.where(due, Outcome.SETTLED, Outcome.PENDING).astype(np.int8)
    reason = np.zeros(len(rows), np.int8)
    wrong = due & np.isin(rows, dated) & np.isin(setting.world.instruments.asset[records.instrument], _DELIVERED)
    status[wrong], reason[wrong] = Outcome.FAILED, _WRONG_DATE
    settled = np.where(status == Outcome.SETTLED, records.qty, 0)
    ssi = instruction_rows(setting.world)[records.account, records.instrument]
    known = tuple(instructions(setting.world))
    heals = np.zeros(len(rows), np.bool_)
    return Report(
        rows, records, known, _names(records), status, reason, settled, ssi, heals, [], np.flatnonzero(wrong)
    )  # fmt: skip


def _names(records: Records) -> pa.StringArray:
    places = [np.flatnonzero(records.source == source) for source in Source]
    texts = [uids(records.take(of), source) for source, of in zip(Source, places, strict=True) if len(of)]
    return pa.concat_arrays([*texts, pa.array([], pa.string())]).take(pa.array(np.argsort(np.concatenate(places))))


def instruction_rows(world: World) -> I32:
    """The row of the instruction that settles [account, instrument]; -1 where nothing is delivered."""
    at = {(one.account, one.market): row for row, one in enumerate(instructions(world))}
    markets, inverse = np.unique(settlement_markets(world), return_inverse=True)
    table = [[at.get((account, str(market)), -1) for market in markets] for account in range(len(world.accounts))]
    made: I32 = np.array(table, np.int32)[:, inverse]
    return made


def plant(setting: Setting, report: Report, touch: Touched, shown: int, counts: Mapping[str, int]) -> None:
    """Plant S01 to S03 on bookings that are due and about which nothing else is wrong, out of `shown` records."""
    random = setting.rng("S")
    assets = setting.world.instruments.asset[report.records.instrument]
    clean = ~touch.mask(shown)[report.rows] & (report.status == Outcome.SETTLED) & (report.ssi >= 0)
    order = random.permutation(np.flatnonzero(clean & np.isin(assets, _DELIVERED))).tolist()
    partial = [at for at in order if report.records.qty[at] > 1][: counts.get("S02", 0)]
    taken = set(partial)
    rest = iter([at for at in order if at not in taken])
    for code, places in (("S03", rest), ("S02", iter(partial)), ("S01", rest)):
        for _, at in zip(range(counts.get(code, 0)), places, strict=False):
            report.misses.append(_PLANTERS[code](setting, report, random, at))


def _heals(setting: Setting, report: Report, random: Generator, at: int) -> bool:
    report.heals[at] = bool(random.random() < _HEALED) and setting.more
    return bool(report.heals[at])


def _finding(report: Report, at: int, code: str, field: str, true: str, shown: str, open_qty: int) -> Finding:
    records, qty = report.records, max(1, int(report.records.qty[at]))
    amount = abs(int(records.gross[at])) * open_qty // qty
    pb, group = Source(int(records.source[at])), int(records.group[at])
    return Finding(code, pb, (), (report.uid[at].as_py(),), field, true, shown, amount, int(records.ccy[at]), group)


def _fail(setting: Setting, report: Report, random: Generator, at: int) -> Missed:
    report.status[at], report.settled[at] = Outcome.FAILED, 0
    report.reason[at] = random.choice(_LACKING)
    qty = int(report.records.qty[at])
    finding = _finding(report, at, "S01", "settle_status", "SETTLED", "FAILED", qty)
    return Missed(finding, _heals(setting, report, random, at))


def _part(setting: Setting, report: Report, random: Generator, at: int) -> Missed:
    qty = int(report.records.qty[at])
    settled = int(np.clip(round(qty * float(random.uniform(0.1, 0.9))), 1, qty - 1))
    report.status[at], report.settled[at] = Outcome.PARTIAL, settled
    report.reason[at] = _LACKING[0]
    finding = _finding(report, at, "S02", "settled_qty", str(qty), str(settled), qty - settled)
    return Missed(finding, _heals(setting, report, random, at))


def _misdirected(setting: Setting, report: Report, random: Generator, at: int) -> Missed:
    """The instruction of another account, or the right one not updated: half of these fail to settle."""
    known = report.known
    right = known[int(report.ssi[at])]
    others = [n for n, one in enumerate(known) if one.market == right.market and one.account != right.account]
    report.ssi[at] = int(random.choice(others))
    failed = bool(random.random() < 0.5)
    if failed:
        report.status[at], report.settled[at], report.reason[at] = Outcome.FAILED, 0, _WRONG_INSTRUCTION
    shown = known[int(report.ssi[at])].ssi_id
    finding = _finding(report, at, "S03", "ssi_id", right.ssi_id, shown, int(report.records.qty[at]))
    return Missed(finding, False, failed)


_PLANTERS = {"S01": _fail, "S02": _part, "S03": _misdirected}


def items_of(report: Report, at: Index, named: bool = False) -> tuple[OpenItems, pa.StringArray]:
    """Rows of the report as items, and their ids; the items hold the ids too if `named`."""
    records, uid = report.records.take(at), report.uid.take(pa.array(at))
    names = np.array(uid.to_pylist() if named else [""] * len(at), np.str_)
    made = OpenItems(
        names, records.source, records.account, records.settle_date, records.qty, report.settled[at],
        report.status[at], report.reason[at], report.ssi[at], report.heals[at],
    )  # fmt: skip
    return made, uid


def still_open(report: Report) -> OpenItems:
    """What the next day's report has to come back to."""
    return items_of(report, np.flatnonzero(report.status != Outcome.SETTLED), named=True)[0]


def carried(setting: Setting, before: OpenItems) -> tuple[OpenItems, OpenItems]:
    """What the report says of earlier days' open items, and which of them stay open."""
    due = (before.status == Outcome.PENDING) & (before.settle_date <= setting.settled_day)
    settles = before.heals | due
    status = np.where(settles, Outcome.SETTLED, before.status)
    after = before.with_(
        status=status,
        settled=np.where(settles, before.qty, before.settled),
        reason=np.where(settles, 0, before.reason),
    )
    return after.take(after.status != Outcome.PENDING), after.take(after.status != Outcome.SETTLED)


def settlement_columns(setting: Setting, items: OpenItems, uid: pa.StringArray, carried: int) -> list[pa.StringArray]:
    """The columns of one broker's report: the last `carried` rows are of earlier days."""
    known, accounts = instructions(setting.world), setting.world.accounts
    late = np.arange(len(items)) >= len(items) - carried
    day = np.where(late | (items.status == Outcome.PENDING), setting.settled_day, items.settle_date).astype(np.int32)
    return [
        uid,
        coded(items.account, [str(alias) for alias in accounts.alias]),
        coded(items.status, [outcome.name for outcome in Outcome]),
        coded(items.reason, REASONS),
        date(items.settle_date, "%Y-%m-%d"),
        number_text(items.settled),
        number_text(items.qty - items.settled),
        _of_instruction(items.ssi, known, "place"),
        _of_instruction(items.ssi, known, "ssi_id"),
        glue(date(day, "%Y-%m-%d"), _EVENING),
    ]


def _of_instruction(rows: I32, known: list[Instruction], name: str) -> pa.StringArray:
    texts = ["", *(str(getattr(one, name)) for one in known)]
    return coded(rows + 1, texts)


def affirmation_columns(setting: Setting, records: Records, uid: pa.StringArray) -> list[pa.StringArray]:
    """The columns of one broker's affirmations: confirm, trade, account, status, time (empty while pending)."""
    random = setting.rng(f"affirm {int(records.source[0]) if len(records) else 0}")
    delay = random.integers(_AFFIRM_MINUTES[0] * 60, _AFFIRM_MINUTES[1] * 60, len(records)) * SECOND_NS
    # A trade reported late cannot be affirmed before it is known.
    known = np.where(records.trade_date < setting.day, records.arrive_ns, records.event_ns)
    at = np.minimum(known + delay, setting.affirmed_ns - _AFFIRM_LAST_SECONDS * SECOND_NS)
    at = at // SECOND_NS * SECOND_NS
    return [
        glue("CF-", uid),
        uid,
        coded(np.maximum(records.account, 0), [str(alias) for alias in setting.world.accounts.alias]),
        coded(records.affirm, ["AFFIRMED", "PENDING", "REJECTED"]),
        choose(records.affirm == 0, pc.replace_substring(log_time(at), ".000000000", ""), ""),
    ]
