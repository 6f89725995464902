"""A profile from end to end: the same bytes again, a truth that names what is there, files a service can be set to."""

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from domain.taxonomy import taxonomy
from ingest.feeds import Feed
from simulator.profiles import PROFILES
from simulator.simulate import in_memory, simulate
from simulator.truth import BreakTruth, MatchTruth, NoiseTruth
from simulator.truth_file import parse_truth

FRIDAY = date(2026, 11, 20)
SMALL = replace(PROFILES["smoke"], fills=600)
LOGS = {"OMS": "fund/oms.fix", "ALPHA": "alpha/alpha.fix", "BRAVO": "bravo/bravo.fix"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "smoke"
    simulate(PROFILES["smoke"], 7, FRIDAY, out)
    return out


@pytest.fixture(scope="module")
def truth(folder: Path) -> list[object]:
    return list(parse_truth((folder / "truth.jsonl").read_bytes().splitlines()))


def fields(raw: bytes) -> dict[str, str]:
    return {tag: value for tag, _, value in (f.partition("=") for f in raw.decode("latin-1").split("\x01")[:-1])}


def log(folder: Path, source: str) -> list[bytes]:
    return (folder / LOGS[source]).read_bytes().split(b"\n")[:-1]


def test_same_seed_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    simulate(PROFILES["smoke"], 7, FRIDAY, tmp_path / "again")
    first = (folder / "manifest.json").read_bytes()
    assert (tmp_path / "again" / "manifest.json").read_bytes() == first
    listed = {name: entry["sha256"] for name, entry in json.loads(first)["files"].items()}
    on_disk = {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert listed == on_disk
    simulate(PROFILES["smoke"], 8, FRIDAY, tmp_path / "again")
    assert (tmp_path / "again" / "manifest.json").read_bytes() != first


def test_every_code_is_planted_under_ids_of_its_own(truth: list[object]) -> None:
    labels = [row for row in truth if isinstance(row, BreakTruth)]
    assert {row.code for row in labels} == set(taxonomy())
    assert max(Counter(row.break_id for row in labels).values()) == 1
    for row in labels:
        assert row.internal_ids or row.external_ids, row
        seen = [at for at in (row.visible_at_internal, row.visible_at_external) if at is not None]
        assert row.detectable_at >= min(seen, default=0), row


def test_labels_and_matches_name_what_was_sent(folder: Path, truth: list[object]) -> None:
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "truth.jsonl"]
    # DELTA's columns touch each other.
    words = re.compile(rb"(?<=A)DT\d{14}|(?!ADT)[A-Za-z0-9.-]+")
    sent = {word.decode() for text in texts for word in words.findall(text)}
    for row in truth:
        if isinstance(row, MatchTruth) or (isinstance(row, BreakTruth) and row.code.startswith("T")):
            for member in (*row.internal_ids, *row.external_ids):
                assert set(member.uid.split("/")) <= sent, (row, member)


def test_matches_tie_out(folder: Path, truth: list[object]) -> None:
    """The sums of what both sides of a match say agree where no label touches it."""
    broken = {
        (member.source, member.uid)
        for row in truth
        if isinstance(row, BreakTruth)
        for member in (*row.internal_ids, *row.external_ids)
    }
    qty: dict[tuple[str, str], Decimal] = {}
    for source, tag in (("OMS", "17"), ("ALPHA", "571"), ("BRAVO", "17")):
        for line in log(folder, source):
            found = fields(line[31:])
            if tag in found and "32" in found:
                qty[source, found[tag]] = Decimal(found["32"])
    checked = 0
    for row in truth:
        if isinstance(row, MatchTruth) and row.pb in ("ALPHA", "BRAVO"):
            keys = [(member.source, member.uid) for member in (*row.internal_ids, *row.external_ids)]
            if all(key in qty for key in keys) and not broken.intersection(keys):
                ours = sum(qty[m.source, m.uid] for m in row.internal_ids)
                assert ours == sum(qty[m.source, m.uid] for m in row.external_ids), row
                checked += 1
    assert checked > 300


def test_numbers_are_complete_but_for_the_labelled_gaps(folder: Path, truth: list[object]) -> None:
    gaps = defaultdict(set)
    for row in truth:
        if isinstance(row, BreakTruth) and row.code == "I05":
            (member,) = (*row.internal_ids, *row.external_ids)
            first, last = map(int, member.uid.removeprefix("seq:").split("-"))
            gaps[member.source] |= set(range(first, last + 1))
    assert gaps
    for source in LOGS:
        found = [fields(line[31:]) for line in log(folder, source)]
        numbers = [int(each["34"]) for each in found if "34" in each]
        assert set(range(2, max(numbers) + 1)) - set(numbers) == gaps[source]
        assert all("122" in each for each in found if each.get("43") == "Y")
        assert any(each.get("43") == "Y" for each in found)


def test_damage_is_found_by_the_hash_of_its_bytes(folder: Path, truth: list[object]) -> None:
    lines = [line for source in LOGS for line in log(folder, source)]
    hashes = {sha256(text).hexdigest() for line in lines for text in (line, line[31:])}
    named = [
        member.uid.removeprefix("sha256:")
        for row in truth
        if isinstance(row, BreakTruth) and row.code in ("I01", "I02")
        for member in (*row.internal_ids, *row.external_ids)
        if member.uid.startswith("sha256:")
    ]
    assert named and set(named) <= hashes


def test_file_faults_are_there(folder: Path, truth: list[object]) -> None:
    files = {
        row.code: row.external_ids[0].uid for row in truth if isinstance(row, BreakTruth) and row.code in ("I06", "I07")
    }
    assert (folder / files["I06"]).read_bytes().count(b"\n") <= 1
    stem, _, suffix = files["I06"].rpartition(".")
    assert (folder / f"{stem}_R.{suffix}").stat().st_size > 0
    assert (folder / files["I07"]).stat().st_size > 0
    again = [row.uid for row in truth if isinstance(row, NoiseTruth) and row.uid.partition(".")[0].endswith("_again")]
    assert len(again) == 1 and (folder / again[0]).is_file()


def test_what_the_reference_data_lacks_is_traded_on_both_sides(folder: Path, truth: list[object]) -> None:
    def column(name: str, key: str) -> set[str]:
        with (folder / "reference" / name).open(newline="", encoding="utf-8") as handle:
            return {row[key] for row in csv.DictReader(handle)}

    labels = {row.code: row for row in truth if isinstance(row, BreakTruth) and row.code in ("I03", "I04")}
    assert labels["I03"].shown_value not in column("instrument.csv", "instrument_id")
    assert labels["I04"].shown_value not in column("account_map.csv", "account_id")
    for row in labels.values():
        assert row.internal_ids and row.external_ids
        assert row.shown_value.encode() in (folder / LOGS["OMS"]).read_bytes()


def test_the_settings_name_every_feed_and_file(folder: Path) -> None:
    files = yaml.safe_load((folder / "tieout.yaml").read_text())
    feeds = [Feed.model_validate(feed) for feed in files["feeds"]]
    covered = {path for feed in feeds for path in folder.glob(str(feed.path_glob))}
    rest = {path for path in folder.rglob("*") if path.is_file()} - covered
    assert {path.name for path in rest if path.parent.name != "reference"} == {
        "manifest.json", "truth.jsonl", "tieout.yaml", "serve.yaml", "trades.map.yaml",
    }  # fmt: skip
    assert all(list(folder.glob(str(feed.path_glob))) for feed in feeds)
    for name in files["reference"].values():
        assert (folder / name).is_file()
    live = yaml.safe_load((folder / "serve.yaml").read_text())
    names = [Feed.model_validate(feed).session.name for feed in live["feeds"]]  # type: ignore[union-attr]
    assert names == ["MERIDIAN_OMS->TIEOUT", "ALPHA->TIEOUT", "BRAVO->TIEOUT", "CHARLIE->TIEOUT"]


def test_noise_alone_has_no_label(tmp_path: Path) -> None:
    made = simulate(replace(PROFILES["noise-only"], fills=600), 7, FRIDAY, tmp_path / "noise")
    rows = parse_truth((tmp_path / "noise" / "truth.jsonl").read_bytes().splitlines())
    assert made.breaks == {} and not [row for row in rows if isinstance(row, BreakTruth)]
    assert b"\x0143=Y\x01" in (tmp_path / "noise" / "alpha" / "alpha.fix").read_bytes()


def test_days_follow_each_other_in_one_log(tmp_path: Path) -> None:
    out = tmp_path / "days"
    made = simulate(replace(PROFILES["soak"], fills=200, days=3, pbs="AD"), 7, FRIDAY, out)
    assert made.trade_dates == ("2026-11-20", "2026-11-23", "2026-11-24")
    assert made.sources == ("OMS", "ALPHA", "DELTA")
    times = [line[:30] for line in log(out, "OMS")]
    assert times == sorted(times) and {time[:10] for time in times} >= {b"2026-11-20", b"2026-11-24"}
    assert len(list((out / "delta").glob("GTDE_*.txt"))) >= 3
    rows = parse_truth((out / "truth.jsonl").read_bytes().splitlines())
    ids = [row.break_id for row in rows if isinstance(row, BreakTruth)]
    assert len(ids) == len(set(ids))


def test_in_memory_a_session_would_take_every_message() -> None:
    flow = in_memory(SMALL, 7, FRIDAY)
    assert list(flow.streams) == ["MERIDIAN_OMS->TIEOUT", "ALPHA->TIEOUT", "BRAVO->TIEOUT", "CHARLIE->TIEOUT"]
    for session, stream in flow.streams.items():
        numbers = []
        for _, raw in stream:
            assert sum(raw[:-7]) % 256 == int(raw[-4:-1])
            found = fields(raw)
            assert f"{found['49']}->{found['56']}" == session
            if found.get("43") != "Y":
                numbers.append(int(found["34"]))
        assert numbers == list(range(2, 2 + len(numbers)))
        assert [at_ns for at_ns, _ in stream] == sorted(at_ns for at_ns, _ in stream)
    codes = {row.code for row in flow.truth if isinstance(row, BreakTruth)}
    assert {"T01", "I01", "I03"} <= codes
    assert not codes & {"T27", "I02", "I05", "I06", "I07", "P01", "C01", "S01"}
    assert "reference/instrument.csv" in flow.reference and flow.run["kind"] == "run"
