"""The FIX tags Tieout reads or shows: number, name and type, and the message types by their MsgType(35) value."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Tag:
    """One FIX tag. `type` is the FIX data type in upper case (STRING, QTY, UTCTIMESTAMP, LENGTH, DATA, ...)."""

    number: int
    name: str
    type: str


_TAGS = """
1 Account STRING
6 AvgPx PRICE
7 BeginSeqNo SEQNUM
8 BeginString STRING
9 BodyLength LENGTH
10 CheckSum STRING
11 ClOrdID STRING
12 Commission AMT
13 CommType CHAR
14 CumQty QTY
15 Currency CURRENCY
16 EndSeqNo SEQNUM
17 ExecID STRING
18 ExecInst MULTIPLEVALUESTRING
19 ExecRefID STRING
20 ExecTransType CHAR
21 HandlInst CHAR
22 SecurityIDSource STRING
29 LastCapacity CHAR
30 LastMkt EXCHANGE
31 LastPx PRICE
32 LastQty QTY
34 MsgSeqNum SEQNUM
35 MsgType STRING
36 NewSeqNo SEQNUM
37 OrderID STRING
38 OrderQty QTY
39 OrdStatus CHAR
40 OrdType CHAR
41 OrigClOrdID STRING
43 PossDupFlag BOOLEAN
44 Price PRICE
45 RefSeqNum SEQNUM
47 Rule80A CHAR
48 SecurityID STRING
49 SenderCompID STRING
50 SenderSubID STRING
52 SendingTime UTCTIMESTAMP
53 Quantity QTY
54 Side CHAR
55 Symbol STRING
56 TargetCompID STRING
57 TargetSubID STRING
58 Text STRING
59 TimeInForce CHAR
60 TransactTime UTCTIMESTAMP
61 Urgency CHAR
63 SettlType STRING
64 SettlDate LOCALMKTDATE
65 SymbolSfx STRING
66 ListID STRING
70 AllocID STRING
71 AllocTransType CHAR
72 RefAllocID STRING
73 NoOrders NUMINGROUP
75 TradeDate LOCALMKTDATE
76 ExecBroker STRING
77 PositionEffect CHAR
78 NoAllocs NUMINGROUP
79 AllocAccount STRING
80 AllocQty QTY
81 ProcessCode CHAR
85 NoDlvyInst NUMINGROUP
87 AllocStatus INT
88 AllocRejCode INT
89 Signature DATA
90 SecureDataLen LENGTH
91 SecureData DATA
93 SignatureLength LENGTH
95 RawDataLength LENGTH
96 RawData DATA
97 PossResend BOOLEAN
98 EncryptMethod INT
99 StopPx PRICE
100 ExDestination EXCHANGE
103 OrdRejReason INT
106 Issuer STRING
107 SecurityDesc STRING
108 HeartBtInt INT
112 TestReqID STRING
115 OnBehalfOfCompID STRING
116 OnBehalfOfSubID STRING
118 NetMoney AMT
119 SettlCurrAmt AMT
120 SettlCurrency CURRENCY
122 OrigSendingTime UTCTIMESTAMP
123 GapFillFlag BOOLEAN
124 NoExecs NUMINGROUP
126 ExpireTime UTCTIMESTAMP
127 DKReason CHAR
128 DeliverToCompID STRING
129 DeliverToSubID STRING
136 NoMiscFees NUMINGROUP
137 MiscFeeAmt AMT
138 MiscFeeCurr CURRENCY
139 MiscFeeType STRING
140 PrevClosePx PRICE
141 ResetSeqNumFlag BOOLEAN
142 SenderLocationID STRING
143 TargetLocationID STRING
144 OnBehalfOfLocationID STRING
145 DeliverToLocationID STRING
148 Headline STRING
150 ExecType CHAR
151 LeavesQty QTY
153 AllocAvgPx PRICE
154 AllocNetMoney AMT
155 SettlCurrFxRate FLOAT
156 SettlCurrFxRateCalc CHAR
157 NumDaysInterest INT
159 AccruedInterestAmt AMT
161 AllocText STRING
167 SecurityType STRING
192 OrderQty2 QTY
193 SettlDate2 LOCALMKTDATE
194 LastSpotRate PRICE
195 LastForwardPoints PRICEOFFSET
196 AllocLinkID STRING
197 AllocLinkType INT
198 SecondaryOrderID STRING
200 MaturityMonthYear MONTHYEAR
201 PutOrCall INT
202 StrikePrice PRICE
205 MaturityDay DAYOFMONTH
206 OptAttribute CHAR
207 SecurityExchange EXCHANGE
212 XmlDataLen LENGTH
213 XmlData DATA
223 CouponRate PERCENTAGE
228 Factor FLOAT
231 ContractMultiplier FLOAT
236 Yield PERCENTAGE
311 UnderlyingSymbol STRING
347 MessageEncoding STRING
348 EncodedIssuerLen LENGTH
349 EncodedIssuer DATA
350 EncodedSecurityDescLen LENGTH
351 EncodedSecurityDesc DATA
352 EncodedListExecInstLen LENGTH
353 EncodedListExecInst DATA
354 EncodedTextLen LENGTH
355 EncodedText DATA
356 EncodedSubjectLen LENGTH
357 EncodedSubject DATA
358 EncodedHeadlineLen LENGTH
359 EncodedHeadline DATA
360 EncodedAllocTextLen LENGTH
361 EncodedAllocText DATA
362 EncodedUnderlyingIssuerLen LENGTH
363 EncodedUnderlyingIssuer DATA
364 EncodedUnderlyingSecurityDescLen LENGTH
365 EncodedUnderlyingSecurityDesc DATA
366 AllocPrice PRICE
369 LastMsgSeqNumProcessed SEQNUM
370 OnBehalfOfSendingTime UTCTIMESTAMP
371 RefTagID INT
372 RefMsgType STRING
373 SessionRejectReason INT
375 ContraBroker STRING
378 ExecRestatementReason INT
379 BusinessRejectRefID STRING
380 BusinessRejectReason INT
381 GrossTradeAmt AMT
382 NoContraBrokers NUMINGROUP
383 MaxMessageSize LENGTH
384 NoMsgTypes NUMINGROUP
385 MsgDirection CHAR
423 PriceType INT
424 DayOrderQty QTY
425 DayCumQty QTY
437 ContraTradeQty QTY
438 ContraTradeTime UTCTIMESTAMP
439 ClearingFirm STRING
440 ClearingAccount STRING
442 MultiLegReportingType CHAR
445 EncodedListStatusTextLen LENGTH
446 EncodedListStatusText DATA
447 PartyIDSource CHAR
448 PartyID STRING
452 PartyRole INT
453 NoPartyIDs NUMINGROUP
454 NoSecurityAltID NUMINGROUP
455 SecurityAltID STRING
456 SecurityAltIDSource STRING
460 Product INT
461 CFICode STRING
464 TestMessageIndicator BOOLEAN
466 BookingRefID STRING
467 IndividualAllocID STRING
479 CommCurrency CURRENCY
487 TradeReportTransType INT
518 NoContAmts NUMINGROUP
523 PartySubID STRING
524 NestedPartyID STRING
525 NestedPartyIDSource CHAR
526 SecondaryClOrdID STRING
527 SecondaryExecID STRING
528 OrderCapacity CHAR
529 OrderRestrictions MULTIPLEVALUESTRING
538 NestedPartyRole INT
539 NoNestedPartyIDs NUMINGROUP
541 MaturityDate LOCALMKTDATE
552 NoSides NUMINGROUP
553 Username STRING
554 Password STRING
555 NoLegs NUMINGROUP
570 PreviouslyReported BOOLEAN
571 TradeReportID STRING
572 TradeReportRefID STRING
573 MatchStatus CHAR
574 MatchType STRING
576 NoClearingInstructions NUMINGROUP
577 ClearingInstruction INT
581 AccountType INT
582 CustOrderCapacity INT
583 ClOrdLinkID STRING
600 LegSymbol STRING
618 EncodedLegIssuerLen LENGTH
619 EncodedLegIssuer DATA
621 EncodedLegSecurityDescLen LENGTH
622 EncodedLegSecurityDesc DATA
624 LegSide CHAR
626 AllocType INT
627 NoHops NUMINGROUP
628 HopCompID STRING
629 HopSendingTime UTCTIMESTAMP
630 HopRefID SEQNUM
664 ConfirmID STRING
665 ConfirmStatus INT
666 ConfirmTransType INT
668 DeliveryForm INT
702 NoPositions NUMINGROUP
703 PosType STRING
704 LongQty QTY
705 ShortQty QTY
706 PosQtyStatus INT
707 PosAmtType STRING
708 PosAmt AMT
710 PosReqID STRING
711 NoUnderlyings NUMINGROUP
715 ClearingBusinessDate LOCALMKTDATE
716 SettlSessID STRING
717 SettlSessSubID STRING
721 PosMaintRptID STRING
724 PosReqType INT
728 PosReqResult INT
730 SettlPrice PRICE
731 SettlPriceType INT
734 PriorSettlPrice PRICE
736 AllocSettlCurrency CURRENCY
737 AllocSettlCurrAmt AMT
742 AllocAccruedInterestAmt AMT
751 TradeReportRejectReason INT
753 NoPosAmt NUMINGROUP
755 AllocReportID STRING
756 NoNested2PartyIDs NUMINGROUP
757 Nested2PartyID STRING
758 Nested2PartyIDSource CHAR
759 Nested2PartyRole INT
768 NoTrdRegTimestamps NUMINGROUP
769 TrdRegTimestamp UTCTIMESTAMP
770 TrdRegTimestampType INT
772 ConfirmRefID STRING
773 ConfirmType INT
774 ConfirmRejReason INT
776 IndividualAllocRejCode INT
781 NoSettlPartyIDs NUMINGROUP
789 NextExpectedMsgSeqNum SEQNUM
793 SecondaryAllocID STRING
794 AllocReportType INT
795 AllocReportRefID STRING
802 NoPartySubIDs NUMINGROUP
803 PartySubIDType INT
818 SecondaryTradeReportID STRING
820 TradeLinkID STRING
828 TrdType INT
829 TrdSubType INT
854 QtyType INT
856 TradeReportType INT
857 AllocNoOrdersType INT
862 NoCapacities NUMINGROUP
863 OrderCapacityQty QTY
880 TrdMatchID STRING
891 MiscFeeBasis INT
939 TrdRptStatus INT
940 AffirmStatus INT
996 UnitOfMeasure STRING
1003 TradeID STRING
1009 SideLastQty QTY
1056 CalculatedCcyLastQty QTY
1057 AggressorIndicator BOOLEAN
1126 OrigTradeID STRING
1128 ApplVerID STRING
1129 CstmApplVerID STRING
1130 RefApplVerID STRING
1131 RefCstmApplVerID STRING
1137 DefaultApplVerID STRING
1194 ExerciseStyle INT
1300 MarketSegmentID STRING
1406 RefApplExtID INT
1407 DefaultApplExtID INT
1731 AvgPxGroupID STRING
1903 RegulatoryTradeID STRING
1906 RegulatoryTradeIDType INT
1907 NoRegulatoryTradeIDs NUMINGROUP
"""

_MESSAGE_TYPES = """
0=Heartbeat 1=TestRequest 2=ResendRequest 3=Reject 4=SequenceReset 5=Logout A=Logon 6=IOI 7=Advertisement
8=ExecutionReport 9=OrderCancelReject B=News C=Email D=NewOrderSingle E=NewOrderList F=OrderCancelRequest
G=OrderCancelReplaceRequest H=OrderStatusRequest J=AllocationInstruction K=ListCancelRequest
P=AllocationInstructionAck Q=DontKnowTrade R=QuoteRequest S=Quote V=MarketDataRequest
W=MarketDataSnapshotFullRefresh X=MarketDataIncrementalRefresh Z=QuoteCancel d=SecurityDefinition
h=TradingSessionStatus j=BusinessMessageReject n=XMLnonFIX r=OrderMassCancelReport AD=TradeCaptureReportRequest
AE=TradeCaptureReport AK=Confirmation AN=RequestForPositions AO=RequestForPositionsAck AP=PositionReport
AQ=TradeCaptureReportRequestAck AR=TradeCaptureReportAck AS=AllocationReport AT=AllocationReportAck
AU=ConfirmationAck AX=CollateralRequest BG=CollateralInquiryAck
"""


def _parse_tags(text: str) -> Mapping[int, Tag]:
    rows = (line.split() for line in text.strip().splitlines())
    return MappingProxyType({int(number): Tag(int(number), name, kind) for number, name, kind in rows})


TAGS: Mapping[int, Tag] = _parse_tags(_TAGS)
MESSAGE_TYPES: Mapping[str, str] = MappingProxyType(
    {kind: name for kind, _, name in (pair.partition("=") for pair in _MESSAGE_TYPES.split())}
)
SESSION_TYPES = frozenset({"0", "1", "2", "3", "4", "5", "A"})

# A data field's length travels in the field before it; signatures carry the data tag below the length tag.
DATA_FIELDS: Mapping[int, int] = MappingProxyType(
    {90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357, 358: 359, 360: 361,
     362: 363, 364: 365, 445: 446, 618: 619, 621: 622, 1184: 1185, 1397: 1398, 1401: 1402, 1525: 1527, 1664: 1665}
)  # fmt: skip


def tag_name(number: int) -> str:
    """The tag's name, or an empty string for one this table does not know (custom tags above all)."""
    tag = TAGS.get(number)
    return tag.name if tag else ""
