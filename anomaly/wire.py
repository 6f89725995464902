"""The scorer's wire format: what /invocations accepts and answers, used by the container and by its callers."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from anomaly.features import COLUMNS
from anomaly.port import Features, Reason, Scored

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"


class BadRequest(Exception):
    """The body is not what its content type promises; the text says where."""


class UnsupportedType(Exception):
    """A content type nobody here reads or writes."""


def read_request(content_type: str, body: bytes) -> list[dict[str, float | None]]:
    """Feature rows of a request body. Raises BadRequest or UnsupportedType.

    JSON: {"instances": [{"features": {name: number}}]}; JSON lines: one such instance per line; CSV: one break per
    line, numbers in the order of COLUMNS, no header, empty cells for unknown.
    """
    kind = content_type.partition(";")[0].strip().lower() or JSON
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    if kind == JSON:
        document = _json(text, "body")
        instances = document.get("instances") if isinstance(document, dict) else None
        if not isinstance(instances, list):
            raise BadRequest('expected {"instances": [...]}')
        return [_instance(item, f"instance {n}") for n, item in enumerate(instances)]
    if kind == JSON_LINES:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [_instance(_json(line, f"line {n}"), f"line {n}") for n, line in lines]
    if kind == CSV:
        return [_csv_row(row, n) for n, row in enumerate(csv.reader(io.StringIO(text)), 1) if row]
    raise UnsupportedType(f"content type {kind!r}; send {JSON}, {JSON_LINES} or {CSV}")


def write_answer(accept: str, scored: Sequence[Scored]) -> tuple[str, bytes]:
    """Content type and body for the wanted `accept` (JSON when it leaves the choice). Raises UnsupportedType."""
    wanted = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for kind in wanted:
        if kind in ("", JSON, "*/*", "application/*"):
            return JSON, json.dumps({"scores": [_answer(item) for item in scored]}).encode()
        if kind == JSON_LINES:
            return JSON_LINES, "".join(json.dumps(_answer(item)) + "\n" for item in scored).encode()
        if kind == CSV:
            return CSV, "".join(f"{item.score}\n" for item in scored).encode()
    raise UnsupportedType(f"accept {accept!r}; this model answers {JSON}, {JSON_LINES} or {CSV}")


def write_request(rows: Sequence[Features]) -> bytes:
    """A JSON request body; unknown (None or non-finite) features are left out."""
    instances = [
        {"features": {name: value for name, value in row.items() if value is not None and math.isfinite(value)}}
        for row in rows
    ]
    return json.dumps({"instances": instances}).encode()


def read_answer(body: bytes, expected: int) -> list[Scored]:
    """Scores of a JSON answer. Raises BadRequest when it is anything but `expected` complete scores."""
    document = _json(body.decode("utf-8", "replace"), "answer")
    scores = document.get("scores") if isinstance(document, dict) else None
    if not isinstance(scores, list) or len(scores) != expected:
        raise BadRequest(f"expected {expected} scores in the model's answer")
    try:
        return [
            Scored(
                score=_share(item["score"]),
                p_value=_share(item.get("p_value", 1.0)),
                reasons=tuple(_reason(reason) for reason in item.get("reasons", ())),
                model_version=str(item.get("model_version", "")),
            )
            for item in scores
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRequest(f"the model's answer has a bad score: {error}") from None


def _answer(item: Scored) -> dict[str, object]:
    return {
        "score": item.score,
        "p_value": item.p_value,
        "reasons": reasons_json(item.reasons),
        "model_version": item.model_version,
    }


def reasons_json(reasons: Sequence[Reason]) -> list[dict[str, object]]:
    """Reasons as plain JSON objects."""
    return [{"feature": r.feature, "direction": r.direction, "weight": r.weight, "text": r.text} for r in reasons]


def _reason(item: Mapping[str, Any]) -> Reason:
    return Reason(str(item["feature"]), str(item["direction"]), float(item["weight"]), str(item["text"]))


def _share(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{number} is outside [0, 1]")
    return number


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{where}: not JSON ({error})") from None


def _instance(item: object, where: str) -> dict[str, float | None]:
    content = item.get("features") if isinstance(item, Mapping) else None
    if not isinstance(content, Mapping) or not any(name in content for name in COLUMNS):
        raise BadRequest(f'{where}: expected {{"features": {{...}}}} with at least one of {", ".join(COLUMNS)}')
    # Unknown names are ignored: a newer caller may know features this model was not trained on.
    return {name: _number(content[name], f"{where}, {name}") for name in COLUMNS if name in content}


def _number(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequest(f"{where}: {value!r} is not a finite number")
    return float(value)


def _csv_row(row: Sequence[str], line: int) -> dict[str, float | None]:
    if len(row) != len(COLUMNS):
        raise BadRequest(f"line {line}: {len(row)} values, expected {len(COLUMNS)}: {', '.join(COLUMNS)}")
    values: dict[str, float | None] = {}
    for name, cell in zip(COLUMNS, row, strict=True):
        try:
            values[name] = _number(float(cell), f"line {line}, {name}") if cell.strip() else None
        except ValueError:
            raise BadRequest(f"line {line}, {name}: {cell!r} is not a number") from None
    return values
