"""A prime broker nobody knows: learnt from its sample, confirmed, described, certified; no code is written for it."""

import asyncio
import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.certify import CertifyError, CertifyOptions, certify
from app.cli import app
from ingest.learn.proposal import MARK
from simulator.profiles import Profile
from simulator.simulate import in_memory
from tests.ingest.files.test_workbook import workbook

DAY = date(2026, 11, 20)


def call(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small day of the fund and of BRAVO, as the files somebody would send."""
    folder = tmp_path_factory.mktemp("logs")
    flow = in_memory(Profile("learn", 600, pbs="B", breaks="none", adversarial=0, transport=False), 7, DAY)
    for name, stream in flow.streams.items():
        data = b"\n".join(message for _, message in stream) + b"\n"
        (folder / f"{name.partition('->')[0].lower()}.log").write_bytes(data)
    return folder


@pytest.fixture
def place(tmp_path: Path, logs: Path) -> Path:
    """Settings for a broker called NORTH whose dialect is yet to be written."""
    (tmp_path / "dialects").mkdir()
    (tmp_path / "tieout.yaml").write_text(
        "tenant: fund\ndata_dir: data\ndialects: dialects\nfeeds:\n"
        "  - {name: NORTH, role: PB, party: NORTH, dialect: north,\n"
        "     session: {sender_comp_id: NORTH, target_comp_id: FUND},\n"
        "     uat: {sender_comp_id: NORTHTEST, target_comp_id: FUNDTEST}}\n"
    )
    return tmp_path


def learnt(place: Path, logs: Path) -> Path:
    file = place / "dialects" / "north.yaml"
    status, told = call(
        "dialect", "learn", logs / "bravo.log", "--ours", logs / "meridian_oms.log", "--name", "north", "--out", file
    )
    assert status == 0 and "lines proposed" in told
    return file


def test_from_a_sample_to_certified(place: Path, logs: Path) -> None:
    file = learnt(place, logs)
    text = file.read_text()
    assert "9001: fee.TOTAL" in text.replace('"', "") and "9002: cross_uid" in text
    assert "tz60: America/New_York" in text
    file.write_text(text.replace(MARK, "confirmed"))
    status, told = call("dialect", "check", file, logs / "bravo.log")
    assert status == 0 and "valid" in told and "quarantined" not in told
    status, told = call(
        "certify", "NORTH", "--config", place / "tieout.yaml", "--self-test", "--sample", logs / "bravo.log",
        "--step-seconds", "20", "--out", place / "report", "--skip", "correct", "--skip", "bust",
    )  # fmt: skip
    assert "CERTIFIED" in told and status == 0, told
    report = json.loads((place / "report" / "report.json").read_text())
    assert report["certified"] and report["session"] == "NORTHTEST->FUNDTEST"
    assert {step["verdict"] for step in report["steps"]} <= {"pass", "skipped"}
    lost = [wire for step in report["steps"] for wire in step["messages"] if wire["lost_on_purpose"]]
    assert len(lost) == 2
    assert "NORTHTEST" in (place / "report" / "report.html").read_text()


def test_a_workbook_is_learnt_as_a_file_dialect_and_reads_its_sample(tmp_path: Path) -> None:
    header = ["Deal Id", "Account", "B/S", "Quantity", "Price", "Currency", "Trade Date", "Settlement Date", "ISIN"]
    titles: list[list[object]] = [["Northgate"], ["Trades of 20 November 2026"]]
    rows = [
        [f"D{1000 + n}", f"FUND-{n % 3}", "BS"[n % 2], 100 + 10 * n, 12.35 + n, "USD", f"2026-11-{13 + n % 7}",
         f"2026-11-{20 + n % 5}", ("US0846707026", "US0378331005")[n % 2]]
        for n in range(40)
    ]  # fmt: skip
    sample, file = tmp_path / "northgate.xlsx", tmp_path / "northgate.yaml"
    sample.write_bytes(workbook([*titles, [*header], *rows]))
    status, told = call("dialect", "learn", sample, "--name", "northgate", "--out", file)
    assert status == 0 and "lines proposed" in told, told
    text = file.read_text()
    assert "kind: xls" in text and "trade_uid: Deal Id" in text
    file.write_text(text.replace(MARK, "confirmed"))
    status, told = call("dialect", "check", file, sample)
    assert status == 0 and "40 trades; 40 FACT" in told, told


def test_a_test_leaves_nothing_where_production_keeps_its_state(place: Path, logs: Path) -> None:
    learnt(place, logs)
    report, folder = certify(
        CertifyOptions("NORTH", place / "tieout.yaml", self_test=True, step_seconds=20), lambda _: None
    )
    assert report.passed
    assert folder.is_relative_to(place / "data" / "uat" / "NORTHTEST-FUNDTEST")
    kept = {path.relative_to(place / "data").parts[0] for path in (place / "data").rglob("*")}
    assert kept == {"uat"}
    assert (folder / "wire.log").read_bytes().count(b"\n") > 20


def test_marks_are_refused_until_a_person_answers(place: Path, logs: Path) -> None:
    file = place / "dialects" / "north.yaml"
    assert call("dialect", "learn", logs / "bravo.log", "--name", "north", "--out", file)[0] == 0
    status, told = call("dialect", "check", file)
    assert status == 1 and "wait to be confirmed" in told


def test_the_lines_as_json(logs: Path) -> None:
    status, told = call("dialect", "learn", logs / "bravo.log", "--json")
    rows = {row["key"]: row for row in json.loads(told)["lines"]}
    assert status == 0 and rows["custom.9002"]["confirm"] and rows["tz60"]["value"] == "America/New_York"


@pytest.mark.parametrize(
    ("text", "told"),
    [("name: north\ntz60: Mars\n", "no such time zone"), ("name: [", "not YAML"), ("name: x\nspeed: 3\n", "speed")],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "north.yaml"
    file.write_text(text)
    status, out = call("dialect", "check", file)
    assert status == 2 and told in out and "Traceback" not in out


def test_samples_of_two_kinds_and_empty_ones_are_refused(tmp_path: Path, logs: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("a,b,c,d\nx,y,z,w\n")
    assert "one kind at a time" in call("dialect", "learn", table, logs / "bravo.log")[1]
    empty = tmp_path / "empty"
    empty.write_text("")
    assert call("dialect", "learn", empty)[0] == 2
    assert call("dialect", "learn", tmp_path / "nowhere")[0] == 2


def test_rules_of_engagement_say_what_the_dialect_says(place: Path, logs: Path) -> None:
    learnt(place, logs)
    status, told = call("onboard", "NORTH", "--config", place / "tieout.yaml")
    assert status == 0
    for wanted in ("NORTHTEST", "your tag 9001", "your tag 9002", "America/New_York", "1 to 300 seconds", "5001"):
        assert wanted in told, wanted
    out = place / "north.html"
    assert call("onboard", "NORTH", "--config", place / "tieout.yaml", "--out", out)[0] == 0
    assert out.read_text().startswith("<!doctype html>") and "<script" not in out.read_text()
    assert call("onboard", "SOUTH", "--config", place / "tieout.yaml")[0] == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("NORTHTEST, target_comp_id: FUNDTEST", "NORTH, target_comp_id: FUND"), "production"),
        (("     uat: {sender_comp_id: NORTHTEST, target_comp_id: FUNDTEST}}", "    }"), "no test identity"),
    ],
)
def test_a_test_needs_an_identity_of_its_own(place: Path, logs: Path, change: tuple[str, str], told: str) -> None:
    learnt(place, logs)
    settings = place / "tieout.yaml"
    settings.write_text(settings.read_text().replace(*change))
    with pytest.raises(CertifyError, match=told):
        certify(CertifyOptions("NORTH", settings, step_seconds=1), lambda _: None)


def test_who_speaks_for_another_session_is_dropped(place: Path, logs: Path) -> None:
    learnt(place, logs)
    said: list[str] = []

    async def stranger(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"35=A\x0149=NORTH\x0156=FUND\x0134=1\x0152=20261120-14:31:04.000\x0198=0\x01108=30\x01"
        head = b"8=FIX.4.2\x019=%d\x01%s" % (len(body), body)
        writer.write(head + b"10=%03d\x01" % (sum(head) % 256))
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    answers: list[asyncio.Task[bytes]] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("listening"):
            answers.append(asyncio.get_running_loop().create_task(stranger(int(line.split(":")[1].split()[0]))))

    report, _ = certify(CertifyOptions("NORTH", place / "tieout.yaml", step_seconds=1), say)
    assert not report.passed
    assert any("NORTH->FUND was dropped" in note for note in report.notes)
    assert answers[0].result() == b""
