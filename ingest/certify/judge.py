"""What a business message of a test session becomes: decoded by the feed's own dialect, held against what was sent."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from ingest.feeds import Feed
from ingest.normalise import RawBatch, normalise
from ingest.normalise_reference import Reference
from ingest.session.wire import split_header

_NEEDED = ("trade_uid", "account_raw", "instrument_id", "side", "qty", "price", "trade_ccy", "trade_date")
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Judged:
    """A decoded message: its trades as rows, or why there are none."""

    trades: tuple[Mapping[str, Any], ...]
    problem: str


class Judge:
    """Decodes what a test session sends as the service would, and remembers the ids it has seen."""

    def __init__(self, feed: Feed, reference: Reference, session: str) -> None:
        self._feed, self._reference, self._session = feed, reference, session
        self._count = 0
        self.seen: set[str] = set()

    def judge(self, message: bytes, at_ns: int) -> Judged:
        """The message's trades, or the quarantine reason. Raises PermanentError for a feed without a dialect."""
        return self.judge_all([message], at_ns)[0]

    def judge_all(self, messages: Sequence[bytes], at_ns: int) -> list[Judged]:
        """The same for many messages, one answer each."""
        first, count = self._count + 1, len(messages)
        self._count += count
        names = [f"{self._session}:{number}" for number in range(first, first + count)]
        batch = RawBatch(
            messages, names, range(first, first + count), self._session, [self._session] * count,
            np.full(count, at_ns, dtype=np.int64), [self._feed] * count,
        )  # fmt: skip
        done = normalise(batch, self._reference)
        trades: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        problems: dict[str, list[str]] = defaultdict(list)
        for trade in done.trades.to_pylist():
            trades[trade["message_id"]].append(trade)
        for row in done.quarantine.to_pylist():
            problems[row["message_id"]].append(f"{row['reason']}: {row['detail']}")
        outcomes = dict(zip(done.messages["message_id"].to_pylist(), done.messages["outcome"].to_pylist(), strict=True))
        return [
            Judged(tuple(trades[name]), "; ".join(problems[name]) or _nothing(trades[name], outcomes.get(name)))
            for name in names
        ]

    def remember(self, judged: Judged) -> None:
        """The ids of these trades may be referred to from now on."""
        for trade in judged.trades:
            self.seen.update(str(trade[name]) for name in ("trade_uid", "block_id") if trade.get(name))

    def refers(self, trade: Mapping[str, Any]) -> bool:
        """Whether a correction or cancel names a trade of this session, by its own id or the one it refers to."""
        named = {str(trade[name]) for name in ("prev_uid", "trade_uid") if trade.get(name)}
        heads = {text.partition("/")[0] for text in named}
        return bool((named | heads) & (self.seen | {text.partition("/")[0] for text in self.seen}))


def _nothing(trades: Sequence[object], outcome: str | None) -> str:
    return "" if trades else f"no trade: the message is {outcome or 'not for reconciliation'}"


def lacks(trade: Mapping[str, Any]) -> list[str]:
    """Fields a new trade needs and has not."""
    return [name for name in _NEEDED if trade.get(name) in (None, "")]


def time_note(trade: Mapping[str, Any], sent_ns: int) -> str:
    """A remark when the time of the trade is whole hours off: the zone of 60 is then probably another one."""
    event = trade.get("event_time_utc")
    ns = getattr(event, "value", None)
    if ns is None or trade.get("event_time_precision") == "d":
        return ""
    lag = sent_ns - ns
    hours = round(lag / _HOUR_NS)
    if hours and abs(hours) <= 14 and abs(lag - hours * _HOUR_NS) < _HOUR_NS // 30:
        return f"the trade is told {hours:+d} h from now: check the zone of TransactTime(60) (tz60)"
    return "the trade is told from the future" if lag < -_HOUR_NS // 60 else ""


def shares_make_block(message: bytes, trades: tuple[Mapping[str, Any], ...]) -> str:
    """Empty when the allocated quantities are the block's Quantity(53) or there is none; else what is wrong."""
    block = next((value for tag, value in _fields(message) if tag == b"53"), b"")
    total = sum((Decimal(trade["qty"]) for trade in trades if trade.get("qty") is not None), Decimal(0))
    try:
        wanted = Decimal(block.decode("ascii")) if block else None
    except (ArithmeticError, UnicodeDecodeError, ValueError):
        return ""
    return (
        f"the shares make {total.normalize():f}, the block has {wanted}"
        if wanted is not None and wanted != total
        else ""
    )


def same_body(first: bytes, second: bytes) -> bool:
    """Whether two messages agree in everything behind the header."""
    return split_header(first)[1] == split_header(second)[1]


def _fields(message: bytes) -> list[tuple[bytes, bytes]]:
    return [(tag, value) for tag, _, value in (part.partition(b"=") for part in message.split(b"\x01"))]
