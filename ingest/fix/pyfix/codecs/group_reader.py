"""Repeating groups from a flat list of fields: who belongs to which entry, by the spec and the count."""

from collections.abc import Callable, Container
from typing import Any

from ingest.fix.pyfix.groups import RepeatingGroup

Field = tuple[Any, Any]
_COUNT_DIGITS_MAX = 9


def read_groups(fields: list[Field], msg_type: Any, fragment_class: Callable[..., Any]) -> Any:
    """The fields as `fragment_class`, the groups that `msg_type` knows as lists of it."""
    return _Reader(fields, fragment_class).message(msg_type)


class _Reader:
    def __init__(self, fields: list[Field], fragment_class: Callable[..., Any]) -> None:
        self._fields = fields
        self._new = fragment_class

    def message(self, msg_type: Any) -> Any:
        groups = msg_type.groups
        if groups.keys().isdisjoint([tag for tag, _ in self._fields]):
            return self._new(self._fields)
        msg = self._new()
        levels: tuple[Container[Any], ...] = (getattr(msg_type, "known_tags", ()), groups)
        at, end = 0, len(self._fields)
        while at < end:
            tag, value = self._fields[at]
            at += 1
            group = groups.get(tag)
            if group is None:
                msg[tag] = value
            else:
                msg[tag], at = self._group(at, group, levels)
        return msg

    def _group(self, at: int, group: Any, levels: tuple[Container[Any], ...]) -> tuple[Any, int]:
        """The group counted by the field before `at`, and the index behind it.

        A count without entries stays the text it is: nothing says what it counted.
        """
        tag, text = self._fields[at - 1]
        count = _count(text)
        if count == 0:
            return RepeatingGroup.create_repeating_group(tag), at
        entries, after = self._entries(at, group, count, levels)
        if not entries:
            return text, at
        entries.number_tag = tag
        return entries, after

    def _entries(
        self, at: int, group: Any, count: int | None, levels: tuple[Container[Any], ...]
    ) -> tuple[RepeatingGroup, int]:
        """Entries from `at` on. The first field begins each of them, be it a count of an inner group.

        A tag that no level of the spec knows stays with its entry while entries are to come, or if an earlier entry had
        it; behind the last entry it is the parent's.
        """
        entries = RepeatingGroup()
        members, groups = group.tags, group.groups
        custom: set[Any] = set()
        entry: Any = None
        end = len(self._fields)
        while at < end:
            tag, value = self._fields[at]
            if entry is None:
                if tag not in members and tag not in groups and _known(tag, levels):
                    break
                entries.first_tag = tag
            if tag == entries.first_tag:
                entry = self._new()
                entries.append(entry)
            elif tag not in members and tag not in groups and tag not in custom:
                if count is None or len(entries) >= count or _known(tag, levels):
                    break
                custom.add(tag)
            at += 1
            inner = groups.get(tag)
            if inner is None:
                entry[tag] = value
            else:
                entry[tag], at = self._group(at, inner, (*levels, members, groups, {entries.first_tag}, custom))
        return entries, at


def _known(tag: Any, levels: tuple[Container[Any], ...]) -> bool:
    return any(tag in level for level in levels)


def _count(text: Any) -> int | None:
    digits = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _COUNT_DIGITS_MAX else None
