"""Reference data the normaliser needs, effective-dated: accounts, identifiers, instruments; calendars, dialects."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

import pyarrow as pa

from ingest.dialects.dialect import Dialect
from ingest.fix.codec.jit import Jit
from ingest.settlement import Calendars, calendars_of
from ingest.symbology import Resolved, Validity
from warehouse.port import Warehouse

if TYPE_CHECKING:
    from ingest.fix.codec.batch_kernels import BatchKernels


@dataclass(frozen=True, slots=True)
class AccountMatch:
    """What an account alias means from `since` until before `until`."""

    account_id: str
    pb_id: str | None = None
    custodian_id: str | None = None
    since: date = date.min
    until: date = date.max


@dataclass(frozen=True, slots=True)
class Terms:
    """What the security master says of an instrument from `since` until before `until`."""

    asset_class: str | None = None
    ccy: str | None = None
    mic: str | None = None
    multiplier: Decimal | None = None
    price_unit: str | None = None
    since: date = date.min
    until: date = date.max


class _Dated(Protocol):
    @property
    def since(self) -> date: ...


_K = TypeVar("_K")
_V = TypeVar("_V", bound="_Dated")
Accounts = Mapping[tuple[str, str], tuple[AccountMatch, ...]]
Instruments = Mapping[tuple[str, str], tuple[Validity, ...]]


@dataclass(frozen=True, slots=True)
class Reference:
    """Accounts by (party, alias), party `*` for everyone; instruments by (22 value, identifier); dialects by name.

    `terms` is the security master by instrument id, `calendars` say when a trade settles. `jit` decodes faster where
    it is ready, to the same result; `resolved` remembers what was said of an instrument and which one it is.
    `parties` are those the account map has names of, `own_accounts` the ids it maps to.
    """

    dialects: Mapping[str, Dialect]
    accounts: Accounts = field(default_factory=lambda: MappingProxyType({}))
    instruments: Instruments = field(default_factory=lambda: MappingProxyType({}))
    terms: Mapping[str, tuple[Terms, ...]] = field(default_factory=lambda: MappingProxyType({}))
    calendars: Calendars = field(default_factory=lambda: calendars_of(()))
    jit: Jit | None = None
    resolved: dict[tuple[tuple[str, str], ...], Resolved] = field(default_factory=dict, compare=False, repr=False)
    parties: frozenset[str] = frozenset()
    own_accounts: frozenset[str] = frozenset()

    @property
    def kernels(self) -> "BatchKernels | None":
        """The compiled lane where it is ready; without it NumPy serves."""
        return self.jit.batch if self.jit is not None else None

    def terms_of(self, instrument_id: str, on: date | None) -> Terms | None:
        """The instrument's terms on a day."""
        for terms in self.terms.get(instrument_id, ()):
            if on is None or terms.since <= on < terms.until:
                return terms
        return None

    def is_unmapped(self, party: str, alias: str, match: AccountMatch | None) -> bool:
        """Whether an account is unknown (I04): the map has names of this party, and this is neither one nor our own."""
        return match is None and party in self.parties and alias not in self.own_accounts

    def listing(self, instrument_id: str, on: date | None) -> tuple[str | None, str | None] | None:
        """MIC and currency of an instrument on a day, None when it is not in the security master."""
        found = self.terms_of(instrument_id, on)
        return (found.mic, found.ccy) if found else None

    def account(self, party: str, alias: str, on: date | None) -> AccountMatch | None:
        """The account behind an alias on a day: the party's own alias first, then everyone's."""
        for key in ((party, alias), ("*", alias)):
            for match in self.accounts.get(key, ()):
                if on is None or match.since <= on < match.until:
                    return match
        return None


def build_reference(
    dialects: Mapping[str, Dialect],
    account_map: pa.Table | None = None,
    identifiers: pa.Table | None = None,
    instrument: pa.Table | None = None,
    calendar_override: pa.Table | None = None,
) -> Reference:
    """A Reference from rows of the `account_map`, `identifier_history`, `instrument`, `calendar_override` tables."""
    accounts: dict[tuple[str, str], list[AccountMatch]] = defaultdict(list)
    for row in account_map.to_pylist() if account_map is not None else ():
        accounts[row["party"], row["alias"]].append(
            AccountMatch(
                row["account_id"], row.get("pb_id"), row.get("custodian_id"),
                row["valid_from"], row.get("valid_to") or date.max,
            )
        )  # fmt: skip
    instruments: dict[tuple[str, str], list[Validity]] = defaultdict(list)
    for row in identifiers.to_pylist() if identifiers is not None else ():
        validity = Validity(row["instrument_id"], row["valid_from"], row.get("valid_to") or date.max)
        # Contract symbols are padded with spaces (`AAPL  270219P00220000`), which few sources keep.
        for value in {row["id_value"], " ".join(row["id_value"].split())}:
            instruments[row["id_source"], value].append(validity)
    terms: dict[str, list[Terms]] = defaultdict(list)
    for row in instrument.to_pylist() if instrument is not None else ():
        terms[row["instrument_id"]].append(
            Terms(
                row.get("asset_class"), row.get("ccy"), row.get("mic"), row.get("multiplier"), row.get("price_unit"),
                row["valid_from"], row.get("valid_to") or date.max,
            )
        )  # fmt: skip
    return Reference(
        dialects,
        MappingProxyType({key: tuple(rows) for key, rows in accounts.items()}),
        MappingProxyType({key: tuple(rows) for key, rows in instruments.items()}),
        MappingProxyType({key: tuple(rows) for key, rows in terms.items()}),
        calendars_of(calendar_override.to_pylist() if calendar_override is not None else ()),
        parties=frozenset(party for party, _ in accounts),
        own_accounts=frozenset(match.account_id for rows in accounts.values() for match in rows),
    )


def extended(reference: Reference, tables: Mapping[str, pa.Table]) -> Reference:
    """The reference with rows of files added, by table; what it knows already stays as it is."""
    more = build_reference(
        reference.dialects, tables.get("account_map"), tables.get("identifier_history"), tables.get("instrument")
    )
    accounts = _merged(reference.accounts, more.accounts)
    return replace(
        reference,
        accounts=accounts,
        instruments=_merged(reference.instruments, more.instruments),
        terms=_merged(reference.terms, more.terms),
        resolved={},
        parties=reference.parties | more.parties,
        own_accounts=reference.own_accounts | more.own_accounts,
    )


def _merged(known: Mapping[_K, tuple[_V, ...]], more: Mapping[_K, tuple[_V, ...]]) -> Mapping[_K, tuple[_V, ...]]:
    """Both, each thing in the order of the days it holds from; of one day the known one counts."""
    both = dict(known)
    for key, rows in more.items():
        known_here = both.get(key, ())
        for row in rows:
            if all(row.since != one.since or _other(row, one) for one in known_here):
                both[key] = tuple(sorted((*both.get(key, ()), row), key=_since))
    return MappingProxyType(both)


def _since(row: _Dated) -> date:
    return row.since


def _other(row: object, known: object) -> bool:
    """An identifier may name several instruments from one day on; an alias or an instrument is one thing."""
    return isinstance(row, Validity) and isinstance(known, Validity) and row.answer != known.answer


def load_reference(warehouse: Warehouse, dialects: Mapping[str, Dialect]) -> Reference:
    """A Reference from the warehouse's current reference tables."""
    return build_reference(
        dialects,
        warehouse.query("SELECT * FROM account_map ORDER BY party, alias, valid_from"),
        warehouse.query("SELECT * FROM identifier_history ORDER BY id_source, id_value, valid_from, instrument_id"),
        warehouse.query("SELECT * FROM instrument ORDER BY instrument_id, valid_from"),
        warehouse.query("SELECT * FROM calendar_override ORDER BY calendar, day, valid_from"),
    )
