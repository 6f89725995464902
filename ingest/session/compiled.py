"""The fast lane's machine code: a run of messages alike, checked in one pass. Needs numba (the extra `fast`)."""

# mypy: disable-error-code="no-untyped-def, assignment"

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

from ingest.session.headers import HeaderShape, Octets, Places

Leading = Callable[[Octets, HeaderShape, int, int], Places]
_MOST = 16_384


def _run(octets, template, kinds, expected, max_bytes, ends):
    """Ends of the messages that lead `octets`; kinds: 0 as in the template, else the tag whose value may differ."""
    size, at, count = len(template), 0, 0
    while count < len(ends) and at + size + 8 <= len(octets):
        length = number = 0
        good, single, kind = True, 0, 0
        for place in range(size):
            octet = octets[at + place]
            which = kinds[place]
            if which == 0:
                if octet != template[place]:
                    good = False
                    break
            elif which == 52:
                if octet == 1:
                    good = False
                    break
            elif which == 35:
                single, kind = single + 1, octet
                if octet == 1:
                    good = False
                    break
            else:
                digit = np.int64(octet) - 48
                if digit < 0 or digit > 9:
                    good = False
                    break
                if which == 9:
                    length = length * 10 + digit
                else:
                    number = number * 10 + digit
        if not good or number != expected + count or (single == 1 and (48 <= kind <= 53 or kind == 65)):
            break
        # The template knows where the body starts, kinds[size] says it.
        end = at + kinds[size] + length + 7
        if end > len(octets) or end - at > max_bytes or end < at + size + 7:
            break
        if octets[end - 8] != 1 or octets[end - 7] != 49 or octets[end - 6] != 48 or octets[end - 5] != 61:
            break
        first, second, third = octets[end - 4], octets[end - 3], octets[end - 2]
        if octets[end - 1] != 1 or min(first, second, third) < 48 or max(first, second, third) > 57:
            break
        total = 0
        for place in range(at, end - 7):
            total += octets[place]
        if total % 256 != (np.int64(first) - 48) * 100 + (np.int64(second) - 48) * 10 + np.int64(third) - 48:
            break
        ends[count] = end
        count += 1
        at = end
    return count


def compile_leading() -> Leading:
    """The machine code, from numba's cache where there is one; takes seconds the first time. For one thread.

    The result gives the ends of the messages that lead some bytes, of a shape and numbered from the given one on,
    CheckSum and all. What follows the header is not looked at.
    """
    i64 = types.int64
    read = types.Array(types.uint8, 1, "C", readonly=True)
    numbers = types.Array(i64, 1, "C")
    signature = i64(read, read, numbers, i64, i64, numbers)
    run: Any = njit([signature], cache=True, nogil=True)(_run)
    ends: Places = np.empty(_MOST, dtype=np.int64)

    def leading(octets: Octets, shape: HeaderShape, expected: int, max_bytes: int) -> Places:
        return ends[: run(octets, shape.template, shape.kinds, expected, max_bytes, ends)]

    return leading
