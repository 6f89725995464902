"""Which instrument a record is about, resolved once per distinct naming, and what the security master says of it."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.fix.flags import Flag
from ingest.fix.values import KEY_SEPARATOR, joined
from ingest.normalise_part import Extract, nulls_of
from ingest.normalise_reference import Reference, Terms
from ingest.quarantine import IDENTIFIER, MISSING_FIELD
from ingest.symbology import Evidence, Resolved, resolve

_REMEMBERED = 65_536  # namings of instruments kept


def instrument_columns(extract: Extract, terms: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """instrument_id and the identifiers shown; `terms` has the contract terms, trade_date and sent_time_utc."""
    source, security = extract.text("security_id_source"), extract.text("security_id")
    shown = {
        name: pc.coalesce(
            pc.if_else(pc.fill_null(pc.equal(source, code), False), security, pa.scalar(None, pa.string())),
            extract.text(f"alt_{name}"),
        )
        for name, code in (("isin", "4"), ("sedol", "2"), ("cusip", "1"), ("figi", "S"))
    }
    symbol, suffix = extract.text("symbol"), extract.text("symbol_suffix")
    reference, nothing = extract.part.reference, pa.nulls(len(extract), pa.string())
    master = bool(reference.instruments)
    evidence = {
        "symbol": symbol, "suffix": suffix, "source": source, "security": security, **shown,
        "ric": extract.text("alt_ric"), "month": extract.text("maturity_month"), "put_call": terms["put_call"],
        "expiry": _shown(terms["expiry"]), "strike": _shown(terms["strike"]), "country": extract.text("country"),
        "day": terms["trade_date"].cast(pa.string()) if master else nothing,
        "seen": terms["sent_time_utc"].cast(pa.date32()).cast(pa.string()) if master else nothing,
        "mic": extract.text("venue_mic") if master else nothing,
        "ccy": extract.text("trade_ccy") if master else nothing,
    }  # fmt: skip
    present = {name: column for name, column in evidence.items() if column.null_count < len(column)}
    present = present or {"symbol": symbol}
    encoded = joined(present.values()).dictionary_encode()
    said = [dict(zip(present, key.split(KEY_SEPARATOR), strict=True)) for key in encoded.dictionary.to_pylist()]
    resolved = [_remembered(one, reference) for one in said]
    codes = encoded.indices.to_numpy()
    flags = np.array([int(one.flags) for one in resolved], dtype=np.int64)[codes]
    np.bitwise_or.at(extract.part.index.flags, extract.message, flags)
    ids = pa.array([one.instrument_id for one in resolved], pa.string()).take(encoded.indices)
    _refuse_nameless(extract, nulls_of(ids), [said[code] for code in codes.tolist()] if ids.null_count else [])
    return {"instrument_id": ids, "symbol": symbol, **shown}


def _refuse_nameless(extract: Extract, missing: np.ndarray, said: Sequence[dict[str, str]]) -> None:
    for row in np.flatnonzero(missing).tolist():
        given = said[row].get("security")
        if given:
            detail = f"SecurityID(48) {given!r} fails its check digit and nothing else names the instrument."
            extract.part.problems.add(int(extract.message[row]), IDENTIFIER, detail)
        else:
            detail = "No instrument: Symbol(55) and SecurityID(48) are missing."
            extract.part.problems.add(int(extract.message[row]), MISSING_FIELD, detail)


def _shown(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if column.null_count < len(column) else pa.nulls(len(column), pa.string())


def _remembered(said: dict[str, str], reference: Reference) -> Resolved:
    """As `_resolve`, from one batch to the next; forgotten with the reference data it came from."""
    key, known = tuple(said.items()), reference.resolved
    found = known.get(key)
    if found is None:
        found = _resolve(said, reference)
        if len(known) < _REMEMBERED:
            known[key] = found
    return found


def _resolve(said: dict[str, str], reference: Reference) -> Resolved:
    pairs = [("4", "isin"), ("2", "sedol"), ("1", "cusip"), ("5", "ric"), ("S", "figi")]
    ids = [(code, said[name]) for code, name in pairs if said.get(name)]
    if said.get("security"):
        ids.append((said.get("source") or "?", said["security"]))
    month, strike = said.get("month", ""), said.get("strike", "")
    when = said.get("expiry") or (f"{month[:4]}-{month[4:6]}" if len(month) >= 6 else "")
    price = strike.rstrip("0").rstrip(".") if "." in strike else strike
    contract = "".join(f":{term}" for term in (when, said.get("put_call", "")[:1], price) if term)
    days = [date.fromisoformat(said[name]) if said.get(name) else None for name in ("day", "seen")]
    evidence = Evidence(
        said.get("symbol") or None, said.get("suffix") or None, tuple(dict.fromkeys(ids)), contract,
        said.get("mic") or None, said.get("ccy") or None, said.get("country") or None, days[0], days[1],
    )  # fmt: skip
    return resolve(evidence, reference.instruments, reference.listing)


def master_terms(extract: Extract, instrument: pa.Array, trade_date: pa.Array) -> Sequence[Terms | None]:
    """What the security master says of each row's instrument on its trade date; nothing without a master."""
    reference = extract.part.reference
    if not reference.terms:
        return [None] * len(extract)
    keys = joined([instrument, trade_date.cast(pa.string())]).dictionary_encode()
    known = []
    for key in keys.dictionary.to_pylist():
        name, _, day = key.rpartition(KEY_SEPARATOR)
        known.append(reference.terms_of(name, date.fromisoformat(day) if day else None) if name else None)
    return [known[code] for code in keys.indices.to_pylist()]


def asset_of_master(columns: dict[str, pa.Array], terms: Sequence[Terms | None]) -> pa.Array:
    """The asset class the message states, else the security master's."""
    if not any(terms):
        return columns["asset_class"]
    return pc.coalesce(
        columns["asset_class"], pa.array([one.asset_class if one else None for one in terms], pa.string())
    )


def fill_multiplier(extract: Extract, stated: pa.Array, terms: Sequence[Terms | None]) -> pa.Array:
    """ContractMultiplier(231), else the security master's, marked."""
    if not any(terms):
        return stated
    known = pa.array([one.multiplier if one else None for one in terms], stated.type)
    taken = pc.and_(pc.is_null(stated), pc.fill_null(pc.not_equal(known, pa.scalar(1, stated.type)), False))
    extract.part.mark(extract.message[taken.to_numpy(zero_copy_only=False)], Flag.MULTIPLIER)
    return pc.coalesce(stated, known)
