"""The corruptor, transport half: legs to framed session messages with replays, resends, repeats and garbage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from random import Random
from types import MappingProxyType

from simulator import alpha, bravo, charlie, oms
from simulator.booking import SECOND_NS
from simulator.ledger import NEW, BreakTruth, Leg, Member, NoiseTruth
from simulator.universe import OMS
from simulator.wire import Header, message

TARGET = "TIEOUT"
# MsgSeqNum 1 belongs to the Logon that whoever plays the stream sends first.
FIRST_SEQ = 2
_REPLAY_COUNT = 20

Tag = tuple[int, str]
Renderer = Callable[[Leg], tuple[str, list[Tag]]]


@dataclass(frozen=True, slots=True)
class TimedMessage:
    """One message as it leaves the counterparty: send time in UTC nanoseconds and the framed bytes."""

    at_ns: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Emitter:
    """A source's dialect: its FIX version, its session identity and how it renders a leg."""

    begin: str
    sender: str
    render: Renderer

    @property
    def session(self) -> str:
        """The session's name as the receiving side knows it."""
        return f"{self.sender}->{TARGET}"


EMITTERS = MappingProxyType(
    {
        OMS: Emitter(oms.BEGIN, oms.SENDER, oms.render),
        "ALPHA": Emitter(alpha.BEGIN, alpha.SENDER, alpha.render),
        "BRAVO": Emitter(bravo.BEGIN, bravo.SENDER, bravo.render),
        "CHARLIE": Emitter(charlie.BEGIN, charlie.SENDER, charlie.render),
    }
)


@dataclass(frozen=True, slots=True)
class Send:
    """A message waiting for its sequence number."""

    at_ns: int
    uid: str
    msg_type: str
    tags: tuple[Tag, ...]
    poss_resend: bool = False


def sends(source: str, legs: Sequence[Leg]) -> list[Send]:
    """Every leg of `source` rendered once, in order of time."""
    render = EMITTERS[source].render
    made = [Send(leg.arrive_ns, leg.uid, *_frozen(render(leg))) for leg in legs if leg.source == source]
    return sorted(made, key=lambda send: (send.at_ns, send.uid))


def _frozen(rendered: tuple[str, list[Tag]]) -> tuple[str, tuple[Tag, ...]]:
    return rendered[0], tuple(rendered[1])


def repeats(rng: Random, source: str, clean: Sequence[Send]) -> tuple[list[Send], list[NoiseTruth]]:
    """Extra sends that repeat content under a new sequence number: unmarked duplicates and 97=Y resends."""
    extra: list[Send] = []
    noise: list[NoiseTruth] = []
    for send in clean:
        draw = rng.randrange(1_000)
        if draw >= 10:
            continue
        again = replace(send, at_ns=send.at_ns + rng.randrange(1, 120) * SECOND_NS, poss_resend=draw < 5)
        extra.append(again)
        kind = "poss_resend" if again.poss_resend else "unmarked_duplicate"
        noise.append(NoiseTruth(kind, source, send.uid, again.at_ns))
    return extra, noise


def encode(
    rng: Random, source: str, queue: Sequence[Send], replays_percent: int
) -> tuple[list[TimedMessage], list[NoiseTruth]]:
    """The session's messages in order of time: numbered from 2, plus 43=Y replays that keep their first number.

    About `replays_percent` of messages come again alone, and once late in the day the latest 20 come again together,
    as after a reconnect. A replay has a new SendingTime(52) and the first one in OrigSendingTime(122).
    """
    emitter = EMITTERS[source]
    ordered = sorted(queue, key=lambda send: (send.at_ns, send.uid, send.poss_resend))
    made: list[tuple[int, int, bytes]] = []
    noise: list[NoiseTruth] = []

    def add(seq: int, send: Send, at_ns: int, replay: bool) -> None:
        header = Header(
            emitter.begin, emitter.sender, TARGET, seq, at_ns, send.at_ns if replay else None, send.poss_resend
        )
        made.append((at_ns, seq, message(header, send.msg_type, send.tags)))
        if replay:
            noise.append(NoiseTruth("poss_dup", source, send.uid, at_ns))

    reconnect = len(ordered) * 3 // 4 if replays_percent else 0
    for index, send in enumerate(ordered):
        add(FIRST_SEQ + index, send, send.at_ns, replay=False)
        if replays_percent and rng.randrange(100) < replays_percent:
            add(FIRST_SEQ + index, send, send.at_ns + rng.randrange(1, 60) * SECOND_NS, replay=True)
        if reconnect and index == reconnect:
            for back in range(max(0, index - _REPLAY_COUNT), index):
                add(FIRST_SEQ + back, ordered[back], send.at_ns + 1 + back - index + _REPLAY_COUNT, replay=True)
    made.sort(key=lambda item: (item[0], item[1]))
    return [TimedMessage(at_ns, raw) for at_ns, _, raw in made], noise


_GARBAGE: tuple[tuple[str, str], ...] = (
    ("price", "abc"),
    ("qty", ""),
    ("side", "Z"),
    ("qty", "XXXX"),
    ("truncated", ""),
)
_ROLE_TAGS = MappingProxyType({"price": {31, 6, 153}, "qty": {32, 53, 80}, "side": {54}})


def garbage(rng: Random, legs: Sequence[Leg], count: int) -> list[tuple[str, Send, str]]:
    """Well-framed messages nobody can book: (source, send, what is wrong); they repeat no real trade's ids."""
    found: list[tuple[str, Send, str]] = []
    sources = tuple(EMITTERS)
    for index in range(count):
        source = sources[index % len(sources)]
        leg = rng.choice([x for x in legs if x.source == source and x.status == NEW] or [legs[0]])
        source = leg.source
        role, value = _GARBAGE[index % len(_GARBAGE)]
        uid = f"{leg.uid}Z{index}"
        msg_type, tags = _frozen(EMITTERS[source].render(replace(leg, uid=uid, cross_uid="")))
        broken = _mutilate(tags, role, value)
        at_ns = leg.arrive_ns + rng.randrange(1, 900) * SECOND_NS
        wrong = "truncated" if role == "truncated" else f"{role} {value or 'missing'}"
        found.append((source, Send(at_ns, uid, msg_type, broken), wrong))
    return found


def _mutilate(tags: tuple[Tag, ...], role: str, value: str) -> tuple[Tag, ...]:
    if role == "truncated":
        return tags[: max(4, len(tags) // 4)]
    hit = _ROLE_TAGS[role]
    if not value:
        return tuple(pair for pair in tags if pair[0] not in hit)
    return tuple((tag, value if tag in hit else text) for tag, text in tags)


def garbage_truth(number: int, source: str, send: Send, wrong: str) -> BreakTruth:
    """The I01 label of one garbage message; `true_value` is the hash of its body tags for the curious."""
    body = "\x01".join(f"{tag}={text}" for tag, text in send.tags)
    member = (Member(source, send.uid),)
    inside = source == OMS
    return BreakTruth(
        break_id=f"I01-{number:04d}",
        code="I01",
        group_id=send.uid,
        internal_ids=member if inside else (),
        external_ids=() if inside else member,
        pb="" if inside else source,
        field="message",
        true_value=sha256(body.encode("latin-1")).hexdigest(),
        shown_value=wrong,
        injected_at=send.at_ns,
        visible_at_internal=send.at_ns if inside else None,
        visible_at_external=None if inside else send.at_ns,
        detectable_at=send.at_ns,
        cured_at=None,
        materiality=Decimal(0),
    )
