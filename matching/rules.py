"""Rule sets: the YAML rule file as checked values, its version hash, and errors that name the line."""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from domain.taxonomy import Severity, taxonomy
from matching.conditions import parse
from matching.profiles import Acceptance, Amount, Exact, MoneyTolerance, Profile, Tolerances
from matching.profiles import Strict as _Strict
from matching.rules_faults import faults_of, twice_in

# What a pass may key on: columns of a matchable trade. A key `a=b` compares the left a with the right b.
KEY_FIELDS = frozenset({
    "account", "instrument", "side", "direction", "qty", "price", "trade_date", "settle_date", "ccy", "settle_ccy",
    "order_id", "client_order_id", "order_ref", "uid", "cross_uid", "event_at", "commission", "pb",
})  # fmt: skip
FAMILIES = frozenset({
    "existence", "qty", "price", "side", "account", "instrument", "settle_date", "trade_date", "ccy", "commission",
    "net", "fees", "accrued", "fx_rate", "multiplier", "exec_broker", "terms",
})  # fmt: skip


class RuleError(ValueError):
    """A rule file that cannot be used; the message has one line per fault, each with its line number and key."""


def _key(value: str) -> str:
    for name in value.split("="):
        if name not in KEY_FIELDS:
            raise ValueError(f"unknown field {name!r}; known: {', '.join(sorted(KEY_FIELDS))}")
    return value


Key = Annotated[str, BeforeValidator(_key)]
Keys = Annotated[tuple[Key, ...], Field(min_length=1)]


# What a pass does with several candidates: pair the nearest, none of them, or none and suggest them.
Ambiguity = Literal["mutual-best", "reject", "suggest"]


class ExactPass(_Strict):
    """Pairs one record with one record on ids; the rest may differ, but `agree_at_least` economics must not.

    With `variants` the first key's ids are equal but for case, separators, zeros in front, or what one of them has
    before its first separator or first digit, or behind its last separator.
    """

    id: str
    kind: Literal["exact"]
    keys: Keys
    agree_at_least: int = Field(default=0, ge=0, le=5)
    variants: bool = False
    ambiguity: Ambiguity = "mutual-best"

    @model_validator(mode="after")
    def _of_ids(self) -> Self:
        if self.variants and not set(self.keys[0].split("=")) <= {"uid", "cross_uid"}:
            raise ValueError("variants are of ids: the first key is uid=cross_uid, cross_uid=uid or uid")
        return self


class EconomicsPass(_Strict):
    """Pairs equal economics by count: identical twins are interchangeable."""

    id: str
    kind: Literal["economics"]
    keys: Keys
    pair_by: tuple[Key, ...] = ()


class AggregatePass(_Strict):
    """Groups many records with one block: equal quantity and notional, or a difference listed in `allow`.

    A pass that `waits` opens its breaks only when grace has passed: more records of the block may be on their way.
    With `alone` each right record is a block by itself: of one told twice, one is matched and the other left over.
    With `several` at least one side must have more than one record: one with one is left to other passes.
    """

    id: str
    kind: Literal["aggregate"]
    keys: Keys
    allow: tuple[Literal["qty", "price"], ...] = ()
    right_level: Literal["FILL", "ALLOCATION"] | None = None
    waits: bool = False
    alone: bool = False
    several: bool = False


class OrderPass(_Strict):
    """Pairs what is left of an order in one account with what is left of it at a prime broker.

    Both are equal in `keys`, differ in `differs`, and their totals agree unless listed in `allow`. With `blocks` all of
    the broker's records must be allocations; with `alone` each of them is held by itself, else all of an account
    together, unless one of them alone comes nearer, or with `single` only where there is one. Its breaks open only when
    grace has passed.
    """

    id: str
    kind: Literal["order"]
    keys: Keys
    differs: tuple[Key, ...] = ()
    allow: tuple[Literal["qty", "price"], ...] = ()
    blocks: bool = False
    alone: bool = False
    single: bool = False
    waits: bool = True


class RollupPass(_Strict):
    """Holds our executions of an order against our own allocations of it, which then meet the prime brokers.

    Executions not allocated within `grace_seconds` are one break per order.
    """

    id: str
    kind: Literal["rollup"]
    grace_seconds: int = Field(ge=0)


class TolerancePass(_Strict):
    """Pairs one with one on keys, price within tolerance; the nearest candidates choose each other."""

    id: str
    kind: Literal["tolerance"]
    keys: Keys
    within: tuple[Literal["price"], ...] = ("price",)
    nearest: tuple[Literal["price", "commission", "settle_date"], ...] = ("price",)
    ambiguity: Ambiguity = "mutual-best"


class CancelledPass(_Strict):
    """Names a live record whose counterpart is cancelled (T22): one each, or of a cancelled `block` all it covered.

    With `crossed` only where each side cancelled another one of two that are equal in `keys`: ids decide, by uid.
    """

    id: str
    kind: Literal["cancelled"]
    keys: Keys
    block: bool = False
    crossed: bool = False


class DuplicatePass(_Strict):
    """Names a left-over record that repeats a matched one (T03 at the prime broker, T04 internal)."""

    id: str
    kind: Literal["duplicate"]
    keys: Keys
    same: Keys
    internal_same: Keys


class NearMissPass(_Strict):
    """Pairs left-over records that agree in all keys and differ in one field."""

    id: str
    kind: Literal["near_miss"]
    keys: Keys
    differs: Key
    ambiguity: Ambiguity = "mutual-best"


class Weight(_Strict):
    """Evidence of one field, in log2: for a pair where it is `equal`, against it (negative) where it differs.

    `near` counts where the numbers differ by at most the ratio `within` of ours, the dates by at most so many `days`.
    """

    equal: Exact
    differ: Exact
    near: Exact = Decimal(0)
    within: Amount | None = None
    days: int | None = Field(default=None, ge=1, le=31)


class ScorePass(_Strict):
    """Suggests pairs of left-over records that agree in all keys of one `block`, by the weight of the evidence.

    At most the `most` best of each record, and only from `threshold` on. A block that more than `most_alike` records of
    a side share tells nothing.
    """

    id: str
    kind: Literal["score"]
    block: Annotated[tuple[Keys, ...], Field(min_length=1)]
    weights: Annotated[Mapping[str, Weight], Field(min_length=1)]
    threshold: Exact
    most: int = Field(default=3, ge=1, le=20)
    most_alike: int = Field(default=50, ge=1, le=1_000)

    @field_validator("weights")
    @classmethod
    def _comparable(cls, value: Mapping[str, Weight]) -> Mapping[str, Weight]:
        for name, weight in value.items():
            if "=" in name:
                raise ValueError(f"{name!r}: a weight is for one field that both sides have")
            _key(name)
            if weight.within is not None and name not in ("qty", "price", "commission"):
                raise ValueError(f"within is for numbers, {name} is none")
            if weight.days is not None and name not in ("trade_date", "settle_date"):
                raise ValueError(f"days is for dates, {name} is none")
        return value


class RunsPass(_Strict):
    """Groups one record with records of the other side that follow each other in time and add up to it.

    Equal quantity, and equal average price within the digits shown; where this can be done in one way only, else the
    ways are suggested. A block equal in `keys` of more than `most_rows` records is left alone. Its breaks open only
    when grace has passed, if it `waits`.
    """

    id: str
    kind: Literal["runs"]
    keys: Keys
    most_rows: int = Field(default=200, ge=3, le=1_000)
    waits: bool = True


class SubsetsPass(_Strict):
    """As `runs`, of any `most_parts` records: the last resort, because in larger blocks something always adds up."""

    id: str
    kind: Literal["subsets"]
    keys: Keys
    most_rows: int = Field(default=24, ge=3, le=24)
    most_parts: int = Field(default=8, ge=2, le=8)
    waits: bool = True


class OneSidedPass(_Strict):
    """Names whatever is left."""

    id: str
    kind: Literal["one_sided"]
    left: str
    right: str


Pass = Annotated[
    RollupPass | OrderPass | ExactPass | EconomicsPass | AggregatePass | TolerancePass | CancelledPass | DuplicatePass
    | NearMissPass | RunsPass | SubsetsPass | ScorePass | OneSidedPass,
    Field(discriminator="kind"),
]  # fmt: skip


class BreakRule(_Strict):
    """When a compared group is a break, and which; it follows from breaks of `explained_by` in the same group."""

    id: str
    code: str
    family: str
    when: str
    explained_by: tuple[str, ...] = ()

    @field_validator("code")
    @classmethod
    def _known_code(cls, value: str) -> str:
        if value not in taxonomy():
            raise ValueError(f"unknown break code {value!r}")
        return value

    @field_validator("family")
    @classmethod
    def _known_family(cls, value: str) -> str:
        if value not in FAMILIES:
            raise ValueError(f"unknown family {value!r}; known: {', '.join(sorted(FAMILIES))}")
        return value

    @field_validator("explained_by")
    @classmethod
    def _known_families(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cls._known_family(name) for name in value)

    @field_validator("when")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse(value)
        return value


class BookRules(_Strict):
    """Positions and cash: how far a price or a value may be off (ratio of ours), how much money is no difference.

    A corporate action counts for `action_days` calendar days after its ex-date.
    """

    price_ratio: Exact = Decimal("0.005")
    cash: MoneyTolerance = MoneyTolerance.model_validate(
        {"absolute": {"default": "0.02", "JPY": "1", "KRW": "1"}, "ratio": "0"}
    )
    action_days: int = Field(default=10, ge=0)


class MoneyLevel(_Strict):
    """An exposure in base currency from which a break is at least this severe."""

    at_least: Exact
    severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]


class SeverityRule(_Strict):
    """Exposure counts `urgent_factor` times when a break opens within `urgent_minutes` of its deadline."""

    urgent_minutes: int = Field(ge=0)
    urgent_factor: Exact
    money: tuple[MoneyLevel, ...]

    def of(self, base: Severity, exposure: Decimal | None, minutes_left: float | None) -> Severity:
        """The severity of a break; an unknown exposure neither raises nor lowers it."""
        if exposure is None:
            return base
        urgent = minutes_left is not None and minutes_left <= self.urgent_minutes
        weighed = exposure * self.urgent_factor if urgent else exposure
        return max([base, *(Severity[level.severity] for level in self.money if weighed >= level.at_least)])


class RuleSet(_Strict):
    """A whole rule file."""

    version: Literal[1]
    name: str
    base_ccy: str = Field(pattern=r"^[A-Z]{3}$")
    default_grace_seconds: int = Field(ge=0)
    tolerances: Tolerances
    profiles: tuple[Profile, ...] = ()
    acceptance: Acceptance = Acceptance()
    broker_aliases: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    severity: SeverityRule
    books: BookRules = BookRules()
    passes: Annotated[tuple[Pass, ...], Field(min_length=1)]
    breaks: tuple[BreakRule, ...]

    @model_validator(mode="after")
    def _complete(self) -> "RuleSet":
        names = [*(item.id for item in (*self.passes, *self.breaks)), *(profile.name for profile in self.profiles)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"id used twice: {', '.join(twice)}")
        if sum(p.kind == "rollup" for p in self.passes[1:]):
            raise ValueError("a rollup pass comes first: it decides which of our records the others see")
        if self.passes[-1].kind != "one_sided" or sum(p.kind == "one_sided" for p in self.passes) != 1:
            raise ValueError("the last pass, and only it, must be one_sided: nothing may fall through")
        return self

    @property
    def canonical(self) -> str:
        """The content as JSON with sorted keys and decimals as text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical content: the rule set's version."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()


def parse_rules(text: str, name: str = "rules") -> RuleSet:
    """The rule set in `text`; raises RuleError with one `name:line: key: fault` line for each fault."""
    try:
        data = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise RuleError(f"{name}:{line}: not YAML: {getattr(error, 'problem', error)}") from error
    twice = list(twice_in(node))
    try:
        rules = RuleSet.model_validate(data)
    except ValidationError as error:
        twice += faults_of(error, node, RuleSet.model_json_schema())
        raise RuleError("\n".join(f"{name}:{fault}" for fault in twice)) from error
    if twice:
        raise RuleError("\n".join(f"{name}:{fault}" for fault in twice))
    return rules


def load_rules(path: Path | None = None) -> RuleSet:
    """The rule file at `path`, or the default rule set shipped with Tieout; raises RuleError or OSError."""
    if path is not None:
        return parse_rules(path.read_text(encoding="utf-8"), str(path))
    return parse_rules(resources.files("matching").joinpath("rules.yaml").read_text(encoding="utf-8"), "rules.yaml")
