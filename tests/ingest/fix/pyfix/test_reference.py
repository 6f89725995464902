"""FixSpec: what it says of a FIX version, changing it, and files that are none."""

import random
from pathlib import Path
from typing import Any

import pytest

from ingest.fix.pyfix.codecs.stringfix import Codec
from ingest.fix.pyfix.codecs.tokens import RAW_DATA
from ingest.fix.pyfix.fixmessage import FixFragment, FixMessage
from ingest.fix.pyfix.reference import Component, FixSpec, FixTag, Group


def test_what_a_spec_says(spec: FixSpec) -> None:
    assert spec.version == "FIX4.3" and spec.msg_types[b"R"] is spec.msg_types["R"]
    assert [tag.tag for tag in spec.header_tags][:3] == [8, 9, 35] and spec.trailer_tags[-1].tag == 10
    assert spec.tags.by_tag(54).name == "Side" and spec.tags.by_name("Side").type == "STRING"
    request = spec.msg_types["R"]
    assert [type(item) for item, _ in request.composition][:2] == [FixTag, Group]
    assert request.composition[0][1] is True and request.name == "QuoteRequest"
    group = request.groups[146]
    assert isinstance(group.composition[0][0], Component) and group.tags == {55, 460, 303, 38}
    assert sorted((55, 460, 303, 38), key=group.sorting_key.__getitem__) == [55, 460, 303, 38]


def test_enums(spec: FixSpec) -> None:
    side = FixSpec(spec.source, eager=True).tags.by_tag(54)
    side.add_enum_value(name="SHORT", value="5")
    assert side.enum_by_name("SHORT") == "5" and side.enum_by_value(b"1") == "BUY"
    with pytest.raises(KeyError, match="already known"):
        side.add_enum_value(name="SHORT", value="6")
    with pytest.raises(TypeError):
        side.del_enum_value()
    with pytest.raises(ValueError, match="SHORT of tag 54 is 5"):
        side.del_enum_value(name="SHORT", value="6")
    for unknown in ({"name": "X"}, {"value": "9"}, {"name": "X", "value": "5"}):
        with pytest.raises(KeyError):
            side.del_enum_value(**unknown)
    side.del_enum_value(value="5")
    side.del_enum_value(name="BUY")
    with pytest.raises(KeyError):
        side.enum_by_value("1")


def test_tags_and_groups_of_ones_own(spec: FixSpec) -> None:
    spec.tags.add_tag(10001, "Mine")
    assert spec.tags.by_tag(10001).name == "Mine" and spec.tags.by_name("Mine").tag == 10001
    composition = [(spec.tags.by_tag(tag), False) for tag in (79, 80)]
    spec.msg_types["R"].add_group(spec.tags.by_tag(78), composition, insert_at=4)
    message = FixMessage()
    message.codec = Codec(spec=spec, fragment_class=FixFragment)
    message.load_fix(b"8=F|9=1|35=R|131=q|78=2|79=a|80=1|79=b|80=2|58=t|10=0|", separator="|")
    assert list(message.find_all(80)) == [[78, 0, 80], [78, 1, 80]] and 80 not in message
    assert message.output_fix("|").startswith(b"8=F|9=41|35=R|78=2|79=a|80=1|79=b|80=2|131=q|58=t|")


BAD = {
    "<fix": "not readable as XML",
    '<!DOCTYPE x [<!ENTITY a "b">]><fix/>': "document type or entities",
    "<a>" * 70 + "</a>" * 70: "elements deep",
    '<fix><fields><field name="A" number="x"/></fields></fix>': "has the number 'x'",
    '<fix><messages><message msgtype="A"><field name="B"/></message></messages></fix>': "no field is named 'B'",
    '<fix><messages><message msgtype="A"><what/></message></messages></fix>': "Could not process element 'what'",
    '<fix><messages><message msgtype="A"><component name="C"/></message></messages></fix>': "no component is named 'C'",
    '<fix><messages><message msgtype="A"><component name="C"/></message></messages>'
    '<components><component name="C"><component name="C"/></component></components></fix>': "contains itself",
}


@pytest.mark.parametrize("text", BAD)
def test_files_that_are_no_dictionary(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match=BAD[text]):
        FixSpec(str(path))
    with pytest.raises(OSError, match="absent"):
        FixSpec(str(tmp_path / "absent.xml"))


def fields_of(composed: Any, rng: random.Random) -> list[tuple[int, str]]:
    """Fields of a message in the spec's order, some left out; a group's first member is always there."""
    found: list[tuple[int, str]] = []
    for at, (item, _) in enumerate(composed.composition):
        first = at == 0 and isinstance(composed, Group)
        if isinstance(item, Component):
            found += fields_of(item, rng) or ([(_leader(item), "first")] if first else [])
        elif isinstance(item, Group):
            if (count := rng.randint(0, 2)) or first:
                entries = [_entry(item, rng) for _ in range(count or 1)]
                found += [(item.count_tag.tag, str(len(entries))), *(field for entry in entries for field in entry)]
        elif (first or rng.random() < 0.4) and item.tag not in RAW_DATA:
            found.append((item.tag, rng.choice(["1", "A b", "x=y", "é", "2.50"])))
    return found


def _leader(composed: Any) -> int:
    item = composed.composition[0][0]
    return _leader(item) if isinstance(item, Component) else item.count_tag.tag if isinstance(item, Group) else item.tag


def _entry(group: Group, rng: random.Random) -> list[tuple[int, str]]:
    leader = _leader(group)
    fields = fields_of(group, rng)
    # An entry starts with its leading tag, so that the next one can be told from it.
    return fields if fields and fields[0][0] == leader else [(leader, "first"), *fields]


def test_messages_of_real_dictionaries_come_back_field_for_field(quickfix_xml: Path) -> None:
    spec, rng = FixSpec(str(quickfix_xml)), random.Random(7)
    codec = Codec(spec=spec)
    names = sorted(name for name in spec.msg_types if isinstance(name, str))
    for name in rng.choices(names, k=300):
        around = [(8, "F"), (9, "1"), (35, name)]
        fields = [*around, *fields_of(spec.msg_types[name], rng), (10, "000")]
        wire = "".join(f"{tag}={value}\x01" for tag, value in fields).encode()
        read = codec.parse(wire)
        assert codec.serialise(read) == wire, name
