"""Files in, breaks out: the examples, every output form, and the promise that nothing depends on order or chance."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.explain import explain_from_dir
from app.reconcile import ReconcileOptions, reconcile, run
from app.report_files import OUTPUTS, csv_text, guarded
from app.report_html import html_text
from app.report_table import write_table

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FUND, NORTHGATE, HARBOUR = (EXAMPLES / name for name in ("fund.fix", "northgate.csv", "harbour.fix"))
DOCUMENTED = {
    "T01": ({"ME20"}, set()),
    "T02": (set(), {"HB-9025"}),
    "T03": (set(), {"HB-9013", "HB-9026"}),
    "T05": ({"ME08"}, {"NG-4108"}),
    "T06": ({"ME19"}, {"HB-9019"}),
    "T07": ({"ME14"}, {"HB-9014"}),
    "T14": ({"ME03"}, {"NG-4103"}),
    "T16": ({"ME12"}, {"NG-4112"}),
}


def tie(ours: Path, *against: Path | str, **options: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = run(ReconcileOptions((ours,), tuple(map(str, against)), **options), out, err)  # type: ignore[arg-type]
    return status, out.getvalue(), err.getvalue()


def found(report: dict) -> set[tuple[str, str, str, str, str]]:
    return {
        (b["code"], b["account_id"], b["symbol"].replace("/", "."), b["left_value"] or "", b["right_value"] or "")
        for b in report["breaks"]
    }


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    path = tmp_path_factory.mktemp("out")
    status, text, err = tie(FUND, NORTHGATE, HARBOUR, out=path, format="json")
    assert (status, err) == (1, "")
    return path, json.loads(text)


@pytest.fixture(scope="module")
def folder(once: tuple[Path, dict]) -> Path:
    return once[0]


@pytest.fixture(scope="module")
def report(once: tuple[Path, dict]) -> dict:
    return once[1]


def test_the_examples_have_exactly_the_documented_breaks(report: dict) -> None:
    seen = {b["code"]: tuple({m["trade_uid"] for m in b[side]} for side in ("left", "right")) for b in report["breaks"]}
    assert len(report["breaks"]) == len(seen) == 8
    assert seen == DOCUMENTED
    documented = set(re.findall(r"^\| (T\d\d) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert documented == DOCUMENTED.keys()


def test_members_say_where_they_are_written(report: dict) -> None:
    (quantity,) = [b for b in report["breaks"] if b["code"] == "T05"]
    assert quantity["left"] == [{"source": "OURS", "trade_uid": "ME08", "version": 1, "file": "fund.fix", "line": 8}]
    assert quantity["right"] == [
        {"source": "NORTHGATE", "trade_uid": "NG-4108", "version": 1, "file": "northgate.csv", "line": 6}
    ]


def test_every_row_is_accounted_for(report: dict) -> None:
    rows = report["summary"]["rows"]
    assert rows == {
        "received": 49, "facts": 49, "duplicates": 0, "session": 0, "ignored": 0, "quarantined": 0, "complete": True,
    }  # fmt: skip


def test_too_little_memory_is_said_with_what_to_raise(tmp_path: Path) -> None:
    status, out, err = tie(FUND, NORTHGATE, HARBOUR, out=tmp_path / "out", memory_mb=8)
    assert (status, out) == (2, "") and not (tmp_path / "out").exists()
    ran_out, limit = err.splitlines()
    assert re.fullmatch(r"tieout: the warehouse ran out of memory: .+ MiB used\)", ran_out)
    assert limit == "tieout: it may take 8 MB; let it take more with --memory-mb"


@pytest.mark.parametrize(("part", "schema"), [("breaks", "break"), ("groups", "group"), ("quarantine", "quarantine")])
def test_lines_of_the_folder_fit_their_schemas(folder: Path, part: str, schema: str) -> None:
    document = json.loads((ROOT / f"docs/schemas/{schema}-1.json").read_text())
    Draft202012Validator.check_schema(document)
    lines = (folder / f"{part}.jsonl").read_text().splitlines()
    assert bool(lines) is (part != "quarantine")
    for line in lines:
        Draft202012Validator(document).validate(json.loads(line))


def test_summary_and_report_fit_their_schemas(folder: Path, report: dict) -> None:
    for name, value in (("summary", json.loads((folder / "summary.json").read_text())), ("report", report)):
        document = json.loads((ROOT / f"docs/schemas/{name}-1.json").read_text())
        Draft202012Validator(document).validate(value)


def test_two_runs_are_byte_identical(folder: Path, tmp_path: Path) -> None:
    tie(FUND, NORTHGATE, HARBOUR, out=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(OUTPUTS)
    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.fixture(scope="module")
def forms() -> dict[str, str]:
    found = reconcile(ReconcileOptions((FUND,), (str(NORTHGATE), str(HARBOUR))))
    table = io.StringIO()
    write_table(found, table)
    return {"table": table.getvalue(), "csv": csv_text(found), "html": html_text(found)}


@pytest.mark.parametrize(("form", "start"), [("table", "ours "), ("csv", "severity,"), ("html", "<!doctype html>")])
def test_every_form_comes_out_of_the_command(form: str, start: str, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "fund.csv", tmp_path / "pb.csv"
    row = "Account,Side,Symbol,Qty,Price,Ccy,Trade Date,Trade ID\nA,B,IBM,5,1.5,USD,2026-11-20,"
    ours.write_text(row + "T1\n")
    theirs.write_text(row.replace("5,1.5", "6,1.5") + "X1\n")
    status, text, err = tie(ours, theirs, format=form)
    assert (status, err) == (1, "")
    assert text.startswith(start)


def test_table(forms: dict[str, str]) -> None:
    text = forms["table"]
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert "8 breaks (1 critical, 5 high, 1 medium, 1 low), USD 507,549 at stake" in text
    assert "23 of 24 of our trades and 23 of 25 of theirs are paired, in 23 groups" in text
    assert "49 rows received = 49 trades" in text
    assert "Trade Id = trade_uid" in text
    first = next(line for line in text.splitlines() if "T05" in line)
    assert re.split(r" {2,}", first) == [
        "High", "T05 Quantity", "JPM", "500 → 300", "USD 48,620", "MERID-LS-01", "NORTHGATE", "20 Nov 20:30 New York",
    ]  # fmt: skip


def test_csv(forms: dict[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(forms["csv"])))
    assert {row["code"] for row in rows} == DOCUMENTED.keys()
    (quantity,) = [row for row in rows if row["code"] == "T05"]
    assert (quantity["left_value"], quantity["right_value"], quantity["their_evidence"]) == (
        "500", "300", "northgate.csv:6",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd", "'+cmd"), ("-x", "'-x"), ("\tx", "'\tx"),
     ("-12.5", "-12.5"), ("IBM", "IBM"), (None, ""), (7, "7")],
)  # fmt: skip
def test_formula_guard(cell: object, written: str) -> None:
    assert guarded(cell) == written


class _Page(HTMLParser):
    """Collects tags and text, and what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.marks: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "mark":
            self.marks.append(data)


def test_html_is_one_page_without_script_or_network(forms: dict[str, str]) -> None:
    page = _Page()
    page.feed(forms["html"])
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in forms["html"]
    assert forms["html"].count('class="head"') == 8
    assert "5" in page.marks and "3" in page.marks
    for name in ("fund.fix", "northgate.csv", "harbour.fix", "B05-quantity", "23 groups"):
        assert name in forms["html"]


def test_html_escapes_what_the_files_say(tmp_path: Path) -> None:
    hostile = tmp_path / "northgate.csv"
    hostile.write_text(NORTHGATE.read_text().replace("JPM", "<script>alert(1)</script>").replace("600,", "<b>,", 1))
    _, text, _ = tie(FUND, hostile, HARBOUR, format="html")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_shuffled_rows_give_the_same_breaks(report: dict, tmp_path: Path) -> None:
    paths = []
    for path, heading in ((FUND, 0), (NORTHGATE, 1), (HARBOUR, 0)):
        lines = path.read_bytes().splitlines(keepends=True)
        paths.append(tmp_path / path.name)
        paths[-1].write_bytes(b"".join([*lines[:heading], *reversed(lines[heading:])]))
    _, text, _ = tie(*paths, format="json")
    shuffled = json.loads(text)
    identity = ("break_id", "code", "left_value", "right_value", "exposure", "headline")
    assert [[b[name] for name in identity] for b in shuffled["breaks"]] == [
        [b[name] for name in identity] for b in report["breaks"]
    ]
    assert [g["group_id"] for g in shuffled["groups"]] == [g["group_id"] for g in report["groups"]]


def test_explain_from_the_folder(folder: Path) -> None:
    breaks = [json.loads(line) for line in (folder / "breaks.jsonl").read_text().splitlines()]
    (quantity,) = [b for b in breaks if b["code"] == "T05"]
    text = explain_from_dir(folder, quantity["break_id"][:10])
    assert text.startswith("T05 Quantity, high: JPM in MERID-LS-01, held at NORTHGATE\n")
    assert re.search(r"^Quantity +500 +300 +<-- differs$", text, re.MULTILINE)
    assert "NG-4108,ME08,MERID-LS-01,Buy,JPM" in text
    assert "|17=ME08|" in text
    with pytest.raises(LookupError, match="no break in"):
        explain_from_dir(folder, "zz")
    with pytest.raises(LookupError, match="8 breaks in"):
        explain_from_dir(folder, "")


def test_explain_says_when_the_file_has_changed(tmp_path: Path) -> None:
    mine = tmp_path / "northgate.csv"
    mine.write_bytes(NORTHGATE.read_bytes())
    tie(FUND, mine, out=tmp_path / "out")
    mine.write_bytes(NORTHGATE.read_bytes() + b"\n")
    breaks = [json.loads(line) for line in (tmp_path / "out/breaks.jsonl").read_text().splitlines()]
    (quantity,) = [b for b in breaks if b["code"] == "T05"]
    assert "has changed since" in explain_from_dir(tmp_path / "out", quantity["break_id"])
