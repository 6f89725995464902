"""The field index against an independent split, framing checks, data fields."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.fix.index import Flag, index_fields

_VALUE = st.binary(max_size=30).map(lambda b: b.replace(b"\x01", b"."))
_FIELD = st.tuples(st.integers(1, 9_999_999), _VALUE)
# Length tags change how the next field is read; the reference below does not know them.
_LENGTH_TAGS = {
    90,
    93,
    95,
    212,
    348,
    350,
    352,
    354,
    356,
    358,
    360,
    362,
    364,
    445,
    618,
    621,
    1184,
    1397,
    1401,
    1525,
    1664,
}


@settings(deadline=None)
@given(st.lists(st.lists(_FIELD.filter(lambda f: f[0] not in _LENGTH_TAGS), min_size=1, max_size=12), max_size=6))
def test_index_equals_an_independent_split(messages: list[list[tuple[int, bytes]]]) -> None:
    wires = [b"".join(b"%d=%s\x01" % field for field in message) for message in messages]
    index = index_fields(wires)
    found = [[] for _ in wires]
    for n in range(len(index.tag)):
        found[index.message[n]].append((int(index.tag[n]), index.value(n)))
    assert found == messages
    assert [index.raw(n) for n in range(index.count)] == wires


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_can_be_indexed(messages: list[bytes]) -> None:
    index = index_fields(messages)
    rebuilt = b""
    for n in range(len(index.tag)):
        rebuilt += index.data[index.start[n] : index.value_end[n]] + b"\x01"
    assert rebuilt == b"".join(m if m.endswith(b"\x01") else m + b"\x01" for m in messages)


@pytest.mark.parametrize("token", [b"abc", b"=5", b"1a=5", b"-1=5", b"123456789=5", b" 1=5", b""])
def test_tokens_that_are_no_field_are_kept_and_flagged(token: bytes) -> None:
    index = index_fields([b"8=FIX.4.4\x01" + token + b"\x0135=8\x01"])
    assert index.tag.tolist() == [8, -1, 35]
    assert index.flags[0] & Flag.ODD_TAG


def test_framing_flags(frame: Callable[..., bytes]) -> None:
    good = frame("35=0|49=A|56=B|")
    wrong_sum = good[:-4] + b"%03d\x01" % ((int(good[-4:-1]) + 1) % 256)
    body = good[: good.rindex(b"10=")]
    flags = index_fields(
        [good, wrong_sum, body, good[:-4] + b"7\x01", frame("49=A|35=0|"), b"8=FIX.4.4\x0135=0\x0110=000\x01"]
    ).flags.tolist()
    assert flags[0] == 0
    assert flags[1] == Flag.CHECKSUM
    assert flags[2] == Flag.NO_CHECKSUM
    assert flags[3] & Flag.CHECKSUM
    assert flags[4] == Flag.HEADER_ORDER
    assert flags[5] & Flag.NO_LENGTH


def test_body_length_must_be_exact_but_may_be_padded(frame: Callable[..., bytes]) -> None:
    good = frame("35=0|49=A|56=B|")
    for length, expected in ((b"9=0015", 0), (b"9=16", int(Flag.LENGTH)), (b"9=x", int(Flag.LENGTH))):
        head = good.replace(b"9=15", length)
        head = head[: head.rindex(b"10=")]
        assert index_fields([head + b"10=%03d\x01" % (sum(head) % 256)]).flags[0] == expected


def test_data_fields_keep_soh_and_equals(frame: Callable[..., bytes]) -> None:
    data = b"<a x=1>\x0154=2\x01</a>"
    message = frame(b"35=n|212=%d|213=" % len(data) + data + b"|58=after|")
    index = index_fields([message, message])
    assert index.tag.tolist() == [8, 9, 35, 212, 213, 58, 10] * 2
    assert index.value(4) == index.value(11) == data
    assert index.flags.tolist() == [0, 0]


@pytest.mark.parametrize("length", [b"3", b"9999", b"x", b""])
def test_a_wrong_data_length_is_flagged_and_rescanned(frame: Callable[..., bytes], length: bytes) -> None:
    index = index_fields([frame(b"35=n|95=" + length + b"|96=hello|58=after|")])
    assert index.tag.tolist() == [8, 9, 35, 95, 96, 58, 10]
    assert index.flags[0] & Flag.DATA_LENGTH
