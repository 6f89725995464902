"""Headers that prime brokers and order systems use, by canonical column; the first alias listed wins."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from types import MappingProxyType

import yaml


@lru_cache(maxsize=16_384)
def key_of(header: str) -> str:
    """A header reduced to what counts: lower-case letters and digits, `#` and `no.` read as `no`."""
    text = header.replace("#", " no ").casefold()
    return re.sub(r"[\W_]+", "", text)


@cache
def aliases() -> Mapping[str, Sequence[str]]:
    """Canonical column → header keys in order of preference."""
    text = resources.files("ingest.files").joinpath("aliases.yaml").read_text(encoding="utf-8")
    table: Mapping[str, Sequence[str]] = yaml.safe_load(text)
    return MappingProxyType(
        {name: tuple(dict.fromkeys(key_of(str(form)) for form in [name, *forms])) for name, forms in table.items()}
    )


@cache
def known_keys() -> frozenset[str]:
    """Every header key of the alias table."""
    return frozenset(key for keys in aliases().values() for key in keys)


def guess(headers: Sequence[str]) -> dict[str, str]:
    """Canonical column → header, where a header of the file is a known form; each header serves one column."""
    by_key: dict[str, str] = {}
    for header in headers:
        if header:
            by_key.setdefault(key_of(header), header)
    offers = [
        (rank, order, name, key)
        for order, (name, keys) in enumerate(aliases().items())
        for rank, key in enumerate(keys)
        if key in by_key
    ]
    found: dict[str, str] = {}
    taken: set[str] = set()
    for _rank, _order, name, key in sorted(offers):
        if name not in found and key not in taken:
            found[name] = by_key[key]
            taken.add(key)
    return {name: found[name] for name in aliases() if name in found}
