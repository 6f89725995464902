"""`tieout reconcile --as-known-at`: what was received later is left out, of every kind."""

from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from app.as_known_files import known_files, only_known
from app.reconcile import ReconcileOptions, reconcile
from app.reconcile_inputs import ReconcileError
from ingest.normalise import Normalised

EXAMPLES = Path(__file__).parents[2] / "examples"
NOON = "2026-11-20T16:00:00Z"


def report(**times: str) -> dict[str, object]:
    found = reconcile(
        ReconcileOptions((EXAMPLES / "fund.fix",), (f"NORTHGATE={EXAMPLES / 'northgate.csv'}",), **times)  # type: ignore[arg-type]
    )
    return {"as_of": found.summary["as_of"], "breaks": [(b["code"], b["headline"]) for b in found.breaks],
            "notes": found.summary["notes"]}  # fmt: skip


def test_the_state_is_as_of_then_unless_told_otherwise() -> None:
    known, limited = report(as_known_at=NOON), report(as_of=NOON)
    assert known["as_of"] == NOON and known["breaks"] == limited["breaks"]
    assert any("after --as-known-at and left out" in str(note) for note in known["notes"])  # type: ignore[attr-defined]
    later = report(as_known_at=NOON, as_of="2026-11-22T00:00:00Z")
    assert later["as_of"] == "2026-11-22T00:00:00Z"
    assert len(later["breaks"]) >= len(known["breaks"])  # type: ignore[arg-type]


def rows(column: str, *told: tuple[str, int]) -> pa.Table:
    times = pa.array([at for _, at in told], pa.int64()).cast(pa.timestamp("ns"))
    return pa.table({"message_id": pa.array([name for name, _ in told]), column: times})


def batch() -> Normalised:
    """Message 1 tells a trade at 10, 2 one at 30; 3 a position at 30; 4 was refused at 30; 5 is session-level."""
    messages = pa.table({"message_id": list("12345"), "outcome": ["FACT", "FACT", "FACT", "QUARANTINE", "SESSION"]})
    return Normalised(
        rows("recv_time_utc", ("1", 10), ("2", 30)), pa.table({}), pa.table({}), messages, rows("recv_ts", ("4", 30)),
        {"position_snapshot": rows("recv_time_utc", ("3", 30)), "instrument": pa.table({"message_id": ["1"]})},
    )  # fmt: skip


def test_trades_books_and_refusals_alike_are_left_out_and_reference_data_stays() -> None:
    known, told = only_known(batch(), 20)
    assert [known.trades.num_rows, known.quarantine.num_rows] == [1, 0]
    assert {name: table.num_rows for name, table in known.facts.items()} == {"position_snapshot": 0, "instrument": 1}
    assert known.messages["outcome"].to_pylist() == ["FACT", "IGNORED", "IGNORED", "IGNORED", "SESSION"]
    assert told == ["3 rows were received after --as-known-at and left out"]
    assert only_known(batch(), 30)[1] == [] and only_known(batch(), None)[1] == []
    with pytest.raises(ReconcileError, match="every trade in the files was received later"):
        only_known(batch(), 5)


def test_files_that_came_later_are_not_in_the_manifest() -> None:
    manifest = rows("recv_time_utc", ("early", 10), ("late", 30))
    found = known_files(manifest, 20)
    assert found is not None and found["message_id"].to_pylist() == ["early"]
    assert known_files(manifest, None) is manifest and known_files(None, 20) is None


def test_reference_files_count_from_when_they_were_received(tmp_path: Path) -> None:
    """Positions come at 16:30 in New York, the account map of the day at 18:00."""
    feeds = []
    for name, role, dialect, contents, at in (
        ("ours", "INTERNAL", "csv_positions", "positions", "16:30"),
        ("beta", "PB", "csv_positions", "positions", "16:30"),
        ("accounts", "INTERNAL", "csv_account_map", "reference", "18:00"),
    ):  # fmt: skip
        slot = {"name": "evening", "at": at, "zone": "America/New_York"}
        feeds.append({"name": name, "role": role, "party": "FUND" if role == "INTERNAL" else "BETA", "dialect": dialect,
                      "contents": contents, "path_glob": f"{name}.csv", "slots": [slot]})  # fmt: skip
    header = "As Of Date,Account,ISIN,Long Quantity,Currency\n"
    (tmp_path / "ours.csv").write_text(header + "2026-11-20,FUND-1,US0378331005,100,USD\n")
    (tmp_path / "beta.csv").write_text(header + "2026-11-20,B-1,US0378331005,90,USD\n")
    (tmp_path / "accounts.csv").write_text(
        "alias,party,account_id,pb_id,valid_from\nB-1,BETA,FUND-1,BETA,2026-11-20\nFUND-1,FUND,FUND-1,BETA,2026-11-20\n"
    )
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump({"feeds": feeds}))

    def accounts(known: str) -> set[tuple[str, str]]:
        options = ReconcileOptions((), (), config=tmp_path / "tieout.yaml", as_known_at=known)
        found = reconcile(options)
        return {(b["code"], b["account_id"]) for b in found.breaks if b["code"] == "P01"}

    assert accounts("2026-11-20T22:30:00Z") == set(), "nobody said whose account B-1 is, nor where ours is held"
    assert accounts("2026-11-20T23:30:00Z") == {("P01", "FUND-1")}
