"""Which tag fills which canonical field, per family of messages: the only place that says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ingest.fix.decode import alt_id, nested_party, party

Columns = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Family:
    """Message types decoded alike: tags per canonical field in order of preference.

    `count_tag` counts the group whose entries are the rows; `own` names the fields that are looked up only inside a
    row, because the message level holds the block's total under the same tag. `message_tags` never belong to one row
    alone: where the only one stands behind the group, it counts for every row.
    """

    name: str
    types: frozenset[str]
    columns: Columns
    count_tag: int | None = None
    own: frozenset[str] = field(default_factory=frozenset)
    message_tags: frozenset[int] = field(default_factory=frozenset)


_COMMON: Columns = {
    "event_time": (60, 769, 52),
    "sending_time": (52,),
    "orig_sending_time": (122,),
    "trade_date": (75,),
    "settle_date": (64,),
    "settle_type": (63,),
    "side": (54,),
    "position_effect": (77,),
    "qty_type": (854,),
    "price_type": (423,),
    "multiplier": (231,),
    "trade_ccy": (15,),
    "settle_ccy": (120,),
    "fx_rate": (155,),
    "gross_money": (381,),
    "accrued_interest": (159,),
    "commission": (12,),
    "commission_type": (13,),
    "net_money": (118, 119),
    "uti": (1903,),
    "symbol": (55,),
    "symbol_suffix": (65,),
    "security_id": (48,),
    "security_id_source": (22,),
    "alt_isin": (alt_id("4"),),
    "alt_sedol": (alt_id("2"),),
    "alt_cusip": (alt_id("1"),),
    "alt_ric": (alt_id("5"),),
    "alt_figi": (alt_id("S"),),
    "security_type": (167,),
    "product": (460,),
    "cfi": (461,),
    "maturity_date": (541,),
    "maturity_month": (200,),
    "maturity_day": (205,),
    "strike": (202,),
    "put_call": (201,),
    "exercise_style": (1194,),
    "coupon": (223,),
    "country": (470, 421),
    "contra_qty": (1056,),
    "cum_qty": (14,),
    "avg_price": (6,),
    "strategy": (),
    "pb_party": (party(4), party(14), nested_party(4), nested_party(14), 439),
    "exec_broker_id": (party(1), nested_party(1), 76),
    "custodian_id": (party(28), nested_party(28)),
    "venue_mic": (30, 207),
    "capacity": (528, 47),
    "last_capacity": (29,),
    "account_raw": (1,),
    "order_id": (37, 198),
    "client_order_id": (11, 526),
    "cross_uid": (527,),
    "block_id": (),
    "alloc_id": (467,),
}

_MESSAGE_TAGS = frozenset(
    {15, 22, 31, 32, 43, 48, 52, 55, 60, 63, 64, 65, 75, 122, 155, 167, 200, 201, 202, 205, 223, 231, 423, 460, 461,
     541, 769, 854, 1194, 527, 818, *(alt_id(source) for source in "1245S")}
)  # fmt: skip

EXECUTION = Family(
    "EXECUTION",
    frozenset({"8"}),
    MappingProxyType(
        {
            **_COMMON,
            "trade_uid": (17,),
            "prev_uid": (19,),
            "block_id": (466, 66),
            "qty": (32,),
            "price": (31,),
            "account_raw": (1, 79),
        }
    ),
)
CAPTURE = Family(
    "CAPTURE",
    frozenset({"AE"}),
    MappingProxyType(
        {
            **_COMMON,
            "trade_uid": (571, 1003, 880),
            "prev_uid": (572, 1126),
            "cross_uid": (527, 818),
            "block_id": (1731, 820),
            "qty": (1009, 32),
            "price": (31,),
            "account_raw": (1, 79),
        }
    ),
    count_tag=552,
    message_tags=_MESSAGE_TAGS | {571, 572, 880, 1003, 1126},
)
ALLOCATION = Family(
    "ALLOCATION",
    frozenset({"J", "AS"}),
    MappingProxyType(
        {
            **_COMMON,
            "trade_uid": (70, 755),
            "prev_uid": (72, 795),
            "block_id": (70, 755),
            "alloc_id": (467,),
            "account_raw": (79,),
            "qty": (80,),
            "price": (153, 366, 6),
            "net_money": (154, 737),
            "accrued_interest": (742,),
            "gross_money": (),
            "settle_ccy": (736, 120),
            "pb_party": (nested_party(4), nested_party(14), party(4), party(14), 439),
        }
    ),
    count_tag=78,
    own=frozenset({"account_raw", "qty", "net_money", "commission", "commission_type", "accrued_interest", "alloc_id"}),
    message_tags=_MESSAGE_TAGS | {6, 11, 37, 54, 70, 72, 120, 755, 795},
)
CONFIRMATION = Family(
    "CONFIRMATION",
    frozenset({"AK"}),
    MappingProxyType(
        {
            **_COMMON,
            "trade_uid": (664,),
            "prev_uid": (772,),
            "block_id": (70,),
            "account_raw": (79, 1),
            "qty": (80,),
            "price": (6,),
        }
    ),
)
# The families whose rows are trades.
FAMILIES = (EXECUTION, CAPTURE, ALLOCATION, CONFIRMATION)

_ANSWER: Columns = {
    "event_time": (60, 52),
    "sending_time": (52,),
    "orig_sending_time": (122,),
    "client_order_id": (11,),
    "account_raw": (1, 79),
    "reason": (58, 161),
    "pb_party": (party(4), party(14), nested_party(4), nested_party(14), 439),
}
# What counterparties say of what was sent to them: subject, then the tags of id, status and reason.
ANSWERS: Mapping[str, tuple[str, Family]] = MappingProxyType(
    {
        name: (
            subject,
            Family(
                name,
                frozenset({name}),
                MappingProxyType({**_ANSWER, "trade_uid": uid, "code": code, "reason_code": reason}),
                count_tag=78 if name in ("P", "AT") else None,
                own=frozenset({"account_raw"}),
                message_tags=frozenset({11, 58, 60, 70, 87, 755}),
            ),
        )
        for name, subject, uid, code, reason in (
            ("AR", "TRADE", (571, 1003, 818), (939, 150), (751,)),
            ("Q", "TRADE", (17,), (), (127,)),
            ("P", "ALLOCATION", (70,), (87,), (776, 88)),
            ("AT", "ALLOCATION", (755, 70), (87,), (776, 88)),
            ("AU", "CONFIRMATION", (664,), (940,), (774,)),
            # Refused reports that hold no trade one could read.
            ("8", "ORDER", (17, 37, 11), (150, 39), (103,)),
            ("AE", "TRADE", (571, 1003, 818), (939, 150), (751,)),
            ("J", "ALLOCATION", (70,), (87,), (88,)),
            ("AS", "ALLOCATION", (755, 70), (87,), (88,)),
        )
    }
)
POSITION = Family(
    "POSITION",
    frozenset({"AP"}),
    MappingProxyType(
        {
            **_COMMON,
            "trade_uid": (721, 710),
            "trade_date": (715,),
            "position_type": (703,),
            "long_qty": (704,),
            "short_qty": (705,),
            "price": (730,),
            "settle_price_type": (731,),
            "session": (716,),
        }
    ),
    count_tag=702,
    own=frozenset({"position_type", "long_qty", "short_qty"}),
    message_tags=_MESSAGE_TAGS | {1, 715, 716, 721, 730, 731},
)
