"""Who and what a stored row of a file or a table names now: from its own columns, so its bytes need not be there."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from ingest.files.identity import SOURCES
from ingest.fix.flags import Flag, shown
from ingest.normalise_reference import Reference
from ingest.symbology import Evidence, resolve

# What the stored row knows of its instrument, besides its identifiers.
EVIDENCE = (*SOURCES, "symbol", "expiry", "put_call", "strike", "venue_mic", "trade_ccy", "trade_date", "account_raw")
_ABOUT_ID = Flag.ID_CHECK | Flag.ID_UNKNOWN | Flag.ID_LATER | Flag.ID_AMBIGUOUS | Flag.ID_CONFLICT
_ABOUT_ID |= Flag.ID_DERIVED | Flag.ID_VERSION | Flag.COUNTRY
_UNNAMED, _UNMAPPED = shown(Flag.ID_UNKNOWN)[0], shown(Flag.ACCOUNT)[0]


def named_now(row: Mapping[str, Any], party: str, reference: Reference) -> dict[str, Any]:
    """instrument_id, account_id and flags of the row as the reference data has them today; what was known stays."""
    flags = [flag for flag in (row["flags"] or "").split(",") if flag]
    told = {"instrument_id": row["instrument_id"], "account_id": row["account_id"]}
    if _UNMAPPED in flags:
        match = reference.account(party, row["account_raw"], row["trade_date"])
        if match is not None:
            told["account_id"] = match.account_id
            flags.remove(_UNMAPPED)
    if _UNNAMED in flags:
        found = resolve(_evidence(row), reference.instruments, reference.listing)
        if found.instrument_id is not None:
            told["instrument_id"] = found.instrument_id
            flags = [flag for flag in flags if flag not in shown(_ABOUT_ID)] + shown(found.flags)
    return {**told, "flags": ",".join(flags) or None}


def _evidence(row: Mapping[str, Any]) -> Evidence:
    ids = tuple((source, row[name]) for name, source in SOURCES.items() if row[name])
    return Evidence(row["symbol"], None, ids, _contract(row), row["venue_mic"], row["trade_ccy"], on=row["trade_date"])


def _contract(row: Mapping[str, Any]) -> str:
    """As `ingest.files.contract.contract_evidence` says it of a file's row."""
    expiry: date | None = row["expiry"]
    strike = row["strike"]
    parts = (
        expiry.isoformat() if expiry else None, (row["put_call"] or "")[:1] or None,
        None if strike is None else f"{strike.normalize():f}",
    )  # fmt: skip
    return "".join(f":{part}" for part in parts if part is not None)
