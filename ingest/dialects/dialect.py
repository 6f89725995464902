"""Dialects: what one counterparty means by its FIX, one YAML file each, checked when it is loaded."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from domain.errors import PermanentError

Level = Literal["FILL", "ORDER", "BLOCK", "ALLOCATION", "CONFIRM"]
Side = Literal[
    "BUY", "SELL", "SELL_SHORT", "SELL_SHORT_EXEMPT", "BUY_COVER", "LEND", "BORROW", "SUBSCRIBE", "REDEEM",
]  # fmt: skip

AUTO = "auto"  # a feed's dialect that is chosen per message by whom it is from

FIX_LEVELS: Mapping[str, Level] = {
    "8": "FILL", "AE": "FILL", "J": "ALLOCATION", "AS": "ALLOCATION", "AK": "CONFIRM",
}  # fmt: skip
FIX_SIDES: Mapping[str, Side] = {
    "1": "BUY", "2": "SELL", "3": "BUY", "4": "SELL", "5": "SELL_SHORT", "6": "SELL_SHORT_EXEMPT",
    "D": "SUBSCRIBE", "E": "REDEEM", "F": "LEND", "G": "BORROW",
}  # fmt: skip
CUSTOM_TARGETS = frozenset(
    {
        "trade_uid", "prev_uid", "cross_uid", "order_id", "client_order_id", "block_id", "alloc_id", "uti",
        "account_raw", "strategy", "settle_ccy", "trade_ccy", "venue_mic", "commission", "net_money", "gross_money",
        "accrued_interest", "qty", "price",
    }
)  # fmt: skip
_LEVEL_KEY = r"^[A-Za-z0-9]{1,4}(\+[0-9]{1,5})?$"
_FEE_TARGET = re.compile(r"fee\.[A-Z_]{1,24}")


PriceUnit = Literal["major", "minor", "instrument"]
QtyUnit = Literal["units", "hundreds", "thousands", "underlying"]


class Who(BaseModel):
    """Whom a dialect is spoken by: header values of a message, all of which must be equal; `file` is a name pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sender_comp_id: str | None = None
    target_comp_id: str | None = None
    sender_sub_id: str | None = None
    target_sub_id: str | None = None
    on_behalf_of_comp_id: str | None = None
    deliver_to_comp_id: str | None = None
    begin_string: str | None = None
    appl_ver_id: str | None = None
    file: str | None = None


class Dialect(BaseModel):
    """One counterparty's habits. Adding a dialect is adding one YAML file to this folder.

    `custom` maps a tag of theirs to a canonical field (or `fee.TYPE`); `tz60` is the zone of TransactTime(60) where
    it is local; `market_tz` dates a trade without TradeDate(75); `side` replaces or adds Side(54) values; `level`
    says what a message type means here; `account_pattern` keeps group 1 of the account; `pb_id` says where the prime
    broker is read first: a party of the message (PartyRole 4 or 14; a PB feed's own party stands for it) or the
    account map; `qty_sign` reads signed quantities; `exec_id_version_suffix` finds the version in an ExecID (group 1).

    `who` says whose messages these are, for a feed whose dialect is `auto`. A key of `level` may be `8+79`: an
    ExecutionReport that carries AllocAccount(79). `session_roll` is the market's local time at which the next trade
    date begins. `price_unit` is `minor` for pence and the like (`price_units` by currency or MIC), or `instrument` for
    the unit the security master gives; `price_fraction` reads 99-16+. `qty_unit` by asset class (`*` any) is what a
    quantity counts. `fill_mode` is `cumulative` where LastQty(32) is a running total, `order` where only CumQty(14) and
    AvgPx(6) are told. `id_scope` is `account` where an ExecID is unique within its account alone. `negative_buy` says
    what a BUY of a negative quantity is. `default_asset` stands for a missing SecurityType(167).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    tz60: str = "UTC"
    market_tz: str = "UTC"
    level: dict[Annotated[str, Field(pattern=_LEVEL_KEY)], Level] = Field(default_factory=dict)
    custom: dict[Annotated[int, Field(gt=0, le=99_999)], str] = Field(default_factory=dict)
    side: dict[str, Side] = Field(default_factory=dict)
    minor_units: dict[str, str] = Field(
        default_factory=lambda: {"GBX": "GBP", "GBp": "GBP", "ZAc": "ZAR", "ZAC": "ZAR", "ILA": "ILS"}
    )
    account_pattern: str | None = None
    default_account: str | None = None
    default_ccy: str | None = None
    pb_id: Literal["party", "account"] = "party"
    qty_sign: Literal["unsigned", "signed"] = "unsigned"
    exec_id_version_suffix: str | None = None
    who: tuple[Who, ...] = ()
    session_roll: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    price_unit: PriceUnit = "major"
    price_units: dict[str, Literal["major", "minor"]] = Field(default_factory=dict)
    price_fraction: Literal["none", "32nds", "64ths"] = "none"
    qty_unit: dict[str, QtyUnit] = Field(default_factory=dict)
    fill_mode: Literal["incremental", "cumulative", "order"] = "incremental"
    id_scope: Literal["source", "account"] = "source"
    negative_buy: Literal["refuse", "cancel", "sell"] = "refuse"
    default_asset: str | None = None

    @field_validator("level", "side", mode="before")
    @classmethod
    def _text_keys(cls, value: Any) -> Any:
        """`1: BUY` without quotes is a number to YAML; FIX's codes are text."""
        numbers = isinstance(value, dict) and any(type(key) is int for key in value)
        return {str(key) if type(key) is int else key: one for key, one in value.items()} if numbers else value

    @field_validator("tz60", "market_tz")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no such time zone: {value}") from error
        return value

    @field_validator("custom")
    @classmethod
    def _known_target(cls, value: dict[int, str]) -> dict[int, str]:
        for tag, target in value.items():
            if target not in CUSTOM_TARGETS and not _FEE_TARGET.fullmatch(target):
                raise ValueError(f"tag {tag}: {target!r} is neither a canonical field nor fee.TYPE")
        return value

    @field_validator("account_pattern", "exec_id_version_suffix")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        if value is not None and re.compile(value).groups != 1:
            raise ValueError("the pattern needs exactly one group")
        return value

    @cached_property
    def version(self) -> str:
        """Twelve hex digits over everything this dialect says: another content is another version."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:12]

    @property
    def levels(self) -> Mapping[str, str]:
        """MsgType(35) to level: the usual ones with this dialect's on top, keys that ask for a tag (`8+79`) too."""
        totals = {"8": "ORDER"} if self.fill_mode != "incremental" else {}
        return {**FIX_LEVELS, **totals, **self.level}

    @property
    def sides(self) -> Mapping[str, str]:
        """Side(54) values to canonical sides: FIX's own with this dialect's on top."""
        return {**FIX_SIDES, **self.side}


def parse_dialect(file: str, text: str) -> Dialect:
    """A dialect from YAML text. Raises PermanentError naming the file and every wrong key."""
    try:
        return Dialect.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise PermanentError(f"dialect {file}: not YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise PermanentError(f"dialect {file}: {wrong}") from error


def dialect_names(folder: Path | None = None) -> Sequence[str]:
    """Names of the dialects shipped and of those in `folder`, without reading them."""
    return sorted({name.removesuffix(".yaml") for name, _ in _files(folder)})


def load_dialects(folder: Path | None = None) -> Mapping[str, Dialect]:
    """Every dialect by name: those shipped, then those of `folder`, which replace a shipped one of the same name.

    Raises PermanentError when a file is wrong or misnamed.
    """
    found: dict[str, Dialect] = {}
    for file, text in _files(folder):
        dialect = parse_dialect(file, text())
        if f"{dialect.name}.yaml" != file:
            raise PermanentError(f"dialect {file}: name is {dialect.name!r}, must match the file")
        found[dialect.name] = dialect
    return found


def _files(folder: Path | None) -> Iterator[tuple[str, Callable[[], str]]]:
    """Name and reader of each dialect file, the shipped ones first."""
    places: list[Traversable] = [resources.files("ingest.dialects")]
    if folder is not None:
        if not folder.is_dir():
            raise PermanentError(f"dialects: no such folder {folder}")
        places.append(folder)
    for place in places:
        for entry in sorted(place.iterdir(), key=lambda e: e.name):
            if entry.name.endswith(".yaml"):
                yield entry.name, partial(_text, entry)


def _text(entry: Traversable) -> str:
    try:
        return entry.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise PermanentError(f"dialect {entry.name}: {reason}") from None
