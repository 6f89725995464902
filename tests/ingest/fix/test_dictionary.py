"""Our own dictionary: what each version's messages must hold, and that it agrees with a published one where present."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ingest.fix.dictionary import Dictionary
from ingest.fix.layouts import layout_text, parse_layout
from ingest.fix.own import TRANSPORT, VERSIONS, own_dictionary

PUBLISHED = Path(sys.prefix) / "share" / "quickfix"


def test_a_logon_of_fix44_holds_what_the_version_says() -> None:
    logon = own_dictionary("FIX.4.4").messages["A"]
    assert logon.session and logon.name == "Logon"
    assert logon.layout.required == {98, 108}
    assert logon.layout.groups[384].fields == (372, 385)
    assert logon.layout.complete and 141 in logon.layout.fields and 1137 not in logon.layout.fields


def test_versions_differ_where_fix_does() -> None:
    assert 141 not in own_dictionary("FIX.4.0").messages["A"].layout.fields
    assert 1137 in own_dictionary(TRANSPORT).messages["A"].layout.required
    assert 20 in own_dictionary("FIX.4.2").messages["8"].layout.required
    assert 20 not in own_dictionary("FIX.4.4").messages["8"].layout.required
    assert "AE" not in own_dictionary("FIX.4.2").messages
    assert "8" not in own_dictionary(TRANSPORT).messages
    with pytest.raises(KeyError):
        own_dictionary("FIX.9.9")


def test_names_values_and_whereabouts_of_a_tag() -> None:
    own = own_dictionary("FIX.4.4")
    assert own.name(940) == "AffirmStatus" and own.name(12_345) == ""
    assert own.meaning(940, "3") == "affirmed" and own.meaning(940, "9") == "" and own.meaning(9999, "1") == ""
    assert own.where(940) == ("AU",) and "AE" in own.where(54)
    assert own.message_name("AP") == "PositionReport" and own.message_name("ZZ") == ""
    assert own.fields[54].allows("1") and not own.fields[54].allows("Z") and own.fields[58].allows("anything")


def test_a_layout_text_reads_back() -> None:
    layout = parse_layout("70! 71! 78(79! 80 136(137 138))", complete=False)
    assert layout.groups[78].delimiter == 79 and layout.groups[78].required == {79}
    assert layout.tags == {70, 71, 78, 79, 80, 136, 137, 138}
    assert layout_text(layout) == "70! 71! 78(79! 80 136(137 138))"


@pytest.mark.parametrize("text", ["70!)", "70! 78(79", "70! x", "1(" * 20 + ")" * 20])
def test_a_broken_layout_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"bracket|part of a layout|deeper"):
        parse_layout(text, complete=False)


@pytest.mark.parametrize("version", [*VERSIONS, TRANSPORT])
def test_required_fields_agree_with_the_published_dictionary(version: str) -> None:
    file = PUBLISHED / f"{version.replace('.', '')}.xml"
    if not file.exists():
        pytest.skip(f"no published dictionary {file.name} on this machine")
    root = ET.parse(file).getroot()  # the wheel's own file
    numbers = {field.get("name"): int(field.get("number", "0")) for field in root.find("fields") or ()}
    components = {part.get("name"): part for part in root.find("components") or ()}

    def required(part: ET.Element) -> set[int]:
        found: set[int] = set()
        for item in part:
            if item.get("required") == "Y":
                name = item.get("name")
                found |= required(components[name]) if item.tag == "component" else {numbers[name]}
        return found

    own: Dictionary = own_dictionary(version)
    compared = 0
    for message in root.find("messages") or ():
        mine = own.messages.get(message.get("msgtype", ""))
        if mine is not None:
            compared += 1
            assert mine.layout.required == required(message), message.get("name")
    assert compared >= 7
