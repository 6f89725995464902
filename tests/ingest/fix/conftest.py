"""Messages with right framing, batches of them, and reference data for the decoder's tests."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from ingest.dialects.dialect import Dialect, load_dialects
from ingest.feeds import Feed
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference

FILL = (
    "35=8|49=OMS|56=TIEOUT|34=2|52=20260604-13:30:01.500|37=O1|11=C1|17=E1|150=F|39=2|1=MERID-EQ-01|55=AAPL"
    "|48=US0378331005|22=4|54=1|38=100|32=100|31=187.25|14=100|151=0|6=187.25|15=USD|60=20260604-13:30:01.123"
    "|75=20260604|64=20260605|12=1.5|13=3|453=1|448=ALPHA|447=D|452=4|"
)


def framed(body: str | bytes, version: str = "FIX.4.4") -> bytes:
    """BeginString, BodyLength and CheckSum around a body written with `|`."""
    content = (body.encode("latin-1") if isinstance(body, str) else body).replace(b"|", b"\x01")
    head = f"8={version}\x019={len(content)}\x01".encode() + content
    return head + f"10={sum(head) % 256:03d}\x01".encode()


@pytest.fixture
def frame() -> Callable[..., bytes]:
    """See `framed`."""
    return framed


@pytest.fixture
def fill() -> Callable[..., bytes]:
    """A FIX 4.4 fill with tags replaced, added or (None) left out: `fill({32: "5", 60: None})`."""

    def make(changes: Mapping[int, str | None] | None = None, version: str = "FIX.4.4") -> bytes:
        changed = dict(changes or {})
        fields = [field.split("=", 1) for field in FILL.rstrip("|").split("|")]
        kept = [(int(tag), changed.pop(int(tag), value)) for tag, value in fields]
        body = "|".join(f"{tag}={value}" for tag, value in [*kept, *changed.items()] if value is not None)
        return framed(body + "|", version)

    return make


@pytest.fixture(scope="session")
def dialects() -> Mapping[str, Dialect]:
    """The shipped dialects."""
    return load_dialects()


@pytest.fixture
def reference(dialects: Mapping[str, Dialect]) -> Reference:
    """Dialects only: no account map, no security master."""
    return Reference(dialects)


OMS = Feed(name="OMS", role="INTERNAL", party="MERIDIAN")


def batch_of(messages: Sequence[bytes], feed: Feed = OMS, *, live: bool = True, first: int = 1) -> RawBatch:
    """The messages as one lane's batch, numbered from `first`."""
    numbers = range(first, first + len(messages))
    return RawBatch(
        messages=messages,
        message_ids=[f"OMS->TIEOUT:{n}" for n in numbers],
        numbers=numbers,
        lane="lane-0",
        sessions=["OMS->TIEOUT"] * len(messages),
        recv_ts=np.arange(len(messages), dtype=np.int64) + 1_780_000_000_000_000_000,
        feeds=[feed] * len(messages),
        live=live,
    )


@pytest.fixture
def make_batch() -> Callable[..., RawBatch]:
    """See `batch_of`."""
    return batch_of


@pytest.fixture
def run(reference: Reference) -> Callable[..., Normalised]:
    """Normalise messages of one feed: `run([message], feed, live=True)`."""

    def go(
        messages: Sequence[bytes], feed: Feed = OMS, *, live: bool = True, against: Reference | None = None
    ) -> Normalised:
        return normalise(batch_of(messages, feed, live=live), against or reference)

    return go
