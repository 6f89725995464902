"""A FIX dialect proposed from a sample log: zones, custom tags, codes and forms, each line with its evidence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.learn import zones
from ingest.learn.fix_codes import (
    propose_accounts,
    propose_forms,
    propose_levels,
    propose_minor_units,
    propose_sides,
)
from ingest.learn.fix_custom import propose_custom
from ingest.learn.fix_sample import Row, read_rows
from ingest.learn.fix_units import propose_units
from ingest.learn.markets import home_zone, to_utc
from ingest.learn.ours import Ours, OwnTrade
from ingest.learn.proposal import Proposal, as_yaml, share

_DEFAULT_ZONE = "UTC"


@dataclass(frozen=True, slots=True)
class FixProposal:
    """What a log says about the counterparty's dialect. `rows` is how many bookings it was learnt from."""

    name: str
    description: str
    lines: Sequence[Proposal]
    rows: int
    known: int
    notes: Sequence[str] = field(default_factory=tuple)

    def text(self) -> str:
        """The dialect file to confirm."""
        head = [
            f"Proposed from {self.rows:,} bookings" + (f", {self.known:,} of them known to us." if self.known else "."),
            "Behind each line: confidence and evidence. Lines marked `<-- confirm` need a person's answer:",
            "correct the line or accept it, then remove the mark. `tieout dialect check` refuses a file with marks.",
            *self.notes,
        ]
        return as_yaml(head, {"name": self.name, "description": self.description}, self.lines)


def propose_dialect(logs: Sequence[bytes], name: str, ours: Ours) -> FixProposal | None:
    """The dialect of the counterparty that sent these logs; None when they hold no booking."""
    rows = [row for data in logs for row in read_rows(data)]
    if not rows:
        return None
    custom = propose_custom(rows, ours)
    quoted = next((int(line.name) for line in custom if line.value == "cross_uid"), 527)
    pairs = [(row, ours.trades[mine]) for row in rows if (mine := row.get(quoted, 527)) in ours.trades]
    home, told_by, part = home_zone(
        (row.get(30, 207) for row in rows),
        (row.get(15) for row in rows),
        (row.get(48) for row in rows if row.get(22) == "4"),
    )
    zone = _zone(rows, pairs, home)
    lines = [
        zone,
        _market(rows, zone, home, told_by, part),
        *propose_levels(rows),
        *custom,
        *propose_sides(rows, pairs),
        *propose_minor_units(rows, pairs),
        *propose_accounts(rows, pairs),
        *propose_forms(rows),
        *propose_units(rows, pairs),
    ]
    return FixProposal(name, _description(rows), lines, len(rows), len(pairs), _notes(rows))


def _zone(rows: Sequence[Row], pairs: Sequence[tuple[Row, OwnTrade]], home: str) -> Proposal:
    stated = sum(1 for row in rows if row.get(60) and row.time(60) is None)
    sent = [
        (at, traded) for row in rows
        if not row.repeated and (at := row.time(52)) is not None and (traded := row.time(60)) is not None
    ]  # fmt: skip
    mine = [(ours.moment, at) for row, ours in pairs if ours.moment and (at := row.time(60)) is not None]
    by_trade, by_lag = zones.by_ours(mine, home), zones.by_sending(sent, home)
    found = by_trade or by_lag
    if found is None:
        text = (
            f"nothing in {len(rows)} rows to hold TransactTime(60) against (52, or trades of ours); UTC is FIX's rule"
        )
        return Proposal("tz60", _DEFAULT_ZONE, 0.5, text)
    sure, text = found.confidence, found.evidence
    if by_trade and by_lag and by_trade.zone == by_lag.zone:
        sure, text = max(sure, by_lag.confidence), f"{text}; {by_lag.evidence}"
    elif by_trade and by_lag:
        sure, text = 0.6, f"{text}; but by sending times it is {by_lag.zone}: {by_lag.evidence}"
    if stated * 2 > len(rows):
        text += f"; {stated} times say their zone themselves"
    return Proposal("tz60", found.zone, sure, text, found.zone == _DEFAULT_ZONE)


def _market(rows: Sequence[Row], zone: Proposal, home: str, told_by: str, part: float) -> Proposal:
    """The zone whose date a trade without TradeDate(75) has: the broker's main market."""
    dated = sum(bool(row.get(75)) for row in rows)
    agree = total = 0
    for row in rows:
        traded = row.time(60)
        if traded is None or not row.get(75) or not isinstance(zone.value, str):
            continue
        moment = to_utc(traded, zone.value)
        local = moment + (moment - to_utc(moment, home))
        total += 1
        agree += f"{local:%Y%m%d}" == row.get(75)
    if not told_by:
        return Proposal("market_tz", _DEFAULT_ZONE, 0.5, "no venue, currency or ISIN tells a market", True)
    text = (
        f"the market of {100 * part:.0f}% of rows by {told_by}; TradeDate(75) on {share(dated, len(rows))},"
        f" the local date there on {share(agree, total)}"
    )
    # With a trade date on every row the zone has no effect; without, it decides the date.
    sure = 0.9 if dated >= 0.99 * len(rows) or part >= 0.9 else 0.7
    return Proposal("market_tz", home, sure, text, home == _DEFAULT_ZONE)


def _description(rows: Sequence[Row]) -> str:
    sender = Counter(row.get(49) for row in rows).most_common(1)[0][0]
    kinds = "/".join(sorted({row.kind for row in rows}))
    versions = "/".join(sorted({row.begin for row in rows}))
    return f"{sender}: {versions}, MsgType {kinds}; proposed from a sample"


def _notes(rows: Sequence[Row]) -> list[str]:
    """What no line of a dialect can say and a person should know."""
    notes = []
    unknown = sum(not row.status for row in rows)
    if unknown:
        notes.append(f"{unknown} rows are neither new, correct nor cancel (status reports, rejects).")
    return notes
