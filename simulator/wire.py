"""A FIX writer of the simulator's own: tag=value pairs to framed bytes with BodyLength(9) and CheckSum(10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

SOH = "\x01"
_NS = 1_000_000_000

Tags = Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Header:
    """What frames one message: BeginString, session identity, MsgSeqNum(34) and SendingTime(52)."""

    begin: str
    sender: str
    target: str
    seq: int
    sending_ns: int


def frame(begin: str, tags: Tags) -> bytes:
    """The complete message `8=..|9=..|tags..|10=..|`, SOH-separated, Latin-1; 9 and 10 are computed here."""
    body = "".join([f"{tag}={value}{SOH}" for tag, value in tags]).encode("latin-1")
    head = f"8={begin}{SOH}9={len(body)}{SOH}".encode("latin-1")
    total = (sum(head) + sum(body)) % 256
    return head + body + f"10={total:03d}{SOH}".encode("latin-1")


def message(header: Header, msg_type: str, tags: Tags) -> bytes:
    """One framed message."""
    head = [(35, msg_type), (49, header.sender), (56, header.target), (34, str(header.seq))]
    head.append((52, utc_ms(header.sending_ns)))
    return frame(header.begin, [*head, *tags])


def utc_ms(at_ns: int) -> str:
    """UTCTimestamp with milliseconds, `YYYYMMDD-HH:MM:SS.sss`."""
    seconds, rest = divmod(at_ns, _NS)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y%m%d-%H:%M:%S}.{rest // 1_000_000:03d}"


def compact(day: date) -> str:
    """LocalMktDate, `YYYYMMDD`."""
    return f"{day:%Y%m%d}"


def plain(value: Decimal) -> str:
    """The shortest plain decimal text: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
