"""FixMessage as a dict with a wire form: reading, writing, comparing, copying, asking."""

import copy
import pickle
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ingest.fix.pyfix.codecs.stringfix import SEPARATOR, Codec
from ingest.fix.pyfix.fixmessage import FixFragment, FixMessage
from ingest.fix.pyfix.groups import RepeatingGroup, RepeatingGroupFactory, len_and_chsum
from ingest.fix.pyfix.reference import FixSpec

LOGOUT = b"8=FIX.4.2|9=49|35=5|34=1|49=WXYZ|52=20150916-04:14:05.306|56=AA|10=191|"
ORDER = b"8=FIX.4.2;35=D;49=ME;56=THEM;34=7;11=A-1;21=1;54=1;38=100;44=12.50;55=VOD.L;10=000"


def order() -> FixMessage:
    return FixMessage().load_fix(ORDER)


def quotes() -> FixMessage:
    entries = [FixFragment({55: "A", 44: "1"}), FixFragment({55: "B", 78: RepeatingGroup([FixFragment({79: "X"})])})]
    return FixMessage({35: "R", 146: RepeatingGroup(entries)})


def test_a_message_is_a_dict_of_text() -> None:
    message = order()
    assert message[35] == "D" and message.get(9999) is None and 10 not in message
    with pytest.raises(KeyError):
        message[9999]
    message[38] = 200
    del message[44]
    assert dict(FixMessage.from_dict(message)) == dict(message)


def test_length_and_checksum_are_counted_on_the_bytes() -> None:
    message = FixMessage().load_fix(LOGOUT, separator="|")
    assert len_and_chsum(message) == (49, 3263)
    assert message.calculate_checksum() == "191" and message.checksum(257) == "001"
    # Without a spec: the header in its usual order, the rest by number.
    assert message.to_wire() == b"8=FIX.4.2|9=49|35=5|49=WXYZ|56=AA|34=1|52=20150916-04:14:05.306|10=191|".replace(
        b"|", b"\x01"
    )
    message[58] = "été"
    wire = message.to_wire()
    assert message[9] == str(49 + len(b"58=") + 5 + 1)
    assert int(message[10]) == sum(wire[:-7]) % 256


@pytest.mark.parametrize("encoding", ["latin-1", "shift_jis", "utf-16-le"])
def test_length_follows_the_encoding(encoding: str) -> None:
    message = FixMessage({8: "FIX.4.2", 35: "B", 58: "A", 355: "B"})
    message.codec = Codec(decode_as=encoding)
    wire = message.to_wire()
    assert int(message[9]) == wire.index(b"\x0110=") + 1 - wire.index(b"35=")
    assert int(message[10]) == sum(wire[: wire.rindex(b"10=")]) % 256


def test_output_with_other_separators_and_without_length() -> None:
    message = order()
    assert message.output_fix("|").startswith(b"8=FIX.4.2|9=")
    assert message.output_fix(remove_length=True).startswith(b"8=FIX.4.2;35=D;")
    assert message.fix == message.output_fix(";") and str(message) == message.fix.decode()
    message[58] = b"\xff"
    assert "58=\\xff;" in str(message)


def test_equality_looks_at_tags_time_and_recipient_and_changes_nothing() -> None:
    one, two = order(), order()
    two.time = one.time
    one.to_wire()
    assert one == two and (one != two) is False and 9 in one and 10 in one
    two.recipient = "DESK"
    assert one != two
    two.recipient, two[25] = "", "x"
    assert (one == two) is False
    assert one != None and one != dict(one) and one != 5  # noqa: E711


def test_messages_sort_by_time() -> None:
    one, two = order(), order()
    one.time = datetime(2026, 1, 2)
    two.time = one.time + timedelta(seconds=1)
    assert one < two and one <= two and two > one and two >= one and sorted([two, one])[0] is one


def test_a_copy_is_as_if_sent_and_received() -> None:
    message = quotes()
    message[38], message[44], message.process = 2, Decimal("1E+3"), "desk"
    before = dict(message)
    new = message.copy()
    assert dict(message) == before
    assert new[38] == "2" and new[44] == "1000" and new.process == "desk" and new.codec is message.codec
    assert new[146] == message[146] and new[146][1] is not message[146][1] and isinstance(new[146], RepeatingGroup)
    assert new.time == message.time and copy.copy(order())[35] == "D"


def test_a_copy_goes_through_a_codec_of_ones_own() -> None:
    class Loud(Codec):
        def parse(self, buff: bytes, delimiter: str = "=", separator: str = SEPARATOR) -> dict[int, str]:
            return {**super().parse(buff, delimiter, separator), 5000: "LOUD"}

    message = order()
    message.codec = Loud()
    assert message.copy()[5000] == "LOUD"


def test_pickling(spec: FixSpec) -> None:
    message = quotes()
    message.codec = Codec(spec=spec)
    again = pickle.loads(pickle.dumps(message))
    assert again == message and again[146].first_tag is None and again.to_wire() == message.to_wire()


def test_set_apply_and_update_all() -> None:
    message = quotes()
    message.set_or_delete(7, "x")
    message.set_or_delete(7, "")
    message.apply({35: None, 38: 0})
    assert dict(message) == {146: message[146], 38: 0}
    message.update_all(55, "Z")
    assert [entry[55] for entry in message[146]] == ["Z", "Z"]
    with pytest.warns(UserWarning, match="deprecated"):
        assert message.tags is message


def test_in_depth() -> None:
    message = quotes()
    assert list(message.find_all(55)) == [[146, 0, 55], [146, 1, 55]]
    assert list(message.find_all(79)) == [[146, 1, 78, 0, 79]]
    assert message.anywhere(79) and not message.anywhere(1)
    assert sorted(message.all_tags()) == [35, 44, 55, 78, 79, 146]
    assert list(message[146].find_all(44)) == [[0, 44]] and set(message[146].all_tags()) == {55, 44, 78, 79}
    # Entries of any dict type, and plain lists, are looked into too.
    assert list(FixMessage({146: [{55: "A"}]}).find_all(55)) == [[146, 0, 55]]


def test_repeating_groups_are_lists() -> None:
    group = RepeatingGroupFactory(146, first_tag=55).get_r_group(FixFragment({55: "A"}))
    assert group.entry_tag == (146, 1) and group.first_tag == 55 and group.length() == len("55=A|")
    both = group + RepeatingGroup([FixFragment({55: "B"})])
    assert isinstance(both, RepeatingGroup) and both.number_tag == 146 and len(both) == 2
    assert FixFragment({146: both}).length() == len("146=2|55=A|55=B|")


def test_questions_compare_as_text_or_number() -> None:
    message = order()
    assert message.tag_exact(38, 100) and message.tag_exact(44, Decimal("12.50")) and message.tag_exact(49, b"ME")
    assert not message.tag_exact(44, "12.5") and not message.tag_exact(1, "x")
    assert message.tag_iexact(55, "vod.l") and message.tag_contains(55, "OD") and message.tag_icontains(55, b"od")
    assert not message.tag_contains(1, "x") and message.tag_exact_dict({35: "D", 54: 1})
    assert message.tag_match_regex(55, rb"[A-Z]{3}\.") and not message.tag_match_regex(1, ".")
    assert message.tag_in(54, (1, b"2")) and not message.tag_in(54, "34") and not message.tag_in(1, ["x"])
    assert (
        message.tag_lt(38, 1000) and message.tag_gt(44, "9") and message.tag_le(38, 100.0) and message.tag_ge(38, "100")
    )
    assert message.tag_lt(11, "B") and not message.tag_gt(1, 0) and not message.tag_ge(38, None)
    message[31] = "NaN"
    assert message.tag_gt(31, "1") and message.tag_lt(38, "abc")


@pytest.mark.parametrize(
    ("value", "told"), [(None, "NoneType"), (object(), "object"), (Decimal("NaN"), "no FIX number")]
)
def test_what_is_no_value_is_refused_by_tag(value: object, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"tag 58: .*{told}"):
        FixMessage({35: "B", 58: value}).to_wire()


def test_numbers_are_written_without_exponent() -> None:
    message = FixMessage({35: "D", 44: 1e-7, 38: Decimal("1E+3"), 54: 1})
    assert b"\x0138=1000\x0144=0.0000001\x0154=1\x01" in message.to_wire()


def test_from_buffer_keeps_the_bytes(spec_file: Path) -> None:
    wire = b"9=10\x0135=D\x0134=3\x0110=154\x01"
    message = FixMessage.from_buffer(wire, Codec())
    assert dict(message) == {9: "10", 35: "D", 34: "3", 10: "154"} and message.get_raw_message() == wire
