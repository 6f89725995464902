"""Tolerances of a rule file: defaults, named profiles in central matching's vocabulary, what is accepted by itself."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# Codes that may be accepted without a person: little money, and nothing about what was traded.
ACCEPTABLE = ("T16", "T17", "T18", "T29")


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str):
        raise ValueError(f'write {value!r} as a quoted decimal, such as "{value}"')
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a decimal") from None


def _amount(value: object) -> Decimal:
    found = _decimal(value)
    if not found.is_finite() or found < 0:
        raise ValueError(f"{value} is not an amount of zero or more")
    return found


Exact = Annotated[Decimal, BeforeValidator(_decimal)]
Amount = Annotated[Decimal, BeforeValidator(_amount)]


class Strict(BaseModel):
    """Base of every part of a rule file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceTolerance(Strict):
    """Half a unit of the coarser precision shown, or the absolute amount per currency, whichever is greater."""

    least_scale: int = Field(ge=0, le=12)
    absolute: Mapping[str, Exact]


class MoneyTolerance(Strict):
    """The greater of an absolute amount per currency and a ratio of our own amount."""

    absolute: Mapping[str, Exact]
    ratio: Exact


def _money(absolute: Mapping[str, str], ratio: str) -> MoneyTolerance:
    return MoneyTolerance.model_validate({"absolute": absolute, "ratio": ratio})


class Tolerances(Strict):
    """All tolerances where no profile says otherwise; each `absolute` map needs a `default`.

    `accrued` is a ratio of the face amount, `fx_rate` of the rate. `net` also bounds what a price may move in money
    before it is more than rounding.
    """

    price: PriceTolerance
    commission: MoneyTolerance
    net: MoneyTolerance
    fees: MoneyTolerance = _money({"default": "0.05", "JPY": "1", "KRW": "1"}, "0")
    accrued: MoneyTolerance = _money({"default": "0.02", "JPY": "1", "KRW": "1"}, "0.00005")
    fx_rate: Amount = Decimal("0.0005")

    @model_validator(mode="after")
    def _defaults(self) -> "Tolerances":
        for name in ("price", "commission", "net", "fees", "accrued"):
            if "default" not in getattr(self, name).absolute:
                raise ValueError(f"tolerances.{name}.absolute has no default")
        return self


class ExactMatch(Strict):
    """EXCT: no difference at all."""

    kind: Literal["EXCT"]


class PercentMatch(Strict):
    """PTOL: so many per cent of our amount, above or below."""

    kind: Literal["PTOL"]
    percent: Amount


class CappedPercent(Strict):
    """PTMX: so many per cent of our amount, but never more than `at_most`."""

    kind: Literal["PTMX"]
    percent: Amount
    at_most: Amount


class Range(Strict):
    """MNMX: theirs may be `below` less than ours, or `above` more."""

    kind: Literal["MNMX"]
    below: Amount
    above: Amount


class NotUsed(Strict):
    """NUFM: not used for matching."""

    kind: Literal["NUFM"]


class Populated(Strict):
    """CPOP: the counterparty must state something, whatever it is."""

    kind: Literal["CPOP"]


Tolerance = Annotated[
    ExactMatch | PercentMatch | CappedPercent | Range | NotUsed | Populated, Field(discriminator="kind")
]


class Profile(Strict):
    """Tolerances for one prime broker, account, asset class or currency.

    One that names more than a currency goes before those that name a currency alone; within each, the first that fits.
    """

    name: str = Field(min_length=1)
    pb: str | None = None
    account: str | None = None
    asset: str | None = None
    ccy: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    price: Tolerance | None = None
    commission: Tolerance | None = None
    fees: Tolerance | None = None
    net: Tolerance | None = None
    accrued: Tolerance | None = None
    fx_rate: Tolerance | None = None
    accept: Mapping[Literal["T16", "T17", "T18", "T29"], Amount] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_something(self) -> "Profile":
        if not any((self.pb, self.account, self.asset, self.ccy)):
            raise ValueError(f"profile {self.name!r} names no pb, account, asset or ccy: that is what `tolerances` is")
        return self

    @property
    def named(self) -> bool:
        """Whether it names more than a currency."""
        return any((self.pb, self.account, self.asset))


class Acceptance(Strict):
    """What is accepted without a person, in base currency; nothing where no limit is given.

    `limits`: the most one break of a code may be. `daily_cap`: the most of one prime broker's trade date.
    """

    limits: Mapping[Literal["T16", "T17", "T18", "T29"], Amount] = Field(default_factory=dict)
    daily_cap: Amount = Decimal(0)
