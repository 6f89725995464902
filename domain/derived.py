"""Derived tables: everything that can be rebuilt from facts, reference data and the rule version."""

from domain.fields import Kind, Table, columns

TRADE_STATE = Table(
    "trade_state",
    Kind.DERIVED,
    columns("""
        record_id str ! identity
        root_id str ! | first version of the chain
        feed str !
        is_live bool !
        held bool | refers to a version not seen yet
        component str | connected component it is matched in
    """),
)

MATCH_GROUP = Table(
    "match_group",
    Kind.DERIVED,
    columns("""
        group_id str ! identity
        level str !
        pb_id str
        pass_id str !
        rule_set_hash str !
        cardinality str ! | 1:1, n:1, 1:n, n:m
        confidence rate
        residual money
        interchangeable bool
        component str !
        as_of ts !
    """),
)

MATCH_MEMBER = Table(
    "match_member",
    Kind.DERIVED,
    columns("""
        group_id str ! identity
        side str ! | L internal, R counterparty
        record_id str !
    """),
)

MATCH_SUGGESTION = Table(
    "match_suggestion",
    Kind.DERIVED,
    columns("""
        suggestion_id str ! identity
        component str !
        pass_id str !
        rule_set_hash str !
        left_id str !
        right_id str !
        kind str ! | score, or ambiguous: a pass found several that fit
        score rate | log2 of the odds the evidence gives; empty for ambiguous
        evidence json ! | field, how it compares, weight
    """),
)

RECON_BREAK = Table(
    "recon_break",
    Kind.DERIVED,
    columns("""
        break_id str ! identity
        generation int !
        level str !
        pb_id str
        anchor str !
        field_family str !
        code str !
        severity int !
        state str ! | EXPECTED, OPEN, CURED
        first_seen ts !
        opened_at ts
        changed_at ts !
        cured_at ts
        due_at ts | end of grace
        deadline_at ts
        instrument_id str
        symbol str
        account_id str
        side str
        trade_date date
        settle_date date
        ccy str
        exposure money | empty = unknown
        exposure_base money | empty = unknown
        left_value str
        right_value str
        delta money
        headline str
        next_step str
        rule_id str
        rule_set_hash str !
        pass_id str
        group_id str
        component str !
        superseded_by str
        explains str | ids of the breaks this one follows from
        detail str | what else the rule saw: a fee's type, a term's name, the asset class
        profile str | tolerance profile that judged
        exception_type int | MatchExceptionType(2773)
        element_type int | MatchExceptionElementType(2774)
    """),
)

RECON_BREAK_MEMBER = Table(
    "recon_break_member",
    Kind.DERIVED,
    columns("""
        break_id str ! identity
        side str !
        record_id str !
    """),
)

BREAK_ACCEPTANCE = Table(
    "break_acceptance",
    Kind.DERIVED,
    columns("""
        break_id str ! identity
        generation int ! identity
        code str !
        pb_id str !
        trade_date date !
        amount_base money ! | what was accepted, in base currency
        limit_base money ! | the most one break may be
        cap_base money ! | the most of one prime broker's trade date
        running_base money ! | accepted of that prime broker and date, this one included
        profile str
        rule_set_hash str !
        reason str !
        accepted_as_of ts !
        execution str !
    """),
)

BREAK_CHANGE = Table(
    "break_change",
    Kind.DERIVED,
    columns("""
        change_id str ! identity
        break_id str !
        generation int !
        kind str ! | EXPECTED CLEARED OPENED CHANGED CURED REOPENED
        as_of ts !
        code str !
        severity int !
        before json
        after json
        execution str !
    """),
)

BREAK_SCORE = Table(
    "break_score",
    Kind.DERIVED,
    columns("""
        change_id str ! identity
        break_id str !
        score rate
        p_value rate
        reasons json
        model_version str
        execution str !
    """),
)

TIMER = Table(
    "timer",
    Kind.DERIVED,
    columns("""
        timer_key str ! identity
        due_at ts !
        kind str ! | grace, deadline
        execution str
    """),
)
