"""Code cells of delimited files: sides, statuses, currencies and security identifiers with their check digits."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.aliases import key_of
from ingest.identifiers import cusip as cusip
from ingest.identifiers import figi as figi
from ingest.identifiers import isin as isin
from ingest.identifiers import sedol as sedol

_SIDE_WORDS = """
BUY: b buy bought by bot purchase purchased buys 1 long buyopen bto buytoopen
SELL: s sell sold sl sld sale sells 2 stc selltoclose sellclose selllong
SELL_SHORT: ss sellshort shortsell short ssell shrt sshort sho sts selltoopen sto soldshort 5
SELL_SHORT_EXEMPT: sse sellshortexempt shortexempt sx 6
BUY_COVER: bc buycover buytocover cover btc cvr bcov covershort buytoclose buyclose coverbuy cs
"""
_STATUS_WORDS = """
NEW: n new original orig open executed filled booked confirmed live active ok valid a add trade 0
CORRECT: correct correction corrected amend amended amendment replace replaced modify modified rebook update 2
CANCEL: x cancel cancelled canceled cancellation bust busted delete deleted reversal reversed void ca can cxl 1
REJECT: reject rejected dk refused unmatched
"""
_CANCEL_MARK = re.compile(r"\(\s*(?:ca|cxl|cancel\w*|x)\.?\s*\)|\b(?:cancel\w*|cxl|reversal)\b", re.IGNORECASE)
_MINOR = MappingProxyType({"GBX": "GBP", "GBp": "GBP", "ZAc": "ZAR", "ZAX": "ZAR", "ILA": "ILS", "ILX": "ILS"})


@cache
def _words(text: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.strip().splitlines())
    return MappingProxyType({word: name for name, _, words in pairs for word in words.split()})


@dataclass(frozen=True, slots=True)
class SideCode:
    """A side cell: the canonical side (None if unknown) and whether the cell itself says cancel (`BUY (Ca.)`)."""

    side: str | None
    is_cancel: bool


def side_of(text: str, own: Mapping[str, str]) -> SideCode:
    """The side a cell means; `own` are the file's codes from its map and win over the usual words."""
    if text in own:
        return SideCode(own[text], False)
    is_cancel = _CANCEL_MARK.search(text) is not None
    bare = _CANCEL_MARK.sub(" ", text)
    return SideCode(_words(_SIDE_WORDS).get(key_of(bare)), is_cancel)


def status_of(text: str, own: Mapping[str, str]) -> str | None:
    """NEW, CORRECT, CANCEL or REJECT; an empty cell is NEW; None when the word is not known."""
    if not text:
        return "NEW"
    if text in own:
        return own[text]
    return _words(_STATUS_WORDS).get(key_of(text))


def minor_unit(currency: str) -> tuple[str, int]:
    """ISO currency and the units of the price per major unit: GBX → (GBP, 100), EUR → (EUR, 1)."""
    major = _MINOR.get(currency)
    return (major, 100) if major else (currency.upper(), 1)


def is_currency(text: str) -> bool:
    """Three letters, which is all ISO 4217 promises."""
    return re.fullmatch(r"[A-Z]{3}", text) is not None


def by_unique(column: pa.ChunkedArray | pa.Array, read: Callable[[str], str | None]) -> pa.Array:
    """`read` applied once per distinct cell; empty cells and None become null."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    coded = pc.dictionary_encode(flat)
    words = [read(word) if word else None for word in coded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(coded.indices)
