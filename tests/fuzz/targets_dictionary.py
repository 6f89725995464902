"""Dictionaries people import: refused in words, or read the same twice and through their own compact form."""

from random import Random

from ingest.fix.dictionary_file import dictionary_text, parse_dictionary
from ingest.fix.dictionary_xml import read_dictionary
from tests.fuzz.harness import Target
from tests.fuzz.mutate import damaged

_QUICKFIX = b"""<?xml version="1.0" encoding="UTF-8"?>
<fix type="FIX" major="4" minor="4" servicepack="0">
 <header><field name="BeginString" required="Y"/><field name="MsgType" required="Y"/></header>
 <trailer><field name="CheckSum" required="Y"/></trailer>
 <messages>
  <message name="ExecutionReport" msgtype="8" msgcat="app">
   <field name="Side" required="Y"/><component name="Instrument" required="Y"/>
   <group name="NoPartyIDs" required="N"><field name="PartyID" required="Y"/>
    <group name="NoPartySubIDs" required="N"><field name="PartySubID" required="N"/></group></group>
  </message>
  <message name="Heartbeat" msgtype="0" msgcat="admin"><field name="TestReqID" required="N"/></message>
 </messages>
 <components><component name="Instrument"><field name="Symbol" required="Y"/><component name="More"/></component>
  <component name="More"><field name="SecurityID" required="N"/></component></components>
 <fields>
  <field number="8" name="BeginString" type="STRING"/><field number="35" name="MsgType" type="STRING"/>
  <field number="10" name="CheckSum" type="STRING"/><field number="112" name="TestReqID" type="STRING"/>
  <field number="54" name="Side" type="CHAR">
   <value enum="1" description="BUY"/><value enum="2" description="SELL_IT"/></field>
  <field number="55" name="Symbol" type="STRING"/><field number="48" name="SecurityID" type="STRING"/>
  <field number="453" name="NoPartyIDs" type="NUMINGROUP"/><field number="448" name="PartyID" type="STRING"/>
  <field number="802" name="NoPartySubIDs" type="NUMINGROUP"/><field number="523" name="PartySubID" type="STRING"/>
 </fields>
</fix>
"""
_ORCHESTRA = b"""<?xml version="1.0"?>
<fixr:repository xmlns:fixr="http://fixprotocol.io/2020/orchestra/repository" name="x" version="FIX.Latest_EP272">
 <fixr:codeSets><fixr:codeSet name="SideCodeSet" id="54" type="char"><fixr:code name="Buy" id="54001" value="1"/>
  <fixr:code name="Sell" id="54002" value="2"/></fixr:codeSet></fixr:codeSets>
 <fixr:fields><fixr:field id="54" name="Side" type="SideCodeSet"/>
  <fixr:field id="453" name="NoPartyIDs" type="NumInGroup"/>
  <fixr:field id="448" name="PartyID" type="String"/><fixr:field id="55" name="Symbol" type="String"/></fixr:fields>
 <fixr:components><fixr:component id="1003" name="Instrument">
   <fixr:fieldRef id="55" presence="required"/></fixr:component>
  <fixr:component id="1024" name="StandardHeader"><fixr:fieldRef id="54"/></fixr:component></fixr:components>
 <fixr:groups><fixr:group id="1012" name="Parties"><fixr:numInGroup id="453"/>
   <fixr:fieldRef id="448"/></fixr:group></fixr:groups>
 <fixr:messages><fixr:message name="ExecutionReport" msgType="8" category="Trade" id="9"><fixr:structure>
  <fixr:componentRef id="1003" presence="required"/><fixr:groupRef id="1012"/>
  <fixr:fieldRef id="54" presence="required"/>
 </fixr:structure></fixr:message></fixr:messages>
</fixr:repository>
"""
_ENTITY = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
_KNOWN = [_QUICKFIX, _ORCHESTRA]


def _document(rng: Random) -> bytes:
    data = damaged(rng, rng.choice(_KNOWN), _KNOWN, 3)
    if rng.random() < 0.1:
        data = data.replace(b"?>", b"?>" + _ENTITY, 1)
    if rng.random() < 0.1:
        data = data.replace(b'name="SecurityID"', b'name="Side"').replace(
            b'<field name="SecurityID"', b'<component name="More"'
        )
    if rng.random() < 0.1:
        data = data.replace(b"UTF-8", rng.choice([b"utf-7", b"UTF-16", b"rot13", b"latin-1", b"idna", b"cp037", b""]))
    return data


def check_dictionary(data: bytes, _: Random) -> None:
    """XmlRefused is a ValueError with one line of text; what was read comes back from its compact form."""
    try:
        found = read_dictionary(data)
    except ValueError as error:
        assert str(error), "no reason"
        return
    assert found == read_dictionary(data), "the second time is another"
    assert parse_dictionary(dictionary_text(found)) == found, "its compact form says otherwise"


def check_compact(data: bytes, _: Random) -> None:
    """A damaged dictionary file is a ValueError that names the line."""
    try:
        found = parse_dictionary(data.decode("utf-8", "replace"))
    except ValueError as error:
        assert str(error).startswith("line "), str(error)
        return
    assert parse_dictionary(dictionary_text(found)) == found, "its compact form says otherwise"


def _compact(rng: Random) -> bytes:
    return damaged(rng, dictionary_text(read_dictionary(rng.choice(_KNOWN))).encode(), [], 2)


DICTIONARY = [
    Target("dictionary", _document, check_dictionary, 1500),
    Target("dictionary_file", _compact, check_compact, 500),
]
