"""What breaks entail elsewhere in the books: positions, entries, balances and settlements that differ too."""

from collections.abc import Mapping

import numpy as np

from simulator.books.cash import Till
from simulator.books.positions import Desk
from simulator.books.setting import Setting
from simulator.books.settlement import Report
from simulator.books.sheet import entry_uid
from simulator.books.touch import Touched
from simulator.records import I64, Source
from simulator.truth import Consequence, Member

# The code under which a difference of an entry would be reported; C01 for others.
_ENTRY_CODES = {"DIVIDEND": "C02", "COUPON": "C02", "INTEREST": "C03", "MARGIN": "C04", "WIRE": "C05"}


def positions(setting: Setting, desk: Desk, fund: I64, broker: I64) -> list[Consequence]:
    """Positions that differ (`fund` and `broker` before planting) because of trade breaks, of today or before."""
    made = []
    for cell in np.flatnonzero(fund != broker).tolist():
        pb, account, instrument = desk.place(cell)
        uid = setting.cell_uid(account, instrument)
        made.append(_both("P01", Source(pb), uid, desk.why.get(cell, ())))
    return made


def entries(setting: Setting, till: Till, labelled: Mapping[int, str]) -> list[Consequence]:
    """Cash entries that differ without a label of their own; `labelled` are the places of those with one."""
    made = []
    for place, entry in enumerate(till.entries):
        if entry.ours == entry.theirs or place in labelled:
            continue
        ours, theirs = (entry_uid(setting, party, place) for party in (Source.OMS, entry.pb))
        inside = (Member(Source.OMS.name, ours),) if entry.ours is not None else ()
        outside = (Member(entry.pb.name, theirs),) if entry.theirs is not None else ()
        made.append(Consequence(_ENTRY_CODES.get(entry.kind, "C01"), inside, outside, entry.why))
    return made


def balances(setting: Setting, till: Till, labelled: Mapping[int, str], why: Mapping[int, tuple[str, ...]],
             ) -> list[Consequence]:  # fmt: skip
    """Closing balances that differ because of other breaks; where the balance itself has a label, that says it."""
    fund, broker = till.closing()
    made = []
    for cell in np.flatnonzero(fund != broker).tolist():
        if balance_key(cell) not in labelled:
            pb, account, ccy = (int(at) for at in np.unravel_index(cell, fund.shape))
            made.append(_both("C01", Source(pb), setting.cash_uid(account, ccy), why.get(cell, ())))
    return made


def settlements(report: Report, touch: Touched, shown: int) -> list[Consequence]:
    """Bookings that failed because the sides of a trade, one of `shown` records, name different dates."""
    keys = np.arange(shown)
    why = touch.why(keys, np.isin(keys, report.rows[report.entailed]))
    made = []
    for at in report.entailed.tolist():
        member = Member(Source(int(report.records.source[at])).name, report.uid[at].as_py())
        made.append(Consequence("S01", (), (member,), why[int(report.rows[at])]))
    return made


def balance_reasons(till: Till, labelled: Mapping[int, str]) -> dict[int, tuple[str, ...]]:
    """The breaks behind every balance, those of earlier days first."""
    found: dict[int, dict[str, None]] = {cell: dict.fromkeys(ids) for cell, ids in till.why.items()}
    for place, entry in enumerate(till.entries):
        if entry.ours != entry.theirs:
            cell = till.cell(int(entry.pb), entry.account, entry.ccy)
            ids = (labelled[place],) if place in labelled else entry.why
            found.setdefault(cell, {}).update(dict.fromkeys(ids))
    for cell in till.slip:
        found.setdefault(cell, {})[labelled[balance_key(cell)]] = None
    return {cell: tuple(ids) for cell, ids in found.items()}


def balance_key(cell: int) -> int:
    """The key of a balance among the labels of entries, which are keyed by their places 0, 1, ..."""
    return -1 - cell


def _both(code: str, pb: Source, uid: str, why: tuple[str, ...]) -> Consequence:
    return Consequence(code, (Member(Source.OMS.name, uid),), (Member(pb.name, uid),), why)
