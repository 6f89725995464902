"""Raw FIX messages of a break, cut into tags: a ready-made `explain` that needs only the warehouse and tag names."""

from collections.abc import Callable, Mapping
from typing import Any

from console.rows import rows, text
from domain.errors import PermanentError
from warehouse.port import Warehouse

MAX_MESSAGES = 20
MAX_FIELDS = 400
_SOH = b"\x01"


def cut(raw: bytes, tag_name: Callable[[int], str]) -> list[dict[str, str]]:
    """`tag`, `name` and `value` of every field in order; what has no `=` is shown as a value without a tag."""
    fields = []
    separator = _SOH if _SOH in raw else b"|"
    for piece in raw.split(separator)[:MAX_FIELDS]:
        if not piece.strip():
            continue
        tag, equals, value = piece.partition(b"=")
        if not equals or not tag.isdigit():
            fields.append({"tag": "", "name": "", "value": piece.decode("utf-8", "replace"), "meaning": ""})
            continue
        known = int(tag) if len(tag) < 7 else 0
        fields.append(
            {
                "tag": str(known or tag.decode()),
                "name": tag_name(known),
                "value": value.decode("utf-8", "replace"),
                "meaning": "",
            }
        )
    return fields


def explain_break(
    warehouse: Warehouse, break_id: str, tag_name: Callable[[int], str], original: Callable[[Mapping[str, Any]], bytes]
) -> Mapping[str, Any]:
    """The raw messages behind both sides of a break, decoded tag by tag; at most MAX_MESSAGES.

    `original` gives the bytes of a row of `raw_message`; what it cannot give (PermanentError) is said instead.
    """
    found = warehouse.query(
        "SELECT DISTINCT m.side, r.message_id, r.session, r.number, r.feed, r.recv_ts, r.sha256, r.raw "
        "FROM recon_break_member m "
        "JOIN trade_event e ON e.record_id = m.record_id JOIN raw_message r ON r.message_id = e.message_id "
        f"WHERE m.break_id = :id ORDER BY m.side, r.recv_ts, r.session, r.number LIMIT {MAX_MESSAGES}",
        {"id": break_id},
    )
    messages = []
    for r in rows(found):
        messages.append(
            {
                "side": text(r, "side"),
                "feed": text(r, "feed"),
                "message_id": text(r, "message_id"),
                "recv_ts": r["recv_ts"],
                "fields": _fields(r, tag_name, original),
            }
        )
    return {"messages": messages}


def _fields(
    row: Mapping[str, Any], tag_name: Callable[[int], str], original: Callable[[Mapping[str, Any]], bytes]
) -> list[dict[str, str]]:
    try:
        return cut(original(row), tag_name)
    except PermanentError as error:
        return [{"tag": "", "name": "", "value": str(error), "meaning": ""}]
