"""How one file's headers become canonical columns: the YAML map, the guess, and the draft for an unknown layout."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ingest.files.aliases import aliases, guess, key_of, known_keys
from ingest.files.read import FileRefused

_INSTRUMENT = ("isin", "cusip", "sedol", "figi", "symbol", "identifier")
REQUIRED = {
    "trade_uid": "a trade or execution id",
    "account": "an account",
    "side": "a side (or a signed quantity: set signed_quantity: true)",
    "qty": "a quantity",
    "price": "a price",
    "trade_ccy": "a currency",
    "trade_date": "a trade date",
}
CONSTANT_FIELDS = frozenset(
    {"account", "trade_ccy", "settle_ccy", "trade_date", "settle_date", "pb_id", "asset_class", "multiplier",
     "exec_broker_id", "venue_mic", "strategy", "side", "status"}
)  # fmt: skip
DATE_FORMATS = ("YYYY-MM-DD", "YYYYMMDD", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MMM-YYYY", "MMM DD, YYYY", "EXCEL")
Sides = Literal["BUY", "SELL", "SELL_SHORT", "SELL_SHORT_EXEMPT", "BUY_COVER"]


Assets = Literal["EQUITY", "ETF", "OPTION", "FUTURE", "BOND", "FX_SPOT", "FX_FWD", "FX_NDF", "FX_SWAP", "CDS", "IRS",
                 "TRS", "CFD", "LOAN"]  # fmt: skip


class Conventions(BaseModel):
    """How the cells of a file are written, whatever its layout.

    `constants` canonical → value for the whole file; `date_format` one of DATE_FORMATS; `zone` IANA zone of times
    without one; `accounts` their account → ours; `sides`, `statuses`, `asset_classes` the file's own codes, and
    `other_statuses: NEW` reads every other status as new; `negative_buy` what BUY with a negative quantity means;
    `open_close_sides` a sale that opens is short, a purchase that closes covers (never of contracts); `cost_sign:
    negative` costs are written with a minus; `fees` fee type → header; `identifier_types` the code beside
    `identifier` → which identifier it is; `quantity_units` the code beside the quantity → what it counts;
    `bond_forms` how bonds are written, the usual form first: the row's gross amount proves which; `epoch_times` times
    are counted from 1970 (seconds to nanoseconds, told by their number of digits); `thirty_seconds` prices like
    `110-16+`; `coupon_percent` 4 is 4 %, not 400 %; `fx_pairs` currency trades are turned to the market's pair, dealt
    in its first currency; `version_pattern` finds the version in the version column (group 1); `skip_rows_where`
    header → value of rows that are no trades, `only_rows_where` header → values of those that are (a file without the
    column has only such).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    constants: dict[str, str] = Field(default_factory=dict)
    date_format: Literal["", "YYYY-MM-DD", "YYYYMMDD", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MMM-YYYY", "MMM DD, YYYY",
                         "EXCEL"] = ""  # fmt: skip
    zone: str = ""
    decimal: Literal["", ".", ","] = ""
    accounts: dict[str, str] = Field(default_factory=dict)
    sides: dict[str, Sides] = Field(default_factory=dict)
    statuses: dict[str, Literal["NEW", "CORRECT", "CANCEL", "REJECT"]] = Field(default_factory=dict)
    other_statuses: Literal["", "NEW"] = ""
    negative_buy: Literal["", "CANCEL", "SELL"] = ""
    signed_quantity: bool = False
    open_close_sides: bool = False
    asset_classes: dict[str, Assets] = Field(default_factory=dict)
    identifier_types: dict[str, Literal["isin", "cusip", "sedol", "figi", "symbol"]] = Field(default_factory=dict)
    quantity_units: dict[str, Literal["UNITS", "CONTRACTS", "FACE"]] = Field(default_factory=dict)
    bond_forms: tuple[Literal["PERCENT", "FRACTION", "THOUSANDS"], ...] = ()
    epoch_times: bool = False
    thirty_seconds: bool = False
    coupon_percent: bool = False
    fx_pairs: bool = False
    cost_sign: Literal["", "negative", "positive"] = ""
    fees: dict[str, str] = Field(default_factory=dict)
    version_pattern: str | None = None
    level: Annotated[str, Field(pattern="^(FILL|ORDER|BLOCK|ALLOCATION|CONFIRM)$")] = "FILL"
    skip_rows_where: dict[str, str] = Field(default_factory=dict)
    only_rows_where: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator(
        "constants", "accounts", "sides", "statuses", "skip_rows_where", "asset_classes", "identifier_types",
        "quantity_units", "fees", mode="before",
    )  # fmt: skip
    @classmethod
    def _texts(cls, value: object) -> object:
        """YAML reads `2` and `2026-06-23` as numbers and dates: a map file means the text."""
        return _as_texts(value)

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            return value and str(ZoneInfo(value))
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"no such time zone: {value}") from None

    @field_validator("version_pattern")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        try:
            fits = value is None or re.compile(value).groups == 1
        except re.error as error:
            raise ValueError(f"not a pattern: {error}") from None
        if not fits:
            raise ValueError("the pattern needs exactly one group")
        return value


class CsvMap(Conventions):
    """A mapping file: which header holds which column (`columns`, canonical → header), and how cells are written."""

    columns: dict[str, str] = Field(default_factory=dict)

    @field_validator("columns", mode="before")
    @classmethod
    def _column_texts(cls, value: object) -> object:
        return _as_texts(value)

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in value if name not in aliases()]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a column; known: {', '.join(aliases())}")
        return value

    @field_validator("constants")
    @classmethod
    def _known_constants(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in value if name not in CONSTANT_FIELDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} cannot be constant; possible: {', '.join(sorted(CONSTANT_FIELDS))}")
        return value

    def knows(self, header: str) -> bool:
        """Whether the header is one this map or the alias table looks for (used to find the header row)."""
        return key_of(header) in known_keys() or header in self.columns.values()


def _as_texts(value: object) -> object:
    if value is None:
        return {}
    if isinstance(value, dict):
        return {str(key): str(item) for key, item in value.items() if item is not None}
    return value


def parse_map(text: str, file: str) -> CsvMap:
    """The mapping file's content. Raises FileRefused (`bad_map`) with one line naming key and reason."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        raise FileRefused(file, line, "bad_map", f"not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict):
        raise FileRefused(file, 1, "bad_map", "a map file is a YAML mapping with the key `columns`")
    try:
        return CsvMap(**{str(key): value for key, value in data.items()})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise FileRefused(file, 0, "bad_map", f"{where}: {reason}") from None


def resolve(header: Sequence[str], mapping: CsvMap, file: str, line: int) -> dict[str, str]:
    """Canonical column → header for this file: the map's entries first, then guesses for what it leaves open.

    Raises FileRefused: `unknown_column` when the map names a header the file lacks; `missing_column` when a required
    column cannot be found, with a ready-to-edit mapping file in `draft_map`.
    """
    present = {key_of(name): name for name in header if name}
    chosen: dict[str, str] = {}
    for name, wanted in mapping.columns.items():
        found = wanted if wanted in header else present.get(key_of(wanted))
        if found is None:
            raise FileRefused(
                file, line, "unknown_column", f"the map wants column {wanted!r} for {name}, not in the file"
            )
        chosen[name] = found
    free = [name for name in header if name and name not in chosen.values()]
    for name, found in guess(free).items():
        if name not in chosen and name not in mapping.constants:
            chosen[name] = found
    lacking = missing(chosen, mapping)
    if lacking:
        names = ", ".join(name for name in header if name)
        detail = f"no column found for {lacking[0]}, {describe(lacking[0])}; the header reads: {names}"
        raise FileRefused(file, line, "missing_column", detail, draft_map(header, chosen, lacking, mapping))
    return {name: chosen[name] for name in aliases() if name in chosen}


def missing(chosen: Mapping[str, str], mapping: Conventions) -> list[str]:
    """Required columns that neither a header nor a constant provides."""
    given = {*chosen, *mapping.constants}
    if mapping.signed_quantity:
        given.add("side")
    if "event_time" in given:
        given.add("trade_date")
    lacking = [name for name in REQUIRED if name not in given]
    if not given & set(_INSTRUMENT):
        lacking.append("symbol")
    return lacking


def describe(name: str) -> str:
    """What a required column is, in words."""
    return REQUIRED.get(name, "an instrument: symbol, isin, cusip, sedol or figi")


def draft_map(header: Sequence[str], chosen: Mapping[str, str], lacking: Sequence[str], mapping: CsvMap) -> str:
    """A mapping file to edit: what was recognised, what is missing, and the unknown headers as comments."""
    lines = [
        "# Which column of the file holds what. Fill in the lines marked <-- and run again with --map.",
        "columns:",
    ]
    lines += [f"  {name}: {_quoted(chosen[name])}" for name in aliases() if name in chosen]
    lines += [f"  # {name}:                 # <-- needed: {describe(name)}" for name in lacking]
    unused = [name for name in header if name and name not in chosen.values()]
    if unused:
        lines += ["# Columns of the file that are not used yet:"]
        lines += [f"#   {_quoted(name)}" for name in unused]
    constants = dict(mapping.constants)
    lines += ["constants:   # a value that is the same in every row, for example trade_ccy: USD"]
    lines += [f"  {name}: {_quoted(value)}" for name, value in constants.items()]
    lines += [
        f'date_format: "{mapping.date_format}"   # needed only when 03/04/2026 could be March or April: '
        "DD/MM/YYYY or MM/DD/YYYY",
        f'zone: "{mapping.zone}"   # of times without a zone, for example America/New_York; empty is UTC',
        f"signed_quantity: {str(mapping.signed_quantity).lower()}   # true: a negative quantity is a sell",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
