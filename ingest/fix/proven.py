"""Where messages of a log end by their own BodyLength and CheckSum: for all of them at once."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

_SOH = 1
_VERSION_BYTES = 18  # "8=FIX", at most twelve more, and the separator
_LENGTH_DIGITS = 8
_TENS = 10 ** np.arange(_LENGTH_DIGITS + 1, dtype=np.int64)


def proven_ends(octets: Octets, starts: Ints, most_body_bytes: int) -> Ints:
    """Per start of `8=FIX` the position behind the message's CheckSum, -1 where BodyLength does not lead to one."""
    ends = np.full(len(starts), -1, dtype=np.int64)
    # Near the end of the data there is no room for a window; what starts there is left unproven.
    rows = np.flatnonzero(starts + _VERSION_BYTES + _LENGTH_DIGITS + 4 <= len(octets))
    if not len(rows):
        return ends
    head = octets[starts[rows, None] + np.arange(_VERSION_BYTES)] == _SOH
    head[:, :6] &= np.array([0, 0, 0, 0, 0, 1], dtype=np.bool_)
    at = head.argmax(axis=1)
    fine = head.any(axis=1) & (at > 5)
    rows, at = rows[fine], starts[rows[fine]] + at[fine] + 1
    window = octets[at[:, None] + np.arange(_LENGTH_DIGITS + 3)]
    digits = window[:, 2:] - np.uint8(ord("0"))
    many = (digits > 9).argmax(axis=1)  # 0 where all are digits, which is one too many
    fine = (window[:, 0] == ord("9")) & (window[:, 1] == ord("=")) & (many > 0)
    fine &= window[np.arange(len(window)), 2 + many] == _SOH
    rows, at, digits, many = rows[fine], at[fine], digits[fine], many[fine]
    power = many[:, None] - 1 - np.arange(_LENGTH_DIGITS + 1)
    length = np.where(power >= 0, digits * _TENS[np.maximum(power, 0)], 0).sum(axis=1)
    trailer = at + 3 + many + length
    fine = (length <= most_body_bytes) & (trailer + 7 <= len(octets))
    rows, trailer = rows[fine], trailer[fine]
    tail = octets[trailer[:, None] + np.arange(7)]
    fine = (tail[:, [0, 1, 2, 6]] == np.frombuffer(b"10=\x01", dtype=np.uint8)).all(axis=1)
    fine &= (tail[:, 3:6] - np.uint8(ord("0")) <= 9).all(axis=1)
    ends[rows[fine]] = trailer[fine] + 7
    return ends
