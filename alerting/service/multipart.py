"""multipart/form-data (RFC 7578) taken apart: fields and files with their bytes as they were sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value

from alerting.service.records import Refusal

_MAX_PARTS = 100


@dataclass(frozen=True, slots=True)
class Part:
    """One part: the field's name, the file's name (empty for a plain field), its media type and content."""

    name: str
    file_name: str
    kind: str
    content: bytes

    @property
    def text(self) -> str:
        """The content of a plain field."""
        return self.content.decode("utf-8", "replace")


def parts(content_type: str, raw: bytes) -> Sequence[Part]:
    """The parts in their order; raises Refusal 400 for a body that is none, 415 for another media type."""
    header = Message()
    header["Content-Type"] = content_type or "text/plain"
    if header.get_content_type() != "multipart/form-data":
        raise Refusal(415, "Unsupported media type", f"{content_type!r}: send multipart/form-data")
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise Refusal(400, "Invalid multipart content", "the Content-Type names no boundary")
    # The first boundary may stand at the very start; every other one ends the line before it.
    pieces = (b"\r\n" + raw).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Refusal(400, "Invalid multipart content", "its last boundary is missing: the body was cut")
    if len(pieces) > _MAX_PARTS + 2:
        raise Refusal(400, "Invalid multipart content", f"more than {_MAX_PARTS} parts")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, blank, content = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise Refusal(400, "Invalid multipart content", "a part has no end of its headers")
    header = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    place = "content-disposition"
    name, file_name = (header.get_param(key, "", place) for key in ("name", "filename"))
    kind = header.get_content_type() if header.get("Content-Type") else ""
    return Part(collapse_rfc2231_value(name or ""), collapse_rfc2231_value(file_name or ""), kind, content)
