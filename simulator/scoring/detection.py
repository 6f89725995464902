"""Detection: which labelled breaks the result reports, under which code, and what it reports besides."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from domain.taxonomy import taxonomy
from simulator.scoring.read import Key
from simulator.scoring.result import Reported, Standing
from simulator.scoring.truth import Label, Truth

# A report that shares a record with a label says more than one that merely names another record of its trade.
_SHARED, _SAME_TRADE = 1_000, 1


@dataclass(slots=True)
class Detection:
    """Labels and reports by what became of them, all as places in `labels` and `reported`.

    Labels still open at the end: `exact` (found under their code) with the reports that say so, `other` (found under
    another code), `missed`, of which `closed_wrongly` were reported and then closed by themselves. Labels that ended:
    `cured_rightly` were reported and closed. Reports: `stale` (open, what they report is cured), `false` (nothing is
    wrong there), `secondary` (more about a trade whose break is found), `explained` (entailed by a label), `passing`
    (nothing is wrong there, and closed by itself), `waiting` (inside grace).
    """

    labels: Sequence[Label]
    reported: Sequence[Reported]
    exact: dict[int, list[int]] = field(default_factory=dict)
    other: dict[int, int] = field(default_factory=dict)
    missed: list[int] = field(default_factory=list)
    closed_wrongly: list[int] = field(default_factory=list)
    cured_rightly: set[int] = field(default_factory=set)
    stale: list[int] = field(default_factory=list)
    false: list[int] = field(default_factory=list)
    secondary: list[int] = field(default_factory=list)
    explained: list[int] = field(default_factory=list)
    passing: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    opened: dict[int, int] = field(default_factory=dict)

    @property
    def due(self) -> list[int]:
        """Labels that a result must report at the end."""
        return [place for place, label in enumerate(self.labels) if not label.cured]

    @property
    def twice(self) -> list[int]:
        """Labels that several open reports name under their code."""
        return [place for place, reports in self.exact.items() if len(self._ids(reports)) > 1]

    @property
    def lumped(self) -> list[int]:
        """Labels found only by reports that answer other labels as well."""
        answers = Counter(report for reports in self.exact.values() for report in reports)
        return [place for place, reports in self.exact.items() if all(answers[report] > 1 for report in reports)]

    def _ids(self, reports: Iterable[int]) -> set[str]:
        open_ones = (self.reported[n] for n in reports if self.reported[n].standing is Standing.OPEN)
        return {one.break_id for one in open_ones}


def detection(truth: Truth, reported: Sequence[Reported]) -> Detection:
    """Give every report the label it answers, or say why it answers none."""
    found = Detection(truth.labels, reported)
    index = _Index.of(truth)
    near = [index.near(one) for one in reported]
    closed: set[int] = set()
    rest = []
    for place, one in enumerate(reported):
        if one.standing is Standing.WAITING:
            found.waiting.append(place)
            continue
        same_code = _same_code(truth.labels, one, near[place])
        for label in same_code:
            _seen(found, label, one)
        if one.standing is Standing.BY_ITSELF:
            _closed(found, place, same_code, near[place], closed)
            continue
        due = [label for label in same_code if not truth.labels[label].cured]
        for label in due:
            found.exact.setdefault(label, []).append(place)
        if not due:
            rest.append(place)
    # In an order that does not depend on the files'.
    rest.sort(key=lambda place: (reported[place].code, reported[place].members))
    rest = [place for place in rest if not _twin_answers(found, index, place, near[place])]
    for place in rest:
        _without_label(found, truth, place, near[place])
    answered = {*found.exact, *found.other}
    found.missed = [place for place in found.due if place not in answered]
    found.closed_wrongly = [place for place in found.missed if place in closed]
    return found


def _same_code(labels: Sequence[Label], one: Reported, near: Counter[int]) -> list[int]:
    """Labels the report may answer under its code: those of its records, else of its trades; its field decides ties."""
    same = [label for label in near if labels[label].code == one.code]
    shared = [label for label in same if near[label] >= _SHARED]
    same = shared or same
    by_field = [label for label in same if one.field and labels[label].field == one.field]
    return sorted(by_field or same)


def _seen(found: Detection, label: int, one: Reported) -> None:
    if one.opened_at is not None:
        found.opened[label] = min(one.opened_at, found.opened.get(label, one.opened_at))


def _closed(found: Detection, place: int, same_code: Sequence[int], near: Counter[int], closed: set[int]) -> None:
    for label in same_code:
        if found.labels[label].cured:
            found.cured_rightly.add(label)
        else:
            closed.add(label)
    if not near:
        found.passing.append(place)


def _twin_answers(found: Detection, index: "_Index", place: int, near: Counter[int]) -> bool:
    """A report that names no broken record may name the twin of one: nobody can tell which of the two is meant."""
    one = found.reported[place]
    if near:
        return False
    for label in sorted(index.near_twins(one)):
        if found.labels[label].code == one.code and not found.labels[label].cured and label not in found.exact:
            found.exact[label] = [place]
            _seen(found, label, one)
            return True
    return False


def _without_label(found: Detection, truth: Truth, place: int, near: Counter[int]) -> None:
    one, labels = found.reported[place], found.labels
    about = [label for label in near if _says_something(labels[label].code, one.code)]
    due = [label for label in about if not labels[label].cured]
    alike = [label for label in due if _alike(labels[label].code, one.code)]
    free = [label for label in alike if label not in found.exact and label not in found.other]
    if free:
        label = min(free, key=lambda n: (-near[n], n))
        found.other[label] = place
        _seen(found, label, one)
    elif due:
        found.secondary.append(place)
    elif about:
        found.stale.append(place)
    elif not truth.entailed.isdisjoint(one.members):
        found.explained.append(place)
    else:
        found.false.append(place)


def _family(code: str) -> str:
    """Trades and messages are one family, positions, cash and settlement are one each; unknown codes have none."""
    if code not in taxonomy():
        return ""
    return "T" if code.startswith("I") else code[0]


def _alike(label: str, reported: str) -> bool:
    """Whether one may be the other under a wrong name."""
    return _family(label) in ("", _family(reported)) or not _family(reported)


def _says_something(label: str, reported: str) -> bool:
    """A broken trade may show anywhere; a position, a payment or a settlement does not excuse a report on a trade."""
    return _family(label) == "T" or _alike(label, reported)


@dataclass(frozen=True, slots=True)
class _Index:
    """Labels by what a report can name: their records, the block of a share, their trade, the twins of a record."""

    truth: Truth
    by_key: dict[Key, list[int]]
    by_block: dict[Key, list[int]]
    by_trade: dict[str, list[int]]
    by_twin: dict[Key, list[int]]
    by_file: dict[Key, list[int]]

    @classmethod
    def of(cls, truth: Truth) -> "_Index":
        index = cls(truth, {}, {}, {}, {}, {})
        twins = {*truth.twin, *truth.twin.values()}
        for place, label in enumerate(truth.labels):
            for key in label.members:
                index.by_key.setdefault(key, []).append(place)
                if "/" in key[1]:
                    index.by_block.setdefault(_block(key), []).append(place)
                if label.code.startswith("I"):
                    index.by_file.setdefault(_file(key), []).append(place)
                if key in twins:
                    index.by_twin.setdefault(truth.same(key), []).append(place)
            if label.group_id:
                index.by_trade.setdefault(label.group_id, []).append(place)
        return index

    def near(self, one: Reported) -> Counter[int]:
        """Labels that share a record or a trade with the report, with a weight for how much they share."""
        found: Counter[int] = Counter()
        for key in one.members:
            for label in self._by_record(key):
                found[label] += _SHARED
            for label in self._by_trade(key):
                found[label] += _SAME_TRADE
        if not found:
            for key in one.hints:
                for label in self.by_key.get(key, ()):
                    # A word in a row nobody could read is no statement about a trade, only about its being unreadable.
                    if self.truth.labels[label].code.startswith("I"):
                        found[label] += _SHARED
        return found

    def near_twins(self, one: Reported) -> set[int]:
        """Labels that name a twin of a record the report names."""
        return {label for key in one.members for label in self.by_twin.get(self.truth.same(key), ())}

    def _by_record(self, key: Key) -> Sequence[int]:
        """`block/share` is compared whole; where one side names the block alone, the block is. Files go by name."""
        if (whole := self.by_key.get(key)) is not None:
            return whole
        if "." in key[1] and (files := self.by_file.get(_file(key))) is not None:
            return list(dict.fromkeys(files))
        if "/" in key[1]:
            return self.by_key.get(_block(key), ())
        return list(dict.fromkeys(self.by_block.get(key, ())))

    def _by_trade(self, key: Key) -> Sequence[int]:
        number = self.truth.names.find(key)
        if number is None or number >= len(self.truth.group_of):
            return ()
        return self.by_trade.get(self.truth.groups[self.truth.group_of[number]], ())


def _file(key: Key) -> Key:
    return key[0], key[1].rpartition("/")[2]


def _block(key: Key) -> Key:
    return key[0], key[1].partition("/")[0]
