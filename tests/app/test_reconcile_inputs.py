"""Wrong arguments and bad files: one clear line and status 2; what the files say about each other is used and told."""

import io
import json
from pathlib import Path

import pytest

from app.reconcile import ReconcileOptions, parse_as_of, run
from app.reconcile_inputs import party_and_path

EXAMPLES = Path(__file__).parents[2] / "examples"
FUND, NORTHGATE, HARBOUR = (EXAMPLES / name for name in ("fund.fix", "northgate.csv", "harbour.fix"))


def tie(ours: Path, *against: Path | str, **options: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = run(ReconcileOptions((ours,), tuple(map(str, against)), **options), out, err)  # type: ignore[arg-type]
    return status, out.getvalue(), err.getvalue()


def report(ours: Path, *against: Path | str, **options: object) -> dict:
    status, text, err = tie(ours, *against, format="json", **options)
    assert (status in (0, 1), err) == (True, "")
    return json.loads(text)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    text = NORTHGATE.read_text()
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "header.csv").write_text(text.splitlines()[0] + "\n")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "folder").mkdir()
    (tmp_path / "missing.csv").write_text(text.replace("Price", "Wert", 1))
    ambiguous = text.replace("2026-11-20T", "T").replace("2026-11-20", "04/05/2026").replace("2026-11-23", "06/05/2026")
    (tmp_path / "ambiguous.csv").write_text(ambiguous.replace("2026-11-24", "06/05/2026"))
    (tmp_path / "rows.csv").write_text("\n".join([text.splitlines()[0], "N1,M1,A,Buy,X,,1,abc,USD,2026-11-20,,,,"]))
    (tmp_path / "heartbeats.fix").write_text("8=FIX.4.2|9=40|35=0|49=A|56=B|34=2|52=20261120-10:00:00|10=000|\n")
    (tmp_path / "map.yaml").write_text("columns: {trade_uid: 'Geschäft'}\n")
    (tmp_path / "broken.yaml").write_text("columns: [")
    (tmp_path / "amount.yaml").write_text("price: {absolute: {default: cheap}}\n")
    (tmp_path / "key.yaml").write_text("prices: {absolute: {default: 1}}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("against", "options", "told"),
    [
        ("empty.csv", {}, "empty.csv: the file is empty"),
        ("header.csv", {}, "header.csv: a header and no rows"),
        ("binary.csv", {}, "binary.csv: neither a FIX log nor a delimited table"),
        ("sheet.xlsx", {}, "an Excel workbook"),
        ("folder", {}, "folder: is a directory, not a file"),
        ("nowhere.csv", {}, "nowhere.csv: no such file or directory"),
        ("missing.csv", {}, "missing.csv:1: no column found for price, a price"),
        ("ambiguous.csv", {}, "ambiguous.csv:1: Trade Date '04/05/2026' could be day/month or month/day"),
        ("rows.csv", {}, "rows.csv:2: none of 1 row can be read, first: Price 'abc' is not a number"),
        ("heartbeats.fix", {}, "heartbeats.fix: no trade in 1 message"),
        ("NG=", {}, "'NG='"),
        ("=x.csv", {}, "expected FILE or PB=FILE"),
        ("N G=x.csv", {}, "expected FILE or PB=FILE"),
        ("OURS=x.csv", {}, "OURS is the name of our own side"),
        (NORTHGATE, {"mapping": "nowhere.yaml"}, "nowhere.yaml: no such file or directory"),
        (NORTHGATE, {"mapping": "broken.yaml"}, "broken.yaml:1: not YAML"),
        (NORTHGATE, {"mapping": "map.yaml"}, "northgate.csv:1: the map wants column 'Geschäft'"),
        (NORTHGATE, {"mapping": "binary.csv"}, "binary.csv: not a YAML text file"),
        (NORTHGATE, {"rules": "map.yaml"}, "map.yaml:1: "),
        (NORTHGATE, {"rules": "folder"}, "folder: is a directory"),
        (NORTHGATE, {"tolerances": "amount.yaml"}, "amount.yaml: "),
        (NORTHGATE, {"tolerances": "key.yaml"}, "key.yaml: prices: Extra inputs"),
        (NORTHGATE, {"as_of": "yesterday"}, "--as-of 'yesterday': expected a UTC time"),
        (NORTHGATE, {"as_of": "2020-01-01"}, "every trade in the files is later"),
        (NORTHGATE, {"format": "xml"}, "--format 'xml': expected one of table, json, csv, html"),
        (NORTHGATE, {"out": "empty.csv"}, "--out "),
        (FUND, {}, "the same content as"),
    ],
)
def test_one_clear_line(bad: Path, against: Path | str, options: dict, told: str) -> None:
    plain = isinstance(against, Path) or "=" in against
    chosen = {key: bad / value if key not in ("as_of", "format") else value for key, value in options.items()}
    status, out, err = tie(FUND, against if plain else bad / against, **chosen)
    assert (status, out) == (2, "")
    assert told in err
    assert err.startswith("tieout: ") and err.count("\n") == 1 and err.endswith("\n")


def test_a_draft_map_is_written_once_and_never_over_an_edited_one(bad: Path) -> None:
    draft = bad / "missing.map.yaml"
    _, _, err = tie(FUND, bad / "missing.csv")
    assert f"wrote {draft}" in err
    edited = draft.read_text().replace("# price: ", 'price: "Wert" #')
    draft.write_text(edited)
    _, _, err = tie(FUND, bad / "missing.csv")
    assert f"edit {draft}" in err
    assert draft.read_text() == edited
    found = report(FUND, f"NORTHGATE={bad / 'missing.csv'}", HARBOUR, mapping=draft)
    assert found["summary"]["breaks"] == 8
    assert found["summary"]["files"][1]["columns"]["price"] == "Wert"


def test_status_0_when_everything_ties_out(tmp_path: Path) -> None:
    names = ("NG-4103", "NG-4108", "NG-4112")
    text = NORTHGATE.read_text()
    theirs = tmp_path / "northgate.csv"
    theirs.write_text("".join(line for line in text.splitlines(True) if not line.startswith(names)))
    skipped = (b"|17=ME03|", b"|17=ME08|", b"|17=ME12|", b"|17=ME20|")
    ours = tmp_path / "fund.fix"
    lines = FUND.read_bytes().splitlines(True)
    ours.write_bytes(b"".join(line for line in lines if not any(mark in line for mark in skipped)))
    status, out, err = tie(ours, theirs)
    assert (status, err) == (0, "")
    assert "Everything ties out" in out


def test_status_1_for_a_quarantined_row_alone(tmp_path: Path) -> None:
    ours = tmp_path / "fund.csv"
    header = "Trade ID,Account,Side,Symbol,Qty,Price,Ccy,Trade Date"
    ours.write_text(f"{header}\nT1,A,B,IBM,5,1.5,USD,2026-11-20\nT2,A,B,IBM,five,1.5,USD,2026-11-20\n")
    theirs = tmp_path / "pb.csv"
    theirs.write_text(f"{header}\nX1,A,B,IBM,5,1.50,USD,2026-11-20\n")
    status, out, _ = tie(ours, theirs)
    assert status == 1
    assert "fund.csv:3  I01  Qty 'five' is not a number Tieout can hold exactly" in out
    assert "3 rows received = 2 trades + 1 in quarantine" in out


def test_prime_broker_names() -> None:
    assert party_and_path("files/north gate.2026.csv") == (Path("files/north gate.2026.csv"), "NORTH_GATE")
    assert party_and_path("ng=files/x=y.csv") == (Path("files/x=y.csv"), "NG")


def test_a_file_with_another_name_is_aligned_by_its_accounts() -> None:
    found = report(FUND, f"NG_1120={NORTHGATE}", HARBOUR)
    assert found["summary"]["breaks"] == 8
    assert "NORTHGATE in our trades taken as NG_1120" in found["summary"]["notes"]


def test_trades_held_elsewhere_are_left_out_and_counted() -> None:
    found = report(FUND, NORTHGATE)
    assert sorted(b["code"] for b in found["breaks"]) == ["T01", "T05", "T14", "T16"]
    assert found["summary"]["rows"]["ignored"] == 12
    assert found["summary"]["rows"]["complete"]
    assert found["summary"]["notes"] == ["12 of our rows are held at HARBOUR: no file given, left out"]


def _our_csv(path: Path) -> Path:
    """Our side of both accounts without prime broker and without ISIN."""
    rows = ["TradeID;Acct;B/S;Ticker;Qty;Px;Ccy;TD;SD"]
    for line in FUND.read_text().splitlines():
        tags = dict(field.split("=", 1) for field in line.split(" ", 1)[1].split("|") if field)
        side = {"1": "B", "2": "S", "5": "SS"}[tags["54"]]
        rows.append(
            ";".join([tags["17"], tags["1"], side, tags["55"], tags["32"], tags["31"], "USD", tags["75"], tags["64"]])
        )
    path.write_text("\n".join(rows) + "\n")
    return path


def test_account_and_security_are_recognised_from_the_other_side(tmp_path: Path) -> None:
    found = report(_our_csv(tmp_path / "fund.csv"), NORTHGATE, HARBOUR)
    # Our CSV names no commission, so that break cannot be seen.
    assert sorted(b["code"] for b in found["breaks"]) == ["T01", "T02", "T03", "T05", "T06", "T07", "T14"]
    assert found["summary"]["accounts"] == {"MERID-LS-01": "NORTHGATE", "MERID-QT-02": "HARBOUR"}
    assert any("without ISIN were recognised" in note for note in found["summary"]["notes"])


def test_tolerances_change_the_outcome_and_the_hash(tmp_path: Path) -> None:
    wide = tmp_path / "wide.yaml"
    wide.write_text("commission: {absolute: {default: 10}}\n")
    plain, loose = report(FUND, NORTHGATE), report(FUND, NORTHGATE, tolerances=wide)
    assert sorted(b["code"] for b in loose["breaks"]) == ["T01", "T05", "T14"]
    assert plain["summary"]["rule_set_hash"] != loose["summary"]["rule_set_hash"]


def test_as_of_shows_the_day_as_it_was_known() -> None:
    found = report(FUND, NORTHGATE, HARBOUR, as_of="2026-11-20T16:00:00Z")
    assert sorted(b["code"] for b in found["breaks"]) == ["T05", "T14", "T16"]
    assert found["summary"]["rows"]["ignored"] == 23
    assert found["summary"]["as_of"] == "2026-11-20T16:00:00Z"


def test_the_same_trade_in_two_files_is_a_duplicate(tmp_path: Path) -> None:
    again = tmp_path / "northgate2.csv"
    again.write_text("".join(NORTHGATE.read_text().splitlines(True)[:3]))
    found = report(FUND, NORTHGATE, f"NORTHGATE={again}", HARBOUR)
    assert found["summary"]["breaks"] == 8
    assert found["summary"]["rows"]["duplicates"] == 2


@pytest.mark.parametrize(
    ("text", "ns"),
    [("1970-01-01T00:00:01Z", 10**9), ("1970-01-01T01:00:00+01:00", 0), ("1970-01-01 00:00:00.000001", 1000)],
)
def test_as_of_is_utc(text: str, ns: int) -> None:
    assert parse_as_of(text) == ns


def test_a_prime_brokers_own_account_names_are_recognised_by_the_trades(tmp_path: Path) -> None:
    theirs = tmp_path / "northgate.csv"
    theirs.write_text(NORTHGATE.read_text().replace("MERID-LS-01", "7701-A"))
    found = report(FUND, theirs, HARBOUR)
    assert found["summary"]["breaks"] == 8
    assert "account 7701-A at NORTHGATE taken as our MERID-LS-01" in found["summary"]["notes"]


def test_a_single_trade_in_a_strange_account_stays_a_break(tmp_path: Path) -> None:
    theirs = tmp_path / "northgate.csv"
    theirs.write_text(NORTHGATE.read_text().replace("ME11,MERID-LS-01", "ME11,7701-A"))
    found = report(FUND, theirs, HARBOUR)
    assert sorted({b["code"] for b in found["breaks"]} - {"T01", "T02", "T03", "T05", "T06", "T07", "T14", "T16"}) == [
        "T10"
    ]


@pytest.mark.parametrize(
    ("column", "number"),
    [("CUSIP", "037833100"), ("CUSIP", "37833100"), ("Symbol", "AAPL")],
)
def test_a_security_without_isin_is_recognised_by_other_numbers(tmp_path: Path, column: str, number: str) -> None:
    header = "Trade ID,Account,Side,Qty,Price,Ccy,Trade Date,Symbol"
    ours, theirs = tmp_path / "fund.csv", tmp_path / "pb.csv"
    ours.write_text(f"{header},ISIN\nT1,A,B,5,1.5,USD,2026-11-20,AAPL,US0378331005\n")
    theirs.write_text(f"{header.replace('Symbol', column)}\nX1,A,B,5,1.5,USD,2026-11-20,{number}\n")
    found = report(ours, theirs)
    assert found["summary"]["tied_out"]
    assert "1 security without ISIN was recognised by the other side's records" in found["summary"]["notes"]
