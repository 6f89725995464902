"""Damage: bytes changed, cut, repeated and spliced; FIX fields made strange with right or wrong framing around them."""

import re
from collections.abc import Callable, Sequence
from random import Random

SOH = b"\x01"
NASTY = [
    b"", b"0", b"-0", b"-1", b"+5", b"1_0", b" 1", b"1 ", b"1e9", b"1E-11", b"1e999999999999", b"NaN", b"inf", b"1,5",
    b"1.5.", b"9" * 18, b"9" * 40, b"0." + b"0" * 60 + b"1", b"1." + b"0" * 3000, b"\xd9\xa3", b"\xc2\xb2",
    b"\xef\xbc\x91",
    b"\xff\xfe", b"\x00", b"=", b"=1", b"<TIME>", b"XXXX", b"00000000", b"20260231", b"99991231", b"00010101",
    b"20260604-24:00:00", b"20260604-23:59:60.999999999", b"99991231-23:59:59.999", b"00010101-00:00:00",
    b"22620411-23:47:16.854775807", b"20260604-13:30", b"20260604 13:30:01", b"Y", b"N", b"8=FIX.4.4", b"10=000",
    b"A" * 300, b"\r", b"\n", b"\r\n", b'"', b"'", b"&#0;", b"%s", b"\xf0\x9f\x92\xa9", b"2147483648",
    b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809", b"0x1F", b"()", b"(5)", b"5-", b"1/0",
]  # fmt: skip
_TAGS = [
    8, 9, 10, 34, 35, 36, 43, 49, 52, 56, 93, 89, 95, 96, 97, 122, 123, 212, 213, 347, 348, 349, 350, 351, 354, 355,
    1, 11, 14, 15, 17, 19, 20, 22, 30, 31, 32, 37, 38, 39, 44, 48, 54, 55, 60, 63, 64, 70, 71, 75, 78, 79, 80, 87, 118,
    119, 120, 124, 136, 137, 138, 139, 150, 151, 153, 154, 155, 159, 167, 200, 202, 205, 223, 231, 336, 381, 423, 442,
    447,
    448, 452, 453, 454, 455, 456, 461, 467, 487, 522, 523, 524, 525, 538, 539, 541, 552, 555, 570, 571, 572, 573, 600,
    624, 664, 666, 687, 702, 703, 704, 705, 715, 721, 730, 737, 753, 768, 769, 797, 802, 803, 804, 806, 818, 857, 939,
    940, 1003, 1128, 1137, 9001, 9999, 99999, 100448, 1000000, 99999999,
]  # fmt: skip
_NUMBER = re.compile(rb"\d+")


def sealed(body: bytes, begin: bytes = b"FIX.4.4") -> bytes:
    """BeginString, BodyLength and CheckSum around a body; a writer of our own, not the one under test."""
    head = b"8=%s\x019=%d\x01" % (begin, len(body)) + body
    return head + b"10=%03d\x01" % (sum(head) % 256)


def is_proper(raw: bytes) -> bool:
    """Whether length and checksum of a message are right: a reader of our own, not the one under test."""
    found = re.match(rb"8=FIX[^\x01]*\x019=(\d{1,9})\x01", raw)
    if not found or not re.fullmatch(rb"10=\d{3}\x01", raw[-7:]):
        return False
    body = raw[found.end() : -7]
    return body.endswith(SOH) and len(body) == int(found[1]) and sum(raw[:-7]) % 256 == int(raw[-4:-1])


def parts(message: bytes) -> tuple[bytes, list[bytes]]:
    """BeginString and the fields between BodyLength and CheckSum."""
    tokens = message.rstrip(SOH).split(SOH)
    return tokens[0].partition(b"=")[2], [t for t in tokens[1:] if not t.startswith((b"9=", b"10="))]


def damaged(rng: Random, data: bytes, others: Sequence[bytes] = (), most: int = 4) -> bytes:
    """The bytes after one to `most` accidents."""
    for _ in range(rng.randint(1, most)):
        data = rng.choice(_ACCIDENTS)(rng, data, others)
    return data


def strange(rng: Random, message: bytes, others: Sequence[bytes] = (), most: int = 4) -> bytes:
    """A FIX message with odd fields and, mostly, the right length and checksum for them."""
    begin, fields = parts(message)
    for _ in range(rng.randint(1, most)):
        rng.choice(_FIELD_ACCIDENTS)(rng, fields, others)
    body = b"".join(field + SOH for field in fields)
    if rng.random() < 0.1:
        begin = rng.choice([b"FIX.4.0", b"FIX.4.2", b"FIXT.1.1", b"FIX.9.9", b"FIX.4.4 ", b"FIX"])
    whole = sealed(body, begin)
    return whole if rng.random() < 0.8 else damaged(rng, whole, others, 2)


def _flip(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice([1, 2, 7, 40, 400]) :]


def _end(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _insert(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(NASTY) + data[at:]


def _repeat(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    piece = data[at : at + rng.choice([1, 3, 20, 200])]
    return data[:at] + piece * rng.choice([2, 3, 30]) + data[at:]


def _splice(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else data
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _number(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data[:20_000]))
    if not found:
        return data
    at = rng.choice(found)
    value = rng.choice([b"0", b"%d" % (int(at[0][:18]) + rng.choice([-1, 1, 7])), at[0] * 2, rng.choice(NASTY)])
    return data[: at.start()] + value + data[at.end() :]


def _swap(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    pairs = [
        (b"\x01", b"|"),
        (b"\x01", b"\x01\x01"),
        (b"\n", b"\r"),
        (b"\r\n", b"\n"),
        (b",", b";"),
        (b'"', b""),
        (b"=", b""),
    ]
    old, new = rng.choice(pairs)
    return data.replace(old, new, rng.choice([1, 2, -1]))


def _word(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A whole cell or field value becomes another."""
    pieces = re.split(rb"([\x01,;|\t\n\"=<> ])", data)
    at = rng.randrange(0, len(pieces), 2)
    pieces[at] = rng.choice(NASTY)
    return b"".join(pieces)


_Accident = Callable[[Random, bytes, Sequence[bytes]], bytes]
_ACCIDENTS: list[_Accident] = [_flip, _flip, _cut, _end, _insert, _repeat, _splice, _number, _swap, _word]


def _value(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    if fields:
        at = rng.randrange(len(fields))
        fields[at] = fields[at].partition(b"=")[0] + b"=" + rng.choice(NASTY)


def _new(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    at = rng.randint(min(1, len(fields)), len(fields))
    fields.insert(at, b"%d=%s" % (rng.choice(_TAGS), rng.choice([*NASTY, b"1", b"2", b"3", b"A", b"USD"])))


def _drop(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    if fields:
        del fields[rng.randrange(len(fields))]


def _twice(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    at = rng.randrange(len(fields) + 1)
    fields[at:at] = fields[at : at + rng.choice([1, 2, 5])] * rng.choice([1, 2, 40])


def _move(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    if fields:
        fields.insert(rng.randrange(len(fields)), fields.pop(rng.randrange(len(fields))))


def _tag(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    if fields:
        at = rng.randrange(len(fields))
        tag = rng.choice([b"%d" % rng.choice(_TAGS), b"0" + fields[at].partition(b"=")[0], b"", b"x", b"-1"])
        fields[at] = tag + b"=" + fields[at].partition(b"=")[2]


def _data(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    length, data = rng.choice([(95, 96), (212, 213), (354, 355), (348, 349), (93, 89)])
    content = rng.choice([b"a\x01b", b"\x018=FIX.4.4\x019=5\x01", b"10=000\x01", b"x" * 40, b""])
    size = rng.choice([len(content), len(content) + 1, 0, 10**8, len(content) - 1])
    at = rng.randint(min(1, len(fields)), len(fields))
    fields[at:at] = [b"%d=%d" % (length, size), b"%d=%s" % (data, content)]


def _other(rng: Random, fields: list[bytes], others: Sequence[bytes]) -> None:
    if others:
        theirs = parts(rng.choice(others))[1]
        at = rng.randrange(len(theirs) + 1)
        fields[len(fields) :] = theirs[at : at + rng.randint(1, 12)]


def _kind(rng: Random, fields: list[bytes], _: Sequence[bytes]) -> None:
    kinds = [b"8", b"AE", b"J", b"AS", b"AK", b"AR", b"AP", b"AT", b"AU", b"P", b"Q", b"0", b"D", b"zz", b""]
    fields[:1] = [b"35=" + rng.choice(kinds)]


_FIELD_ACCIDENTS: list[Callable[[Random, list[bytes], Sequence[bytes]], None]] = [
    _value, _value, _value, _new, _new, _drop, _twice, _move, _tag, _data, _other, _kind,
]  # fmt: skip
