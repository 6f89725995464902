"""Receipts for business messages that are durable: AR for AE, P for J, AT for AS, AU for AK. They accept nothing."""

from collections.abc import Iterable, Iterator, Sequence

from domain.clock import Clock
from ingest.fix.own import own_dictionary
from ingest.session.wire import fields, header, timestamp

Body = tuple[tuple[int, str], ...]

# AllocStatus(87) received, not yet processed; AffirmStatus(940) received.
_ALLOCATION_RECEIVED, _CONFIRMATION_RECEIVED = "3", "1"
_TRADE = "F"
_TRANSPORT, _NEWEST = "FIXT.1.1", "FIX.5.0SP2"
_IDS = frozenset({571, 1003, 70, 755, 664})
_ANSWERS = {"AE": "AR", "J": "P", "AS": "AT", "AK": "AU"}
_INSTRUMENT = (55, 65, 48, 22)


class Acknowledger:
    """Answers each new business message with a receipt that repeats its ids; a `Responder` of the acceptor.

    A receipt says that the message was received and kept, nothing about the trade: no TrdRptStatus(939), or
    AllocStatus(87) 3, or AffirmStatus(940) 1. What the session's FIX version has no acknowledgement for, and a message
    without the id that an acknowledgement must repeat, get none.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, messages: Sequence[bytes]) -> Iterable[tuple[str, Body]]:
        """MsgType(35) and body of the receipts for durable messages, in their order."""
        now = timestamp(self._clock.now_ns())
        for message in messages:
            yield from receipt(message, now)


def receipt(message: bytes, now: str) -> Iterator[tuple[str, Body]]:
    """The receipt for one message, none where there is none to give. `now` is its TransactTime(60)."""
    head = header(message)
    kind = _ANSWERS.get(head.get(35, ""))
    if kind is None:
        return
    version = head.get(8, "")
    # An application message of a FIXT session is of 5.0 or newer, where these acknowledgements ask for less.
    spec = own_dictionary(_NEWEST if version == _TRANSPORT else version).messages.get(kind)
    if spec is None:
        return
    body = tuple(_body(kind, fields(message), now, version == _TRANSPORT))
    said = {tag for tag, _ in body}
    if spec.layout.required <= said and said & _IDS:
        yield kind, body


def _body(kind: str, found: dict[int, str], now: str, newest: bool) -> Iterator[tuple[int, str]]:
    match kind:
        case "AR":
            yield from _repeated(found, 571, *((1003,) if newest else ()), 487, 856)
            yield 150, found.get(150) or _TRADE
            yield from _repeated(found, 572, *_INSTRUMENT)
            yield 60, now
        case "P":
            yield from _repeated(found, 70, 75)
            yield from ((60, now), (87, _ALLOCATION_RECEIVED))
        case "AT":
            yield from _repeated(found, 755, 70, 75)
            yield from ((60, now), (87, _ALLOCATION_RECEIVED))
        case "AU":
            yield from _repeated(found, 664, 75)
            yield from ((60, now), (940, _CONFIRMATION_RECEIVED))


def _repeated(found: dict[int, str], *tags: int) -> Iterator[tuple[int, str]]:
    for tag in tags:
        if found.get(tag):
            yield tag, found[tag]
