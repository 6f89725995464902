"""Copying fields in depth: as text, as a message that was sent and received has them, or as they are."""

from collections.abc import Callable, Mapping
from typing import Any

from ingest.fix.pyfix.groups import RepeatingGroup
from ingest.fix.pyfix.wire import Encodings, plain_text, value_text


def copy_fields(fields: Mapping[Any, Any], encodings: Encodings) -> dict[Any, Any]:
    """The fields with every value as text and every group and entry new."""

    def text(tag: Any, value: Any) -> Any:
        if isinstance(value, str):
            return value
        return value_text(tag, value, encodings.of(tag)) if isinstance(value, bytes) else plain_text(tag, value)

    return dict(walk(fields, text, _new_group, _new_entry))


def _new_entry(entry: Mapping[Any, Any], fields: dict[Any, Any]) -> Any:
    return type(entry)(fields)  # type: ignore[call-arg]


def _new_group(group: list[Any], tag: Any, entries: list[Any]) -> RepeatingGroup:
    new = RepeatingGroup()
    fill_group(new, group, tag, entries)
    return new


def fill_group(new: Any, group: list[Any], tag: Any, entries: list[Any]) -> Any:
    """`new`, an empty group of any make, with the entries and the attributes of `group`."""
    new.extend(entries)
    number_tag = getattr(group, "number_tag", None)
    new.number_tag = tag if number_tag is None else number_tag
    new.first_tag = getattr(group, "first_tag", None)
    new.standard = getattr(group, "standard", True)
    return new


def walk(
    fields: Mapping[Any, Any],
    value_of: Callable[[Any, Any], Any],
    group_of: Callable[[list[Any], Any, list[Any]], Any],
    entry_of: Callable[[Mapping[Any, Any], dict[Any, Any]], Any],
) -> dict[Any, Any]:
    """The fields made anew: values, groups (old list, tag, new entries) and entries (old, new fields) by these."""
    new: dict[Any, Any] = {}
    for tag, value in fields.items():
        if isinstance(value, list):
            entries = [entry_of(entry, walk(entry, value_of, group_of, entry_of)) for entry in value]
            new[tag] = group_of(value, tag, entries)
        else:
            new[tag] = value_of(tag, value)
    return new
