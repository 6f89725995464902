"""Small helpers with pyfixmsg's names: tags as numbers, values as text, UTC time as FIX writes it."""

from datetime import datetime, timedelta
from typing import Any

from domain.clock import SystemClock

DATEFORMAT = "%Y%m%d-%H:%M:%S.%f"
_EPOCH = datetime(1970, 1, 1)


def int_or_str(val: Any, decode_as: str | None = None) -> Any:
    """The number a tag is, or its stripped text (bytes stay bytes unless `decode_as` names their encoding).

    Raises ValueError for what is neither number, text nor bytes.
    """
    try:
        return int(val)
    except ValueError:
        if isinstance(val, bytes):
            return val.strip() if decode_as is None else val.decode(decode_as).strip()
        if decode_as is None:
            return val.strip() if isinstance(val, str) else str(val)
        raise ValueError(f"Cannot decode type {type(val)}") from None


def native_str(val: Any, encoding: str = "UTF-8") -> Any:
    """`val` as str, bytes decoded; None stays None."""
    if val is None or type(val) is str:
        return val
    return val.decode(encoding) if isinstance(val, bytes) else str(val)


def utc_now() -> datetime:
    """Wall time as a naive datetime in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=SystemClock().now_ns() // 1_000)


def utc_timestamp() -> str:
    """Wall time as a UTCTimestamp with microseconds, for tags like SendingTime(52)."""
    return utc_now().strftime(DATEFORMAT)
