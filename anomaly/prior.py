"""The synthetic prior: ordinary breaks drawn with a fixed seed, so that the first real one can already be ranked."""

import numpy as np
import numpy.typing as npt

from anomaly.features import COLUMNS

Matrix = npt.NDArray[np.float64]


def synthetic_breaks(rows: int, seed: int) -> Matrix:
    """`rows` plausible breaks in the order of COLUMNS.

    The shapes follow published rates: most breaks are commissions, one-sided bookings and prices; exposure is
    log-normal around 20,000; half of the history counts are small because a day starts empty.
    """
    rng = np.random.default_rng(seed)
    one_sided = (rng.random(rows) < 0.28).astype(np.float64)
    cosmetic = rng.random(rows) < 0.22  # commissions and fees: small money, low severity
    exposure = np.where(cosmetic, rng.normal(0.9, 0.5, rows), rng.normal(4.3, 0.85, rows))
    numeric = np.where(rng.random(rows) < 0.55, rng.beta(0.6, 3.0, rows), 0.0)
    earlier = rng.random(rows) < 0.5
    columns = {
        "log_exposure": np.clip(exposure, 0.0, None),
        "relative_delta": np.where(one_sided > 0, 1.0, numeric),
        "minutes_to_deadline": np.clip(rng.normal(420.0, 330.0, rows), -600.0, 2_000.0),
        "hour": np.clip(rng.normal(12.8, 3.2, rows), 2.0, 23.0),
        "code_rarity": rng.gamma(6.0, 0.17, rows),
        "pb_breaks": np.log1p(np.where(earlier, rng.integers(0, 60, rows), rng.integers(0, 6, rows))),
        "account_breaks": np.log1p(np.where(earlier, rng.integers(0, 25, rows), rng.integers(0, 4, rows))),
        "instrument_breaks": np.log1p(rng.poisson(0.8, rows)),
        "twin_density": np.log1p(rng.poisson(0.25, rows)),
        "members": np.log1p(np.where(one_sided > 0, 1, 2) + (rng.random(rows) < 0.2) * rng.integers(1, 12, rows)),
        "one_sided": one_sided,
        "not_equity": (rng.random(rows) < 0.06).astype(np.float64),
        "generation": rng.binomial(2, 0.03, rows).astype(np.float64),
        "severity": np.where(cosmetic, 1.0, rng.choice((2.0, 3.0, 4.0), size=rows, p=(0.3, 0.62, 0.08))),
    }
    return np.column_stack([columns[name] for name in COLUMNS]).round(6)
