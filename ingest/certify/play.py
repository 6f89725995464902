"""What the counterparty sends in a self-test: taken from a sample of its own messages, else a plain script of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ingest.certify.judge import Judge, Judged, lacks
from ingest.fix.sniff import find_messages, is_wire_form, to_wire
from ingest.fix.tags import SESSION_TYPES
from ingest.session.wire import header, seal, split_header

_SAMPLE_MESSAGES_MAX = 5_000
Body = tuple[str, tuple[tuple[int, str], ...]]


@dataclass(slots=True)
class Play:
    """Messages by step (MsgType and body), in the order they are sent; `source` says where they are from."""

    begin_string: str
    source: str
    steps: dict[str, list[Body]] = field(default_factory=dict)

    @property
    def lacking(self) -> Sequence[str]:
        """Trade steps there is no message for."""
        return [name for name in ("fill", "correct", "bust", "allocation") if not self.steps.get(name)]


def from_sample(data: bytes, judge: Judge, now_ns: int) -> Play | None:
    """A play made of a recorded log: a fill, a correction, a bust and an allocation with what they refer to.

    None when no message of the log decodes to a new trade. Messages past the first 5,000 are not looked at.
    """
    known: dict[str, Body] = {}
    play = Play("", "the sample")
    fills: list[Body] = []
    for message, judged in _judged(data, judge, now_ns):
        play.begin_string = play.begin_string or header(message).get(8, "")
        body, trade = _body(message), judged.trades[0]
        status, level = trade["status"], trade["level"]
        if status == "NEW":
            for one in judged.trades:
                known.setdefault(str(one["trade_uid"]), body)
                known.setdefault(str(one["block_id"]), body)
            if not lacks(trade) and len(fills) < 3 and body not in fills:
                fills.append(body)
        name = {"CORRECT": "correct", "CANCEL": "bust"}.get(status, "")
        original = known.get(str(trade["prev_uid"])) or known.get(str(trade["trade_uid"])) if name else None
        if name and original is not None and name not in play.steps:
            play.steps[name] = [original, body]
        if level == "ALLOCATION" and status == "NEW" and "allocation" not in play.steps:
            play.steps["allocation"] = [body]
    if not fills:
        return None
    play.steps["fill"] = fills[:1]
    play.steps["resend"] = (fills[1:] + fills)[:2]
    play.steps["bad_tag"] = [_spoilt(fills[0])]
    return play


def _judged(data: bytes, judge: Judge, now_ns: int) -> Sequence[tuple[bytes, Judged]]:
    """Business messages of the log that decode to trades, with them."""
    wires: list[bytes] = []
    for count, piece in enumerate(find_messages(data)):
        if count >= _SAMPLE_MESSAGES_MAX:
            break
        wire = piece.raw if is_wire_form(piece.raw) else to_wire(piece.raw) if piece.is_message else None
        if wire is None or b"\x0195=" in wire or b"\x01354=" in wire:
            continue
        head = header(wire)
        if 8 in head and head.get(35, "0") not in SESSION_TYPES and head.get(43) != "Y":
            wires.append(_sound(wire, head))
    judged = judge.judge_all(wires, now_ns) if wires else []
    return [pair for pair in zip(wires, judged, strict=True) if pair[1].trades and not pair[1].problem]


def _sound(wire: bytes, head: Mapping[int, str]) -> bytes:
    """The message framed anew: logs are edited, and a wrong length is not what is looked for here."""
    pairs, body = split_header(wire)
    kept = [(tag, value) for tag, value in pairs if tag not in (b"8", b"9")]
    kept.sort(key=lambda pair: pair[0] != b"35")
    return seal(head[8].encode(), b"".join(b"%s=%s\x01" % pair for pair in kept) + body)


def _body(wire: bytes) -> Body:
    pairs, body = split_header(wire)
    fields = [part.partition(b"=") for part in body.split(b"\x01") if part]
    kind = dict(reversed(pairs))[b"35"].decode("latin-1")
    return kind, tuple((int(tag), value.decode("latin-1")) for tag, _, value in fields if tag.isdigit())


def _spoilt(body: Body) -> Body:
    """The message with a side that does not exist."""
    kind, fields = body
    return kind, tuple((tag, "Z" if tag == 54 else value) for tag, value in fields)


def scripted(begin_string: str, zone: str, now_ns: int) -> Play:
    """A play without a sample: plain ExecutionReports and one AllocationInstruction, times of trade in `zone`."""
    utc = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    local = utc.astimezone(ZoneInfo(zone))
    old = begin_string in ("FIX.4.0", "FIX.4.1", "FIX.4.2")

    def report(uid: str, kind: str, refers: str = "", qty: str = "100", side: str = "1") -> Body:
        code = {"NEW": ((20, "0"), (150, "2")), "CORRECT": ((20, "2"), (150, "2")), "CANCEL": ((20, "1"), (150, "2"))}
        newer = {"NEW": "F", "CORRECT": "G", "CANCEL": "H"}[kind]
        status = code[kind] if old else ((150, newer),)
        given = ((19, refers),) if refers else ()
        return "8", (
            (37, "UAT-ORDER-1"), (11, "UAT-CLIENT-1"), (17, uid), *status, *given, (39, "2"), (1, "UAT-ACCOUNT"),
            (55, "IBM"), (48, "US4592001014"), (22, "4"), (54, side), (38, "100"), (32, qty), (31, "222.95"),
            (14, qty), (151, "0"), (6, "222.95"), (15, "USD"), (60, f"{local:%Y%m%d-%H:%M:%S}"),
            (75, f"{local:%Y%m%d}"),
        )  # fmt: skip

    block: Body = "J", (
        (70, "UAT-BLOCK-1"), (71, "0"), *(() if old else ((626, "1"), (857, "0"))), (54, "1"), (55, "IBM"),
        (48, "US4592001014"), (22, "4"), (53, "300"), (6, "222.95"), (15, "USD"), (75, f"{local:%Y%m%d}"),
        (60, f"{local:%Y%m%d-%H:%M:%S}"), (78, "2"), (79, "UAT-ACCOUNT-A"), (80, "100"), (79, "UAT-ACCOUNT-B"),
        (80, "200"),
    )  # fmt: skip
    first = report("UAT-E1", "NEW")
    return Play(begin_string, "a script of ours", {
        "fill": [first],
        "resend": [report("UAT-E2", "NEW", qty="40"), report("UAT-E3", "NEW", qty="60")],
        "correct": [report("UAT-E4", "CORRECT", "UAT-E1", qty="90")],
        "bust": [report("UAT-E5", "CANCEL", "UAT-E2", qty="40")],
        "allocation": [block],
        "bad_tag": [report("UAT-E6", "NEW", side="Z")],
    })  # fmt: skip
