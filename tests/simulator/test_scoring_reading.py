"""What the scorer reads: files of a result folder, a running service, and clear words about what cannot be read."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from simulator.scoring.read import InputError, JsonLines, instant
from simulator.scoring.result import Standing, result_at, standing_of
from simulator.scoring.score import as_json, score
from simulator.scoring.truth import read_truth
from tests.simulator.scoring_day import NOON, Day, label, match, numbers, perfect_day, shown, them, us

TOKEN = "secret-of-the-day"


def tieout_score(truth: Path, result: object, *more: str) -> Result:
    return CliRunner().invoke(app, ["score", "--truth", str(truth), "--result", str(result), *more])


def test_perfect_and_not_perfect(tmp_path: Path) -> None:
    ran = tieout_score(*perfect_day().write(tmp_path / "good"))
    assert ran.exit_code == 0, ran.output
    assert "Perfect: 11 labels, nothing missed, nothing false" in ran.stdout
    day = perfect_day()
    day.breaks.remove(day.report("T01", "F20"))
    day.breaks.append(shown("T06", us("F1"), them("A1")))
    ran = tieout_score(*day.write(tmp_path / "bad"))
    assert ran.exit_code == 1
    assert "11 labels: 1 missed, 1 false" in ran.stdout
    assert "$1,000,000" in ran.stdout and "OMS F20" in ran.stdout and "ALPHA A1" in ran.stdout


def test_all_numbers_as_json(tmp_path: Path) -> None:
    truth, result = perfect_day().write(tmp_path)
    ran = tieout_score(truth, result, "--json")
    assert ran.exit_code == 0
    said = json.loads(ran.stdout)
    assert said == as_json(score(JsonLines(str(truth), truth), result_at(str(result))))
    assert said["schema"] == "tieout.score/1"
    assert said["truth"]["run"] == {"profile": "by-hand", "seed": 1, "clean_bookings": 500}


def test_the_least_a_truth_and_a_result_need(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text(
        '{"kind": "break", "code": "T01", "internal_ids": [{"source": "OURS", "uid": "1"}]}\n\n'
        '{"kind": "match", "internal_ids": [{"source": "OURS", "uid": "2"}], '
        '"external_ids": [{"source": "NORTHGATE", "uid": "x"}]}'
    )
    (tmp_path / "breaks.jsonl").write_text('{"code": "T01", "left": [{"source": "OURS", "trade_uid": "1"}]}\r\n')
    ran = tieout_score(tmp_path / "truth.jsonl", tmp_path, "--json")
    said = json.loads(ran.stdout)
    assert ran.exit_code == 0
    assert (said["detection"]["exact"], said["grouping"], said["timeliness"]) == (1, None, None)
    # Matched records of the other side without a label stand for clean bookings where the truth does not say.
    assert said["truth"]["clean_bookings"] == 1
    assert said["exposure_usd"] == {"found": "0", "due": "0", "recall": None}


def test_sources_by_other_names(tmp_path: Path) -> None:
    day = perfect_day()
    for row in [*day.breaks, *day.groups]:
        for member in (*row["left"], *row["right"]):
            member["source"] = {"OMS": "OURS", "ALPHA": "alpha-feed"}[member["source"]]
    day.quarantine[0]["source"] = "OURS"
    truth, result = day.write(tmp_path)
    assert tieout_score(truth, result).exit_code == 1
    assert tieout_score(truth, result, "--source", "OURS=OMS", "--source", "alpha-feed=ALPHA").exit_code == 0
    for row in [*day.breaks, *day.groups]:
        for member in (*row["left"], *row["right"]):
            member["source"] = {"OURS": "OMS-POSITIONS", "alpha-feed": "ALPHA_TRADES"}[member["source"]]
    day.quarantine[0]["source"] = "OMS"
    assert tieout_score(*day.write(tmp_path / "feeds")).exit_code == 0
    ran = tieout_score(truth, result, "--source", "OURS")
    assert ran.exit_code == 2 and ran.stderr == "tieout: --source OURS: write RESULT=TRUTH, for example OURS=OMS\n"


LABEL = label("T01", us("F1"), [])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "not JSON ("),
        ("[1]", "a JSON object is needed, this is a list"),
        ("[" * 100_000, "not JSON ("),
        ('{"kind": "break"} {}', "not JSON (Extra data"),
        (b'{"kind": "\xff"}', "not JSON ("),
        ({"kind": "braek"}, "kind 'braek' is unknown: break, consequence, match, twins, noise or run"),
        ({"code": "T01"}, "kind is missing"),
        ({**LABEL, "code": None}, "code is missing"),
        ({**LABEL, "code": 1}, "code must be text, this is a number"),
        ({**LABEL, "internal_ids": []}, "a break needs a record in internal_ids or external_ids"),
        ({**LABEL, "internal_ids": "F1"}, "internal_ids must be a list of {source, uid}, this is text"),
        ({**LABEL, "internal_ids": ["F1"]}, "internal_ids must hold objects {source, uid}, here is text"),
        ({**LABEL, "internal_ids": [{"source": "OMS"}]}, "internal_ids: uid is missing"),
        ({**LABEL, "internal_ids": [{"uid": "F1"}]}, "internal_ids: source is missing"),
        ({**LABEL, "internal_ids": [{"source": "OMS", "uid": 7}]}, "internal_ids: uid must be text, this is a number"),
        ({**LABEL, "cured_at": "noon"}, "cured_at must be UTC nanoseconds or a time such as 2026-11-20T14:30:01Z"),
        ({**LABEL, "cured_at": "2026-13-20T14:30:01Z"}, "cured_at is no time: 2026-13-20T14:30:01Z"),
        ({**LABEL, "materiality_usd": "lots"}, "materiality_usd is no amount: 'lots'"),
        ('{"kind": "break", "materiality": NaN}', "NaN is not a number"),
        ({"kind": "twins", "source": "OMS", "uids": "F1"}, "uids must be a list of ids"),
        ({"kind": "consequence", "code": "P01"}, "a consequence needs a record in internal_ids or external_ids"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path: Path, row: Any, said: str) -> None:
    truth, result = perfect_day().write(tmp_path)
    body = row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
    truth.write_bytes(json.dumps(LABEL).encode() + b"\n\n" + body + b"\n")
    ran = tieout_score(truth, result)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"tieout: {truth}:3: {said}")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("breaks", {"left": [{"source": "OMS", "trade_uid": "F1"}]}, "code is missing"),
        ("breaks", {"code": "T01", "left": [], "right": []}, "a break needs a record in left or right"),
        ("breaks", {"code": "T01", "left": [{"source": "OMS"}]}, "left: trade_uid is missing"),
        ("groups", {"left": {}}, "left must be a list of {source, trade_uid}, this is an object"),
        ("quarantine", {"source": "OMS", "raw": "x"}, "code is missing"),
    ],
)
def test_a_wrong_row_of_a_result(tmp_path: Path, name: str, row: dict[str, Any], said: str) -> None:
    truth, result = perfect_day().write(tmp_path)
    file = result / f"{name}.jsonl"
    file.write_text(file.read_text() + json.dumps(row) + "\n")
    ran = tieout_score(truth, result)
    number = len(file.read_text().splitlines())
    assert (ran.exit_code, ran.stderr) == (2, f"tieout: {file}:{number}: {said}\n")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    truth, result = perfect_day().write(tmp_path)
    nowhere = tmp_path / "nowhere"
    for ran, said in (
        (tieout_score(nowhere, result), f"{nowhere}: No such file or directory"),
        (tieout_score(tmp_path, result), f"{tmp_path}: Is a directory"),
        (tieout_score(truth, nowhere), f"{nowhere}: no such folder"),
        (tieout_score(truth, truth), f"{truth}: not a folder"),
        (tieout_score(truth, result, "--html", str(nowhere / "page.html")), f"{nowhere / 'page.html'}: No such file"),
    ):
        assert ran.exit_code == 2 and ran.stderr.startswith(f"tieout: {said}") and ran.stderr.count("\n") == 1
    (result / "groups.jsonl").unlink()
    assert tieout_score(truth, result).exit_code == 0
    (result / "breaks.jsonl").unlink()
    ran = tieout_score(truth, result)
    assert ran.exit_code == 2 and "breaks.jsonl: not there" in ran.stderr
    truth.write_text('{"kind": "run"}\n')
    day = perfect_day()
    day.truth = day.truth[:1]
    ran = tieout_score(*day.write(tmp_path))
    assert ran.exit_code == 2 and "no truth in it" in ran.stderr


def test_times_as_numbers_and_as_text() -> None:
    for value in (NOON, "2026-11-20T12:00:00Z", "2026-11-20 12:00:00", "2026-11-20T13:00:00.000+01:00"):
        assert instant({"at": value}, "at") == NOON
    assert instant({"at": "2026-11-20T12:00:00.000000001Z"}, "at") == NOON + 1
    assert instant({}, "at") is None


@pytest.mark.parametrize(
    ("state", "resolution", "standing"),
    [
        (None, None, Standing.OPEN),
        ("OPEN", None, Standing.OPEN),
        ("ASSIGNED", None, Standing.OPEN),
        ("REOPENED", "manual", Standing.OPEN),
        ("SUPPRESSED", None, Standing.OPEN),
        ("EXPECTED", None, Standing.WAITING),
        ("RESOLVED", "cured", Standing.BY_ITSELF),
        ("RESOLVED", "manual", Standing.BY_PERSON),
        ("CLOSED", None, Standing.BY_ITSELF),
        ("CURED", None, Standing.BY_ITSELF),
    ],
)
def test_states(state: str | None, resolution: str | None, standing: Standing) -> None:
    assert standing_of({"state": state, "resolution": resolution}) is standing


def test_quarantined_rows_are_known_by_hash_file_or_words(tmp_path: Path) -> None:
    day = Day([match("g", us("F1"), them("A1"))], [], [])
    day.truth += [
        label("I01", [], them("sha256:" + "ab" * 32)),
        label("I04", [], them("CHA26")),
        label("I07", [], them("trades.csv")),
        label("I06", [], them("alpha/cash_1.csv")),
        label("I06", [], them("alpha/cash_2.csv")),
    ]
    row = {"code": "I01", "source": "ALPHA", "raw": "cut...", "raw_bytes": 9_999, "raw_sha256": "AB" * 32}
    day.quarantine = [
        row,
        {"code": "I04", "source": "ALPHA", "raw": "2026-11-20;CHA26;nobody;100", "raw_bytes": 27},
        {"code": "I07", "source": "ALPHA", "file": "C:\\in\\trades.csv", "raw": None},
    ]
    day.breaks = [shown("I06", [], them("/data/in/alpha/cash_1.csv")), shown("I06", [], them("cash_2.csv"))]
    day.groups = [{"left": [{"source": "OMS", "uid": "F1"}], "right": [{"source": "ALPHA", "uid": "A1"}]}]
    assert day.score(tmp_path / "all").perfect
    day.quarantine[1]["source"] = "OMS"
    found = day.score(tmp_path / "other")
    assert (len(found.found.missed), len(found.found.false)) == (1, 1)


class _Service(BaseHTTPRequestHandler):
    """Answers the result routes the way the service does: JSON lines, for the right token."""

    def __init__(self, *rest: Any, day: Day, missing: set[str]) -> None:
        self.day, self.missing = day, missing
        super().__init__(*rest)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/result/").removesuffix(".jsonl")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send_error(401)
        if not self.path.startswith("/api/result/") or name in self.missing:
            return self.send_error(404)
        # A line end of another kind inside a text is not the end of the row.
        rows = [{**row, "headline": "one\u2028two\x85three"} for row in getattr(self.day, name)]
        body = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[Callable[..., str]]:
    servers = []

    def start(day: Day, *missing: str) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Service, day=day, missing=set(missing)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_running_service(tmp_path: Path, service: Callable[..., str]) -> None:
    day = perfect_day()
    truth, folder = day.write(tmp_path)
    found = score(JsonLines(str(truth), truth), result_at(service(day) + "/", TOKEN))
    assert numbers(found) == numbers(score(JsonLines(str(truth), truth), result_at(str(folder))))
    assert found.perfect
    ran = tieout_score(truth, service(day), "--token", TOKEN)
    assert ran.exit_code == 0, ran.output


def test_a_service_that_says_no(tmp_path: Path, service: Callable[..., str]) -> None:
    day = perfect_day()
    truth, _ = day.write(tmp_path)
    url = service(day)
    for ran, said in (
        (tieout_score(truth, url), "401 refused: give the service's token with --token"),
        (tieout_score(truth, url, "--token", "wrong"), "401 refused"),
        (tieout_score(truth, url, "--token", "wröng"), "--token: a token has plain letters"),
        (tieout_score(truth, service(day, "breaks"), "--token", TOKEN), "breaks.jsonl: not found"),
        (tieout_score(truth, "http://127.0.0.1:1"), "no answer"),
        (tieout_score(truth, "http://[bad"), "no answer"),
    ):
        assert ran.exit_code == 2 and said in ran.stderr and ran.stderr.count("\n") == 1, ran.output
    found = score(JsonLines(str(truth), truth), result_at(service(day, "groups"), TOKEN))
    assert found.grouping is None and found.perfect


def test_a_row_from_a_service_is_named_by_line(tmp_path: Path, service: Callable[..., str]) -> None:
    day = perfect_day()
    truth, _ = day.write(tmp_path)
    day.breaks.append({"code": 3})
    url = service(day)
    with pytest.raises(InputError) as raised:
        score(JsonLines(str(truth), truth), result_at(url, TOKEN))
    assert str(raised.value).startswith(f"{url}/api/result/breaks.jsonl:{len(day.breaks)}: ")


def test_the_documented_rows_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "truth.md").read_text(encoding="utf-8")
    rows = [json.loads(body) for body in re.findall(r"^```json\n(.*?)^```$", page, re.M | re.S)]
    assert {row["kind"] for row in rows} == {"break", "match", "twins", "consequence", "noise", "run"}
    truth = tmp_path / "truth.jsonl"
    truth.write_text("".join(json.dumps(row) + "\n" for row in rows))
    known = read_truth(JsonLines("truth", truth))
    (broken,) = known.labels
    assert (broken.code, str(broken.usd), broken.cured) == ("T05", "1250.00", False)
    assert (len(known.left), known.clean_bookings(), known.noise) == (2, 5800, {("ALPHA", "A1"): ("N06",)})
    assert known.same(("OMS", "F12")) == ("OMS", "F11") and known.entailed == {("ALPHA", "ACC-1|AAPL")}
