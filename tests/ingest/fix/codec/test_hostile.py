"""Buffers made to be slow to decode."""

import pytest

from ingest.fix.codec.decoder import LARGEST_MESSAGE_BYTES, Decoder
from ingest.fix.codec.plan import Column, Plan, Reason


@pytest.mark.parametrize(
    ("length", "reason"), [(b"9000000", Reason.TRUNCATED), (b"15", Reason.LENGTH), (b"x", Reason.NO_HEADER)]
)
def test_starts_that_are_no_messages_are_each_looked_at_once(length: bytes, reason: Reason) -> None:
    # With all that follows looked at again for each, this would take an hour: the test's time limit is what fails then.
    data = b"8=FIX.4.4\x019=%s\x0135=8\x01" % length * 40_000
    found = Decoder(Plan((Column("uid", 17),)), max_message_bytes=LARGEST_MESSAGE_BYTES).decode(data)
    assert len(found.rejects) == 40_000 and {reject.reason for reject in found.rejects[:-1]} == {reason}
    assert found.consumed == len(data) and not found.table.num_rows
