"""Classification: which code each labelled break was reported under, as a confusion matrix and per code."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.scoring.detection import Detection
from simulator.scoring.intervals import Rate

# Row of the matrix for open reports that answer no label, and column for labels no report answers.
NOTHING, MISSED = "nothing", "missed"


@dataclass(frozen=True, slots=True)
class CodeScore:
    """One code. Of `labels`: `exact` found under it, `other` under another code, `missed`.

    Of the reports under it: `miscoded` answer labels of another code, `false` none (or one that is cured).
    """

    code: str
    labels: int
    exact: int
    other: int
    missed: int
    miscoded: int
    false: int

    @property
    def recall(self) -> Rate:
        """Labels found, under whatever code."""
        return Rate(self.exact + self.other, self.labels)

    @property
    def exact_recall(self) -> Rate:
        """Labels found under this code."""
        return Rate(self.exact, self.labels)

    @property
    def precision(self) -> Rate:
        """Of what is reported under this code, what is labelled so. Several reports of one label count once."""
        return Rate(self.exact, self.exact + self.miscoded + self.false)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and exact recall; None for a code without labels."""
        if not self.labels:
            return None
        return 2 * self.exact / (2 * self.exact + self.miscoded + self.false + self.other + self.missed)

    def as_json(self) -> dict[str, Any]:
        """Counts and rates."""
        return {
            "labels": self.labels,
            "exact": self.exact,
            "other_code": self.other,
            "missed": self.missed,
            "miscoded": self.miscoded,
            "false": self.false,
            "recall": self.recall.as_json(),
            "recall_exact": self.exact_recall.as_json(),
            "precision": self.precision.as_json(),
            "f1": self.f1,
        }


@dataclass(frozen=True, slots=True)
class Classes:
    """`matrix` counts (code of the label or `nothing`, code of the report or `missed`)."""

    matrix: Mapping[tuple[str, str], int]
    codes: tuple[CodeScore, ...]

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 over the codes that have labels, each code alike; None without labels."""
        values = [one.f1 for one in self.codes if one.f1 is not None]
        return sum(values) / len(values) if values else None


def classes(found: Detection) -> Classes:
    """Count what was reported as what."""
    matrix: Counter[tuple[str, str]] = Counter()
    for place in found.due:
        code = found.labels[place].code
        if place in found.exact:
            matrix[code, code] += 1
        elif place in found.other:
            matrix[code, found.reported[found.other[place]].code] += 1
        else:
            matrix[code, MISSED] += 1
    for report in (*found.false, *found.stale):
        matrix[NOTHING, found.reported[report].code] += 1
    codes = sorted({name for pair in matrix for name in pair} - {NOTHING, MISSED})
    return Classes(dict(sorted(matrix.items())), tuple(_code(code, matrix) for code in codes))


def _code(code: str, matrix: Mapping[tuple[str, str], int]) -> CodeScore:
    row = {shown: count for (label, shown), count in matrix.items() if label == code}
    column = {label: count for (label, shown), count in matrix.items() if shown == code}
    exact, missed, labels = row.get(code, 0), row.get(MISSED, 0), sum(row.values())
    false = column.get(NOTHING, 0)
    return CodeScore(
        code=code,
        labels=labels,
        exact=exact,
        other=labels - exact - missed,
        missed=missed,
        miscoded=sum(column.values()) - column.get(code, 0) - false,
        false=false,
    )
