"""High-water marks: the mark+1 rule that turns at-least-once delivery into each message once, in order."""

from collections.abc import Iterable, Mapping

from domain.errors import TransientError
from ingest.streams.port import Envelope


def accept(envelopes: Iterable[Envelope], marks: Mapping[str, int]) -> tuple[list[Envelope], dict[str, int]]:
    """The envelopes (cut where they overlap) that continue each session, and the marks after them.

    `marks` maps a session to the last number already accepted (absent: 0) and is not changed. Lower numbers are
    transport duplicates and dropped. A hole raises TransientError naming session and numbers: the missing part is on
    its way or lost, and neither may be skipped.
    """
    after = dict(marks)
    accepted: list[Envelope] = []
    for envelope in envelopes:
        mark = after.get(envelope.session, 0)
        if envelope.first > mark + 1:
            raise TransientError(
                f"session {envelope.session}: messages {mark + 1}..{envelope.first - 1} are missing "
                f"before {envelope.first}"
            )
        if envelope.last <= mark:
            continue
        accepted.append(envelope.between(mark + 1, envelope.last))
        after[envelope.session] = envelope.last
    return accepted, after
