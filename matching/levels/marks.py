"""What levels remember of facts: refusals, records with a warning, whose copy a copy is, expected cash looked at."""

from domain.fields import Kind, Table, columns
from matching.levels import copies_scratch

MATCH_REFUSAL = Table(
    "match_refusal",
    Kind.DERIVED,
    columns("""
        record_id str ! identity | the refused record, or the answer that refuses
        pb str
        uid str | our id of what is refused
        own_uid str | the sender's id of what is refused
        order_id str
        client_order_id str
        account str
        instrument str
        symbol str
        side str
        qty qty
        price price
        multiplier qty
        ccy str
        trade_date date !
        settle_date date
        block str | trade date and instrument, where the refusal says so
        recv_at ts !
        reason str | as sent
        execution str !
    """),
)

MATCH_REFUSAL_PLACE = Table(
    "match_refusal_place",
    Kind.DERIVED,
    columns("""
        record_id str ! identity
        block str ! identity | where a refusal says that it belongs, or a trade of ours has been whose id it names
    """),
)

MATCH_MARK = Table(
    "match_mark",
    Kind.DERIVED,
    columns("""
        record_id str ! identity
        code str ! identity | I02, I03, I04
        component str ! | what is told together: a feed's day, an instrument, an account
        feed str !
        leg str !
        execution str !
    """),
)

MATCH_COPY = Table(
    "match_copy",
    Kind.DERIVED,
    columns("""
        copy_id str ! identity | an execution as a broker or venue tells it
        record_id str ! | ours that it is a copy of
        component str !
        source str ! | role and party of who tells it
        how str ! | id, apart, order, economics or near
    """),
)

MATCH_COPY_BLOCK = Table(
    "match_copy_block",
    Kind.DERIVED,
    columns("""
        left_component str ! identity | block of an execution of ours
        right_component str ! identity | another block, of a copy with its id
    """),
)

MATCH_EXPECTED = Table(
    "match_expected",
    Kind.DERIVED,
    columns("""
        entry_uid str ! identity | a row of expected_cash that was looked at
        valid_from date ! identity
    """),
)

MATCH_REFERENCE = Table(
    "match_reference",
    Kind.DERIVED,
    columns("""
        level str ! identity | who read it
        name str ! identity | a table of reference data
        n int ! | its rows then
    """),
)

TABLES = (
    MATCH_REFUSAL, MATCH_REFUSAL_PLACE, MATCH_MARK, MATCH_COPY, MATCH_COPY_BLOCK, MATCH_EXPECTED, MATCH_REFERENCE,
)  # fmt: skip

# Scratch of these levels.
SCRATCH = {
    "work_cutoff": "trade_date date, due_at timestamp_ntz(9)",
    "work_slot": "party varchar, trade_date date, component varchar, break_id varchar, due_at timestamp_ntz(9),"
    " silent boolean",
    "work_late": "feed varchar, contents varchar, role varchar, party varchar, day date, component varchar,"
    " break_id varchar, shown varchar, due_at timestamp_ntz(9), since timestamp_ntz(9)",
    "work_source": "feed varchar, role varchar, party varchar",
    "work_refused": "record_id varchar, break_id varchar, group_key varchar, kept boolean",
    "work_place_of": "record_id varchar, component varchar",
    **copies_scratch.SCRATCH,
}
