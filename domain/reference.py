"""Effective-dated reference data: instruments, identifiers, accounts, calendars, rates, instructions."""

from domain.fields import Kind, Table, columns

INSTRUMENT = Table(
    "instrument",
    Kind.REFERENCE,
    columns("""
        instrument_id str ! identity
        name str
        asset_class str
        ccy str
        mic str
        multiplier qty
        price_unit str | MAJOR, MINOR, PERCENT
        valid_from date !
        valid_to date
        known_at ts | when it was learnt; empty: known all along
    """),
)

IDENTIFIER_HISTORY = Table(
    "identifier_history",
    Kind.REFERENCE,
    columns("""
        instrument_id str ! identity
        id_source str ! identity | 22
        id_value str ! identity | 48
        valid_from date !
        valid_to date
        known_at ts | when it was learnt; empty: known all along
    """),
)

ACCOUNT_MAP = Table(
    "account_map",
    Kind.REFERENCE,
    columns("""
        alias str ! identity | account as a party writes it
        party str ! identity | who writes it; * for everyone
        account_id str !
        fund str
        pb_id str
        custodian_id str
        valid_from date !
        valid_to date
        known_at ts | when it was learnt; empty: known all along
    """),
)

CORPORATE_ACTION = Table(
    "corporate_action",
    Kind.REFERENCE,
    columns("""
        action_id str ! identity
        instrument_id str !
        action_type str ! | SPLIT, DIVIDEND, COUPON, RENAME, MERGER
        ex_date date
        record_date date
        pay_date date
        ratio rate
        amount money
        ccy str
        new_instrument_id str
        valid_from date !
        known_at ts | when it was learnt; empty: known all along
    """),
)

SSI = Table(
    "ssi",
    Kind.REFERENCE,
    columns("""
        ssi_id str ! identity
        party str !
        account_id str !
        market str !
        place_of_settlement str
        agent str
        agent_account str
        valid_from date !
        valid_to date
        known_at ts | when it was learnt; empty: known all along
    """),
)

EXPECTED_CASH = Table(
    "expected_cash",
    Kind.REFERENCE,
    columns("""
        entry_uid str ! identity
        account_id str !
        ccy str !
        value_date date !
        entry_type str !
        amount money !
        instrument_id str
        valid_from date !
        known_at ts | when it was learnt; empty: known all along
    """),
)

FX_RATE = Table(
    "fx_rate",
    Kind.REFERENCE,
    columns("""
        from_ccy str ! identity
        to_ccy str ! identity
        rate rate !
        valid_from date !
        valid_to date
        known_at ts | when it was learnt; empty: known all along
    """),
)

CLOSE_PRICE = Table(
    "close_price",
    Kind.REFERENCE,
    columns("""
        instrument_id str ! identity
        price_date date ! identity
        price price !
        ccy str !
        price_source str identity
        valid_from date !
        known_at ts | when it was learnt; empty: known all along
    """),
)

CALENDAR_DAY = Table(
    "calendar_day",
    Kind.REFERENCE,
    columns("""
        calendar str ! identity | MIC or payment system: XNYS, XFED, XSIF
        day date !
        is_open bool !
        reason str
    """),
)

CALENDAR_OVERRIDE = Table(
    "calendar_override",
    Kind.REFERENCE,
    columns("""
        calendar str ! identity | as in calendar_day
        day date ! identity
        is_open bool !
        reason str
        source str | where it was announced
        who str | who entered it
        valid_from date !
        known_at ts | when it was learnt; empty: known all along
    """),
)
