"""A batch is normalised in parts; where they end changes nothing."""

from collections.abc import Callable, Mapping

import pytest

from ingest import normalise as module
from ingest.dialects.dialect import Dialect
from ingest.feeds import Feed
from ingest.normalise import RawBatch, normalise
from ingest.normalise_reference import Reference


def test_parts_are_bounded_by_bytes_and_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
    fill: Callable[..., bytes],
    frame: Callable[..., bytes],
    make_batch: Callable[..., RawBatch],
    dialects: Mapping[str, Dialect],
) -> None:
    sides = "35=AE|571=T1|487=0|32=1|31=2|15=USD|60=20260604-13:30:01|55=A|552=90|" + "54=1|1=X|" * 90
    messages = [fill({17: f"E{n}", 58: "x" * (n * 37 % 900)}) for n in range(40)] + [frame(sides), b"junk"] * 3
    whole = normalise(make_batch(messages), Reference(dialects))
    seen: list[int] = []
    inner = module._normalise_part

    def noted(batch: RawBatch, feed: Feed, positions: module.Ints, *rest: object) -> None:
        seen.append(sum(len(batch.messages[at]) for at in positions))
        inner(batch, feed, positions, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "PART_BYTES", 2_000)
    monkeypatch.setattr(module, "_normalise_part", noted)
    parted = normalise(make_batch(messages), Reference(dialects))
    assert len(seen) > 5 and max(seen) <= 2_000 + max(map(len, messages)) and sum(seen) == sum(map(len, messages))
    assert all(getattr(whole, name).equals(getattr(parted, name)) for name in ("trades", "messages", "quarantine"))
    assert whole.trades.num_rows == 40 + 3 * 90
