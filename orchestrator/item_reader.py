"""What a Map's ItemReader makes of an object: JSON, JSON lines, CSV and Parquet; and of a page of a listing."""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from orchestrator import parquet_rows
from orchestrator.json_text import parsed
from orchestrator.object_bodies import body, content, unreadable

_DELIMITERS = MappingProxyType({"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"})
MANIFEST = "MANIFEST"
DATA_TYPES = frozenset({"JSON", "JSONL", "CSV", "PARQUET"})
TYPES = DATA_TYPES | {MANIFEST}


def is_manifest(config: Mapping[str, Any]) -> bool:
    """Whether the object names the data files rather than holding the items."""
    return "ManifestType" in config or config.get("InputType") == MANIFEST


def entries(answer: Any) -> list[Any]:
    """What a page of s3:listObjectsV2 names. Raises States.ItemReaderFailed."""
    if not isinstance(answer, Mapping):
        raise unreadable("the reader's answer is not an object")
    return array(answer.get("Contents", []), "Contents")


def items(answer: Any, config: Mapping[str, Any], most: int | None) -> list[Any] | Mapping[str, Any]:
    """The items in what s3:getObject answered, at most `most`, of a JSON object its pairs.

    Raises States.ItemReaderFailed.
    """
    kind = config.get("InputType", "JSON")
    if kind not in DATA_TYPES:
        raise unreadable(f"InputType {kind} is not supported")
    if kind == "PARQUET":
        return _cut(parquet_rows.rows(content(answer)), most)
    text = body(answer)
    if kind == "CSV":
        return _cut(_rows(text, config), most)
    if kind == "JSONL":
        # Only a line feed ends a line: other separators may stand inside JSON's text.
        lines = enumerate(text.split("\n"), 1)
        return _cut((json_of(line, f"line {n}") for n, line in lines if line.strip()), most)
    found = _pointed(json_of(text, "the object"), config.get("ItemsPointer", ""))
    if isinstance(found, Mapping):
        return dict(itertools.islice(found.items(), most))
    return _cut(array(found, "the object"), most)


def _cut(found: Any, most: int | None) -> list[Any]:
    kept: list[Any] = []
    for item in found:
        if most is not None and len(kept) >= most:
            break
        kept.append(item)
    return kept


def json_of(text: str, what: str) -> Any:
    """The value a text is. Raises States.ItemReaderFailed."""
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(f"{what} is not JSON: {error}") from None


def array(value: Any, what: str) -> list[Any]:
    """The value, when it is an array. Raises States.ItemReaderFailed."""
    if not isinstance(value, list):
        raise unreadable(f"Attempting to map over non-iterable node: {what} is not an array")
    return value


def _pointed(value: Any, pointer: str) -> Any:
    """What a JSON Pointer names."""
    for word in pointer.split("/")[1:]:
        word = word.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and word.isdigit() and int(word) < len(value):
            value = value[int(word)]
        elif isinstance(value, Mapping) and word in value:
            value = value[word]
        else:
            raise unreadable(f"nothing stands at the ItemsPointer {pointer}")
    return value


def _rows(body: str, config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """One object of text a row; columns a row lacks are empty, those beyond the header are left out."""
    delimiter = _DELIMITERS.get(config.get("CSVDelimiter", "COMMA"))
    if delimiter is None:
        raise unreadable(f"CSVDelimiter must be one of {', '.join(_DELIMITERS)}")
    # A backslash keeps a delimiter, a quote or a backslash from its meaning; before anything else it is dropped.
    rows = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, escapechar="\\")
    header = config.get("CSVHeaders") if config.get("CSVHeaderLocation") == "GIVEN" else next(rows, None)
    if not header:
        raise unreadable("the CSV file has no header")
    for row in rows:
        if row:
            yield {name: row[n] if n < len(row) else "" for n, name in enumerate(header)}
