"""Dictionaries from outside: QuickFIX and Orchestra XML read alike, hostile XML refused, the stored form reads back."""

import sys
from pathlib import Path

import pytest

from ingest.fix.dictionary_file import (
    dictionary_for,
    dictionary_text,
    imported_dictionaries,
    parse_dictionary,
    save_dictionary,
)
from ingest.fix.dictionary_xml import read_dictionary
from ingest.fix.layouts import layout_text
from ingest.fix.own import own_dictionary
from ingest.fix.xml_tree import MAX_DEPTH, XmlRefused, parse_tree

PUBLISHED = sorted((Path(sys.prefix) / "share" / "quickfix").glob("FIX*.xml"))
QUICKFIX = b"""<fix type='FIX' major='4' minor='4' servicepack='0'>
 <header><field name='BeginString' required='Y'/><field name='MsgType' required='Y'/></header>
 <trailer><field name='CheckSum' required='Y'/></trailer>
 <messages>
  <message name='Heartbeat' msgtype='0' msgcat='admin'><field name='Text' required='N'/></message>
  <message name='AllocationInstructionAck' msgtype='P' msgcat='app'>
   <field name='AllocStatus' required='Y'/><component name='Parties' required='N'/>
  </message>
 </messages>
 <components>
  <component name='Parties'><group name='NoPartyIDs' required='Y'>
   <field name='PartyID' required='Y'/><field name='PartyRole' required='N'/>
  </group></component>
 </components>
 <fields>
  <field number='8' name='BeginString' type='STRING'/><field number='35' name='MsgType' type='STRING'/>
  <field number='10' name='CheckSum' type='STRING'/><field number='58' name='Text' type='STRING'/>
  <field number='87' name='AllocStatus' type='INT'>
   <value enum='0' description='ACCEPTED'/><value enum='1' description='BLOCK_LEVEL_REJECT'/>
  </field>
  <field number='448' name='PartyID' type='STRING'/><field number='452' name='PartyRole' type='INT'/>
  <field number='453' name='NoPartyIDs' type='NUMINGROUP'/>
 </fields>
</fix>"""
ORCHESTRA = b"""<?xml version='1.0'?>
<fixr:repository name='X' version='FIX.4.4_EP7' xmlns:fixr='http://fixprotocol.io/2020/orchestra/repository'>
 <fixr:codeSets>
  <fixr:codeSet name='AllocStatusCodeSet' id='87' type='int'>
   <fixr:code value='0' name='Accepted'><fixr:annotation><fixr:documentation>yes</fixr:documentation></fixr:annotation>
   </fixr:code><fixr:code value='1' name='BlockLevelReject'/>
  </fixr:codeSet>
 </fixr:codeSets>
 <fixr:fields>
  <fixr:field id='8' name='BeginString' type='String'/><fixr:field id='35' name='MsgType' type='String'/>
  <fixr:field id='10' name='CheckSum' type='String'/><fixr:field id='58' name='Text' type='String'/>
  <fixr:field id='87' name='AllocStatus' type='AllocStatusCodeSet'/>
  <fixr:field id='448' name='PartyID' type='String'/><fixr:field id='452' name='PartyRole' type='int'/>
  <fixr:field id='453' name='NoPartyIDs' type='NumInGroup'/>
 </fixr:fields>
 <fixr:components>
  <fixr:component id='1024' name='StandardHeader'>
   <fixr:fieldRef id='8' presence='required'/><fixr:fieldRef id='35' presence='required'/></fixr:component>
  <fixr:component id='1025' name='StandardTrailer'><fixr:fieldRef id='10' presence='required'/></fixr:component>
 </fixr:components>
 <fixr:groups>
  <fixr:group id='1012' name='Parties'><fixr:numInGroup id='453'/>
   <fixr:fieldRef id='448' presence='required'/><fixr:fieldRef id='452'/></fixr:group>
 </fixr:groups>
 <fixr:messages>
  <fixr:message name='Heartbeat' msgType='0' category='Session'><fixr:structure>
   <fixr:componentRef id='1024' presence='required'/><fixr:fieldRef id='58'/></fixr:structure></fixr:message>
  <fixr:message name='AllocationInstructionAck' msgType='P' category='Allocation'><fixr:structure>
   <fixr:fieldRef id='87' presence='required'/><fixr:groupRef id='1012'/></fixr:structure></fixr:message>
 </fixr:messages>
</fixr:repository>"""


@pytest.mark.parametrize("xml", [QUICKFIX, ORCHESTRA], ids=["quickfix", "orchestra"])
def test_both_kinds_of_xml_say_the_same(xml: bytes) -> None:
    found = read_dictionary(xml)
    assert found.version == "FIX.4.4" and found.complete
    assert (found.messages["0"].session, found.messages["P"].session) == (True, False)
    assert layout_text(found.messages["P"].layout) == "87! 453(448! 452)"
    assert layout_text(found.messages["0"].layout) == "58"
    assert (layout_text(found.header), layout_text(found.trailer)) == ("8! 35!", "10!")
    assert found.fields[87].type == "INT" and set(found.fields[87].values) == {"0", "1"}
    assert found.where(448) == ("P",)


def test_a_saved_dictionary_reads_back_and_stands_before_our_own(tmp_path: Path) -> None:
    found = read_dictionary(QUICKFIX)
    assert imported_dictionaries(tmp_path) == {}
    path = save_dictionary(tmp_path, found)
    assert parse_dictionary(path.read_text()) == found
    assert imported_dictionaries(tmp_path) == {"FIX.4.4": found}
    assert dictionary_for(tmp_path, "FIX.4.4") == found
    assert dictionary_for(tmp_path, "FIX.4.2") is own_dictionary("FIX.4.2")


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda path: path.stem)
def test_published_dictionaries_read_back_whole(file: Path) -> None:
    found = read_dictionary(file.read_bytes())
    assert parse_dictionary(dictionary_text(found)) == found


@pytest.mark.skipif(not PUBLISHED, reason="no published dictionaries on this machine (quickfix-ssl)")
def test_published_fix44_holds_what_ours_requires() -> None:
    found = read_dictionary(next(path for path in PUBLISHED if path.stem == "FIX44").read_bytes())
    own = own_dictionary("FIX.4.4")
    assert len(found.messages) == 93
    for kind, message in own.messages.items():
        assert message.layout.required == found.messages[kind].layout.required, kind
        assert message.layout.tags <= found.messages[kind].layout.tags, kind


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (b"", "not XML"),
        (b"<fix", "not XML"),
        (b"<html/>", "neither QuickFIX"),
        (b"<fix type='FIX' major='4' minor='4'/>", "defines no fields"),
        (b"<!DOCTYPE fix [<!ENTITY a 'b'>]><fix/>", "document type"),
        (b"<?xml version='1.0' encoding='no-such'?><fix/>", "not XML"),
        (b"<a>" * (MAX_DEPTH + 1), "deeper than"),
        (QUICKFIX.replace(b"number='58'", b"number='x'"), "not a tag number"),
        (QUICKFIX.replace(b"component name='Parties' required='N'", b"component name='Gone'"), "used but not defined"),
        (QUICKFIX.replace(b"msgtype='P'", b"msgtype='P Q'"), "letters and digits"),
        (
            QUICKFIX.replace(b"<component name='Parties'>", b"<component name='Parties'><component name='Parties'/>"),
            "hold each other",
        ),
        (ORCHESTRA.replace(b"<fixr:numInGroup id='453'/>", b""), "no numInGroup"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(xml: bytes, said: str) -> None:
    with pytest.raises(XmlRefused, match=said):
        read_dictionary(xml)


def test_components_that_multiply_are_refused() -> None:
    doubled = b"".join(
        b"<component name='C%d'><component name='C%d'/><component name='C%d'/></component>" % (n, n + 1, n + 1)
        for n in range(11)
    )
    many = b"<component name='C11'>" + b"<field name='Text'/>" * 20 + b"</component>"
    xml = QUICKFIX.replace(b"<components>", b"<components>" + doubled + many).replace(
        b"name='Parties' required", b"name='C0' required"
    )
    with pytest.raises(XmlRefused, match="more than"):
        read_dictionary(xml)


def test_elements_left_out_take_their_children_along() -> None:
    root = parse_tree(b"<a><b><c/></b><d x='1'/></a>", frozenset({"b"}))
    assert [child.name for child in root.children] == ["d"] and root.children[0].get("x") == "1"


@pytest.mark.parametrize("text", ["", "no dictionary", "tieout dictionary 1\nfield x y z", "tieout dictionary 1\nhuh"])
def test_a_damaged_file_names_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"line [12]"):
        parse_dictionary(text)


@pytest.mark.parametrize("xml", [QUICKFIX.replace(b"header>", b"x>"), ORCHESTRA.replace(b"StandardHeader", b"Head")])
def test_nothing_said_about_the_header_is_not_an_empty_header(xml: bytes) -> None:
    found = read_dictionary(xml)
    assert not found.header.complete and parse_dictionary(dictionary_text(found)) == found
