"""Every other fact: raw messages, quarantine, snapshots, statuses, decisions."""

from domain.fields import Kind, Table, columns

RAW_MESSAGE = Table(
    "raw_message",
    Kind.FACT,
    columns("""
        message_id str ! identity | session:number
        lane str !
        session str !
        number int ! | own contiguous number, not MsgSeqNum(34)
        feed str !
        recv_ts ts !
        sha256 str !
        length int !
        msg_type str | 35
        outcome str ! | SESSION DUPLICATE FACT QUARANTINE IGNORED
        raw bytes !
        execution str !
    """),
)

QUARANTINE = Table(
    "quarantine",
    Kind.FACT,
    columns("""
        quarantine_id str ! identity
        message_id str !
        feed str !
        recv_ts ts !
        code str ! | I01, I02, I07 ...
        reason str ! | slug, e.g. missing_required_field
        detail str ! | one clear sentence
        raw bytes !
        execution str !
        dialect str | read by
        dialect_version str | its content's version
        file str | of a file feed
        line int | in that file, from 1
    """),
)

QUARANTINE_RETRY = Table(
    "quarantine_retry",
    Kind.FACT,
    columns("""
        quarantine_id str ! identity
        message_id str !
        healed bool ! | read without a problem this time
        outcome str ! | FACT, DUPLICATE, SESSION, IGNORED; QUARANTINE when refused again
        reason str | why it was refused again
        detail str
        dialect str
        dialect_version str
        retried_at ts !
        execution str ! identity
    """),
)

POSITION_SNAPSHOT = Table(
    "position_snapshot",
    Kind.FACT,
    columns("""
        record_id str ! identity
        feed str !
        source_role str !
        as_of_date date ! | 715
        snapshot_type str ! | SOD, EOD, INTRADAY
        account_id str ! | 1
        instrument_id str ! | 48/22
        long_qty qty | 704
        short_qty qty | 705
        basis str | TRADE_DATE, SETTLE_DATE
        price price | 730
        price_ccy str | 15
        market_value money | 708
        pb_id str
        recv_time_utc ts !
        raw_sha256 str !
        file str
        line int
        execution str !
        flags str | comma list such as I03_ID_UNKNOWN,I04_ACCOUNT
    """),
)

CASH_ENTRY = Table(
    "cash_entry",
    Kind.FACT,
    columns("""
        record_id str ! identity
        feed str !
        source_role str !
        entry_uid str !
        entry_type str ! | BALANCE, TRADE, DIVIDEND, COUPON, INTEREST, MARGIN, WIRE, FEE
        value_date date !
        account_id str !
        ccy str !
        amount money ! | + receive
        reference str
        instrument_id str
        pb_id str
        recv_time_utc ts !
        raw_sha256 str !
        file str
        line int
        execution str !
        flags str | comma list such as I03_ID_UNKNOWN,I04_ACCOUNT
    """),
)

BOOK_NAMED = Table(
    "book_named",
    Kind.FACT,
    columns("""
        record_id str ! identity | position or cash entry under the name it has by now
        replaces str ! | the one that named a stranger
        named_at ts ! | when its name was known
        execution str !
    """),
)

SETTLEMENT_STATUS = Table(
    "settlement_status",
    Kind.FACT,
    columns("""
        record_id str ! identity
        feed str !
        source_role str !
        trade_uid str !
        settle_status str ! | PENDING, SETTLED, PARTIAL, FAILED, CANCELLED
        reason_code str
        settle_date date
        settled_qty qty
        remaining_qty qty
        place_of_settlement str
        ssi_id str
        pb_id str
        event_time_utc ts !
        recv_time_utc ts !
        raw_sha256 str !
        file str
        line int
        execution str !
    """),
)

AFFIRMATION = Table(
    "affirmation",
    Kind.FACT,
    columns("""
        record_id str ! identity
        feed str !
        source_role str !
        confirm_id str ! | 664
        trade_uid str
        affirm_status str ! | 940
        event_time_utc ts ! | 60
        recv_time_utc ts !
        pb_id str
        raw_sha256 str !
        execution str !
    """),
)

ACKNOWLEDGEMENT = Table(
    "acknowledgement",
    Kind.FACT,
    columns("""
        record_id str ! identity
        feed str !
        source_role str !
        msg_type str ! | AR, P, AT, AU, Q; 8, AE, J, AS for a refusal that is no readable trade
        subject str ! | TRADE, ALLOCATION, CONFIRMATION, ORDER
        trade_uid str ! | what is answered: 571 or 1003, 70, 755, 664, 17
        client_order_id str | 11
        account_id str | 1, 79
        account_raw str | as sent
        status str ! | RECEIVED, PENDING, ACCEPTED, REJECTED, CANCELLED
        code str | the status as sent: 939, 87, 940, 150
        reason_code str | 751, 88 or 776, 774, 127, 103
        reason str | 58, 161
        event_time_utc ts ! | 60, else 52
        recv_time_utc ts !
        pb_id str
        raw_sha256 str !
        execution str !
    """),
)

FILE_MANIFEST = Table(
    "file_manifest",
    Kind.FACT,
    columns("""
        file_id str ! identity | sha256 of the file
        feed str !
        name str !
        size int !
        row_count int !
        business_date date
        slot str
        status str ! | LOADED, EMPTY, LATE, STOPPED, REPEATED
        detail str
        recv_time_utc ts !
    """),
)

ACTION = Table(
    "action",
    Kind.FACT,
    columns("""
        action_id str ! identity
        break_id str !
        actor str !
        kind str ! | assign, comment, resolve ...; approve, reject, withdraw answer a proposal
        reason str
        assignee str | for assign
        change_id str | the break's latest change when the person acted
        payload json
        acted_at ts !
        principal str | user or service
        generation int | the break's, when the person acted
        needs_approval bool | a proposal: it counts once another person approved it
        target_id str | the proposal an approve, reject or withdraw answers
        until_at ts | for suppress
        party str | for wait: PB, EB or INTERNAL
        before json | code, state and values when the person acted
    """),
)

EXECUTION_LOG = Table(
    "execution_log",
    Kind.FACT,
    columns("""
        execution str ! identity
        kind str ! | batch, sweep
        lane str
        first_number int
        last_number int
        count int !
        as_of ts !
        seq int ! | order of the Match runs
    """),
)

BREAK_LATENCY = Table(
    "break_latency",
    Kind.FACT,
    columns("""
        change_id str ! identity
        received_ts ts ! | arrival of the last member
        committed_ts ts ! | commit of the Match that opened it
    """),
)

PARKED_BATCH = Table(
    "parked_batch",
    Kind.FACT,
    columns("""
        execution str ! identity
        count int ! identity | times this execution was parked before
        error str !
        cause str
        as_of ts !
    """),
)

TABLE_READ = Table(
    "table_read",
    Kind.FACT,
    columns("""
        execution str ! identity
        feed str ! identity
        name str ! | the table or view
        after_mark str | watermark from which on was read
        until_mark str | newest watermark read; the next reading starts there
        window_rows int ! | rows between the two, read again or new
        new_rows int !
        read_at ts !
    """),
)

SEQUENCE_GAP = Table(
    "sequence_gap",
    Kind.FACT,
    columns("""
        record_id str ! identity
        feed str !
        sender str ! | SenderCompID(49) of the log
        gap_first int ! | first MsgSeqNum(34) that never came
        gap_last int !
        seen_at ts ! | when a later number came
        file str
        line int | of the message after the gap
        recv_time_utc ts !
        execution str !
    """),
)

SESSION_STATE = Table(
    "session_state",
    Kind.FACT,
    columns("""
        record_id str ! identity
        feed str !
        session str !
        kind str ! | ABSENT: not there inside its hours; PRESENT: back; FILLED, LOST: what became of a gap
        since ts ! | when the absence began, or the gap was seen
        seen_at ts ! | when this was seen
        gap_id str | record_id of the gap it is about
        recv_time_utc ts !
        execution str !
    """),
)

DAY_CLOSE = Table(
    "day_close",
    Kind.FACT,
    columns("""
        close_id str ! identity
        market str ! | calendar
        day date !
        actor str ! | who signed
        principal str
        reason str
        proof json ! | the numbers that were signed
        closed_at ts !
        as_of ts ! | what was known then
    """),
)

ALERT = Table(
    "alert",
    Kind.FACT,
    columns("""
        alert_id str ! identity
        alert_key str ! | what it is about; raised and cleared by the same key
        kind str ! | completeness, proof
        severity str !
        state str ! | RAISED, CLEARED
        subject str ! | a feed; empty for the installation
        detail str !
        noted_at ts !
    """),
)

NOTIFICATION = Table(
    "notification",
    Kind.FACT,
    columns("""
        notification_id str ! identity
        notice_key str ! | what it is about; told when it begins and when it is over
        state str ! | RAISED, CLEARED
        outcome str ! | SENT, FAILED
        words str ! | as sent; no trade data
        noted_at ts !
    """),
)

PROOF_RUN = Table(
    "proof_run",
    Kind.FACT,
    columns("""
        proof_id str ! identity
        as_of ts ! | the newest Match run's time: the state that was proved
        seq int ! | that run
        rule_set_hash str !
        facts int ! | trades derived again in one batch
        breaks int ! | open and expected, as they stand
        groups int !
        differences int !
        detail str | what differs, a few of each kind
        took_ms int !
        ran_at ts !
    """),
)

MATCH_TERMS = Table(
    "match_terms",
    Kind.FACT,
    columns("""
        terms_id str ! identity
        rule_set_hash str !
        rules json ! | the whole rule set, canonical: its hash is above
        feeds json ! | what matching knew of each feed: role, party, grace, slots
        after_seq int ! | the newest Match run then; later ones go by these terms
        rebuilt bool ! | whether everything until then was derived again under them
        noted_at ts !
    """),
)
