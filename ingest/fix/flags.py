"""What can be odd about a message, and what was done about it: one flag per treatment, shown on the record."""

from collections.abc import Mapping
from enum import IntFlag
from types import MappingProxyType


class Flag(IntFlag):
    """One bit per treatment; the names, with their code where they have one, go into the trade's `flags`."""

    CHECKSUM = 1
    NO_CHECKSUM = 2
    LENGTH = 4
    NO_LENGTH = 8
    HEADER_ORDER = 16
    ODD_TAG = 32
    EMPTY_VALUE = 64
    SEPARATOR = 128
    DATA_LENGTH = 256
    POSS_DUP = 512
    POSS_RESEND = 1024
    TIME_ODD = 2048
    TIME_AMBIGUOUS = 4096
    NO_ECONOMICS = 8192
    ACCOUNT = 16384
    NON_ASCII = 32768
    LOG_PREFIX = 1 << 16
    SWALLOWED = 1 << 17
    PLACEHOLDER = 1 << 18
    GROUP_TAIL = 1 << 19
    VERSION = 1 << 20
    TZ60_SUSPECT = 1 << 21
    TRADE_DATE = 1 << 22
    MINOR_UNIT = 1 << 23
    PRICE_FORM = 1 << 24
    QTY_UNIT = 1 << 25
    MULTIPLIER = 1 << 26
    SIGNED_QTY = 1 << 27
    DATE_FORM = 1 << 28
    ID_SOURCE = 1 << 29
    ID_CHECK = 1 << 30
    ID_UNKNOWN = 1 << 31
    ID_LATER = 1 << 32
    ID_AMBIGUOUS = 1 << 33
    ID_CONFLICT = 1 << 34
    ID_DERIVED = 1 << 35
    ID_VERSION = 1 << 36
    AS_OF = 1 << 37
    LEVEL = 1 << 38
    COUNTRY = 1 << 39
    CUMULATIVE = 1 << 40
    ENUM_ODD = 1 << 41
    FX_INVERTED = 1 << 42
    SETTLE_COMPUTED = 1 << 43
    SIDE_MAPPED = 1 << 44


INTEGRITY = Flag.CHECKSUM | Flag.NO_CHECKSUM | Flag.LENGTH | Flag.NO_LENGTH | Flag.HEADER_ORDER

# Warnings that have a code of the break taxonomy carry it, so that they can be found by it.
_INTEGRITY_WARNINGS = Flag.CHECKSUM | Flag.NO_CHECKSUM | Flag.LENGTH | Flag.NO_LENGTH
_CODES: Mapping[Flag, str] = MappingProxyType(
    {**dict.fromkeys(_INTEGRITY_WARNINGS, "I02_"), Flag.ID_UNKNOWN: "I03_", Flag.ACCOUNT: "I04_"}
)


def shown(flags: int) -> list[str]:
    """The names of the flags set, in order of their bits, each with its code: `I02_CHECKSUM`, `POSS_DUP`."""
    return [f"{_CODES.get(flag, '')}{flag.name}" for flag in Flag if flag & flags]
