"""File dialects: the shipped ones hold together, a wrong one is told key by key, layouts are found and watched."""

from pathlib import Path

import pytest
import yaml

from domain.errors import PermanentError
from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import (
    FileDialect,
    FixedLayout,
    detected,
    file_dialect,
    file_dialect_names,
    is_file_dialect,
    parse_file_dialect,
)
from ingest.files.read import FileRefused
from ingest.normalise_reference import Reference

MINIMAL = "name: mine\ncolumns: {trade_uid: Id, account: Acc, side: Side, qty: Qty, price: Px, trade_ccy: Ccy,"
MINIMAL += " trade_date: Day, isin: Isin}\nfixed_columns: true\ndate_format: YYYY-MM-DD\n"
HEADER = "Id,Acc,Side,Qty,Px,Ccy,Day,Isin"
ROW = "T1,A1,Buy,100,10.5,USD,2026-11-20,US0846707026"


def read(text: str, dialect: str, file: str = "f.csv", **feed: object) -> FileBatch:
    sender = Feed(**{"name": "PB", "role": "PB", "party": "PB", **feed})  # type: ignore[arg-type]
    found = parse_file_dialect("mine.yaml", dialect)
    return batch_from_file(text.encode(), file, sender, CsvMap(), Reference({}), dialect=found)


@pytest.mark.parametrize("name", file_dialect_names())
def test_shipped_dialects_hold_together(name: str) -> None:
    found = file_dialect(name)
    assert (found.name, is_file_dialect(name), bool(found.description)) == (name, True, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\ncolumns: {qty: Q}", "columns: trade_uid is missing"),
        (MINIMAL + "kind: fixed", "fixed: needed for kind fixed"),
        (MINIMAL + "xml: {record: Trade}", "xml: needed for kind xml"),
        (MINIMAL + "shape: round", "shape"),
        (MINIMAL + "zone: Mars/Olympus", "no such time zone"),
        (MINIMAL + "detect: '('", "not a pattern"),
        (MINIMAL + "version_pattern: 'x'", "exactly one group"),
        (MINIMAL + "contents: cash", "is not a column of cash"),
        ("name: x\ncolumns: {nonsense: N}", "'nonsense' is not a column of trades"),
        (": : :", "not YAML"),
        ("- 1", "document"),
    ],
)
def test_a_wrong_dialect_says_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(PermanentError, match=r"file dialect x\.yaml") as error:
        parse_file_dialect("x.yaml", text)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_fixed_layouts_must_fit_their_width() -> None:
    layout = "name: x\nkind: fixed\nfixed: {width: 4, fields: [{name: a, width: 3}, {name: b, width: 2}]}\ncolumns: {}"
    with pytest.raises(PermanentError, match=r"field 'b' \(4 to 5\) does not fit the width 4"):
        parse_file_dialect("x.yaml", layout)


def test_one_of_your_own_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL)
    assert file_dialect(str(path)).name == "mine" and is_file_dialect(str(path))
    with pytest.raises(PermanentError, match="no such file"):
        file_dialect(str(tmp_path / "other.yaml"))
    with pytest.raises(PermanentError, match="no file dialect 'nobody'; known: charlie_csv"):
        file_dialect("nobody")


def test_files_of_a_known_kind_are_found_without_being_named() -> None:
    assert detected(b"BOF      GTDE      X 11/20/2026") == file_dialect("delta_gtde")
    assert detected(b'<?xml version="1.0"?>\n<FlexQueryResponse queryName="q">') == file_dialect("echo_flex")
    assert detected(b"Trade ID,Account") is None


def test_columns_are_found_by_name_and_a_new_layout_is_told() -> None:
    clean = read(f"Report\n{HEADER}\n{ROW}\n", MINIMAL)
    assert clean.normalised.quarantine.num_rows == 0 and clean.business_date is not None
    new = read(f"{HEADER},Desk\n{ROW},X\n", MINIMAL)
    moved = read(",".join([*HEADER.split(",")[1:], "Id"]) + "\n" + ",".join([*ROW.split(",")[1:], "T1"]), MINIMAL)
    for batch, told in ((new, "new column 'Desk'"), (moved, "column 'Id' is in another place")):
        assert batch.normalised.trades["trade_uid"].to_pylist() == ["T1"]
        (row,) = batch.normalised.quarantine.to_pylist()
        assert (row["code"], row["reason"]) == ("I07", "schema_drift") and told in row["detail"]
        assert batch.normalised.messages["outcome"].to_pylist() == ["QUARANTINE", "FACT"]


def test_a_file_that_lacks_a_column_is_stopped_whole() -> None:
    with pytest.raises(FileRefused, match="no column Acc for account; the header reads: Id, Side"):
        read("Id,Side,Qty,Px,Ccy,Day,Isin\nT1,Buy,1,1,USD,2026-11-20,US0846707026\n", MINIMAL)


def test_only_rows_that_are_trades() -> None:
    own = MINIMAL + "only_rows_where: {Kind: [EXECUTION]}\nother_columns: [Kind]\n"
    batch = read(f"{HEADER},Kind\n{ROW},EXECUTION\n{ROW},ORDER\n", own)
    assert batch.normalised.messages["outcome"].to_pylist() == ["FACT", "IGNORED"]
    assert read(f"{HEADER}\n{ROW}\n", own).normalised.trades.num_rows == 1


def test_the_page_tells_every_key_and_every_shipped_dialect() -> None:
    page = (Path(__file__).parents[3] / "docs" / "files.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```yaml\n")[1:]]
    (whole,) = [block for block in blocks if block.startswith("name: northgate")]
    told = parse_file_dialect("northgate.yaml", whole)
    assert told.model_fields_set == set(FileDialect.model_fields)
    assert all(f"`{name}`" in page for name in file_dialect_names())
    layout = next(block for block in blocks if block.startswith("fixed:"))
    assert FixedLayout.model_validate(yaml.safe_load(layout)["fixed"]).width == 32
