"""What a Map's ItemReader makes of an object's text: JSON, JSON lines and CSV, and the listing of a bucket."""

import csv
import io
import itertools
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from orchestrator.errors import StateFailure

_DELIMITERS = MappingProxyType({"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"})
TYPES = frozenset({"JSON", "JSONL", "CSV"})


def unreadable(cause: str) -> StateFailure:
    """A failure of the ItemReader."""
    return StateFailure("States.ItemReaderFailed", cause)


def items(answer: Any, config: Mapping[str, Any], is_listing: bool, most: int | None) -> list[Any] | Mapping[str, Any]:
    """The items in what s3:getObject or s3:listObjectsV2 answered, at most `most`, of a JSON object its pairs.

    Raises States.ItemReaderFailed.
    """
    if not isinstance(answer, Mapping):
        raise unreadable("the reader's answer is not an object")
    if is_listing:
        return _cut(_array(answer.get("Contents", []), "Contents"), most)
    body = answer.get("Body")
    if not isinstance(body, str):
        raise unreadable("the object has no Body of text")
    kind = config.get("InputType", "JSON")
    if kind == "CSV":
        return _cut(_rows(body, config), most)
    if kind == "JSONL":
        return _cut((_json(line, f"line {n}") for n, line in enumerate(body.splitlines(), 1) if line.strip()), most)
    if kind != "JSON":
        raise unreadable(f"InputType {kind} is not supported")
    found = _pointed(_json(body, "the object"), config.get("ItemsPointer", ""))
    if isinstance(found, Mapping):
        return dict(itertools.islice(found.items(), most))
    return _cut(_array(found, "the object"), most)


def _cut(found: Any, most: int | None) -> list[Any]:
    kept: list[Any] = []
    for item in found:
        if most is not None and len(kept) >= most:
            break
        kept.append(item)
    return kept


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise unreadable(f"{what} is not JSON: {error}") from None


def _array(value: Any, what: str) -> list[Any]:
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
