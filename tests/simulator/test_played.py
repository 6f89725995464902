"""The day of the demo as its sessions carry it, and as it is kept on disk beside them."""

import json
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from simulator.manifest import OutputRefused
from simulator.played import keep
from simulator.profiles import DEMO
from simulator.simulate import Flow, in_memory
from simulator.truth import BreakTruth, MatchTruth
from simulator.truth_file import parse_truth

FRIDAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def flow() -> Flow:
    return in_memory(replace(DEMO, fills=500), 7, FRIDAY)


def fields(raw: bytes) -> dict[str, str]:
    return {tag: value for tag, _, value in (f.partition("=") for f in raw.decode("latin-1").split("\x01")[:-1])}


def uid_of(message: dict[str, str]) -> str:
    return message.get("571") or message.get("70") or message["17"]


def test_sessions_are_framed_and_numbered_and_the_day_ends_with_the_day(flow: Flow) -> None:
    for session, stream in flow.streams.items():
        numbers = []
        for _, raw in stream:
            head, _, rest = raw.partition(b"\x0135=")
            body, _, check = (b"35=" + rest).rpartition(b"\x0110=")
            assert int(head.rpartition(b"9=")[2]) == len(body) + 1 and len(check) == 4
            assert int(check[:3]) == sum(raw[: -len(check) - 3]) % 256, session
            tags = fields(raw)
            assert f"{tags['49']}->{tags['56']}" == session
            if tags.get("43") != "Y":
                numbers.append(int(tags["34"]))
        assert numbers == list(range(2, 2 + len(numbers)))
        assert [at_ns for at_ns, _ in stream] == sorted(at_ns for at_ns, _ in stream)
    times = [at_ns for stream in flow.streams.values() for at_ns, _ in stream]
    assert max(times) - min(times) < 30 * 3_600 * 10**9, "nothing comes the next morning: the demo is paced by this"


def test_every_code_occurs_and_every_label_names_records_that_were_sent(flow: Flow) -> None:
    labels = [row for row in flow.truth if isinstance(row, BreakTruth)]
    assert {row.code for row in labels} == set(DEMO.codes)
    assert {row.code for row in labels if row.cured_at} >= {"T28", "T06"}
    matches = [row for row in flow.truth if isinstance(row, MatchTruth)]
    sent = {uid_of(fields(raw)) for stream in flow.streams.values() for _, raw in stream}
    for row in (*labels, *matches):
        named = {m.uid for m in (*row.internal_ids, *row.external_ids) if not m.uid.startswith("sha256:")}
        assert named <= sent, row


def test_no_block_is_in_it(flow: Flow) -> None:
    assert not any(b"\x0135=J\x01" in raw for raw in dict(flow.streams["MERIDIAN_OMS->TIEOUT"]).values())


def test_what_is_kept_is_what_was_played(flow: Flow, tmp_path: Path) -> None:
    first, second = (keep(flow, tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes() == keep(flow, tmp_path / "a").read_bytes()
    listed = json.loads(first.read_text())["files"]
    on_disk = {str(path.relative_to(first.parent)): path for path in first.parent.rglob("*") if path.is_file()}
    del on_disk["manifest.json"]
    assert {name: entry["sha256"] for name, entry in listed.items()} == {
        name: sha256(path.read_bytes()).hexdigest() for name, path in on_disk.items()
    }
    assert {"tieout.yaml", "truth.jsonl", "fund/oms.fix", "charlie/charlie.fix", "reference/fx_rate.csv"} <= set(listed)
    lines = (tmp_path / "a" / "alpha" / "alpha.fix").read_bytes().splitlines()
    assert [line.partition(b" ")[2] for line in lines] == [raw for _, raw in flow.streams["ALPHA->TIEOUT"]]
    assert lines[0].startswith(b"2026-11-") and lines[0].partition(b" ")[0].endswith(b"Z")
    truth = (tmp_path / "a" / "truth.jsonl").read_text().splitlines()
    assert json.loads(truth[0])["kind"] == "run" and parse_truth(truth) == flow.truth


def test_a_folder_of_others_is_not_written_to(flow: Flow, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(OutputRefused):
        keep(flow, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"
