"""The short form of a message layout: `70! 71! 78(79! 80 136(137 138))`, `!` for required, brackets for a group."""

import re
from collections.abc import Iterator
from types import MappingProxyType

from ingest.fix.dictionary import Layout

_TOKEN = re.compile(r"([0-9]{1,9})(!?)(\(?)|(\))|(\S)")
MAX_DEPTH = 12


def parse_layout(text: str, complete: bool) -> Layout:
    """The layout a text stands for. Raises ValueError saying what is wrong with it."""
    tokens = _TOKEN.finditer(text)
    layout = _level(tokens, complete, 0)
    if next(tokens, None) is not None:
        raise ValueError("a bracket closes that was not opened")
    return layout


def layout_text(layout: Layout) -> str:
    """The short form: `parse_layout` reads it back."""
    return " ".join(_field_text(layout, tag) for tag in layout.fields)


def _field_text(layout: Layout, tag: int) -> str:
    inner = f"({layout_text(layout.groups[tag])})" if tag in layout.groups else ""
    return f"{tag}{'!' if tag in layout.required else ''}{inner}"


def _level(tokens: Iterator[re.Match[str]], complete: bool, depth: int) -> Layout:
    if depth > MAX_DEPTH:
        raise ValueError(f"groups are nested deeper than {MAX_DEPTH}")
    fields: dict[int, None] = {}
    required: set[int] = set()
    groups: dict[int, Layout] = {}
    for token in tokens:
        number, needed, opens, closes, other = token.groups()
        if other:
            raise ValueError(f"{other!r} is no part of a layout")
        if closes:
            if not depth:
                raise ValueError("a bracket closes that was not opened")
            break
        tag = int(number)
        fields[tag] = None
        if needed:
            required.add(tag)
        if opens:
            groups[tag] = _level(tokens, complete, depth + 1)
    else:
        if depth:
            raise ValueError("a bracket is not closed")
    return Layout(tuple(fields), frozenset(required), MappingProxyType(groups), complete)
