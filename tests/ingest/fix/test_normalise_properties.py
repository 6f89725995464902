"""The normaliser against an independent split-and-Decimal reference, in any order, and under damage."""

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.normalise import Normalised

Run = Callable[..., Normalised]
Make = Callable[..., bytes]
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)
_PER_FUNCTION = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_SIDES = {"1": "BUY", "2": "SELL", "5": "SELL_SHORT", "6": "SELL_SHORT_EXEMPT"}
_TEXT = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="=|<{*?#"), min_size=1, max_size=30
)
_ID = _TEXT.map(lambda text: f"E{text}")


def _shown(value: Decimal) -> str:
    return f"{value:f}"


@st.composite
def trades(draw: st.DrawFn) -> dict[int, str | None]:
    """Changes to the standard fill, valid by construction."""
    at = draw(st.datetimes(datetime(2000, 1, 1), datetime(2049, 12, 31)))
    day = at.date()
    return {
        17: draw(_ID),
        37: draw(_ID),
        11: draw(_ID),
        1: draw(_ID),
        54: draw(st.sampled_from(sorted(_SIDES))),
        32: _shown(
            draw(st.decimals("0.0000000001", "99999999", places=draw(st.integers(0, 10))).filter(lambda d: d > 0))
        ),
        31: _shown(draw(st.decimals("-99999999", "99999999", places=draw(st.integers(0, 12))))),
        12: draw(st.none() | st.decimals(0, "9999999", places=6).map(_shown)),
        13: None,
        60: at.strftime("%Y%m%d-%H:%M:%S.") + f"{at.microsecond:06d}",
        75: draw(st.sampled_from([None, f"{day:%Y%m%d}"])),
        64: f"{day + timedelta(days=1):%Y%m%d}",
    }


def _expected(raw: bytes) -> dict[str, Any]:
    """The record's economics by splitting at SOH and `=`, and Python's own decimals and dates."""
    fields: dict[str, str] = {}
    for token in raw.decode("latin-1").rstrip("\x01").split("\x01"):
        tag, _, value = token.partition("=")
        fields.setdefault(tag, value)
    qty, price = Decimal(fields["32"]), Decimal(fields["31"])
    at = datetime.strptime(fields["60"], "%Y%m%d-%H:%M:%S.%f")
    gross = _WIDE.multiply(qty, price).quantize(Decimal("0.000001"), ROUND_HALF_EVEN, _WIDE)
    traded = fields.get("75")
    return {
        "trade_uid": fields["17"],
        "order_id": fields["37"],
        "client_order_id": fields["11"],
        "account_id": fields["1"],
        "side": _SIDES[fields["54"]],
        "qty": qty,
        "price": price,
        "price_scale": len(fields["31"].partition(".")[2]),
        "gross_money": gross,
        "commission": Decimal(fields["12"]) if "12" in fields else None,
        "event_ns": (at - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000,
        "trade_date": datetime.strptime(traded, "%Y%m%d").date() if traded else at.date(),
        "settle_date": datetime.strptime(fields["64"], "%Y%m%d").date(),
    }


def _found(result: Normalised) -> list[dict[str, Any]]:
    nanos = result.trades["event_time_utc"].cast(pa.int64())
    return result.trades.append_column("event_ns", nanos).to_pylist()


@_PER_FUNCTION
@given(st.lists(trades(), min_size=1, max_size=8))
def test_normalised_trades_equal_an_independent_reference(
    run: Run, fill: Make, changes: list[dict[int, str | None]]
) -> None:
    messages = [fill(change) for change in changes]
    result = run(messages)
    assert result.quarantine.to_pylist() == []
    for raw, row in zip(messages, _found(result), strict=True):
        expected = _expected(raw)
        assert {name: row[name] for name in expected} == expected


@_PER_FUNCTION
@given(st.randoms(use_true_random=False), st.lists(trades(), min_size=1, max_size=6))
def test_the_order_of_messages_does_not_change_them(
    run: Run, fill: Make, frame: Make, rng: random.Random, changes: list[dict[int, str | None]]
) -> None:
    sides = "35=AE|571=T1|487=0|32=1|31=2|15=USD|60=20260604-13:30:01|55=A|552=2|54=1|1=X|54=2|1=Y|"
    messages = [fill(c) for c in changes] + [b"junk", frame(sides), frame("35=0|"), fill({32: "XXXX"}), fill({35: "D"})]
    order = list(range(len(messages)))
    rng.shuffle(order)
    before, after = run(messages), run([messages[n] for n in order])
    assert [before.messages["outcome"][n].as_py() for n in order] == after.messages["outcome"].to_pylist()
    ignored = ["message_id", "recv_time_utc"]
    rows = {
        key: before.trades.filter(pa.compute.equal(before.trades["message_id"], key)).drop_columns(ignored).to_pylist()
        for key in before.messages["message_id"].to_pylist()
    }
    wanted = [row for n in order for row in rows[before.messages["message_id"][n].as_py()]]
    assert after.trades.drop_columns(ignored).to_pylist() == wanted


@_PER_FUNCTION
@given(st.data())
def test_one_damaged_byte_never_makes_another_trade(run: Run, fill: Make, data: st.DataObject) -> None:
    good = fill({9001: "x", 58: "hello"})
    damaged = []
    for _ in range(20):
        at = data.draw(st.integers(0, len(good) - 1))
        byte = data.draw(st.integers(0, 255).filter(lambda b, at=at: b != good[at]))
        damaged.append(good[:at] + bytes([byte]) + good[at + 1 :])
    result = run(damaged)
    assert result.trades.num_rows == 0
    assert set(result.messages["outcome"].to_pylist()) == {"QUARANTINE"}


@_PER_FUNCTION
@given(st.lists(st.binary(max_size=120), max_size=4), st.booleans())
def test_any_bytes_get_an_outcome(run: Run, frame: Make, bodies: list[bytes], live: bool) -> None:
    messages = [
        *bodies,
        *(frame(b"35=8|" + body + b"|") for body in bodies),
        *(b"8=FIX.4.4|9=1|35=AE|" + b for b in bodies),
    ]
    result = run(messages, live=live)
    assert result.messages.num_rows == len(messages)
    quarantined = result.messages["outcome"].to_pylist().count("QUARANTINE")
    assert result.quarantine.num_rows == quarantined
    assert all(row["reason"] and row["detail"].endswith(".") for row in result.quarantine.to_pylist())


def test_a_fill_of_the_largest_numbers_the_record_holds(run: Run, fill: Make) -> None:
    row = _found(run([fill({32: "999999999999999999.9999999999", 31: "9999999999999999.999999999999"})]))[0]
    assert row["qty"] == Decimal("999999999999999999.9999999999")
    assert row["price"] == Decimal("9999999999999999.999999999999")
    assert row["gross_money"] is None
    assert row["trade_date"] == date(2026, 6, 4)
