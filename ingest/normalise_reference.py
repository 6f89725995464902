"""Reference data the normaliser needs: account aliases and security identifiers, both effective-dated, and dialects."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

import pyarrow as pa

from ingest.dialects.dialect import Dialect
from ingest.symbology import Validity
from warehouse.port import Warehouse


@dataclass(frozen=True, slots=True)
class AccountMatch:
    """What an account alias means from `since` until before `until`."""

    account_id: str
    pb_id: str | None = None
    custodian_id: str | None = None
    since: date = date.min
    until: date = date.max


Accounts = Mapping[tuple[str, str], tuple[AccountMatch, ...]]
Instruments = Mapping[tuple[str, str], tuple[Validity, ...]]


@dataclass(frozen=True, slots=True)
class Reference:
    """Accounts by (party, alias), party `*` for everyone; instruments by (22 value, identifier); dialects by name."""

    dialects: Mapping[str, Dialect]
    accounts: Accounts = field(default_factory=lambda: MappingProxyType({}))
    instruments: Instruments = field(default_factory=lambda: MappingProxyType({}))

    def account(self, party: str, alias: str, on: date | None) -> AccountMatch | None:
        """The account behind an alias on a day: the party's own alias first, then everyone's."""
        for key in ((party, alias), ("*", alias)):
            for match in self.accounts.get(key, ()):
                if on is None or match.since <= on < match.until:
                    return match
        return None


def build_reference(
    dialects: Mapping[str, Dialect], account_map: pa.Table | None = None, identifiers: pa.Table | None = None
) -> Reference:
    """A Reference from rows of the `account_map` and `identifier_history` tables."""
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
        instruments[row["id_source"], row["id_value"]].append(
            Validity(row["instrument_id"], row["valid_from"], row.get("valid_to") or date.max)
        )
    return Reference(
        dialects,
        MappingProxyType({key: tuple(rows) for key, rows in accounts.items()}),
        MappingProxyType({key: tuple(rows) for key, rows in instruments.items()}),
    )


def load_reference(warehouse: Warehouse, dialects: Mapping[str, Dialect]) -> Reference:
    """A Reference from the warehouse's current `account_map` and `identifier_history`."""
    return build_reference(
        dialects,
        warehouse.query("SELECT * FROM account_map ORDER BY party, alias, valid_from"),
        warehouse.query("SELECT * FROM identifier_history ORDER BY id_source, id_value, valid_from"),
    )
