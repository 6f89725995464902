"""Imported dictionaries on disk: one compact text file per FIX version in the data folder."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, unquote

from ingest.fix.dictionary import Dictionary, FieldSpec, Layout, MessageSpec
from ingest.fix.layouts import layout_text, parse_layout
from ingest.fix.own import own_dictionary
from ingest.streams.durable import replace_file

_FIRST_LINE = "tieout dictionary 1"
_SUFFIX = ".dictionary"
_PLAIN = "/:+$?*<>@,;()"  # beside letters and digits, what needs no %-escape in a value


def dictionary_text(dictionary: Dictionary) -> str:
    """The compact form: a line per field, `field 54 Side CHAR 1=BUY`, and per message, `message 0 Heartbeat - 112`."""
    return "\n".join(_lines(dictionary)) + "\n"


def _lines(dictionary: Dictionary) -> Iterator[str]:
    yield _FIRST_LINE
    yield f"version {quote(dictionary.version)}"
    for _, spec in sorted(dictionary.fields.items()):
        values = (f"{quote(code, safe=_PLAIN)}={quote(text, safe=_PLAIN)}" for code, text in spec.values.items())
        yield " ".join(["field", str(spec.number), quote(spec.name), quote(spec.type), *values])
    yield f"header {layout_text(dictionary.header)}"
    yield f"trailer {layout_text(dictionary.trailer)}"
    for kind, message in dictionary.messages.items():
        level = "session" if message.session else "-"
        yield f"message {kind} {quote(message.name)} {level} {layout_text(message.layout)}".rstrip()


def parse_dictionary(text: str) -> Dictionary:
    """The dictionary of a compact text. Raises ValueError with the line's number and what is wrong with it."""
    first, *lines = text.splitlines() or [""]
    if first != _FIRST_LINE:
        raise ValueError(f"line 1: expected {_FIRST_LINE!r}")
    version = ""
    fields: dict[int, FieldSpec] = {}
    messages: dict[str, MessageSpec] = {}
    frames = {"header": Layout(), "trailer": Layout()}
    for number, line in enumerate(lines, start=2):
        what, _, rest = line.partition(" ")
        try:
            if what == "field":
                tag, name, kind, *values = rest.split(" ")
                pairs = (pair.partition("=") for pair in values)
                meanings = MappingProxyType({unquote(code): unquote(text) for code, _, text in pairs})
                fields[int(tag)] = FieldSpec(int(tag), unquote(name), unquote(kind), meanings)
            elif what == "message":
                kind, name, level, layout = (rest + "   ").split(" ", 3)
                messages[kind] = MessageSpec(kind, unquote(name), level == "session", parse_layout(layout, True))
            elif what in frames:
                frames[what] = parse_layout(rest, complete=bool(rest.strip()))
            elif what == "version":
                version = unquote(rest)
            elif line:
                raise ValueError(f"{what!r} begins no line of a dictionary")
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return Dictionary(
        version, MappingProxyType(fields), MappingProxyType(messages), frames["header"], frames["trailer"], True
    )


def save_dictionary(folder: Path, dictionary: Dictionary) -> Path:
    """Write the dictionary as the folder's one of its version; returns the file. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (quote(dictionary.version, safe="") + _SUFFIX)
    replace_file(path, dictionary_text(dictionary).encode())
    return path


def imported_dictionaries(folder: Path) -> Mapping[str, Dictionary]:
    """Every imported dictionary by version; empty where none was. Raises ValueError naming a damaged file."""
    found = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else ():
        stat = path.stat()
        dictionary = _load(path, stat.st_mtime_ns, stat.st_size)
        found[dictionary.version] = dictionary
    return found


@lru_cache(maxsize=16)
def _load(path: Path, _changed: int, _size: int) -> Dictionary:
    try:
        return parse_dictionary(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def dictionary_for(folder: Path | None, version: str) -> Dictionary:
    """The imported dictionary of a version, else our own table of it. Raises KeyError for a version that has neither,
    ValueError for a damaged file."""
    imported = imported_dictionaries(folder) if folder is not None else {}
    return imported[version] if version in imported else own_dictionary(version)
