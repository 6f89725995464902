"""Exact decimals from text, on the slow lane."""

from decimal import Decimal

import pyarrow as pa
import pytest

from ingest.fix.values import exact

QTY = pa.decimal128(38, 10)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1.50", "-1.50"),
        ("1.12345678900", "1.1234567890"),
        ("1.12345678901", None),
        ("10e-11", "1E-10"),
        ("1E-11", None),
        ("0e-99999", "0"),
        ("1e27", "1e27"),
        ("1e28", None),
        ("1e" + "9" * 30, None),
        ("nan", None),
        ("1_000", None),
        ("0." + "0" * 50, "0"),
    ],
)
def test_what_the_type_holds_without_loss(text: str, value: str | None) -> None:
    assert exact(text, QTY) == (None if value is None else Decimal(value))


def test_a_million_zeros_are_read_in_one_go() -> None:
    # One zero at a time this would take an hour: the test's time limit is what fails then.
    assert exact("1." + "0" * 1_000_000, QTY) == 1
    assert exact("1." + "0" * 1_000_000 + "1", QTY) is None
