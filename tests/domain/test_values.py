"""Taxonomy, ids, addresses and the clock."""

import pytest

from domain.address import Address
from domain.clock import ManualClock
from domain.ids import digest128, record_id
from domain.taxonomy import Severity, taxonomy


def test_taxonomy_has_the_53_codes_with_owner_and_severity() -> None:
    codes = taxonomy()
    assert len(codes) == 53
    by_letter = {letter: sum(code.startswith(letter) for code in codes) for letter in "TPCSI"}
    assert by_letter == {"T": 30, "P": 8, "C": 5, "S": 3, "I": 7}
    assert all(code.owner and code.name and isinstance(code.severity, Severity) for code in codes.values())


def test_deadlines_are_anchor_offset_and_calendar() -> None:
    settle = taxonomy()["T14"].deadline
    assert settle is not None
    assert (settle.anchor, settle.offset_days, settle.time_of_day, settle.zone) == (
        "TRADE_DATE", 0, "21:00", "America/New_York",
    )  # fmt: skip
    position = taxonomy()["P01"].deadline
    assert position is not None and (position.anchor, position.offset_days) == ("TRADE_DATE", 1)
    orphan = taxonomy()["T24"].deadline
    assert orphan is not None and (orphan.anchor, orphan.offset_minutes) == ("DETECTED", 15)
    assert taxonomy()["T28"].deadline is None


def test_fix_match_exception_codes() -> None:
    assert (taxonomy()["T05"].fix_exception_type, taxonomy()["T05"].fix_element_type) == (4, 15)
    assert (taxonomy()["T01"].fix_exception_type, taxonomy()["T01"].fix_element_type) == (0, None)


def test_severities_compare() -> None:
    assert max(Severity.HIGH, Severity.LOW) is Severity.HIGH


def test_ids_are_stable_and_separate_their_parts() -> None:
    assert record_id("ALPHA", "ab", 0, "trade") == record_id("ALPHA", "ab", 0, "trade")
    assert digest128("a", "bc") != digest128("ab", "c")
    assert len(digest128("x")) == 32


@pytest.mark.parametrize("text", ["kinesis://trades?region=eu", "duckdb:///var/x.db", "http://127.0.0.1:8081/x"])
def test_addresses_round_trip(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["trades", "servicenow://user:hunter2@host"])
def test_addresses_refuse_what_is_none_and_credentials(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Address.parse(text)
    assert "hunter2" not in str(caught.value)


def test_manual_clock_only_moves_forward() -> None:
    clock = ManualClock(10)
    clock.sleep(1.5)
    assert clock.now_ns() == 1_500_000_010
    with pytest.raises(ValueError):
        clock.advance(-1)
