"""FIX dictionaries of an installation: importing a file, and a tag or a message in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill

from app.paths import DataDir
from app.settings import load
from ingest.fix.dictionary import Dictionary, FieldSpec, Layout, MessageSpec
from ingest.fix.dictionary_file import imported_dictionaries, save_dictionary
from ingest.fix.dictionary_xml import read_dictionary
from ingest.fix.own import TRANSPORT, VERSIONS, own_dictionary
from ingest.fix.tags import MESSAGE_TYPES, tag_name
from ingest.fix.xml_tree import MAX_BYTES

_WIDTH = 100
_DEFAULT = "FIX.4.4"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of tags and message types: our own, and for what our table lacks those of the imported dictionaries."""

    imported: tuple[Dictionary, ...] = ()

    def tag(self, number: int) -> str:
        """The tag's name, empty where nobody knows it."""
        return tag_name(number) or next(filter(None, (known.name(number) for known in self.imported)), "")

    def message(self, kind: str) -> str:
        """The name of a MsgType(35), empty where nobody knows it."""
        own = MESSAGE_TYPES.get(kind, "")
        return own or next(filter(None, (known.message_name(kind) for known in self.imported)), "")


class DictionaryProblem(Exception):
    """The file cannot be read as a dictionary, or nothing is known by that name; the text says which."""


def import_file(file: Path, config: Path | None, version: str | None) -> str:
    """Read the file into the data folder; returns one sentence. Raises DictionaryProblem or SettingsError."""
    folder = DataDir(load(config).data_dir).dictionaries
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DictionaryProblem(f"{file}: more than {MAX_BYTES} bytes are not read as a dictionary")
        dictionary = read_dictionary(file.read_bytes())
    except OSError as error:
        raise DictionaryProblem(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise DictionaryProblem(f"{file}: {error}") from None
    known = {*VERSIONS, TRANSPORT}
    if version is not None:
        dictionary = replace(dictionary, version=version)
    if dictionary.version not in known:
        raise DictionaryProblem(
            f"{file}: it calls its version {dictionary.version!r}; say with --as which it stands for:"
            f" {', '.join((*VERSIONS, TRANSPORT))}"
        )
    try:
        path = save_dictionary(folder, dictionary)
    except OSError as error:
        raise DictionaryProblem(f"{folder}: {error.strerror or error}") from None
    coded = sum(bool(spec.values) for spec in dictionary.fields.values())
    return (
        f"{dictionary.version}: {len(dictionary.messages)} messages, {len(dictionary.fields)} fields,"
        f" {coded} of them with listed values -> {path}"
    )


def installed(config: Path | None) -> Mapping[str, Dictionary]:
    """The imported dictionaries by version. Raises DictionaryProblem for a damaged one, SettingsError."""
    try:
        return imported_dictionaries(DataDir(load(config).data_dir).dictionaries)
    except (OSError, ValueError) as error:
        raise DictionaryProblem(str(error)) from None


def names_in(data_dir: Path) -> Names:
    """Names by the dictionaries of a data folder. Raises DictionaryProblem for a damaged one."""
    try:
        # The newest version first: its names are the ones in use.
        found = imported_dictionaries(DataDir(data_dir).dictionaries)
    except (OSError, ValueError) as error:
        raise DictionaryProblem(str(error)) from None
    return Names(tuple(dictionary for _, dictionary in sorted(found.items(), reverse=True)))


def describe(what: str, config: Path | None, version: str | None) -> str:
    """The tag or message in words. Raises DictionaryProblem when nothing is known by that name."""
    imported = installed(config)
    if version is not None and version not in imported and version not in (*VERSIONS, TRANSPORT):
        known = ", ".join(dict.fromkeys((*VERSIONS, TRANSPORT, *imported)))
        raise DictionaryProblem(f"no FIX version {version!r}; known: {known}")
    order = [version] if version else [_DEFAULT, *reversed(VERSIONS), TRANSPORT]
    # What people imported comes first, and of each kind the asked or newest version.
    choices = [imported[name] for name in order if name in imported]
    choices += [own_dictionary(name) for name in order]
    # Our table names a tag in every version: one whose messages hold it says more.
    for dictionary, held in [(one, True) for one in choices] + [(one, False) for one in choices]:
        text = _field(what, dictionary, held) or _message(what, dictionary)
        if text:
            source = "imported" if dictionary.version in imported and dictionary.complete else "Tieout's own table"
            return f"{text}\n{dictionary.version}, {source}"
    where = f" in {version}" if version else ""
    raise DictionaryProblem(
        f"nothing is known by {what!r}{where}: give a tag number or name, a MsgType or a message's name"
        " (dict import FILE.xml adds a dictionary)"
    )


def _field(what: str, dictionary: Dictionary, held: bool) -> str:
    # ASCII digits alone are a tag; "8" as a message is asked for by name.
    found: FieldSpec | None
    if what.isascii() and what.isdigit():
        found = dictionary.fields.get(int(what)) if len(what) <= 9 else None
    else:
        found = next((spec for spec in dictionary.fields.values() if spec.name.lower() == what.lower()), None)
    if found is None:
        return ""
    frame = found.number in dictionary.header.tags | dictionary.trailer.tags
    holders = ["every message"] if frame else []
    holders += [f"{dictionary.messages[kind].name} ({kind})" for kind in dictionary.where(found.number)]
    if held and not holders:
        return ""
    lines = [f"{found.number} {found.name}  {found.type}"]
    wide = max((len(code) for code in found.values), default=0)
    lines += [f"  {code:<{wide}}  {meaning}" for code, meaning in found.values.items()]
    if holders:
        lines.append(fill("in " + ", ".join(holders), _WIDTH, subsequent_indent="   ", break_on_hyphens=False))
    return "\n".join(lines)


def _message(what: str, dictionary: Dictionary) -> str:
    found = dictionary.messages.get(what)
    if found is None:
        named = (m for m in dictionary.messages.values() if m.name.lower() == what.lower())
        found = next(named, None)
    return "\n".join(_message_lines(found, dictionary)) if found else ""


def _message_lines(message: MessageSpec, dictionary: Dictionary) -> Iterator[str]:
    level = "session level" if message.session else "application"
    yield f"{message.type} {message.name}  {level}"
    yield from _layout_lines(message.layout, dictionary, "  ")
    if not message.layout.complete:
        yield "  other fields may appear"


def _layout_lines(layout: Layout, dictionary: Dictionary, indent: str) -> Iterator[str]:
    for tag in layout.fields:
        mark = "  required" if tag in layout.required else ""
        yield f"{indent}{tag:<5} {dictionary.name(tag)}{mark}"
        if tag in layout.groups:
            yield from _layout_lines(layout.groups[tag], dictionary, indent + "  ")
