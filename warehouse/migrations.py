"""Migrations: numbered steps, each applied once and recorded; running them again changes nothing."""

from collections.abc import Callable

import pyarrow as pa

from domain.fields import Kind
from domain.schema import TABLES, ddl
from warehouse.port import Warehouse
from warehouse.views import VIEWS

_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL, name VARCHAR NOT NULL)"


def _create_tables(warehouse: Warehouse) -> None:
    for table in TABLES.values():
        warehouse.execute(ddl(table))


def _quarantine_place(warehouse: Warehouse) -> None:
    """Dialect and place of a quarantined message; what became of it when it was read again."""
    _create_tables(warehouse)
    for column, kind in (
        ("dialect", "VARCHAR"),
        ("dialect_version", "VARCHAR"),
        ("file", "VARCHAR"),
        ("line", "BIGINT"),
    ):
        warehouse.execute(f"ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS {column} {kind}")


def _flags_of_books(warehouse: Warehouse) -> None:
    """What was odd about a position or a cash entry, as trades have it."""
    _create_tables(warehouse)
    for table in ("position_snapshot", "cash_entry"):
        warehouse.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS flags VARCHAR")


def _decisions(warehouse: Warehouse) -> None:
    """Proposals and approvals, decisions about matching, the audit trail."""
    _create_tables(warehouse)
    for column, kind in (
        ("principal", "VARCHAR"),
        ("generation", "BIGINT"),
        ("needs_approval", "BOOLEAN"),
        ("target_id", "VARCHAR"),
        ("until_at", "TIMESTAMP_NTZ(9)"),
        ("party", "VARCHAR"),
        ("before", "VARCHAR"),
    ):
        warehouse.execute(f"ALTER TABLE action ADD COLUMN IF NOT EXISTS {column} {kind}")


def _judgement_of_breaks(warehouse: Warehouse) -> None:
    """What else a rule saw, the tolerance profile and FIX's exception codes; what was accepted without a person."""
    _create_tables(warehouse)
    for column, kind in (
        ("detail", "VARCHAR"),
        ("profile", "VARCHAR"),
        ("exception_type", "BIGINT"),
        ("element_type", "BIGINT"),
    ):
        warehouse.execute(f"ALTER TABLE recon_break ADD COLUMN IF NOT EXISTS {column} {kind}")


def _manifest_row_count(warehouse: Warehouse) -> None:
    """`rows` is a word Snowflake reserves."""
    if "rows" in warehouse.query("SELECT * FROM file_manifest WHERE 1 = 0").column_names:
        warehouse.execute('ALTER TABLE file_manifest RENAME COLUMN "rows" TO row_count')


def _reference_learnt(warehouse: Warehouse) -> None:
    """When a row of reference data came to be known; what is there already was known all along."""
    _create_tables(warehouse)
    for table in TABLES.values():
        if table.kind is Kind.REFERENCE and "known_at" in table.columns:
            warehouse.execute(f"ALTER TABLE {table.name} ADD COLUMN IF NOT EXISTS known_at TIMESTAMP_NTZ(9)")


MIGRATIONS: tuple[tuple[str, Callable[[Warehouse], None]], ...] = (
    ("tables", _create_tables),
    ("quarantine place", _quarantine_place),
    ("acknowledgement", _create_tables),
    ("calendar overrides", _create_tables),
    ("flags of books", _flags_of_books),
    ("decisions", _decisions),
    ("sequence gaps, closed days", _create_tables),
    ("alerts", _create_tables),
    ("judgement of breaks", _judgement_of_breaks),
    ("table reads", _create_tables),
    ("manifest row count", _manifest_row_count),
    ("proof runs", _create_tables),
    ("suggestions", _create_tables),
    ("session states", _create_tables),
    ("tickets seen", _create_tables),
    ("notifications", _create_tables),
    ("match terms", _create_tables),
    ("reference learnt", _reference_learnt),
    ("books named", _create_tables),
)


def migrate(warehouse: Warehouse) -> int:
    """Bring the warehouse to the newest schema; returns its version. Views are always replaced."""
    warehouse.execute(_VERSIONS)
    current = warehouse.query("SELECT coalesce(max(version), 0) AS version FROM schema_version")["version"][0].as_py()
    made = False
    for version, (name, step) in enumerate(MIGRATIONS, start=1):
        if version > current:
            # A step that only makes what is absent has nothing to do where one like it just ran.
            if step is not _create_tables or not made:
                step(warehouse)
            made = made or step is _create_tables
            warehouse.append("schema_version", pa.table({"version": [version], "name": [name]}))
    for view in VIEWS:
        warehouse.execute(view)
    return len(MIGRATIONS)
