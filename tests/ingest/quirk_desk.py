"""What the tests of the quirks share: a fill with tags changed, read by a dialect, and its one record."""

from collections.abc import Mapping, Sequence
from typing import Any

from ingest.dialects.dialect import Dialect, load_dialects
from ingest.feeds import Feed
from ingest.files.batch import batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.normalise import Normalised, normalise
from ingest.normalise_reference import Reference
from tests.ingest.fix.conftest import FILL, batch_of, framed

__all__ = ["fill", "flags", "framed", "from_log", "one", "read", "reason"]


def fill(changes: Mapping[int, str | None] | None = None, version: str = "FIX.4.4") -> bytes:
    """A FIX fill with tags replaced, added or (None) left out."""
    changed = dict(changes or {})
    fields = [field.split("=", 1) for field in FILL.rstrip("|").split("|")]
    kept = [(int(tag), changed.pop(int(tag), value)) for tag, value in fields]
    body = "|".join(f"{tag}={value}" for tag, value in [*kept, *changed.items()] if value is not None)
    return framed(body + "|", version)


def read(
    messages: Sequence[bytes], *, live: bool = True, reference: Reference | None = None, **dialect: Any
) -> Normalised:
    """The messages of one prime broker's feed, read by a dialect with the given keys."""
    rule = Dialect(name="pb", **dialect)
    feed = Feed(name="PB", role="PB", party="ALPHA", dialect="pb")
    terms = reference or Reference({})
    given = Reference({"pb": rule}, terms.accounts, terms.instruments, terms.terms, terms.calendars)
    return normalise(batch_of(messages, feed, live=live), given)


def from_log(data: bytes) -> Normalised:
    """A log file read as a feed of plain FIX."""
    feed = Feed(name="LOG", role="PB", party="ALPHA")
    return batch_from_file(data, "day.log", feed, CsvMap(), Reference(load_dialects()), recorded=True).normalised


def one(result: Normalised) -> dict[str, Any]:
    """The only record, nothing refused."""
    assert result.quarantine.to_pylist() == []
    (row,) = result.trades.to_pylist()
    return dict(row)


def flags(result: Normalised) -> set[str]:
    """The flags of the only record."""
    return set((one(result)["flags"] or "").split(",")) - {""}


def reason(result: Normalised) -> tuple[str, str]:
    """Reason and sentence of the only message, which was refused with its bytes kept."""
    assert result.trades.num_rows == 0
    (row,) = result.quarantine.to_pylist()
    assert row["raw"] == result.messages["raw"][0].as_py()
    assert row["code"] == ("I03" if row["reason"] == "identifier_damaged" else "I01") and row["dialect_version"]
    return row["reason"], row["detail"]
