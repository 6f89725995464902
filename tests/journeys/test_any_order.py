"""A simulated day with every kind of break, told in any order and any batches, ends with the same breaks and groups."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from app.feed_terms import feed_terms
from app.reconcile import given_by
from app.reconcile_match import Given, keep
from app.reconcile_rules import rule_set
from app.settings import load as load_settings
from ingest.normalise import Normalised
from matching.engine import match
from matching.rules import RuleSet
from simulator.profiles import PROFILES
from simulator.simulate import simulate
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

# Of a message told twice the first copy is kept: what its transport got wrong depends on which one that is.
TRANSPORT = "I02"
TOLD = ("break_id", "code", "left_value", "right_value", "delta", "exposure", "superseded_by", "explains")


def opened(folder: Path) -> tuple[DuckDbWarehouse, Given, RuleSet]:
    config = folder / "tieout.yaml"
    settings = load_settings(config)
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    return warehouse, given_by(settings, config, warehouse, None), rule_set(settings.rules, None)


def outcome(warehouse: DuckDbWarehouse) -> tuple[dict[str, Any], set[str]]:
    rows = warehouse.query(
        f"select {', '.join(TOLD)} from recon_break where state = 'OPEN' and code <> '{TRANSPORT}'"
    ).to_pylist()
    members = warehouse.query("""
        select m.group_id, listagg(m.side || ' ' || e.feed || ' ' || e.trade_uid || ' ' || e.account_id, ', ')
          within group (order by m.side, e.feed, e.trade_uid, e.account_id) as members
        from match_member m join trade_event e on e.record_id = m.record_id group by m.group_id
    """)["members"].to_pylist()
    return {row["break_id"]: tuple(row.values()) for row in rows}, set(members)


def parts(batch: Normalised, count: int, rng: random.Random) -> list[Normalised]:
    """The messages of trades dealt out at random; all others, and what they tell, come with the last part."""
    dealt: list[list[str]] = [[] for _ in range(count)]
    trades = set(batch.trades["message_id"].to_pylist())
    for message in batch.messages["message_id"].to_pylist():
        dealt[rng.randrange(count) if message in trades else -1].append(message)
    found = []
    for number, ids in enumerate(dealt):
        own = pa.array(ids, pa.string())
        of_message = {
            name: table.filter(pc.is_in(table["message_id"], own))
            for name, table in (
                ("trades", batch.trades),
                ("messages", batch.messages),
                ("quarantine", batch.quarantine),
            )
        }
        records = of_message["trades"]["record_id"].combine_chunks()
        of_record: Mapping[str, pa.Table] = {
            name: table.filter(pc.is_in(table["record_id"], records))
            for name, table in (("fees", batch.fees), ("identifiers", batch.identifiers))
        }
        facts = batch.facts if number == count - 1 else {}
        found.append(replace(batch, **of_message, **of_record, facts=facts))
    return found


def named(batch: Normalised, execution: str) -> Normalised:
    def rename(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("execution")
        return table if at < 0 else table.set_column(at, table.schema.field(at), pa.repeat(execution, table.num_rows))

    return replace(
        batch, trades=rename(batch.trades), messages=rename(batch.messages), quarantine=rename(batch.quarantine),
        facts={name: rename(table) for name, table in batch.facts.items()},
    )  # fmt: skip


def the_same_in_any_order(folder: Path, batches: int, seed: int) -> None:
    warehouse, given, rules = opened(folder)
    _, _, until_ns = keep(warehouse, given, rules, None)
    terms = feed_terms(given.feeds)
    match(warehouse, execution=given.execution, as_of=until_ns, rules=rules, feeds=terms)
    at_once = outcome(warehouse)
    assert len(at_once[0]) > 40

    warehouse, given, rules = opened(folder)
    first_ns = pc.min(given.batch.trades["recv_time_utc"].cast(pa.int64())).as_py()
    dealt = parts(given.batch, batches, random.Random(seed))
    for number, part in enumerate(dealt):
        last = number == batches - 1
        execution = f"part-{number:03d}"
        keep(
            warehouse,
            replace(
                given, batch=named(part, execution), execution=execution, manifest=given.manifest if last else None
            ),
            rules,
            None,
        )
        as_of_ns = until_ns if last else first_ns + (until_ns - first_ns) * number // batches
        match(warehouse, execution=execution, as_of=as_of_ns, rules=rules, feeds=terms)
    in_parts = outcome(warehouse)
    assert in_parts[0] == at_once[0]
    assert in_parts[1] == at_once[1]


def test_a_day_in_any_order_and_batches_ends_the_same(tmp_path: Path) -> None:
    simulate(replace(PROFILES["smoke"], fills=300), 5, date(2026, 11, 20), tmp_path / "day")
    the_same_in_any_order(tmp_path / "day", 3, 1)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_of_every_break_in_any_order_ends_the_same(tmp_path: Path, seed: int) -> None:
    simulate(replace(PROFILES["stress"], fills=12_000), seed, date(2026, 11, 20), tmp_path / "day")
    the_same_in_any_order(tmp_path / "day", 8, seed)
