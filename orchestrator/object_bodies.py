"""The bytes and the text in what s3:getObject answered: plain, in base64, packed with gzip or Zstandard."""

import base64
import binascii
import io
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import StateFailure

BASE64 = "base64"
_PACKED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
# What a packed object may unpack to.
_MAX_BYTES = 256 << 20


def unreadable(cause: str) -> StateFailure:
    """A failure of the ItemReader."""
    return StateFailure("States.ItemReaderFailed", cause)


def content(answer: Any) -> bytes:
    """The object's bytes as they are stored. Raises States.ItemReaderFailed."""
    if not isinstance(answer, Mapping):
        raise unreadable("the reader's answer is not an object")
    body = answer.get("Body")
    if not isinstance(body, str):
        raise unreadable("the object has no Body of text")
    if answer.get("BodyEncoding") != BASE64:
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise unreadable(f"the object's Body is not base64: {error}") from None


def body(answer: Any) -> str:
    """The object's text, unpacked. Raises States.ItemReaderFailed."""
    found = content(answer)
    kind = next((kind for magic, kind in _PACKED if found.startswith(magic)), None)
    if kind is not None:
        found = _unpacked(found, kind)
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise unreadable("the object is not UTF-8 text") from None


def _unpacked(packed: bytes, kind: str) -> bytes:
    import pyarrow as pa

    try:
        with pa.input_stream(io.BytesIO(packed), compression=kind) as stream:
            found = stream.read(_MAX_BYTES + 1)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(f"the object cannot be unpacked ({kind}): {error}") from None
    if len(found) > _MAX_BYTES:
        raise unreadable(f"the object has more than {_MAX_BYTES:,} bytes unpacked")
    return bytes(found)
