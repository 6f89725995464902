"""Framing of FIX messages a column at a time: header, BodyLength(9) and CheckSum(10) over Arrow's own buffers."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.emit.text import SOH, choose, glue, tags
from simulator.ids import number_text
from simulator.records import I64, Bool

# Lengths this wide have leading zeros in archives of some engines.
_PADDED_WIDTH = 7


def frame(
    begin: str,
    sender: str,
    target: str,
    seq: I64,
    sending: pa.StringArray,
    msg_type: "pa.StringArray | str",
    body: pa.StringArray,
    *,
    poss_dup: Bool | None = None,
    orig_sending: pa.StringArray | None = None,
    poss_resend: Bool | None = None,
    padded: Bool | None = None,
    wrong_checksum: Bool | None = None,
) -> pa.BinaryArray:
    """Whole messages `8=..|9=..|35=..|49=..|56=..|34=..|52=..|body|10=..|`, SOH-separated, one per row.

    `body` is what an emitter rendered; `sending` and `orig_sending` are UTC texts. A replay carries 43=Y and 122, a
    resend 97=Y; `padded` writes BodyLength(9) with leading zeros; `wrong_checksum` states a CheckSum(10) that is off.
    Text beyond ASCII goes out as UTF-8, in messages with an odd number as Latin-1, as in the wild. The rows together
    must stay below 2 GiB: frame long flows in chunks.
    """
    rest = tags(
        [
            (35, msg_type),
            (49, sender),
            (56, target),
            (34, number_text(seq)),
            (43, _yes(poss_dup)),
            (97, _yes(poss_resend)),
            (52, sending),
            (122, "" if poss_dup is None or orig_sending is None else choose(poss_dup, orig_sending, "")),
            (0, body),
        ]
    )
    content = _octets(rest, seq)
    length = number_text(pc.binary_length(content).to_numpy(zero_copy_only=False).astype(np.int64))
    if padded is not None and padded.any():
        length = choose(padded, pc.utf8_lpad(length, _PADDED_WIDTH, "0"), length)
    head = glue(f"8={begin}{SOH}9=", length, SOH).cast(pa.binary())
    summed = (_sums(head) + _sums(content)).astype(np.int64) % 256
    if wrong_checksum is not None:
        summed = np.where(wrong_checksum, (summed + 1 + seq % 254) % 256, summed)
    return pc.binary_join_element_wise(head, content, _trailers().take(pa.array(summed)), b"")


def _yes(mask: Bool | None) -> Any:
    return "" if mask is None or not mask.any() else choose(mask, "Y", "")


def _octets(text: pa.StringArray, seq: I64) -> pa.BinaryArray:
    content = text.cast(pa.binary())
    odd = pc.invert(pc.string_is_ascii(text)).to_numpy(zero_copy_only=False) & (seq % 2 == 1)
    if not odd.any():
        return content
    recoded = [value.encode("latin-1", "replace") for value in text.filter(pa.array(odd)).to_pylist()]
    return pc.replace_with_mask(content, pa.array(odd), pa.array(recoded, pa.binary()))


def _sums(column: pa.BinaryArray) -> npt.NDArray[np.uint8]:
    """The sum of each row's bytes modulo 256; unsigned bytes wrap around by themselves. No row is empty."""
    if not len(column):
        return np.zeros(0, dtype=np.uint8)
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2], dtype=np.uint8)[: offsets[-1]]
    found: npt.NDArray[np.uint8] = np.add.reduceat(data, offsets[:-1], dtype=np.uint8)
    return found


@cache
def _trailers() -> pa.BinaryArray:
    return pa.array([f"10={value:03d}{SOH}".encode() for value in range(256)], pa.binary())
