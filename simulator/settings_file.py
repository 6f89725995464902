"""The settings a simulated folder brings: tieout.yaml for its files, serve.yaml for its FIX sessions played live."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulator.records import Source

FUND_PARTY = "MERIDIAN"
BASE_CURRENCY = "USD"
# Dialects of the service, by source: of sessions, of trade files, of books.
_DIALECTS = {
    Source.OMS: "generic", Source.ALPHA: "alpha_ae44", Source.BRAVO: "bravo_er42", Source.CHARLIE: "charlie_as44",
}  # fmt: skip
_FILE_DIALECTS = {Source.CHARLIE: "charlie_csv", Source.DELTA: "delta_gtde", Source.ECHO: "echo_flex"}
_SENDERS = {Source.OMS: "MERIDIAN_OMS"}
CHARLIE_MAP = "charlie/trades.map.yaml"
_TRADE_FILES = {
    Source.CHARLIE: "charlie/trades_*.csv", Source.DELTA: "delta/GTDE_*.txt", Source.ECHO: "echo/flex_*.xml",
}  # fmt: skip
# Slots at which files are due, New York time.
_SLOTS = {
    Source.CHARLIE: (("noon", "12:00"), ("close", "16:30"), ("final", "18:30")),
    Source.DELTA: (("eod", "18:30"),),
    Source.ECHO: (("morning", "06:00"),),
}
# Books by kind: when they are due, New York time.
_BOOK_SLOTS = {"positions": "09:25", "cash": "09:25", "settlement": "18:30", "affirmations": "21:00"}
GRACE_SECONDS = {
    Source.OMS: 60, Source.ALPHA: 60, Source.BRAVO: 60, Source.CHARLIE: 600, Source.DELTA: 600, Source.ECHO: 600,
}  # fmt: skip
# A day played live takes seconds or minutes, and so does the time a counterpart may be late.
LIVE_GRACE_SECONDS = 15


def party(source: Source) -> str:
    """Who `source` is, as feeds and breaks name it."""
    return FUND_PARTY if source is Source.OMS else source.name


def sender(source: Source) -> str:
    """The CompID the source logs on with."""
    return _SENDERS.get(source, source.name)


def log_name(source: Source) -> str:
    """The FIX log of a source inside the folder."""
    folder = "fund" if source is Source.OMS else source.name.lower()
    return f"{folder}/{source.name.lower()}.fix"


def files_settings(
    sources: Sequence[Source], fix: Sequence[Source], reference: Iterable[str], books: Iterable[str]
) -> str:
    """tieout.yaml: every feed with the files it left; those of `fix` are logs of sessions.

    `books` are the files of positions, cash and the like.
    """
    feeds = [_log_feed(source) if source in fix else _file_feed(source) for source in sources]
    kinds = sorted({(path.split("/")[0], path.split("/")[1].split("_")[0]) for path in books})
    feeds += [_book_feed(folder, kind) for folder, kind in kinds if kind in _BOOK_SLOTS]
    head = "The simulated fund and its prime brokers, as files: tieout reconcile --config tieout.yaml"
    return _settings(head, feeds, reference)


def live_settings(sources: Sequence[Source], reference: Iterable[str]) -> str:
    """serve.yaml: the FIX sessions alone, with a grace that suits a day played in minutes."""
    feeds = []
    for source in sources:
        if source in _DIALECTS:
            feeds.append({**_session_feed(source), "grace_seconds": LIVE_GRACE_SECONDS})
    head = "The simulated fund and its prime brokers, live: tieout serve --config serve.yaml"
    return _settings(head, feeds, reference)


def _feed(name: str, source: Source, dialect: str = "generic") -> dict[str, Any]:
    role = "INTERNAL" if source is Source.OMS else "PB"
    return {"name": name, "role": role, "party": party(source), "dialect": dialect}


def _session_feed(source: Source) -> dict[str, Any]:
    identity = {"sender_comp_id": sender(source), "target_comp_id": "TIEOUT"}
    return {
        **_feed(source.name, source, _DIALECTS[source]),
        "session": identity,
        "contents": "trades",
        "calendar": "XNYS",
    }


def _log_feed(source: Source) -> dict[str, Any]:
    return {**_session_feed(source), "path_glob": log_name(source), "grace_seconds": GRACE_SECONDS[source]}


def _file_feed(source: Source) -> dict[str, Any]:
    feed = {**_feed(source.name, source, _FILE_DIALECTS[source]), "path_glob": _TRADE_FILES[source]}
    slots = [{"name": name, "at": at, "zone": "America/New_York"} for name, at in _SLOTS[source]]
    return {**feed, "contents": "trades", "calendar": "XNYS", "slots": slots, "grace_seconds": GRACE_SECONDS[source]}


def _book_feed(folder: str, kind: str) -> dict[str, Any]:
    source = Source.OMS if folder == "fund" else Source[folder.upper()]
    feed = _feed(f"{source.name}_{kind.upper()}", source, f"csv_{kind}")
    return {
        **feed,
        "path_glob": f"{folder}/{kind}_*.csv",
        "contents": kind,
        "calendar": "XNYS",
        "slots": [{"name": kind, "at": _BOOK_SLOTS[kind], "zone": "America/New_York"}],
        "grace_seconds": 600,
    }


def _settings(head: str, feeds: Sequence[Mapping[str, Any]], reference: Iterable[str]) -> str:
    settings = {
        "tenant": "meridian",
        "data_dir": "data",
        "base_currency": BASE_CURRENCY,
        "reference": {name: f"reference/{name}.csv" for name in reference},
        "feeds": feeds,
    }
    return document(head, settings)


def document(head: str, content: Mapping[str, Any]) -> str:
    """A YAML file with a comment on top."""
    return f"# {head}\n" + "\n".join(_block(content)) + "\n"


def _block(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """A mapping as YAML lines; lists hold mappings, mappings of plain values inside a list stand on one line."""
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines += [f"{indent}{key}:", *_block(item, indent + "  ")]
        elif isinstance(item, list):
            lines.append(f"{indent}{key}:")
            for entry in item:
                parts = [f"{k}: {_flow(v)}" for k, v in entry.items()]
                lines += [f"{indent}  - {parts[0]}", *(f"{indent}    {part}" for part in parts[1:])]
        else:
            lines.append(f"{indent}{key}: {_flow(item)}")
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    text = str(value)
    plain = isinstance(value, int) or text.replace("_", "").replace("/", "").replace(".", "").isalnum()
    return text if plain and ":" not in text else f'"{text}"'
