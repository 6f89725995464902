"""Which dialect a message speaks, by whom it is from: for feeds that carry several counterparties."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from domain.errors import PermanentError
from ingest.dialects.dialect import Dialect, Who
from ingest.fix.sniff import is_wire_form, to_wire

FALLBACK = "generic"
# In order of what says most: CompIDs, SubIDs and routing first, the version last, because versions lie.
_TAGS: Mapping[str, int] = {
    "sender_comp_id": 49, "target_comp_id": 56, "sender_sub_id": 50, "target_sub_id": 57, "on_behalf_of_comp_id": 115,
    "deliver_to_comp_id": 128, "begin_string": 8, "appl_ver_id": 1128,
}  # fmt: skip
_WANTED = frozenset(str(tag).encode() for tag in _TAGS.values())
_HEADER_FIELDS = 64


def choose(dialects: Mapping[str, Dialect], messages: Iterable[bytes], file: str | None) -> list[str]:
    """The dialect's name of each message; `generic` where no `who` fits.

    Raises PermanentError when two dialects claim the same messages.
    """
    claims = _claims(dialects)
    known: dict[tuple[tuple[int, str], ...], str] = {}
    names = []
    for message in messages:
        header = _header(message)
        key = tuple(sorted(header.items()))
        if key not in known:
            known[key] = _best(claims, header, file)
        names.append(known[key])
    return names


def _claims(dialects: Mapping[str, Dialect]) -> Sequence[tuple[Who, str]]:
    found: dict[Who, str] = {}
    for name, dialect in sorted(dialects.items()):
        for who in dialect.who:
            other = found.setdefault(who, name)
            if other != name:
                raise PermanentError(f"dialects {other} and {name}: both claim the same messages in `who`")
    return list(found.items())


def _best(claims: Sequence[tuple[Who, str]], header: Mapping[int, str], file: str | None) -> str:
    best: tuple[tuple[bool, ...], str] = ((), FALLBACK)
    for who, name in claims:
        if who.file is not None and not (file and fnmatchcase(file, who.file)):
            continue
        asked = [(field, getattr(who, field)) for field in _TAGS]
        if any(value is not None and header.get(_TAGS[field]) != value for field, value in asked):
            continue
        rank = (
            *(value is not None for _, value in asked[:6]),
            who.file is not None,
            *(v is not None for _, v in asked[6:]),
        )
        if rank > best[0]:
            best = (rank, name)
    return best[1]


def _header(message: bytes) -> dict[int, str]:
    wire = message if is_wire_form(message) else to_wire(message) or b""
    found: dict[int, str] = {}
    for field in wire.split(b"\x01", _HEADER_FIELDS)[:_HEADER_FIELDS]:
        tag, _, value = field.partition(b"=")
        if tag in _WANTED:
            found.setdefault(int(tag), value.decode("latin-1"))
    return found
