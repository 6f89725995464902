"""A small FIX dictionary of our own, and QuickFIX's where its wheel brought them."""

import sys
from pathlib import Path

import pytest

from ingest.fix.pyfix.reference import FixSpec

FIELDS = {
    8: "BeginString", 9: "BodyLength", 35: "MsgType", 49: "SenderCompID", 347: "MessageEncoding", 10: "CheckSum",
    93: "SignatureLength", 89: "Signature", 131: "QuoteReqID", 146: "NoRelatedSym", 55: "Symbol", 460: "Product",
    303: "QuoteRequestType", 38: "OrderQty", 58: "Text", 95: "RawDataLength", 96: "RawData", 295: "NoQuoteEntries",
    683: "NoLegStipulations", 688: "LegStipulationType", 689: "LegStipulationValue", 54: "Side", 355: "EncodedText",
    78: "NoAllocs", 79: "AllocAccount", 80: "AllocQty", 386: "NoTradingSessions", 336: "TradingSessionID",
    73: "NoOrders", 11: "ClOrdID", 44: "Price",
}  # fmt: skip
SPEC = """<?xml version="1.0"?>
<fix major="4" minor="3">
 <header><field name="BeginString"/><field name="BodyLength"/><field name="MsgType"/><field name="SenderCompID"/>
  <field name="MessageEncoding"/></header>
 <trailer><field name="SignatureLength"/><field name="Signature"/><field name="CheckSum"/></trailer>
 <messages>
  <message name="QuoteRequest" msgtype="R" msgcat="app">
   <field name="QuoteReqID" required="Y"/>
   <group name="NoRelatedSym" required="Y">
    <component name="Instrument" required="Y"/><field name="QuoteRequestType"/><field name="OrderQty" required="Y"/>
   </group>
   <field name="Text"/><field name="RawDataLength"/><field name="RawData"/><field name="EncodedText"/>
  </message>
  <message name="Custom" msgtype="CUS" msgcat="app">
   <field name="QuoteReqID"/>
   <group name="NoQuoteEntries">
    <group name="NoLegStipulations"><field name="LegStipulationType"/><field name="LegStipulationValue"/></group>
   </group>
  </message>
  <message name="OrderList" msgtype="E" msgcat="app">
   <component name="Instrument"/>
   <group name="NoOrders">
    <field name="ClOrdID"/>
    <group name="NoAllocs"><field name="AllocAccount"/><field name="AllocQty"/></group>
    <group name="NoTradingSessions"><field name="TradingSessionID"/></group>
    <field name="Side"/>
   </group>
   <field name="Price"/>
  </message>
 </messages>
 <components><component name="Instrument"><field name="Symbol"/><field name="Product"/></component></components>
 <fields>%s</fields>
</fix>
"""


@pytest.fixture(scope="session")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fields = []
    for number, name in FIELDS.items():
        values = '<value enum="1" description="BUY"/><value enum="2" description="SELL"/>' if number == 54 else ""
        fields.append(f'<field number="{number}" name="{name}" type="STRING">{values}</field>')
    path = tmp_path_factory.mktemp("spec") / "small.xml"
    path.write_text(SPEC % "".join(fields))
    return path


@pytest.fixture
def spec(spec_file: Path) -> FixSpec:
    return FixSpec(str(spec_file))


@pytest.fixture(params=["FIX42", "FIX44", "FIX50SP2"])
def quickfix_xml(request: pytest.FixtureRequest) -> Path:
    path = Path(sys.prefix) / "share" / "quickfix" / f"{request.param}.xml"
    if not path.is_file():
        pytest.skip("QuickFIX's XML dictionaries come with quickfix-ssl, which is not installed here")
    return path
