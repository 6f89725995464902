"""How values become bytes on the wire: text encodings (MessageEncoding 347), numbers, lengths and byte sums."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# EncodedIssuer and the other Encoded* fields: their text is in the encoding that MessageEncoding(347) names.
ENCODED_DATA_TAGS = [349, 351, 353, 355, 357, 359, 361, 363, 365]
_ENCODED = frozenset(ENCODED_DATA_TAGS)
# Encodings in which ASCII bytes are the same text, whatever stands before them.
ASCII_LIKE = frozenset(("utf-8", "utf8", "ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1", "cp1252"))
# adler32's low half is 1 + the byte sum mod 65521, so it is exact for 256 bytes (at most 65,280).
_SUM_BYTES = 256


@dataclass(frozen=True, slots=True)
class Encodings:
    """Encoding of ordinary text values, and of the Encoded* fields."""

    text: str = "UTF-8"
    encoded: str = "UTF-8"

    def of(self, tag: Any) -> str:
        """The encoding of this tag's value."""
        return self.encoded if tag in _ENCODED else self.text


UTF8 = Encodings()


def encodings_of(msg: Mapping[Any, Any], text: str | None, all_as_347: bool, forced: str | None = None) -> Encodings:
    """What a message's values are encoded in: `forced`, else 347 where it applies, else `text` (default UTF-8)."""
    if forced is not None:
        return Encodings(forced, forced)
    named = msg.get(347)
    if not named:
        return UTF8 if text is None else Encodings(text, text)
    text = text or "UTF-8"
    encoding = named.decode("ascii", "replace") if isinstance(named, bytes) else str(named)
    return Encodings(encoding, encoding) if all_as_347 else Encodings(text, encoding)


def tag_bytes(tag: Any) -> bytes:
    """A tag as on the wire; raises ValueError for text that is not ASCII."""
    return tag if isinstance(tag, bytes) else str(tag).encode("ascii")


def plain_text(tag: Any, value: Any) -> str:
    """A number as FIX writes it, without exponent. Raises TypeError for no FIX value, ValueError for NaN and such."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        number = Decimal(repr(value)) if isinstance(value, float) else value
        if not number.is_finite():
            raise ValueError(f"tag {tag}: {value} is no FIX number")
        return format(number, "f")
    raise TypeError(f"tag {tag}: a {type(value).__name__} is no FIX value; give text, bytes, int, Decimal or float")


def value_bytes(tag: Any, value: Any, encodings: Encodings) -> bytes:
    """A value as on the wire. Raises UnicodeEncodeError or LookupError naming the tag, TypeError, ValueError."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        return plain_text(tag, value).encode("ascii")
    encoding = encodings.of(tag)
    try:
        return value.encode(encoding)
    except UnicodeEncodeError as error:
        reason = f"{error.reason} (tag {tag})"
        raise UnicodeEncodeError(error.encoding, value, error.start, error.end, reason) from None
    except (LookupError, ValueError) as error:
        raise _unusable(tag, encoding, error) from None


def join_fields(fields: Sequence[tuple[Any, Any]], delimiter: str, separator: str, encodings: Encodings) -> bytes:
    """Fields as on the wire, each with the separator behind it; raises as `value_bytes`."""
    if encodings.text.lower() in ASCII_LIKE and encodings.text == encodings.encoded:
        # Such an encoding takes the whole message at once; what does not fit is named below.
        texts = [
            f"{tag}{delimiter}{value}{separator}"
            for tag, value in fields
            if type(tag) is int and (type(value) is str or type(value) is int)
        ]
        if len(texts) == len(fields):
            try:
                return "".join(texts).encode(encodings.text)
            except UnicodeEncodeError:
                pass
    parts: list[bytes] = []
    gap, end = delimiter.encode("ascii"), separator.encode("ascii")
    for tag, value in fields:
        parts += (tag_bytes(tag), gap, value_bytes(tag, value, encodings), end)
    return b"".join(parts)


def value_text(tag: Any, value: bytes, encoding: str) -> str:
    """A value from the wire as text. Raises UnicodeDecodeError or LookupError naming the tag."""
    try:
        return value.decode(encoding)
    except UnicodeDecodeError as error:
        reason = f"{error.reason} (tag {tag})"
        raise UnicodeDecodeError(error.encoding, value, error.start, error.end, reason) from None
    except (LookupError, ValueError) as error:
        raise _unusable(tag, encoding, error) from None


def _unusable(tag: Any, encoding: str, error: Exception) -> LookupError:
    """An encoding is unknown, no text encoding, or one that refuses this value without saying where."""
    return LookupError(f"tag {tag}: text encoding {encoding!r} cannot be used: {error}")


def byte_sum(data: bytes) -> int:
    """The sum of all bytes: CheckSum(10) before it is taken modulo 256."""
    return sum(
        (zlib.adler32(data[at : at + _SUM_BYTES]) & 0xFFFF) - 1 for at in range(0, len(data), _SUM_BYTES)
    )  # fmt: skip
