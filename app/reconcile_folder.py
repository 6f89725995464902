"""The feeds of the settings read from their files: each with its own role, dialect and column map, nothing guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from app.as_known_files import only_known
from app.reconcile_ahead import Ahead, Job, Terms
from app.reconcile_inputs import ReconcileError, read_file, read_map
from app.reconcile_match import Given, file_note, merge, places_of
from app.reconcile_shelf import Shelf, taken
from app.reconcile_store import without_raw
from app.report import FileNote
from app.report_words import count
from app.settings import Settings
from app.table_feeds import whole_table
from domain.errors import PermanentError, TransientError
from ingest.feeds import Feed
from ingest.files.arrival import Arrival
from ingest.files.batch import FileBatch, batch_from_file, one_by_one, received
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import FileDialect, file_dialect, is_file_dialect
from ingest.files.manifest import EMPTY as EMPTY_FILE
from ingest.files.manifest import LOADED, REPEATED, STOPPED, FileEntry, manifest_table
from ingest.files.read import FileRefused, kind_of
from ingest.files.sequence import with_gaps
from ingest.normalise import MESSAGE_SCHEMA, QUARANTINE, QUARANTINE_SCHEMA, Normalised
from ingest.normalise_reference import Reference, extended
from ingest.normalise_trades import FEE_SCHEMA, IDENTIFIER_SCHEMA, TRADE_SCHEMA
from ingest.quarantine import quarantine_id
from ingest.reference_conflicts import without_contradictions

EMPTY, DRIFTED = "I06", "I07"
REFERENCE = "reference"
_EMPTY_SLUGS = frozenset({"empty_file", "no_rows", "no_file"})
_KEPT_BYTES = 65_536


@dataclass(slots=True)
class _Found:
    """What was read so far."""

    parts: list[Normalised] = field(default_factory=list)
    files: list[FileNote] = field(default_factory=list)
    places: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    claimed: dict[Path, str] = field(default_factory=dict)
    manifest: list[FileEntry] = field(default_factory=list)
    keep_raw: bool = True
    shelf: Shelf | None = None
    ahead: Ahead | None = None

    def add(self, part: Normalised) -> None:
        """What one file brought, without its bytes where they are not kept: a large day is gigabytes of them."""
        self.parts.append(part if self.keep_raw else replace(part, messages=without_raw(part.messages)))

    def laid(self, part: Normalised) -> Normalised:
        """The part, on the shelf where there is one."""
        return part if self.shelf is None else self.shelf.lay(part)


@dataclass(frozen=True, slots=True)
class _File:
    feed: Feed
    path: Path
    name: str
    data: bytes
    sha256: str
    size: int


def _file(feed: Feed, path: Path, name: str, data: bytes = b"") -> _File:
    return _File(feed, path, name, data, sha256(data).hexdigest(), len(data))


def read_feeds(
    settings: Settings,
    base: Path,
    reference: Reference,
    known: Mapping[str, pa.Table] | None = None,
    *,
    keep_raw: bool = True,
    shelf: Shelf | None = None,
    ahead: Ahead | None = None,
    known_ns: int | None = None,
) -> Given:
    """Every file of every feed with a `path_glob` (from `base`), in feed order and file name order.

    Feeds of reference data come first: what they say counts for the others, unless it contradicts what is `known` (rows
    of reference tables); with `known_ns` (UTC) as much of them as was received by then. A file that cannot be used is
    told and set aside with its reason, and the rest goes on. Without `keep_raw` messages have none of their bytes,
    which the files hold; `shelf` is where what was read waits instead of in memory; with one, and without their bytes,
    files may be read `ahead` by other processes. Raises ReconcileError when the settings name no file at all, a pattern
    is none, or two feeds claim one file.
    """
    globbed = [feed for feed in settings.feeds if feed.path_glob is not None or feed.table is not None]
    if not globbed:
        raise ReconcileError("feeds: none has a path_glob or a table, so there is nothing to read")
    found, known_rows = _Found(keep_raw=keep_raw, shelf=shelf), dict(known or {})
    for feed in sorted(settings.feeds, key=lambda feed: feed.contents != REFERENCE):
        if feed.contents != REFERENCE and ahead is not None and found.ahead is None:
            found.ahead = _read_ahead(ahead, settings, base, reference, found)
        if feed.table is not None:
            _read_table(settings, feed, base, reference, found)
        elif feed.path_glob is None:
            found.notes.append(f"{feed.name}: no path_glob, nothing read")
        elif feed.contents == "trades" or is_file_dialect(feed.dialect):
            before = len(found.parts)
            _read_files(feed, base, reference, found)
            if feed.contents == REFERENCE:
                part, unknown = only_known(merge([_nothing(), *found.parts[before:]]), known_ns)
                found.notes += [f"{feed.name}: {text}" for text in unknown]
                told = without_contradictions(part, known_rows)
                found.parts[before:] = [told]
                known_rows |= {n: _more(known_rows.get(n), rows) for n, rows in told.facts.items()}
                reference = extended(reference, told.facts)
        else:
            _leave_unread(feed, base, found)
    if found.ahead is not None:
        found.ahead.end()
    if not found.files:
        raise ReconcileError(f"feeds: no file matches any path_glob, looked in {base}")
    digest = sha256("".join(note.sha256 for note in found.files).encode()).hexdigest()[:40]
    feeds = tuple(feed for feed in globbed if feed.contents == "trades" or is_file_dialect(feed.dialect))
    return Given(
        merge([_nothing(), *found.parts]), tuple(found.files), found.places, feeds, digest, tuple(found.notes),
        manifest=manifest_table(found.manifest),
    )  # fmt: skip


def _read_ahead(ahead: Ahead, settings: Settings, base: Path, reference: Reference, found: _Found) -> Ahead:
    """Readers at work on the files of all feeds but those of reference data, which are known by now."""
    assert found.shelf is not None and not found.keep_raw
    jobs = {
        path: Job(path, _name(path, base), feed, read_map(feed.map))
        for feed in settings.feeds
        if feed.contents != REFERENCE and feed.table is None and feed.path_glob is not None
        and (feed.contents == "trades" or is_file_dialect(feed.dialect))
        for path in _paths(feed, base, found)
    }  # fmt: skip
    ahead.begin(jobs, Terms(reference, found.shelf.folder, found.shelf.worth_bytes, reference.jit is not None))
    return ahead


def read_object(
    feed: Feed, name: str, data: bytes, mapping: CsvMap, reference: Reference, dialect: FileDialect | None = None
) -> tuple[Normalised, pa.Table]:
    """One file of a feed as `read_feeds` reads it, set aside where it cannot be used, and its row of file_manifest.

    `dialect` is the feed's file dialect, read already; without it the feed's `dialect` is looked up.
    """
    batch, manifest, _ = read_with_places(feed, name, data, mapping, reference, dialect)
    return batch, manifest


def read_with_places(
    feed: Feed, name: str, data: bytes, mapping: CsvMap, reference: Reference, dialect: FileDialect | None = None
) -> tuple[Normalised, pa.Table, dict[str, tuple[str, int | None]]]:
    """As `read_object`, and the file and line of what is in quarantine, by message id."""
    found = _Found()
    _read_one(_file(feed, Path(name), name, data), mapping, reference, found, dialect)
    return merge([_nothing(), *found.parts]), manifest_table(found.manifest), found.places


def refused_object(
    feed: Feed, name: str, head: bytes, size: int, digest: str, told: str
) -> tuple[Normalised, pa.Table]:
    """A file that is not read for the reason told, as `read_object` gives one it cannot use; `head` is what is kept."""
    found = _Found()
    file = _File(feed, Path(name), name, head, digest, size)
    _refused(file, FileRefused(name, 0, "unreadable_file", told), found)
    return merge([_nothing(), *found.parts]), manifest_table(found.manifest)


def _more(known: pa.Table | None, rows: pa.Table) -> pa.Table:
    rows = rows.drop_columns(["message_id"])
    return rows if known is None else pa.concat_tables([known.select(rows.column_names).cast(rows.schema), rows])


def _read_files(feed: Feed, base: Path, reference: Reference, found: _Found) -> None:
    mapping = read_map(feed.map)
    paths = _paths(feed, base, found)
    seen: dict[str, str] = {}
    if not paths:
        missing = FileRefused(str(feed.path_glob), 0, "no_file", f"no file of {feed.name} matches this path_glob")
        _set_aside(_file(feed, base, str(feed.path_glob)), missing, found)
        found.notes.append(str(missing))
    for path in paths:
        name = _name(path, base)
        answer = found.ahead.take(path) if found.ahead is not None else None
        if answer is not None and answer.sha256 not in seen:
            batch = replace(answer.batch, normalised=taken(answer.laid))
            _read(_File(feed, path, name, b"", answer.sha256, answer.size), batch, answer.arrived, found)
            seen[answer.sha256] = name
            continue
        try:
            data = read_file(path)
        except ReconcileError as error:
            _refused(_file(feed, path, name), FileRefused(name, 0, "unreadable_file", str(error)), found)
            continue
        file = _file(feed, path, name, data)
        if data and file.sha256 in seen:
            told = f"the same content as {seen[file.sha256]}, not read again"
            found.files.append(_unread(file, told))
            found.notes.append(f"{name}: {told}")
            found.manifest.append(_entry(file, REPEATED, detail=told))
            continue
        if _read_one(file, mapping, reference, found):
            seen[file.sha256] = name
    if feed.contents != "trades":
        contents = "reference data" if feed.contents == REFERENCE else feed.contents
        found.notes.append(f"{feed.name}: {contents}, {count(len(seen), 'file')} read")


def _read_table(settings: Settings, feed: Feed, base: Path, reference: Reference, found: _Found) -> None:
    """The whole table of a feed, as it is now."""
    name = str(feed.table and feed.table.name)
    try:
        batch = whole_table(settings, feed, reference)
    except (FileRefused, TransientError, PermanentError) as error:
        told = error.detail if isinstance(error, FileRefused) else str(error)
        _refused(_file(feed, base / name, name), FileRefused(name, 0, "unreadable_table", told), found)
        return
    messages = batch.normalised.messages
    content = sha256("".join(messages["sha256"].to_pylist()).encode()).hexdigest()
    if not messages.num_rows:
        found.notes.append(f"{feed.name}: the table {name} has no rows")
    batch, arrived = received(batch, feed)
    found.add(batch.normalised)
    called = str(messages["session"][0]).removeprefix(f"{feed.name}/") if messages.num_rows else name
    entry = _entry(_File(feed, base / name, called, b"", content, 0), LOADED, messages.num_rows)
    found.manifest.append(replace(entry, business_date=batch.business_date, received_ns=arrived.at_ns))
    size = sum(messages["length"].to_pylist())
    found.files.append(file_note(name, name, feed, content, size, batch))
    found.places |= {message_id: (name, line) for message_id, line in batch.lines.items()}


def _read_one(
    file: _File, mapping: CsvMap, reference: Reference, found: _Found, dialect: FileDialect | None = None
) -> bool:
    """Whether the file was read; if not, it was set aside with its reason."""
    feed = file.feed
    if dialect is None and is_file_dialect(feed.dialect):
        dialect = file_dialect(feed.dialect)
    try:
        batch = batch_from_file(
            file.data,
            file.name,
            feed,
            mapping,
            reference,
            recorded=True,
            dialect=dialect,
            lay=found.laid,
            share=one_by_one if found.ahead is None else found.ahead.share,
        )
    except FileRefused as error:
        _refused(file, error, found)
        return False
    except (PermanentError, ValueError, LookupError, ArithmeticError) as error:
        # One file that nobody foresaw must not keep the others from being tied out.
        told = f"cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        _refused(file, FileRefused(file.name, 0, "unreadable_file", told), found)
        return False
    rows = batch.normalised.messages
    if not set(rows["outcome"].unique().to_pylist()) - {"IGNORED"}:
        _refused(file, FileRefused(file.name, 0, "no_rows", _no_rows(batch)), found)
        return False
    batch, arrived = received(with_gaps(batch, feed, file.name), feed)
    # Of a FIX log every part was laid aside as it was read.
    laid = batch.normalised if batch.kind == "fix" else found.laid(batch.normalised)
    _read(file, replace(batch, normalised=laid), arrived, found)
    return True


def _read(file: _File, batch: FileBatch, arrived: Arrival, found: _Found) -> None:
    """Takes in what was read of a file."""
    feed, rows = file.feed, batch.normalised.messages
    found.add(batch.normalised)
    found.manifest.append(
        replace(
            _entry(file, LOADED, rows.num_rows), business_date=batch.business_date, received_ns=arrived.at_ns,
            slot=arrived.slot or None,
        )
    )  # fmt: skip
    found.files.append(file_note(file.name, str(file.path), feed, file.sha256, file.size, batch))
    found.places |= places_of(file.name, batch)
    if feed.contents == "trades" and not batch.normalised.trades.num_rows:
        unit = "message" if batch.kind == "fix" else "row"
        found.notes.append(f"{file.name}: no trade in {count(rows.num_rows, unit)}")


def _no_rows(batch: FileBatch) -> str:
    rows = batch.normalised.messages.num_rows
    return "a header and no rows" if not rows else f"{count(rows, 'row')}, none of them data"


def _entry(file: _File, status: str, rows: int = 0, detail: str | None = None) -> FileEntry:
    return FileEntry(file.sha256, file.feed.name, file.name, file.size, rows, status, detail=detail)


def _refused(file: _File, error: FileRefused, found: _Found) -> None:
    found.manifest.append(_entry(file, EMPTY_FILE if error.slug in _EMPTY_SLUGS else STOPPED, detail=error.detail))
    found.files.append(_unread(file, error.detail, rows=1))
    found.notes.append(str(error))
    _set_aside(file, error, found)


def _set_aside(file: _File, error: FileRefused, found: _Found) -> None:
    """The whole file as one received row in quarantine; of a large one only the beginning is kept."""
    session = f"{file.feed.name}/{file.name}"
    message_id, raw = f"{session}:0", file.data[:_KEPT_BYTES]
    message = {
        "message_id": message_id, "lane": session, "session": session, "number": 0, "feed": file.feed.name,
        "recv_ts": 0, "sha256": file.sha256, "length": file.size, "msg_type": None, "outcome": QUARANTINE,
        "raw": raw, "execution": "",
    }  # fmt: skip
    bad = {
        "quarantine_id": quarantine_id(message_id, error.slug), "message_id": message_id, "feed": file.feed.name,
        "recv_ts": 0, "code": EMPTY if error.slug in _EMPTY_SLUGS else DRIFTED, "reason": error.slug,
        "detail": str(error), "raw": raw, "execution": "", "file": file.name,
    }  # fmt: skip
    nothing = _nothing()
    found.parts.append(
        Normalised(
            nothing.trades, nothing.fees, nothing.identifiers,
            pa.Table.from_pylist([message], schema=MESSAGE_SCHEMA),
            pa.Table.from_pylist([bad], schema=QUARANTINE_SCHEMA),
        )
    )  # fmt: skip
    found.places[message_id] = (file.name, None)


def _leave_unread(feed: Feed, base: Path, found: _Found) -> None:
    """Files of which no dialect says how their contents are read: listed, not read."""
    paths = _paths(feed, base, found)
    told = f"{feed.contents} need a dialect of files"
    found.notes.append(f"{feed.name}: {told}, {count(len(paths), 'file')} left unread")
    for path in paths:
        try:
            data = read_file(path)
        except ReconcileError as error:
            found.notes.append(str(error))
            continue
        found.files.append(_unread(_file(feed, path, _name(path, base), data), told))


def _unread(file: _File, told: str, rows: int = 0) -> FileNote:
    return FileNote(
        name=file.name, path=str(file.path), role=file.feed.role, party=file.feed.party, kind=kind_of(file.data).value,
        encoding="", sha256=file.sha256, size=file.size, rows=rows,
        counts={QUARANTINE.lower(): rows} if rows else {}, notes=(told,),
    )  # fmt: skip


def _paths(feed: Feed, base: Path, found: _Found) -> Sequence[Path]:
    pattern = Path(str(feed.path_glob))
    root, inner = (Path(pattern.anchor), pattern.relative_to(pattern.anchor)) if pattern.anchor else (base, pattern)
    try:
        paths = sorted((path for path in root.glob(str(inner)) if path.is_file()), key=Path.as_posix)
    except (ValueError, NotImplementedError) as error:
        raise ReconcileError(f"feeds: {feed.name!r}: path_glob: {feed.path_glob!r}: {error}") from None
    for path in paths:
        other = found.claimed.setdefault(path, feed.name)
        if other != feed.name:
            raise ReconcileError(f"feeds: {other!r} and {feed.name!r}: path_glob: both claim {_name(path, base)}")
    return paths


def _name(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


def _nothing() -> Normalised:
    return Normalised(
        TRADE_SCHEMA.empty_table(), FEE_SCHEMA.empty_table(), IDENTIFIER_SCHEMA.empty_table(),
        MESSAGE_SCHEMA.empty_table(), QUARANTINE_SCHEMA.empty_table(),
    )  # fmt: skip
