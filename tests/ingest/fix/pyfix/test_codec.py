"""The codec: cutting fields, encodings, groups by the spec, and the way back."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.fix.pyfix.codecs.stringfix import Codec
from ingest.fix.pyfix.codecs.tokens import split_fields
from ingest.fix.pyfix.fixmessage import FixFragment, FixMessage
from ingest.fix.pyfix.groups import RepeatingGroup
from ingest.fix.pyfix.reference import FixSpec

SMALL = b"""<fix major="4" minor="2"><messages><message name="L" msgtype="E"><group name="NoOrders"><field name="Id"/>
<group name="NoAllocs"><field name="Account"/></group></group></message></messages><fields>
<field name="NoOrders" number="73"/><field name="Id" number="11"/><field name="NoAllocs" number="78"/>
<field name="Account" number="79"/></fields></fix>"""


def parse(spec: FixSpec | None, text: str, **given: Any) -> Any:
    return Codec(spec=spec, **given).parse(text.encode(), separator="|")


def test_odd_values() -> None:
    read = FixMessage().load_fix(b"35=8;151==3;15=2=4;132=1453;123;3333=;21=31;")
    assert dict(read) == {35: "8", 151: "=3", 15: "2=4", 132: "1453;123", 3333: "", 21: "31"}
    assert FixMessage().load_fix(b"35=8;123=one\n two;\n 1240=12;\n ")[1240] == "12"
    assert dict(Codec().parse(b"8=X<SOH>35=D<SOH>abc=1<SOH>", separator="<SOH>")) == {8: "X", 35: "D", "abc": "1"}
    assert Codec().parse(b"35=D;44") == {} and Codec().parse("35=é;", separator=";") == {35: "é"}


@given(
    st.lists(
        st.sampled_from(["1", "35", "=", ";", "|", "a", " ", "_", "\n", "é", "S", "<", "<SOH>", "||"]), max_size=30
    ),
    st.sampled_from([";", "|", "<SOH>", "||", "_"]),
)
def test_fields_are_cut_as_one_pattern_says(parts: list[str], separator: str) -> None:
    text, end = "".join(parts), re.escape(separator)
    pattern = rf"([^{end}=]*)[=](.*?){end}(?!\w+{end})"
    assert split_fields(text, "=", separator) == re.findall(pattern, text, re.DOTALL)
    assert split_fields(text.encode(), b"=", separator.encode()) == re.findall(
        pattern.encode(), text.encode(), re.DOTALL
    )


def test_data_fields_take_their_length() -> None:
    assert parse(None, "35=B|95=9|96=a|58=x|11|58=t|") == {35: "B", 95: "9", 96: "a|58=x|11", 58: "t"}
    assert parse(None, "35=B|95=99|96=a|58=t|") == {35: "B", 95: "99", 96: "a", 58: "t"}
    message = FixMessage({8: "FIX.4.2", 35: "B", 95: 9, 96: "a\x0158=x\x0111"})
    assert Codec().parse(message.to_wire())[96] == "a\x0158=x\x0111"


def test_many_lengths_that_lead_nowhere_are_cut_in_one_pass() -> None:
    hostile = b"".join(b"95=%d\x0196=x\x01" % (400_000 - 12 * n) for n in range(20_000))
    assert len(Codec().parse(hostile)) == 2


def test_encodings_both_ways() -> None:
    text = "日本"
    wire = b"35=B\x01347=Shift_JIS\x0158=abc\x01355=" + text.encode("shift_jis") + b"\x01"
    read = Codec().parse(wire)
    assert read[355] == text and Codec().serialise(read) == wire
    read = Codec(decode_all_as_347=True).parse(b"35=B\x01347=ISO-2022-JP\x0158=" + text.encode("iso2022_jp") + b"\x01")
    assert read[58] == text
    assert Codec(decode_as="latin-1").parse(b"58=\xe9\x01") == {58: "é"}
    assert Codec().serialise({58: "é"}, encoding="latin-1") == b"58=\xe9\x01"


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (b"35=B\x0158=\xff\x01", r"\(tag 58\)"),
        (b"35=B\x01347=klingon\x01355=x\x01", "tag 355: .*'klingon' cannot be used"),
    ],
)
def test_text_that_cannot_be_decoded_names_its_tag(wire: bytes, told: str) -> None:
    with pytest.raises((UnicodeDecodeError, LookupError), match=told):
        Codec().parse(wire)


def test_wrong_input_is_told() -> None:
    with pytest.raises(ValueError, match="Unsupported type"):
        Codec().parse(5)
    with pytest.raises(AssertionError, match="letters"):
        Codec().parse(b"", separator="a")
    with pytest.warns(UserWarning, match="decode_as"):
        Codec(decode_as="UTF-8").parse("35=B\x01")
    with pytest.raises(UnicodeEncodeError, match=r"\(tag 58\)"):
        Codec(decode_as="ascii").serialise({58: "é"})


def test_a_component_inside_a_group(spec: FixSpec) -> None:
    read = parse(spec, "8=F|9=1|35=R|131=1|146=3|55=A|460=4|303=2|55=B|460=4|303=2|55=C|460=4|303=2|58=t|10=193|")
    assert read[146] == [{55: symbol, 460: "4", 303: "2"} for symbol in "ABC"]
    assert read[58] == "t" and 460 not in read and isinstance(read[146], RepeatingGroup)
    assert (read[146].number_tag, read[146].first_tag) == (146, 55)


def test_a_group_that_starts_with_a_group(spec: FixSpec) -> None:
    read = parse(spec, "35=CUS|34=3|131=q|658=99|295=2|683=2|688=1|689=1|688=2|689=2|683=1|688=3|689=3|10=193|")
    first = {683: [{688: "1", 689: "1"}, {688: "2", 689: "2"}]}
    assert read == {35: "CUS", 34: "3", 131: "q", 658: "99", 295: [first, {683: [{688: "3", 689: "3"}]}], 10: "193"}


def test_groups_behind_one_another_inside_a_group(spec: FixSpec) -> None:
    read = parse(spec, "35=E|73=2|11=a|78=2|79=X|79=Y|80=1|386=1|336=R|54=1|11=b|386=1|336=S|44=5|10=0|")
    assert read[73][0] == {11: "a", 78: [{79: "X"}, {79: "Y", 80: "1"}], 386: [{336: "R"}], 54: "1"}
    assert read[73][1] == {11: "b", 386: [{336: "S"}]} and read[44] == "5"


def test_empty_groups(spec: FixSpec) -> None:
    read = parse(spec, "35=E|73=1|11=a|78=0|54=1|44=5|")
    assert read == {35: "E", 73: [{11: "a", 78: [], 54: "1"}], 44: "5"}
    assert Codec(spec=spec).serialise(read, separator="|") == b"35=E|73=1|11=a|78=0|54=1|44=5|"


def test_a_count_without_entries_stays_text(spec: FixSpec) -> None:
    assert parse(spec, "35=E|73=2|44=5|10=0|") == {35: "E", 73: "2", 44: "5", 10: "0"}
    assert parse(spec, "35=E|73=2|") == {35: "E", 73: "2"}
    assert parse(spec, "35=E|73=x|11=a|9001=c|11=b|") == {35: "E", 73: [{11: "a"}], 9001: "c", 11: "b"}


def test_tags_the_spec_does_not_know(spec: FixSpec) -> None:
    # While entries are to come they belong to their entry; behind the last one to the message.
    read = parse(spec, "35=E|73=2|11=a|9001=x|11=b|9001=y|9002=z|44=5|")
    assert read == {35: "E", 73: [{11: "a", 9001: "x"}, {11: "b", 9001: "y"}], 9002: "z", 44: "5"}
    read = parse(spec, "35=E|73=2|9003=p|11=a|9003=q|11=b|")
    assert read[73] == [{9003: "p", 11: "a"}, {9003: "q", 11: "b"}] and read[73].first_tag == 9003
    assert Codec(spec=spec).serialise(read, separator="|") == b"35=E|73=2|9003=p|11=a|9003=q|11=b|"


def test_without_spec_type_or_groups_messages_are_flat(spec: FixSpec) -> None:
    flat = {35: "E", 73: "2", 11: "b"}
    assert parse(None, "35=E|73=2|11=a|11=b|") == flat == parse(spec, "35=E|73=2|11=a|11=b|", no_groups=True)
    assert parse(spec, "35=ZZ|73=2|11=a|11=b|") == {**flat, 35: "ZZ"} and parse(spec, "35=E|") == {35: "E"}


def test_fragment_class(spec: FixSpec) -> None:
    read = parse(spec, "35=E|73=1|11=a|", fragment_class=FixFragment)
    assert type(read) is FixFragment and type(read[73][0]) is FixFragment and list(read.find_all(11)) == [[73, 0, 11]]


def test_fields_are_written_in_the_order_of_the_spec(spec: FixSpec) -> None:
    message = {
        10: "0",
        89: "s",
        93: 1,
        9001: "c",
        "x": "y",
        44: "5",
        54: "1",
        460: "4",
        55: "A",
        35: "E",
        49: "M",
        8: "F",
    }
    expected = b"8=F|35=E|49=M|55=A|460=4|44=5|54=1|9001=c|x=y|93=1|89=s|10=0|"
    assert Codec(spec=spec).serialise(message, separator="|") == expected
    no_spec = Codec().serialise({10: "0", 54: "1", 44: "5", 35: "E", 8: "F", 78: [{79: "X", 1: "Y"}]}, separator="|")
    assert no_spec == b"8=F|35=E|44=5|54=1|78=1|79=X|1=Y|10=0|"
    assert Codec(spec=spec).serialise({35: "ZZ", 8: "F"}, separator="|") == b"8=F|35=ZZ|"


@given(st.lists(st.sampled_from([b"35=E", b"73=2", b"11=a", b"78=1", b"79=", b"347=", b"96=", b"95=3", b"9", b"\xff"])))
def test_damaged_bytes_are_read_or_refused_by_name(parts: list[bytes]) -> None:
    spec = FixSpec(io.BytesIO(SMALL))
    for separator in (b"\x01", b""):
        try:
            Codec(spec=spec).parse(b"35=E\x01" + separator.join(parts) + b"\x01")
        except (UnicodeDecodeError, LookupError) as error:
            assert "tag " in str(error)


@pytest.mark.parametrize("encoding", ["a\0b", "undefined", "rot13", "punycode", "zip"])
def test_an_encoding_that_is_none(encoding: str) -> None:
    with pytest.raises((LookupError, UnicodeDecodeError), match="tag 355"):
        Codec().parse(b"35=B\x01347=%b\x01355=\xff\xfe-x\x01" % encoding.encode())
