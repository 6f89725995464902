"""Cutting a message into tag and value, in one pass, with any separator."""

import re
from bisect import bisect_left
from itertools import accumulate, repeat
from typing import Any, AnyStr

# A field that says how long the data field behind it is: such data may hold the separator.
RAW_DATA = {
    90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357, 358: 359, 360: 361, 362: 363,
    364: 365, 445: 446, 618: 619, 621: 622,
}  # fmt: skip
_RAW_TEXT = {str(length): str(data) for length, data in RAW_DATA.items()}
_RAW_BYTES = {length.encode(): data.encode() for length, data in _RAW_TEXT.items()}
_LENGTH_DIGITS_MAX = 9
_WORD_TEXT = re.compile(r"\w+")
_WORD_BYTES = re.compile(rb"\w+")


_LENGTH_TAGS = frozenset(RAW_DATA)


def plain_fields(text: str, delimiter: str, separator: str) -> list[tuple[Any, str]] | None:
    """Tag number and value of every field of an ordinary message, fast; None for one that needs `split_fields`."""
    if len(delimiter) != 1 or len(separator) != 1 or delimiter == separator or _is_word(separator):
        return None
    segments = text.split(separator)
    segments.pop()
    try:
        fields = [(int(tag), value) for tag, found, value in map(str.partition, segments, repeat(delimiter)) if found]
    except ValueError:
        return None
    # A segment without delimiter may be part of a value, and what a length announces may hold separators.
    if len(fields) != len(segments) or not _LENGTH_TAGS.isdisjoint([tag for tag, _ in fields]):
        return None
    return fields


def split_fields(buff: AnyStr, delimiter: AnyStr, separator: AnyStr) -> list[tuple[AnyStr, AnyStr]]:
    """Tag and value of every field, in order, as they are on the wire.

    What pyfixmsg makes of odd input stays so: a field needs a separator behind it, a value may hold the delimiter, and
    letters and digits alone between two separators belong to the value before them (`132=14;5;` is `14;5`). But data
    fields take as many bytes as their length field says.
    """
    if len(delimiter) != 1 or delimiter in separator or separator[:1] in separator[1:] or _is_word(separator[:1]):
        return _by_pattern(buff, delimiter, separator)
    segments: list[AnyStr] = buff.split(separator)
    segments.pop()
    raw: Any = _RAW_TEXT if isinstance(buff, str) else _RAW_BYTES
    fields: list[tuple[AnyStr, AnyStr]] = []
    ends: list[int] = []
    length_of: AnyStr | None = None
    length = 0
    at = 0
    while at < len(segments):
        tag, found, value = segments[at].partition(delimiter)
        at += 1
        if not found:
            continue
        if len(separator) > 1:
            tag = _after_separator_letters(tag, separator)
        end = at
        if length_of is not None and tag == length_of and length > _size(value):
            ends = ends or _ends(segments, len(separator))
            end = _end_of_data(ends, at, _size(value), length)
        if end == at:
            while end < len(segments) and delimiter not in segments[end] and _is_word(segments[end]):
                end += 1
        if end > at:
            parts = segments[at:end]
            parts.insert(0, value)
            value, at = separator.join(parts), end
        fields.append((tag, value))
        length_of = raw.get(tag)
        if length_of is not None:
            length = int(value) if value.isdigit() and value.isascii() and len(value) <= _LENGTH_DIGITS_MAX else 0
    return fields


def _ends(segments: list[AnyStr], gap: int) -> list[int]:
    """Where each segment ends in the message, in bytes."""
    return [end - gap for end in accumulate(_size(segment) + gap for segment in segments)]


def _end_of_data(ends: list[int], at: int, size: int, length: int) -> int:
    """The index behind the segments that hold data of `length` bytes, whose first, `size` bytes, is before `at`.

    `at` where the data would not end at a separator.
    """
    wanted = ends[at - 1] - size + length
    found = bisect_left(ends, wanted, at)
    return found + 1 if found < len(ends) and ends[found] == wanted else at


def _size(part: Any) -> int:
    if isinstance(part, bytes) or part.isascii():
        return len(part)
    return len(part.encode("utf-8", "surrogatepass"))


def _is_word(part: Any) -> bool:
    found = _WORD_TEXT.fullmatch(part) if isinstance(part, str) else _WORD_BYTES.fullmatch(part)
    return found is not None


def _after_separator_letters(tag: AnyStr, separator: AnyStr) -> AnyStr:
    """A tag holds no character of the separator: with `<SOH>`, no S either."""
    for end in range(len(tag), 0, -1):
        if tag[end - 1 : end] in separator:
            return tag[end:]
    return tag


def _by_pattern(buff: AnyStr, delimiter: AnyStr, separator: AnyStr) -> list[tuple[AnyStr, AnyStr]]:
    """The same by a regular expression, for separators that cannot simply be split at."""
    if isinstance(buff, str):
        d, s = re.escape(str(delimiter)), re.escape(str(separator))
        text = rf"([^{s}{d}]*)[{d}](.*?){s}(?!\w+{s})"
        return re.findall(text, buff, re.DOTALL)
    db, sb = re.escape(bytes(delimiter)), re.escape(bytes(separator))
    pattern = rb"([^%b%b]*)[%b](.*?)%b(?!\w+%b)" % (sb, db, db, sb, sb)
    return re.findall(pattern, buff, re.DOTALL)
