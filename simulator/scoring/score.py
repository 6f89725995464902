"""The score of a result against the truth: every measure in one object, and as JSON."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulator.scoring.classes import Classes, classes
from simulator.scoring.detection import Detection, detection
from simulator.scoring.grouping import Grouping, grouping
from simulator.scoring.intervals import Rate
from simulator.scoring.read import JsonLines, Key
from simulator.scoring.result import Reported, Result, Standing
from simulator.scoring.timeliness import Timeliness, timeliness
from simulator.scoring.truth import Label, Truth, read_truth

SCHEMA = "tieout.score/1"
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Score:
    """All measures. `examples` limits the lists of what went wrong, never a count.

    `by_noise` counts the harmless differences on records of false breaks: what the reconciliation fell for.
    """

    truth_name: str
    result_name: str
    run: Mapping[str, Any]
    rows: Mapping[str, int]
    clean_bookings: int
    found: Detection
    classes: Classes
    grouping: Grouping | None
    timeliness: Timeliness | None
    by_noise: Mapping[str, int]
    examples: int = EXAMPLES

    @property
    def perfect(self) -> bool:
        """Nothing missed, nothing false: every label under its code, no other report, every link as it should be."""
        wrong = self.found.missed or self.found.other or self.found.false or self.found.stale
        return not wrong and (self.grouping is None or self.grouping.perfect)

    @property
    def recall(self) -> Rate:
        """Labels open at the end that are reported, under whatever code."""
        found = len(self.found.exact) + len(self.found.other)
        return Rate(found, found + len(self.found.missed))

    @property
    def exact_recall(self) -> Rate:
        """Labels open at the end that are reported under their code."""
        return Rate(len(self.found.exact), self.recall.trials)

    @property
    def precision(self) -> Rate:
        """Labels found, out of them and all false reports."""
        return Rate(self.recall.hits, self.recall.hits + self.false_breaks)

    @property
    def false_breaks(self) -> int:
        """Open reports on nothing wrong, or on what was cured."""
        return len(self.found.false) + len(self.found.stale)

    @property
    def false_per_1000(self) -> float | None:
        """False breaks per 1,000 clean bookings; None where the truth holds none."""
        return 1_000 * self.false_breaks / self.clean_bookings if self.clean_bookings else None

    @property
    def exposure(self) -> tuple[Decimal, Decimal]:
        """US dollars at stake in the labels that were found, and in all that had to be."""
        missed = sum((self.found.labels[place].usd for place in self.found.missed), Decimal(0))
        due = sum((self.found.labels[place].usd for place in self.found.due), Decimal(0))
        return due - missed, due

    @property
    def exposure_recall(self) -> float | None:
        """The share of that money; None where none is given."""
        caught, due = self.exposure
        return float(caught / due) if due else None

    def missed(self) -> list[Label]:
        """Labels not found, the dearest first."""
        labels = [self.found.labels[place] for place in self.found.missed]
        return sorted(labels, key=lambda label: (-label.usd, label.code, label.break_id))[: self.examples]

    def false(self) -> list[tuple[Reported, bool]]:
        """False reports; True where what they report was cured."""
        both = [(self.found.reported[place], False) for place in self.found.false]
        both += [(self.found.reported[place], True) for place in self.found.stale]
        return sorted(both, key=lambda one: (one[0].code, one[0].members))[: self.examples]

    def miscoded(self) -> list[tuple[Label, Reported]]:
        """Labels found under another code, with the report."""
        pairs = [(self.found.labels[place], self.found.reported[one]) for place, one in self.found.other.items()]
        return sorted(pairs, key=lambda pair: (pair[0].code, pair[1].code, pair[0].break_id))[: self.examples]


def score(truth: JsonLines, result: Result, examples: int = EXAMPLES) -> Score:
    """Read both and compare. Raises InputError with one line for a person."""
    known = read_truth(truth)
    reported = result.reported(known.sources)
    # Detection looks records up by what the truth knows, so it comes before the groups add their own.
    found = detection(known, reported)
    links = result.linked(known.names, known.sources)
    return Score(
        truth_name=truth.name,
        result_name=result.name,
        run=known.run,
        rows=known.rows,
        clean_bookings=known.clean_bookings(),
        found=found,
        classes=classes(found),
        grouping=None if links is None or not known.rows["match"] else grouping(known, links, reported, examples),
        timeliness=timeliness(known.labels, found.opened),
        by_noise=_by_noise(known, found),
        examples=examples,
    )


def _by_noise(truth: Truth, found: Detection) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for place in found.false:
        codes = {code for key in found.reported[place].members for code in truth.noise.get(key, ())}
        counts.update(codes or {"none"})
    return dict(sorted(counts.items()))


def as_json(score: Score) -> dict[str, Any]:
    """Every number, ready for json.dumps. Amounts are strings, shares and seconds are numbers."""
    found = score.found
    caught, due = score.exposure
    return {
        "schema": SCHEMA,
        "perfect": score.perfect,
        "truth": {
            "name": score.truth_name,
            "run": {name: value for name, value in score.run.items() if name != "kind"},
            "rows": dict(sorted(score.rows.items())),
            "clean_bookings": score.clean_bookings,
        },
        "result": _result(score),
        "grouping": None if score.grouping is None else _grouping(score.grouping),
        "detection": {
            "labels": score.recall.trials,
            "exact": len(found.exact),
            "other_code": len(found.other),
            "missed": len(found.missed),
            "false": score.false_breaks,
            "stale": len(found.stale),
            "recall": score.recall.as_json(),
            "recall_exact": score.exact_recall.as_json(),
            "precision": score.precision.as_json(),
            "reported_twice": len(found.twice),
            "found_only_with_others": len(found.lumped),
            "secondary": len(found.secondary),
            "explained": len(found.explained),
        },
        "macro_f1": score.classes.macro_f1,
        "codes": {one.code: one.as_json() for one in score.classes.codes},
        "confusion": [
            {"label": label, "reported": shown, "count": count}
            for (label, shown), count in score.classes.matrix.items()
        ],
        "cured": {
            "labels": sum(label.cured for label in found.labels),
            "reported_and_closed": len(found.cured_rightly),
            "stale_reports": len(found.stale),
        },
        "closed_wrongly": len(found.closed_wrongly),
        "timeliness": None if score.timeliness is None else score.timeliness.as_json(),
        "false_per_1000_clean": score.false_per_1000,
        "false_by_noise": dict(score.by_noise),
        "exposure_usd": {"found": f"{caught:f}", "due": f"{due:f}", "recall": score.exposure_recall},
        "examples": _examples(score),
    }


def _result(score: Score) -> dict[str, Any]:
    standings = Counter(one.standing for one in score.found.reported)
    return {
        "name": score.result_name,
        "groups": None if score.grouping is None else score.grouping.groups,
        "reports": {
            "open": standings[Standing.OPEN],
            "waiting": standings[Standing.WAITING],
            "closed_by_person": standings[Standing.BY_PERSON],
            "closed_by_itself": standings[Standing.BY_ITSELF],
            "came_and_went_for_nothing": len(score.found.passing),
        },
    }


def _grouping(grouping: Grouping) -> dict[str, Any]:
    return {
        "precision": grouping.precision.as_json(),
        "recall": grouping.recall.as_json(),
        "wrong_links": grouping.precision.trials - grouping.precision.hits,
        "missing_links": grouping.recall.trials - grouping.recall.hits,
    }


def _examples(score: Score) -> dict[str, Any]:
    closed = {score.found.labels[place].break_id for place in score.found.closed_wrongly}
    grouping = score.grouping
    return {
        "missed": [{**_label(label), "closed_wrongly": label.break_id in closed} for label in score.missed()],
        "false": [{**_report(one), "stale": stale} for one, stale in score.false()],
        "other_code": [
            {**_label(label), "reported": one.code, "report": one.break_id} for label, one in score.miscoded()
        ],
        "wrong_links": [] if grouping is None else [_named(pair) for pair in grouping.wrong],
        "missing_links": [] if grouping is None else [_named(pair) for pair in grouping.missing],
    }


def _label(label: Label) -> dict[str, Any]:
    return {
        "break_id": label.break_id,
        "code": label.code,
        "case": label.case,
        "usd": f"{label.usd:f}",
        "members": _named(label.members),
    }


def _report(one: Reported) -> dict[str, Any]:
    return {"break_id": one.break_id, "code": one.code, "at": one.place, "members": _named(one.members)}


def _named(keys: Iterable[Key]) -> list[dict[str, str]]:
    return [{"source": source, "uid": uid} for source, uid in keys]
