"""The edge of the codec: received bytes to FixMessages, and messages of any make to the raw bytes the service takes."""

from collections.abc import Iterable, Mapping
from typing import Any

from ingest.fix.pyfix.codecs.stringfix import Codec
from ingest.fix.pyfix.fixmessage import FixFragment, FixMessage
from ingest.session.framing import DEFAULT_MAX_MESSAGE_BYTES, Frame, Framer


def read_messages(
    data: bytes, codec: Codec | None = None, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
) -> tuple[list[FixMessage], list[Frame]]:
    """The messages in received bytes, and what is none: frames with the reason in `garbled`. No byte is lost.

    BodyLength(9), CheckSum(10) and the place of MsgType(35) are checked before a message is read. Each message keeps
    its bytes as `raw_message`. Without a codec messages are flat. One whose text is not in its encoding is garbled too.
    """
    codec = codec or Codec(fragment_class=FixFragment)
    framer = Framer(max_message_bytes)
    frames = framer.feed(data)
    while framer.pending_bytes:
        frames += framer.resync()
    messages, garbled = [], []
    for frame in frames:
        if frame.garbled:
            garbled.append(frame)
            continue
        try:
            messages.append(FixMessage.from_buffer(frame.data, codec))
        except (UnicodeDecodeError, LookupError) as error:
            garbled.append(Frame(frame.data, str(error)))
    return messages, garbled


def to_raw(messages: Iterable[Mapping[Any, Any]]) -> list[bytes]:
    """Wire bytes, BodyLength(9) and CheckSum(10) set, of FixMessages (ours or the real package's) or plain dicts."""
    return [_wire(message) for message in messages]


def _wire(message: Mapping[Any, Any]) -> bytes:
    write = getattr(message, "to_wire", None)
    wire: bytes = write() if write is not None else FixMessage(message).to_wire()
    return wire
