"""The canonical trade record: one field table for every source, with the FIX tag each field comes from."""

from domain.fields import Kind, Table, columns

TRADE = Table(
    "trade_event",
    Kind.FACT,
    columns("""
        record_id str ! identity | derived: source, raw hash, row ordinal, kind
        message_id str ! identity | own contiguous number per session
        execution str ! audit | execution that stored it
        feed str ! identity | settings
        source_id str ! identity | session 49/56/50/57 or file
        source_role str ! identity | feed: INTERNAL, PB, EB, VENUE, CUSTODIAN
        level str ! identity | dialect: FILL, ORDER, BLOCK, ALLOCATION, CONFIRM
        trade_uid str ! key-L1 | 17 (8); 571, 1003 or 880 (AE); 70+467 (J, AS); 664 (AK)
        prev_uid str chain | 19 (8); 572, 1126 (AE); 72 (J, AS); 772 (AK)
        cross_uid str key-L1 | 527 or dialect tag: the counterparty's id of the same trade
        order_id str key-L2 | 37, 198
        client_order_id str key-L1 | 11, 41, 526
        block_id str key-L3 | 466, 66; 70
        alloc_id str key-L3 | 467
        uti str key-OTC | 1903 with 1906=0
        version int ! chain | derived
        status str ! chain | 150 F/G/H, 20 0/1/2/3, 487, 71, 666: NEW, CORRECT, CANCEL, REJECT, STATUS
        event_time_utc ts ! order | 60, else 769, else 52
        event_time_precision str ! order | d h m s ms us ns
        sent_time_utc ts audit | 52 (122 when 43=Y)
        recv_time_utc ts ! audit | stamped once, on append to the raw log
        trade_date date ! econ-hard | 75, else 60 in the market zone
        settle_date date econ-hard | 64, else from 63
        settle_type str info | 63
        side str ! econ-hard | 54 with 77
        position_effect str soft | 77
        qty qty ! econ-hard | 32, 80, 53
        qty_unit str normalise | 854, 996 or asset rule
        price price ! econ-tolerance | 31, 153, 366, 6
        price_scale int econ-tolerance | digits after the point as shown
        price_type str normalise | 423
        multiplier qty ! econ-hard | 231, else 1
        trade_ccy str ! econ-hard | 15, minor units folded
        settle_ccy str econ-hard | 120
        fx_rate rate econ-tolerance | 155, 156
        gross_money money econ-tolerance | 381, else qty x price x multiplier
        accrued_interest money econ-tolerance | 159
        commission money econ-tolerance | 12 with 13
        net_money money econ-tolerance | 118; 154 per allocation
        instrument_id str ! key | 48/22, 454, 55, 65
        symbol str evidence | 55
        isin str evidence | 48 with 22=4
        cusip str evidence | 48 with 22=1
        sedol str evidence | 48 with 22=2
        figi str evidence | 48 with 22=S
        asset_class str route | 167, 460, 461
        expiry date econ-hard | 541, 200/205
        strike price econ-hard | 202
        put_call str econ-hard | 201
        exercise_style str econ-hard | 1194
        maturity date econ-hard | 541
        coupon rate econ-hard | 223
        fixing_date date econ-hard | 541 (NDF)
        account_id str ! key | 1, 79 through the account map
        account_raw str evidence | 1, 79 as sent
        strategy str soft | agreed tag
        pb_id str econ-hard | 448 with 452=4 or 14; 439; the feed's party
        exec_broker_id str soft | 448 with 452=1; 76
        custodian_id str soft | 448 with 452=28
        venue_mic str soft | 30, 207
        capacity str soft | 528, 47, 29
        flags str audit | comma list such as I02_CHECKSUM,POSS_DUP
        ext json evidence | custom tags, tag -> value
        tz_source str audit | utc, dialect zone, feed default
        raw_sha256 str ! audit | hash of the raw message
        raw_start int audit | first byte of the row in the message
        raw_end int audit | byte after the row
        file str audit | file name for file feeds
        line int audit | line in that file, from 1
        event_key str ! identity | content identity: a repeat is a duplicate
    """),
)

TRADE_FEE = Table(
    "trade_fee",
    Kind.FACT,
    columns("""
        record_id str ! identity
        ordinal int !
        fee_type str | 139
        ccy str | 138
        amount money ! | 137
        basis str | 891
    """),
)

TRADE_IDENTIFIER = Table(
    "trade_identifier",
    Kind.FACT,
    columns("""
        record_id str ! identity
        id_source str ! | 22 or 456: 1 CUSIP 2 SEDOL 4 ISIN 5 RIC 8 exchange symbol A Bloomberg S FIGI
        id_value str ! | 48 or 455
    """),
)
