"""Deterministic identities: the same evidence gives the same id on every replay and every machine."""

import hashlib

_UNIT_SEPARATOR = "\x1f"


def digest128(*parts: str) -> str:
    """First 128 bits of SHA-256 over the parts joined by the unit separator, as 32 lower-case hex digits."""
    return hashlib.sha256(_UNIT_SEPARATOR.join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def record_id(source: str, raw_sha256: str, ordinal: int, kind: str) -> str:
    """Identity of one canonical row: source, hash of the raw message, row ordinal in it, kind (record table)."""
    return digest128(source, raw_sha256, str(ordinal), kind)
