"""Dialect and feed files: what ships loads, and a typo is named."""

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from domain.errors import PermanentError
from ingest.dialects.dialect import Dialect, parse_dialect
from ingest.feeds import Feed, SessionIdentity, feeds_by_session


def test_the_shipped_dialects_load(dialects: Mapping[str, Dialect]) -> None:
    assert {"generic", "alpha_ae44", "bravo_er42", "charlie_as44"} <= set(dialects)
    assert dialects["bravo_er42"].tz60 == "America/New_York"
    assert dialects["bravo_er42"].custom == {9001: "fee.TOTAL", 9002: "cross_uid"}
    assert dialects["generic"].sides["5"] == "SELL_SHORT"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name: x\ntz6O: UTC\n", "tz6O"),
        ("name: x\ntz60: America/Newyork\n", "no such time zone"),
        ("name: x\ncustom: {9001: fees.total}\n", "9001"),
        ("name: x\nside: {B: BUYS}\n", "side.B"),
        ("name: x\nlevel: {AE: TRADE}\n", "level.AE"),
        ("name: x\naccount_pattern: 'x'\n", "exactly one group"),
        ("tz60: UTC\n", "name"),
        ("name: [", "not YAML"),
        ("- 1\n", "document"),
    ],
)
def test_a_wrong_dialect_names_the_file_and_the_key(text: str, named: str) -> None:
    with pytest.raises(PermanentError) as caught:
        parse_dialect("delta.yaml", text)
    assert "delta.yaml" in str(caught.value)
    assert named in str(caught.value)


def test_codes_that_are_digits_need_no_quotes() -> None:
    dialect = parse_dialect("delta.yaml", "name: x\nside: {7: BUY, Z: SELL}\nlevel: {8: ORDER}\n")
    assert (dialect.side, dialect.level) == ({"7": "BUY", "Z": "SELL"}, {"8": "ORDER"})


def test_feeds_are_found_by_their_session() -> None:
    feed = Feed(
        name="ALPHA",
        role="PB",
        party="ALPHA",
        session=SessionIdentity(sender_comp_id="ALPHA", target_comp_id="TIEOUT"),
    )
    files = Feed(name="FILES", role="PB", party="ALPHA", path_glob="*.csv")
    assert feeds_by_session([feed, files]) == {"ALPHA->TIEOUT": feed}
    with pytest.raises(ValueError, match="both claim session ALPHA->TIEOUT"):
        feeds_by_session([feed, feed.model_copy(update={"name": "AGAIN"})])
    with pytest.raises(ValidationError):
        Feed.model_validate({"name": "X", "role": "BROKER", "party": "X"})
