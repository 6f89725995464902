"""Tables of this room's own: chain versions, links and blocks (derived), and the session's scratch tables."""

import re

from domain.derived import MATCH_GROUP, MATCH_SUGGESTION, RECON_BREAK
from domain.errors import PermanentError
from domain.fields import Kind, Table, columns
from domain.schema import TYPES, ddl
from matching import pairing
from matching.decided import MATCH_DECIDED
from matching.levels import marks
from warehouse.port import Warehouse

MATCH_VERSION = Table(
    "match_version",
    Kind.DERIVED,
    columns("""
        record_id str ! identity
        feed str !
        leg str ! | L internal, R prime broker
        uid str ! | identity inside the feed
        ref_uid str | identity of the version it refers to
        trade_date date !
        status str !
        version int !
        event_at ts !
        sent_at ts
        recv_at ts !
        own_block str ! | this version's trade date and instrument
        root_id str ! | feed, date and uid of the first version
        root_uid str ! | uid of the first version: what the other side knows the trade by
        is_tip bool ! | newest version of its chain
        held bool ! | its first version has not been seen
        terms_id str ! | the chain's newest version that is no cancellation: whose terms count
        block str ! | trade date and instrument of those terms
        alone bool ! | the only version of its chain
        level str !
        pb str | prime broker, of ours as the record names it
        account str
        direction str
        qty qty !
        cross_uid str | the counterparty's id it quotes
        alloc_id str | of a share of ours
        order_id str
        client_order_id str
        line str ! | instrument and direction
        due_at ts ! | end of the grace of the side it waits for
        terms str | digest of all terms that are compared; empty where they must be compared
        record_key int ! | hashes by which to look among many; they only block, the texts decide
        uid_key int ! | of feed and uid
        ref_key int | of feed and ref_uid
        pair_key int | of the id both sides of a duo know
    """),
)

MATCH_DUO = Table(
    "match_duo",
    Kind.DERIVED,
    columns("""
        uid str ! | our id, which the other side quotes
        pair_key int ! | its hash
        left_id str ! identity
        right_id str !
        left_at ts ! | when its records came: by which they are looked up among many
        right_at ts !
        component str ! | of its own: nothing else can change how they pair
        block str !
    """),
)

MATCH_LINK = Table(
    "match_link",
    Kind.DERIVED,
    columns("""
        record_id str ! identity
        leg str !
        met_key int ! | hash of an id both sides may know; its negative for a counterparty's record
        trade_date date !
        fit_key int ! | hash of instrument, direction and quantity: what must agree when the dates differ
        block_key int ! | hash of the block
    """),
)

MATCH_EDGE = Table(
    "match_edge",
    Kind.DERIVED,
    columns("""
        record_a str !
        record_b str !
        block_a str !
        block_b str !
    """),
)

MATCH_BLOCK = Table(
    "match_block",
    Kind.DERIVED,
    columns("""
        block str ! identity
        component str !
    """),
)


def key(text: str) -> str:
    """A 63-bit hash of a text expression, as SQL: what a whole column can be searched by."""
    return f"cast(bitand(hash({text}), 9223372036854775807) as bigint)"


def alike(one: str, other: str) -> str:
    """That two texts are equal, where a narrow column has found the rows already.

    Said so that no store makes it the key of the join: it would read the texts of all rows.
    """
    return f"case when {one} = {other} then 1 else 0 end = 1"


OWN_TABLES = (
    MATCH_VERSION, MATCH_DUO, MATCH_LINK, MATCH_EDGE, MATCH_BLOCK, MATCH_DECIDED, MATCH_SUGGESTION, *marks.TABLES,
)  # fmt: skip

# Derived tables of the shared schema that a rebuild wipes together with our own.
SHARED_TABLES = (
    "trade_state",
    "match_group",
    "match_member",
    "recon_break",
    "recon_break_member",
    "break_change",
    "break_acceptance",
    "timer",
)

_ITEM = """
    record_id varchar, component varchar, leg varchar, pb varchar, feed varchar, level varchar, root_id varchar,
    live boolean, uid varchar, cross_uid varchar, order_id varchar, client_order_id varchar, order_ref varchar,
    account varchar, instrument varchar, symbol varchar, side varchar, direction varchar, qty number(28, 10),
    price number(28, 12), half_unit number(28, 12), trade_date date, settle_date date, ccy varchar, settle_ccy varchar,
    commission number(28, 6), net number(28, 6), multiplier number(28, 10), small_qty number(19, 8),
    notional number(38, 12), event_at timestamp_ntz(9), event_precision varchar, recv_at timestamp_ntz(9),
    due_at timestamp_ntz(9), asset varchar, exec_broker varchar, uti varchar, coupon number(28, 12),
    fx_rate number(28, 12), gross number(28, 6), accrued number(28, 6), fees number(28, 6), fee_lines bigint,
    fee_totals bigint, fee_regulatory number(28, 6), fee_exchange number(28, 6), fee_tax number(28, 6),
    paid number(28, 6), principal number(28, 6), alone boolean
"""

_SIDE_FIELDS = (
    ("account", "varchar"),
    ("instrument", "varchar"),
    ("direction", "varchar"),
    ("side", "varchar"),
    ("trade_date", "date"),
    ("settle_date", "date"),
    ("ccy", "varchar"),
    ("settle_ccy", "varchar"),
    ("multiplier", "number(28, 10)"),
    ("exec_broker", "varchar"),
    ("uti", "varchar"),
    ("coupon", "number(28, 12)"),
    ("fx_rate", "number(28, 12)"),
)
SIDE_FIELDS = tuple(name for name, _ in _SIDE_FIELDS)


# What passes look at: the free records of one side.
FREE_COLUMNS = (
    "record_id", "component", "pb", "level", "uid", "cross_uid", "order_id", "client_order_id", "order_ref",
    "account",
    "instrument", "side", "direction", "qty", "price", "half_unit", "trade_date", "settle_date", "ccy", "settle_ccy",
    "commission", "small_qty", "notional", "event_at", "event_precision",
)  # fmt: skip


def _free(own: str) -> str:
    kinds = dict(part.strip().split(" ", 1) for part in re.split(r",(?![^(]*\))", _ITEM))
    return ", ".join(f"{name} {kinds[name]}" for name in FREE_COLUMNS) + f", twin bigint, {own} boolean, nr bigint"


_SIDE = (
    ", ".join(f"{name} {kind}, {name}_top {kind}" for name, kind in _SIDE_FIELDS)
    + ", n bigint, blocks bigint, qty number(38, 10), small_qty number(38, 8), price number(28, 12),"
    " price_top number(28, 12), half_unit number(28, 12), notional number(38, 12), commission number(38, 6),"
    " net number(38, 6), pb varchar, root_id varchar, order_key varchar, symbol varchar,"
    " due_at timestamp_ntz(9), asset varchar, gross number(38, 6), accrued number(38, 6), fees number(38, 6),"
    " fee_lines bigint, fee_totals bigint, fee_regulatory number(38, 6), fee_exchange number(38, 6),"
    " fee_tax number(38, 6), paid number(38, 6), principal number(38, 6)"
)
SIDE_COLUMNS = tuple(part.strip().split(" ")[0] for part in re.split(r",(?![^(]*\))", _SIDE))


# What has a difference and a tolerance, besides the quantity, which has none.
MEASURED = ("price", "money", "commission", "fees", "accrued", "fx_rate", "net", "residual")


def _comparison() -> str:
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", _SIDE)]
    return (
        "group_key varchar, group_id varchar, pass_id varchar, component varchar, level varchar, anchor varchar,"
        " profile varchar, value_ccy varchar, amount number(28, 6), d_qty number(38, 10), d_scaled bigint, "
        + ", ".join(
            f"{kind}_{name} number(38, {12 if name in {'price', 'fx_rate'} else 6})"
            for name in MEASURED
            for kind in ("d", "t")
        )
        + ", "
    ) + ", ".join(f"{leg}_{part}" for leg in ("l", "r") for part in parts)


_FINDING = """
    break_id varchar, level varchar, pb varchar, anchor varchar, family varchar, code varchar, due_at timestamp_ntz(9),
    instrument varchar, symbol varchar, account varchar, side varchar, trade_date date, settle_date date, ccy varchar,
    exposure number(28, 6), left_value varchar, right_value varchar, delta number(28, 6), rule_id varchar,
    pass_id varchar, group_id varchar, group_key varchar, component varchar, qty number(38, 10), price number(28, 12),
    severity bigint, explains varchar, detail varchar, profile varchar
"""


FINDING_COLUMNS = tuple(part.strip().split(" ")[0] for part in re.split(r",(?![^(]*\))", _FINDING))


_ORDER_SIDE = """
    group_key varchar, leg varchar, taken boolean, group_id varchar, component varchar, feed varchar, trade_date date,
    order_key varchar, account varchar, instrument varchar, symbol varchar, side varchar, settle_date date, ccy varchar,
    n bigint, qty number(38, 10), small_qty number(38, 8), price number(28, 12), half_unit number(28, 12),
    notional number(38, 12), multiplier number(28, 10), recv_at timestamp_ntz(9), due_at timestamp_ntz(9)
"""


def _like(table: Table) -> str:
    return ", ".join(f"{field.name} {TYPES[field.type].sql}" for field in table.fields)


# What one version says by itself, whatever its chain.
VERSION_COLUMNS = (
    "record_id", "feed", "leg", "uid", "ref_uid", "trade_date", "status", "version", "event_at", "sent_at", "recv_at",
    "own_block", "level", "pb", "account", "direction", "qty", "cross_uid", "alloc_id", "order_id", "client_order_id",
    "line", "due_at", "terms", "record_key", "uid_key", "ref_key", "pair_key",
)  # fmt: skip


def _some(table: Table, names: tuple[str, ...]) -> str:
    kinds = {field.name: TYPES[field.type].sql for field in table.fields}
    return ", ".join(f"{name} {kinds[name]}" for name in names)


_VERSION = _some(MATCH_VERSION, VERSION_COLUMNS)
_SCRATCH = {
    "work_execution": "execution varchar",
    "work_feed": "feed varchar, role varchar, party varchar, grace_seconds bigint, slotted boolean",
    "work_pass": "pass_id varchar, waits boolean, confidence number(28, 12)",
    "work_code": "code varchar, severity bigint, exception_type bigint, element_type bigint",
    "work_terms": "terms_key varchar",
    "work_version": _VERSION,
    "work_plain": _VERSION,
    "work_key": "pair_key bigint",
    "work_link": _like(MATCH_LINK),
    "work_near": "new_id varchar, old_id varchar",
    "work_gone": _like(MATCH_DUO),
    "work_duo": _like(MATCH_DUO) + ", pb varchar, right_level varchar, right_root varchar, quiet boolean",
    "work_lazy": "record_id varchar, leg varchar, component varchar",
    "work_twin": "record_id varchar, component varchar",
    "work_closing": "break_id varchar, record_id varchar, generation bigint, code varchar",
    "work_expected": "break_id varchar, record_id varchar, leg varchar, level varchar, anchor varchar, code varchar,"
    " due_at timestamp_ntz(9)",
    "work_quiet": "group_id varchar, left_id varchar, right_id varchar, pb varchar, level varchar, component varchar",
    "work_family": "root_id varchar",
    "work_place": "record_id varchar, node varchar, parent varchar, extra_step bigint",
    "work_root": "node varchar, root varchar, depth bigint",
    "work_block": "block varchar, component varchar",
    "work_touched": "block varchar",
    "work_line": "instrument_id varchar",
    "work_component": "component varchar",
    **marks.SCRATCH,
    "work_item": _ITEM,
    "work_ref": _ITEM,
    "work_member": "record_id varchar, leg varchar, group_key varchar, pass_id varchar, code varchar, other_id varchar",
    "work_l": _free("part"),
    "work_r": _free("whole"),
    "work_order": "record_id varchar, leg varchar, group_key varchar, taken boolean",
    "work_order_side": _ORDER_SIDE,
    "work_suggestion": "left_id varchar, right_id varchar, pass_id varchar, component varchar, kind varchar,"
    " score number(28, 12), evidence varchar",
    "work_pair": "left_id varchar, right_id varchar",
    **pairing.SCRATCH,
    "work_side": f"group_key varchar, leg varchar, pass_id varchar, component varchar, {_SIDE}",
    "work_comparison": _comparison(),
    "work_hit": "group_key varchar, rule_id varchar, family varchar, rank bigint",
    "work_finding": _FINDING,
    "work_rename": "break_id varchar, into_id varchar, code varchar, rule_id varchar",
    "work_split": "break_id varchar, into_id varchar",
    "work_renamed": _FINDING,
    "work_also": "record_id varchar, leg varchar, group_key varchar, pass_id varchar, code varchar, other_id varchar",
    "work_superseded": "break_id varchar, by_id varchar",
    "work_group": _like(MATCH_GROUP),
    "work_known": "break_id varchar",
    "work_was": _like(RECON_BREAK),
    "work_diff": _like(RECON_BREAK) + ", kind varchar, qty number(38, 10), price number(28, 12), differs boolean",
    "work_waits": "second timestamp_ntz(9), due_at timestamp_ntz(9)",
    "work_used": "records bigint",
}

# What feeds, codes and passes are called is the same for many runs.
LASTING_SCRATCH = ("work_feed", "work_code", "work_pass", "work_terms")
# Rows that were deleted are still read past, and counted when a join is planned: after so many records the scratch
# tables are made anew.
_MOST_USED_RECORDS = 25_000
_WORN = f"delete from work_used where (select sum(u.records) from work_used u) > {_MOST_USED_RECORDS}"
# What every run starts from without a row.
EMPTIED = frozenset(_SCRATCH) - {*LASTING_SCRATCH, "work_used"}


def prepare(warehouse: Warehouse) -> bool:
    """Create this room's tables where absent; outside a transaction, because Snowflake commits at DDL.

    Tables of another shape, of an earlier release, are made anew. Returns whether everything must be derived again.
    """
    try:
        # The last one's presence tells that all are there, for this session too.
        if warehouse.execute(_WORN):
            for name, body in _SCRATCH.items():
                if name not in LASTING_SCRATCH:
                    warehouse.execute(f"create or replace temporary table {name} ({body})")
    except PermanentError:
        _make(warehouse)
        for name, body in _SCRATCH.items():
            warehouse.execute(f"create temporary table if not exists {name} ({body})")
        return _lost(warehouse)
    return False


def _make(warehouse: Warehouse) -> None:
    """Create the tables that last where absent, and anew where their shape is another."""
    for table in OWN_TABLES:
        warehouse.execute(ddl(table))
    old = [table for table in OWN_TABLES if not _fits(warehouse, table)]
    if old:
        # Before any is made anew: who dies in between finds nothing the next time, and derives everything again.
        _forget(warehouse)
    for table in old:
        warehouse.execute(f"drop table {table.name}")
        warehouse.execute(ddl(table))


def _fits(warehouse: Warehouse, table: Table) -> bool:
    try:
        warehouse.query(f"select {', '.join(table.columns)} from {table.name} limit 1")
    except PermanentError:
        return False
    return True


def _forget(warehouse: Warehouse) -> None:
    for table in OWN_TABLES:
        warehouse.execute(f"delete from {table.name}")


def _lost(warehouse: Warehouse) -> bool:
    """Whether what was derived before is gone, or was filed under hashes that the store computes otherwise by now."""
    kept = warehouse.query(f"select record_key = {key('record_id')} as same from match_version limit 1")
    if kept.num_rows and not kept["same"][0].as_py():
        _forget(warehouse)
        return True
    return not kept.num_rows and warehouse.query("select 1 as found from trade_state limit 1").num_rows > 0


def note_used(warehouse: Warehouse, records: int) -> None:
    """Count what a run put through the scratch tables."""
    warehouse.execute("insert into work_used values (cast(:records as bigint))", {"records": records})
