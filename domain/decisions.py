"""Decisions as facts: what people decided about matching, and the audit trail's entries and signed roots."""

from domain.fields import Kind, Table, columns

MATCH_DECISION = Table(
    "match_decision",
    Kind.FACT,
    columns("""
        decision_id str ! identity | the action it comes from
        kind str ! | FORCE belongs together, APART does not, FREE no longer decided
        record_id str ! identity | any version of the trade
        side str ! | L internal, R counterparty
        decided_at ts !
        execution str ! | the Match run that takes it up is logged under this name
    """),
)

AUDIT_ENTRY = Table(
    "audit_entry",
    Kind.FACT,
    columns("""
        seq int ! identity | 1, 2, 3 ... without a gap
        ts_utc ts !
        actor str !
        action str ! | break.assign, ticket.open, rules.use, auto.cure ...
        object str ! | what it was done to
        payload json ! | canonical JSON
        payload_sha256 str !
        prev_hash str ! | hash of the entry before, 64 zeros for the first
        hash str ! | SHA-256 over the canonical JSON of the other columns but the payload
    """),
)

AUDIT_ROOT = Table(
    "audit_root",
    Kind.FACT,
    columns("""
        size int ! identity | entries below it: 1 to this sequence number
        hour str ! | 2026-11-20T14Z, the hour it closes
        root str ! | Merkle root over the hashes of all these entries
        peaks json ! | roots of the perfect subtrees, to go on from
        signature str | Ed25519 over hour, size and root; empty where nothing can sign
        public_key str
        signed_at ts !
    """),
)
