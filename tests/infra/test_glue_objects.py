"""Objects of a landing zone as rows of a lake, without Spark: whose they are, and nothing lost on the way and back."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from app.reconcile_folder import read_object
from app.settings import load
from infra.glue.objects import (
    LAKE,
    WIDE,
    Knowledge,
    LandingError,
    claims,
    normalised_of,
    read,
    read_reference,
    split,
    told,
)
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from simulator.profiles import PROFILES
from simulator.simulate import simulate

SEEN_NS = 1_763_700_000_123_456_789
FRIDAY = date(2026, 11, 20)


def feed(name: str, glob: str, **other: object) -> Feed:
    return Feed.model_validate({"name": name, "role": "PB", "party": name, "path_glob": glob} | other)


def know(*feeds: Feed) -> Knowledge:
    return Knowledge({feed.name: told(feed) for feed in feeds}, dict(load_dialects(None)), {})


@pytest.mark.parametrize(
    "glob", ["a/*.fix", "a/x?.fix", "**/*.fix", "a/**/x1.fix", "*/[xy]1.*", "a/x1.fix", "./a/x1.fix", "*", "a/[!x]*"]
)  # fmt: skip
def test_an_object_is_claimed_as_a_file_is_found(glob: str, tmp_path: Path) -> None:
    for name in ("a/x1.fix", "a/x12.fix", "a/b/x1.fix", "x1.fix", "a/y1.csv", "b/a/x1.fix", "a/a.b(c)+1.fix"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(glob) if path.is_file()}
    assert set(claims(names, [feed("ALPHA", glob)])) == found


def test_an_object_of_two_feeds_is_refused() -> None:
    with pytest.raises(LandingError, match="'ALPHA' and 'BRAVO': path_glob: both claim a/x"):
        claims(["a/x.fix", "b/y.fix"], [feed("ALPHA", "*/x.fix"), feed("BRAVO", "a/*")])


def test_every_kind_of_object_comes_back_as_it_was_read(tmp_path: Path) -> None:
    made = tmp_path / "made"
    simulate(replace(PROFILES["smoke"], fills=60, pbs="ACD"), 11, FRIDAY, made)
    settings = load(made / "tieout.yaml")
    knowledge = know(*settings.feeds)
    reference = knowledge.reference()
    kinds = set()
    names = [path.relative_to(made).as_posix() for path in sorted(made.rglob("*")) if path.is_file()]
    for name, of in claims(names, settings.feeds).items():
        how, data = knowledge.feeds[of], (made / name).read_bytes()
        lake = read(knowledge, reference, of, name, data, SEEN_NS)
        wide = pa.Table.from_batches(list(lake.batches()), WIDE)
        back, manifest = normalised_of(split(wide))
        there, noted = read_object(how.feed, name, data, how.mapping, reference, how.dialect)
        assert manifest.equals(noted)
        assert back.trades.equals(there.trades.cast(back.trades.schema))
        for kind, rows in there.facts.items():
            assert not rows.num_rows or back.facts[kind].select(rows.column_names).equals(
                rows.cast(back.facts[kind].select(rows.column_names).schema)
            )
        assert sorted(map(repr, back.fees.to_pylist())) == sorted(map(repr, there.fees.to_pylist()))
        assert back.messages["sha256"].to_pylist() == there.messages["sha256"].to_pylist()
        assert 0 not in back.messages["recv_ts"].cast(pa.int64()).to_pylist()
        kinds |= set(pa.compute.unique(wide["kind"]).to_pylist())
    assert {"raw_message", "trade_event", "trade_fee", "position_snapshot", "file_manifest"} <= kinds <= set(LAKE)


def test_what_cannot_be_used_is_set_aside_with_its_object() -> None:
    lake = read(know(feed("ALPHA", "*")), know().reference(), "ALPHA", "a/empty.fix", b"", SEEN_NS)
    normalised, manifest = normalised_of(split(pa.Table.from_batches(list(lake.batches()), WIDE)))
    assert manifest["status"].to_pylist() == ["EMPTY"]
    assert normalised.quarantine["reason"].to_pylist() == ["empty_file"]
    assert normalised.quarantine["recv_ts"].cast(pa.int64()).to_pylist() == [SEEN_NS]


def test_reference_objects_count_for_the_others_unless_they_contradict_each_other() -> None:
    names = feed("NAMES", "ref/*", dialect="csv_account_map", contents="reference")
    header = b"party,alias,account_id,valid_from\n"
    objects = [
        ("NAMES", "ref/1.csv", header + b"ALPHA,A-1,ACC1,2026-01-01\nALPHA,A-2,ACC2,2026-01-01\n", SEEN_NS),
        ("NAMES", "ref/2.csv", header + b"ALPHA,A-2,OTHER,2026-01-01\n", SEEN_NS),
    ]
    knowledge, lakes = read_reference(know(names), objects)
    known = knowledge.reference()
    assert (found := known.account("ALPHA", "A-1", FRIDAY)) is not None and found.account_id == "ACC1"
    assert known.account("ALPHA", "A-2", FRIDAY) is None
    assert [lake.tables["quarantine"].num_rows for lake in lakes] == [1, 1]
    assert [lake.tables["account_map"].num_rows for lake in lakes] == [1, 0]
