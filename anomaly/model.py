"""The cold-start break model: isolation forest and tails, conformal p-values, fused by rank with a severity prior."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from anomaly.features import COLUMNS, FEATURES, SEVERITY
from anomaly.port import Features, Reason, Scored
from anomaly.prior import Matrix, synthetic_breaks
from domain.taxonomy import Severity

Vector = npt.NDArray[np.float64]
_WIDTH = len(FEATURES)
_EXPOSURE = COLUMNS.index("log_exposure")
_DEADLINE = COLUMNS.index("minutes_to_deadline")
_SEVERITY = COLUMNS.index(SEVERITY)
_SWITCHES = frozenset({"one_sided", "not_equity"})
# Which end of a feature is worrying: a forest alone dilutes one extreme value among a dozen ordinary ones.
_HIGH_TAIL = ("log_exposure", "relative_delta", "code_rarity", "twin_density", "members", "generation")
_LOW_TAIL = ("minutes_to_deadline",)
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What, with the training data, decides the model: change any of it and the version changes."""

    seed: int = 20_240_528
    prior_rows: int = 2_000
    trees: int = 100
    sample_per_tree: int = 256
    calibration_share: float = 0.4
    anomaly_weight: float = 0.5
    tail_weight: float = 0.06
    tail_from: float = 0.1
    reasons: int = 3
    reason_floor: float = 0.004


class BreakModel:
    """A trained scorer; `score` is deterministic, runs on one thread and may be called by many.

    `score` in [0, 1] is the share of calibration breaks that rank lower when the forest's rank and the severity
    prior's rank are averaged; `p_value` is the forest's conformal p-value alone.
    """

    def __init__(self, config: ModelConfig, training: Matrix) -> None:
        """Train on `training` (rows in the order of COLUMNS, no gaps); raises ValueError when it is too small."""
        # Here, not above: it brings scipy and pandas, seconds that a restart must not wait for.
        from sklearn.ensemble import IsolationForest

        if len(training) < 50:
            raise ValueError(f"{len(training)} training rows are too few to calibrate on")
        self._config = config
        self.version = model_version(config, training)
        order = np.random.default_rng(config.seed).permutation(len(training))
        held_out = training[order[: int(len(training) * config.calibration_share)]]
        fitted = training[order[len(held_out) :]]
        self._median: Vector = np.median(training, axis=0)
        self._columns = np.sort(training, axis=0)
        self._forest = IsolationForest(
            n_estimators=config.trees,
            max_samples=min(config.sample_per_tree, len(fitted)),
            random_state=config.seed,
            n_jobs=1,
        ).fit(fitted[:, :_WIDTH])
        self._anomaly = np.sort(self._strangeness(held_out))
        self._prior = np.sort(self._importance(held_out))
        self._fused = np.sort(self._fuse(self._strangeness(held_out), self._importance(held_out)))

    def score(self, rows: Sequence[Features]) -> list[Scored]:
        """One result per row; absent, None or non-finite features count as the median break's."""
        if not rows:
            return []
        matrix = self._matrix(rows)
        strangeness, without = self._leave_one_out(matrix)
        # Conformal: the share of held-out breaks at least as strange, the new one counted with them.
        as_strange = len(self._anomaly) - np.searchsorted(self._anomaly, strangeness, side="left")
        p_values = (as_strange + 1.0) / (len(self._anomaly) + 1.0)
        fused = self._fuse(strangeness, self._importance(matrix))
        scores = np.searchsorted(self._fused, fused, side="right") / len(self._fused)
        return [
            Scored(
                score=round(float(scores[at]), _DIGITS),
                p_value=round(float(p_values[at]), _DIGITS),
                reasons=self._reasons(matrix[at], strangeness[at] - without[at]),
                model_version=self.version,
            )
            for at in range(len(rows))
        ]

    def _matrix(self, rows: Sequence[Features]) -> Matrix:
        matrix = np.tile(self._median, (len(rows), 1))
        for at, row in enumerate(rows):
            for column, name in enumerate(COLUMNS):
                value = row.get(name)
                if value is not None and math.isfinite(value):
                    matrix[at, column] = round(value, _DIGITS)
        return matrix

    def _strangeness(self, matrix: Matrix) -> Vector:
        """The forest's score plus the weight of values far out in a worrying tail."""
        forest: Vector = -self._forest.score_samples(matrix[:, :_WIDTH])
        scores = forest + self._config.tail_weight * self._tails(matrix)
        # Rounded, so that summation order on another machine cannot turn a tie into a rank.
        return scores.round(9)

    def _tails(self, matrix: Matrix) -> Vector:
        """Orders of magnitude by which values are rarer than `tail_from` at their worrying end, summed."""
        rows = len(self._columns)
        total: Vector = np.zeros(len(matrix))
        for name in (*_HIGH_TAIL, *_LOW_TAIL):
            column = COLUMNS.index(name)
            seen, values = self._columns[:, column], matrix[:, column]
            if name in _LOW_TAIL:
                beyond = np.searchsorted(seen, values, side="right")
            else:
                beyond = rows - np.searchsorted(seen, values, side="left")
            share = (beyond + 1.0) / (rows + 1.0)
            total += np.clip(np.log10(self._config.tail_from / share), 0.0, None)
        return total

    def _leave_one_out(self, matrix: Matrix) -> tuple[Vector, Matrix]:
        """Strangeness of each row, and of each row with one feature at a time set to the median, in one pass."""
        rows = len(matrix)
        stacked = np.repeat(matrix[None, :, :], _WIDTH + 1, axis=0)
        for column in range(_WIDTH):
            stacked[column + 1, :, column] = self._median[column]
        scores = self._strangeness(stacked.reshape(-1, matrix.shape[1])).reshape(_WIDTH + 1, rows)
        return scores[0], scores[1:].T

    def _importance(self, matrix: Matrix) -> Vector:
        """The severity prior: severity first, then exposure, then how near the deadline is."""
        exposure = np.searchsorted(self._columns[:, _EXPOSURE], matrix[:, _EXPOSURE]) / len(self._columns)
        urgency = 1.0 - np.searchsorted(self._columns[:, _DEADLINE], matrix[:, _DEADLINE]) / len(self._columns)
        prior: Vector = matrix[:, _SEVERITY] + 0.7 * exposure + 0.29 * urgency
        return prior.round(9)

    def _fuse(self, strangeness: Vector, importance: Vector) -> Vector:
        anomaly = np.searchsorted(self._anomaly, strangeness, side="right") / len(self._anomaly)
        prior = np.searchsorted(self._prior, importance, side="right") / len(self._prior)
        weight = self._config.anomaly_weight
        fused: Vector = (weight * anomaly + (1.0 - weight) * prior).round(9)
        return fused

    def _reasons(self, row: Vector, gain: Vector) -> tuple[Reason, ...]:
        """Up to `config.reasons` features that make the break stranger than it would be with the median's value."""
        found = []
        for column in np.argsort(-gain, kind="stable")[: self._config.reasons]:
            if gain[column] >= self._config.reason_floor:
                found.append(self._reason(int(column), float(row[column]), round(float(gain[column]), _DIGITS)))
        severity = row[_SEVERITY]
        below = np.searchsorted(self._columns[:, _SEVERITY], severity, side="left") / len(self._columns)
        if severity >= Severity.HIGH or not found:
            text = f"severity is {Severity(round(float(np.clip(severity, 0, 4)))).name}"
            if below >= 0.005:
                text += f", higher than {_percent(below)} of breaks seen"
            direction = "high" if severity >= Severity.HIGH else "ordinary"
            found.append(Reason(SEVERITY, direction, round(float(below), _DIGITS), text))
        return tuple(found)

    def _reason(self, column: int, value: float, weight: float) -> Reason:
        name = COLUMNS[column]
        seen = self._columns[:, column]
        lower = np.searchsorted(seen, value, side="left") / len(seen)
        higher = 1.0 - np.searchsorted(seen, value, side="right") / len(seen)
        high = value >= self._median[column]
        direction, word, share = ("high", "higher", lower) if high else ("low", "lower", higher)
        if name in _SWITCHES:
            words = FEATURES[name] if high else FEATURES[name].replace("being", "not being")
            share = np.mean(seen != value)
            return Reason(name, direction, weight, f"{words} sets it apart from {_percent(share)} of breaks seen")
        return Reason(name, direction, weight, f"{FEATURES[name]} is {word} than {_percent(share)} of breaks seen")


def _percent(share: float) -> str:
    # Never "100%": the break itself is among those that can be seen.
    return f"{min(99, math.floor(share * 100))}%"


def model_version(config: ModelConfig, training: Matrix) -> str:
    """`iforest-` and 12 hex digits over configuration, library version, column order and training data."""
    import sklearn

    digest = hashlib.sha256()
    parts = {"config": asdict(config), "columns": COLUMNS, "sklearn": sklearn.__version__}
    digest.update(json.dumps(parts, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(training.round(_DIGITS), dtype="<f8").tobytes())
    return f"iforest-{digest.hexdigest()[:12]}"


def cold_start(config: ModelConfig | None = None, history: Sequence[Features] = ()) -> BreakModel:
    """A model from the synthetic prior plus `history`, the feature rows of breaks already seen (gaps are filled)."""
    chosen = config or ModelConfig()
    training = synthetic_breaks(chosen.prior_rows, chosen.seed)
    if history:
        median = np.median(training, axis=0)
        seen = np.array(
            [[_known(row.get(name), median[at]) for at, name in enumerate(COLUMNS)] for row in history], np.float64
        )
        training = np.vstack([training, seen.round(_DIGITS)])
    return BreakModel(chosen, training)


def _known(value: float | None, fallback: float) -> float:
    return value if value is not None and math.isfinite(value) else float(fallback)


class InProcessScorer:
    """The model in this process, trained on first use (about 0.2 s); `warm` does that ahead of time."""

    def __init__(self, build: Callable[[], BreakModel] = cold_start) -> None:
        self._build = build
        self._lock = Lock()
        self._model: BreakModel | None = None

    def warm(self) -> BreakModel:
        """The trained model; trains it once, whichever thread comes first."""
        with self._lock:
            if self._model is None:
                self._model = self._build()
            return self._model

    def score(self, rows: Sequence[Features]) -> list[Scored]:
        """As BreakModel.score."""
        return self.warm().score(rows)
