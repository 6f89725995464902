"""The truth ledger's vocabulary: orders, fills, legs (what one side states about one trade) and truth rows."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from simulator.universe import Account, Instrument

NEW, CORRECT, CANCEL = "NEW", "CORRECT", "CANCEL"

# The longest a clean booking takes after the fill it answers (CHARLIE books whole orders, so it counts from the
# first fill). A grace period at or above these produces no false one-sided break.
LAG_SECONDS = {"ALPHA": 20, "BRAVO": 45, "CHARLIE": 1_500}


@dataclass(frozen=True, slots=True)
class Order:
    """One parent order of the fund; `side` is FIX Side(54): 1 buy, 2 sell, 5 sell short."""

    order_id: str
    client_order_id: str
    account: Account
    instrument: Instrument
    side: str
    qty: int
    trade_date: date
    settle_date: date


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution: price in major units of the instrument's currency, `at_ns` UTC."""

    exec_id: str
    order: Order
    qty: int
    price: Decimal
    commission: Decimal
    at_ns: int
    cum_qty: int
    avg_price: Decimal


@dataclass(frozen=True, slots=True)
class Leg:
    """One version of one trade as `source` states it; `covers` are the fund's ExecIDs it stands for.

    `uid` is what the source calls this version, `prev_uid` the version it replaces or cancels, `cross_uid` the fund's
    ExecID it quotes (empty when it quotes none). `event_ns` is the trade time, `arrive_ns` when the message is sent.
    """

    source: str
    uid: str
    order: Order
    account: Account
    side: str
    qty: int
    price: Decimal
    commission: Decimal
    settle_date: date
    event_ns: int
    arrive_ns: int
    covers: tuple[str, ...] = ()
    cross_uid: str = ""
    prev_uid: str = ""
    status: str = NEW
    cum_qty: int = 0
    avg_price: Decimal = Decimal(0)
    minor_units: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """A record named by the source that sent it and that source's own id."""

    source: str
    trade_uid: str


@dataclass(frozen=True, slots=True)
class BreakTruth:
    """One injected break: who is involved, what was changed from what, when each side showed it and when it ended.

    Times are UTC nanoseconds; `materiality` is money in the trade's currency. `detectable_at` is the first moment a
    perfect observer could know: the later side's arrival, or for one-sided breaks the end of the broker's usual lag.
    """

    break_id: str
    code: str
    group_id: str
    internal_ids: tuple[Member, ...]
    external_ids: tuple[Member, ...]
    pb: str
    field: str
    true_value: str
    shown_value: str
    injected_at: int
    visible_at_internal: int | None
    visible_at_external: int | None
    detectable_at: int
    cured_at: int | None
    materiality: Decimal


@dataclass(frozen=True, slots=True)
class MatchTruth:
    """Records that describe the same trade: a correct reconciliation puts exactly these into one group."""

    group_id: str
    pb: str
    internal_ids: tuple[Member, ...]
    external_ids: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class NoiseTruth:
    """A difference or repetition that must not become a break; `kind` is a slug such as `poss_dup`."""

    kind: str
    source: str
    trade_uid: str
    at_ns: int


TruthRow = BreakTruth | MatchTruth | NoiseTruth


@dataclass(slots=True)
class Ledger:
    """Both sides of the day: what the fund states and what the brokers state. The corruptor edits only the latter."""

    internal: list[Leg] = field(default_factory=list)
    external: list[Leg] = field(default_factory=list)
    noise: list[NoiseTruth] = field(default_factory=list)
