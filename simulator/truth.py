"""Rows of the truth file: planted breaks, what they entail, matching records, interchangeable twins, noise."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Member:
    """A record named by the source that sent it and that source's own id; positions and the like have a made-up id.

    A position is `account|instrument_id`, a cash balance `account|ccy`, a sequence gap `seq:120-125`, a damaged
    message `sha256:<of its bytes>`, a file its name: everything by which a result can point at the same thing.
    """

    source: str
    uid: str


@dataclass(frozen=True, slots=True)
class BreakTruth:
    """One planted break: who is involved, what is shown instead of what, when each side showed it, when it ended.

    Times are UTC nanoseconds; `materiality` is money in `ccy`, `materiality_usd` the same in US dollars.
    `detectable_at` is the first moment a perfect observer could know: the later side's arrival, or for one-sided
    breaks the end of the grace of the side that is missing. `cured_at` is when a later message made it right (None:
    open at the end). `case` names an adversarial set-up, empty for a plain break.
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
    ccy: str
    materiality_usd: Decimal
    case: str = ""


@dataclass(frozen=True, slots=True)
class Consequence:
    """A difference that planted breaks entail: right to report (it says why), no miss if left out."""

    code: str
    internal_ids: tuple[Member, ...]
    external_ids: tuple[Member, ...]
    explained_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatchTruth:
    """Live records that describe the same trade: a correct reconciliation puts exactly these into one group."""

    group_id: str
    pb: str
    internal_ids: tuple[Member, ...]
    external_ids: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Twins:
    """Records of one source with the same economics: which of them is matched to which counterpart is no error."""

    source: str
    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoiseTruth:
    """Harmless differences of one record, or a repetition of it: codes N01..N29. They must not become a break."""

    source: str
    uid: str
    codes: tuple[str, ...]


TruthRow = BreakTruth | Consequence | MatchTruth | Twins | NoiseTruth
