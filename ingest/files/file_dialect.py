"""File dialects: the layout and the conventions of one kind of file, one YAML each, checked when it is loaded."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from domain.errors import PermanentError
from ingest.files.aliases import aliases, key_of
from ingest.files.csv_map import REQUIRED, Conventions
from ingest.reference_rows import FED, file_columns

Kind = Literal["csv", "tab", "fixed", "xml", "xls"]
FileContents = Literal["trades", "positions", "cash", "settlement", "affirmations", "reference"]

_INSTRUMENT = ("isin", "cusip", "sedol", "figi", "symbol", "identifier")
# Columns of the files that are not trades; those with `!` must be there.
BOOK_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "positions": ("as_of_date!", "account!", *_INSTRUMENT, "identifier_type", "qty", "long_qty", "short_qty",
                      "basis", "price", "price_ccy", "market_value", "snapshot_type", "asset_class", "pb_id"),
        "cash": ("entry_uid", "statement_date", "account!", "ccy!", "entry_type!", "value_date", "amount!",
                 "reference", *_INSTRUMENT, "identifier_type", "pb_id"),
        "settlement": ("trade_uid!", "account", "settle_status!", "reason_code", "settle_date", "settled_qty",
                       "remaining_qty", "place_of_settlement", "ssi_id", "event_time", "pb_id"),
        "affirmations": ("confirm_id!", "trade_uid", "account", "affirm_status!", "event_time", "pb_id"),
    }
)  # fmt: skip


class FixedField(BaseModel):
    """One field of a fixed-width record; fields follow each other unless `at` (from 1) says where it starts.

    `form`: X text; 9 a number; S a number with its sign behind. `decimals` digits are implied, and `zero_is_empty`
    reads a number that is all zeros as nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    width: Annotated[int, Field(gt=0, le=4000)]
    at: Annotated[int, Field(gt=0, le=100_000)] | None = None
    form: Literal["X", "9", "S"] = "X"
    decimals: Annotated[int, Field(ge=0, le=18)] = 0
    zero_is_empty: bool = False

    @field_validator("form", mode="before")
    @classmethod
    def _nine_is_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value


class FixedLayout(BaseModel):
    """Records of fixed width: `record` is what data lines start with, `header` and `trailer` the lines around them,
    `ignored` the starts of lines nobody needs; `count` finds the number of records in the trailer (group 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Annotated[int, Field(gt=0, le=100_000)]
    fields: Annotated[tuple[FixedField, ...], Field(min_length=1)]
    record: str = ""
    header: str = ""
    trailer: str = ""
    ignored: tuple[str, ...] = ()
    count: str | None = None

    @model_validator(mode="after")
    def _fields_fit(self) -> "FixedLayout":
        names = [field.name for field in self.fields]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated:
            raise ValueError(f"field {repeated!r} is there twice")
        for field, (start, end) in zip(self.fields, self.places(), strict=True):
            if end > self.width:
                raise ValueError(f"field {field.name!r} ({start + 1} to {end}) does not fit the width {self.width}")
        return self

    def places(self) -> list[tuple[int, int]]:
        """Start and end of each field, counted from 0."""
        found, at = [], 0
        for field in self.fields:
            start = field.at - 1 if field.at is not None else at
            at = start + field.width
            found.append((start, at))
        return found


class XmlLayout(BaseModel):
    """Elements that are rows, their attributes the cells; `root` is what the document element must be called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str
    root: str = ""


class FileDialect(Conventions):
    """One kind of file. Adding one is adding a YAML file; `docs/files.md` tells every key.

    `columns` canonical → header, or the headers it may have, in the order of the file. `other_columns` are headers
    nobody needs; with `fixed_columns` a header that is new, or in another place, is told (I07). `detect` finds
    files of this kind where nobody names it, `date_in_file` the business date in the first lines (group 1). `table` is
    the reference table of a file of reference data.
    """

    name: str
    description: str = ""
    version: str = "1"
    kind: Kind = "csv"
    contents: FileContents = "trades"
    table: str = ""
    columns: dict[str, tuple[str, ...]]
    other_columns: tuple[str, ...] = ()
    fixed_columns: bool = False
    detect: str | None = None
    date_in_file: str | None = None
    entry_types: dict[str, str] = Field(default_factory=dict)
    sheet: str = ""
    fixed: FixedLayout | None = None
    xml: XmlLayout | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if isinstance(value, dict):
            return {str(k): tuple(map(str, v)) if isinstance(v, list) else (str(v),) for k, v in value.items()}
        return value

    @field_validator("detect", "date_in_file")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a pattern: {error}") from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "FileDialect":
        if (self.table in FED) != (self.contents == "reference") or (self.table and self.table not in FED):
            raise ValueError(f"table: needed for contents reference and no other, one of {', '.join(FED)}")
        known = aliases() if self.contents == "trades" else [name.rstrip("!") for name in self.book_columns()]
        for name in (*self.columns, *self.constants):
            if name not in known:
                raise ValueError(f"columns: {name!r} is not a column of {self.contents}; known: {', '.join(known)}")
        for kind, layout in (("fixed", self.fixed), ("xml", self.xml)):
            if (self.kind == kind) != (layout is not None):
                raise ValueError(f"{kind}: needed for kind {kind} and for no other")
        lacking = [name for name in self.required() if name not in {*self.columns, *self.constants}]
        if lacking:
            raise ValueError(f"columns: {lacking[0]} is missing")
        if not self.required_any(self.columns):
            raise ValueError("columns: none of isin, cusip, sedol, figi, symbol and identifier")
        if self.fixed is not None:
            names = {field.name for field in self.fixed.fields}
            strange = next((h for headers in self.columns.values() for h in headers if h not in names), None)
            if strange:
                raise ValueError(f"columns: {strange!r} is not a field of the layout")
        return self

    def book_columns(self) -> tuple[str, ...]:
        """Columns of contents that are not trades; those with `!` must be there."""
        return file_columns(self.table) if self.contents == "reference" else BOOK_COLUMNS[self.contents]

    def required(self) -> list[str]:
        """Columns without which nothing of the file can be used."""
        if self.contents != "trades":
            return [name.rstrip("!") for name in self.book_columns() if name.endswith("!")]
        optional = {"side"} if self.signed_quantity else set()
        optional |= {"trade_date"} if "event_time" in self.columns else set()
        return [name for name in REQUIRED if name not in optional]

    def required_any(self, given: Mapping[str, object]) -> bool:
        """Whether one of the identifiers is there, where the contents need one."""
        return self.contents not in ("trades", "positions") or bool({*given, *self.constants} & set(_INSTRUMENT))

    def knows(self, header: str) -> bool:
        """Whether this dialect looks for the header (used to find the header row)."""
        return key_of(header) in self._keys

    @cached_property
    def _keys(self) -> frozenset[str]:
        names = [name for headers in self.columns.values() for name in headers]
        return frozenset(key_of(name) for name in (*names, *self.other_columns, *self.fees.values()))


def parse_file_dialect(file: str, text: str) -> FileDialect:
    """A file dialect from YAML text. Raises PermanentError naming the file and every wrong key."""
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PermanentError(f"file dialect {file}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return FileDialect.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise PermanentError(f"file dialect {file}: {wrong}") from None


def file_dialect_names() -> Sequence[str]:
    """Names of the file dialects that are shipped, without reading them."""
    return [Path(entry.name).stem for entry in _shipped()]


@cache
def file_dialect(name: str) -> FileDialect:
    """A shipped file dialect by name, or one of your own by the path of its YAML file.

    Raises PermanentError when there is none or it is wrong or misnamed.
    """
    if name.endswith((".yaml", ".yml")):
        try:
            return parse_file_dialect(name, Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeError) as error:
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "not a text file"
            raise PermanentError(f"file dialect {name}: {reason}") from None
    entry = next((entry for entry in _shipped() if entry.name == f"{name}.yaml"), None)
    if entry is None:
        raise PermanentError(f"no file dialect {name!r}; known: {', '.join(file_dialect_names())}")
    found = parse_file_dialect(entry.name, entry.read_text(encoding="utf-8"))
    if found.name != name:
        raise PermanentError(f"file dialect {entry.name}: name is {found.name!r}, must match the file")
    return found


def is_file_dialect(name: str) -> bool:
    """Whether a feed's `dialect` names one of these (and not a FIX dialect)."""
    return name.endswith((".yaml", ".yml")) or name in file_dialect_names()


def detected(data: bytes) -> FileDialect | None:
    """The shipped dialect whose `detect` pattern the first bytes show, None when none or several do."""
    head = data[:2048].decode("latin-1")
    fits = [d for d in map(file_dialect, file_dialect_names()) if d.detect and re.search(d.detect, head)]
    return fits[0] if len(fits) == 1 else None


@cache
def _shipped() -> Sequence[Any]:
    folder = resources.files("ingest.files").joinpath("dialects")
    return sorted((e for e in folder.iterdir() if e.name.endswith(".yaml")), key=lambda e: e.name)
