"""The promises of docs/reliability.md about tickets: small, and with `make check-heavy` at a size that counts."""

import pytest

from bench.tickets import killed, stormed


def test_a_kill_and_lost_replies_lose_and_double_nothing():
    told = " ".join(killed(60, kills=1))
    assert "0 duplicates, 0 lost, 0 tickets in another state" in told and "complete: True" in told


def test_a_small_storm_under_a_limit_drops_nothing():
    told = " ".join(stormed(300))
    assert "(0 refused)" in told and "300 of 300" in told and "dropped 0" in told


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_kills_and_lost_replies_lose_and_double_nothing():
    told = " ".join(killed(300))
    assert "0 duplicates, 0 lost, 0 tickets in another state" in told and "complete: True" in told


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_a_storm_under_a_limit_drops_nothing():
    told = " ".join(stormed(3_000))
    assert "(0 refused)" in told and "3,000 of 3,000" in told and "dropped 0" in told
