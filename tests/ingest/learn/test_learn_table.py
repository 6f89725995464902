"""A column map learnt from tables made here, by names and by contents alone."""

from datetime import date, timedelta

import pytest

from ingest.files.csv_map import parse_map
from ingest.files.read import FileRefused
from ingest.learn.ours import Ours
from ingest.learn.proposal import Proposal
from ingest.learn.table import TableProposal, propose_map
from ingest.learn.table_sample import read_samples

_ISINS = ("US0378331005", "US5949181045", "US46625H1005", "US1912161007", "US30231G1022", "US9311421039")
_SYMBOLS = ("AAPL", "MSFT", "JPM", "KO", "XOM", "WMT")
_HEADER = ("Deal", "Amends", "What", "Acct", "Code", "ISIN Code", "B/S", "Nominal", "Px", "Ccy", "Consideration",
           "Comm", "Net", "TD", "SD", "Done at")  # fmt: skip


def table(count: int = 60, header: tuple[str, ...] = _HEADER, form: str = "%d/%m/%Y", sep: str = ";") -> bytes:
    lines = [sep.join(header)]
    for n in range(count):
        day = date(2026, 11, 2) + timedelta(days=n % 5)
        qty, cents = 100 + 7 * n, 2000 + 13 * n
        gross, paid = qty * cents, 500 + n
        side = ("B", "S", "SS")[n % 3]
        net = gross + paid if side == "B" else gross - paid
        lines.append(sep.join((
            f"D{n:07d}", f"D{n - 1:07d}" if n % 10 == 9 else "", "CANCEL" if n % 10 == 9 else "NEW",
            f"FUND-{n % 4}", _SYMBOLS[n % 6], _ISINS[n % 6], side, str(qty), f"{cents / 100:.2f}", "USD",
            f"{gross / 100:.2f}", f"{paid / 100:.2f}", f"{net / 100:.2f}", f"{day:{form}}",
            f"{day + timedelta(days=1):{form}}", f"{day:{form}} {9 + n % 6}:{30 + n % 29}:07",
        )))  # fmt: skip
    return "\n".join(lines).encode()


def learn(data: bytes) -> TableProposal:
    return propose_map(read_samples([("their.csv", data)]), Ours())


def line(found: TableProposal, key: str) -> Proposal:
    return next(one for one in found.lines if one.key == key)


def test_names_and_contents_agree() -> None:
    found = learn(table())
    want = {"trade_uid": "Deal", "prev_uid": "Amends", "isin": "ISIN Code", "side": "B/S", "qty": "Nominal",
            "price": "Px", "trade_ccy": "Ccy", "gross_money": "Consideration", "commission": "Comm",
            "net_money": "Net", "trade_date": "TD", "settle_date": "SD", "account": "Acct"}  # fmt: skip
    assert {name: found.columns.get(name) for name in want} == want


def test_contents_alone_find_the_columns() -> None:
    blind = tuple(f"Column {n}" for n in range(len(_HEADER)))
    found = learn(table(header=blind))
    at = {name: f"Column {_HEADER.index(header)}" for name, header in {
        "trade_uid": "Deal", "prev_uid": "Amends", "status": "What", "isin": "ISIN Code", "side": "B/S",
        "qty": "Nominal", "price": "Px", "trade_ccy": "Ccy", "gross_money": "Consideration", "commission": "Comm",
        "net_money": "Net", "trade_date": "TD", "settle_date": "SD", "event_time": "Done at", "symbol": "Code",
        "account": "Acct"}.items()}  # fmt: skip
    assert {name: found.columns.get(name) for name in at} == at
    assert line(found, "columns.account").open  # nothing but a handful of codes says so


@pytest.mark.parametrize(
    ("form", "told"),
    [("%d/%m/%Y", "DD/MM/YYYY"), ("%m/%d/%Y", "MM/DD/YYYY"), ("%Y-%m-%d", "YYYY-MM-DD"), ("%Y%m%d", "YYYYMMDD"),
     ("%d-%b-%Y", "DD-MMM-YYYY")],
)  # fmt: skip
def test_the_form_of_dates(form: str, told: str) -> None:
    assert line(learn(table(form=form)), "date_format").value == told


def test_the_zone_comes_from_market_hours_and_is_confirmed_by_a_person() -> None:
    found = line(learn(table()), "zone")
    assert found.value == "America/New_York" and found.open


def test_the_map_loads_and_reads_what_it_was_learnt_from() -> None:
    mapping = parse_map(learn(table()).text(), "map.yaml")
    assert mapping.columns["trade_uid"] == "Deal"
    assert mapping.date_format == "DD/MM/YYYY"


def test_codes_nobody_knows_and_columns_that_lack_are_asked() -> None:
    odd = table().replace(b";SS;", b";ZZ;")
    found = learn(odd)
    assert line(found, "sides.ZZ").value is None and line(found, "sides.ZZ").open
    few = tuple(name if name != "Ccy" else "Note" for name in _HEADER)
    lacking = learn(table(header=few).replace(b";USD;", b";x;"))
    assert line(lacking, "columns.trade_ccy").open and line(lacking, "columns.trade_ccy").value is None


def test_a_usual_name_with_other_cells_is_not_taken() -> None:
    header = tuple("ISIN" if name == "Acct" else name for name in _HEADER)
    found = learn(table(header=header))
    assert found.columns["isin"] == "ISIN Code"


def test_a_file_without_a_table_is_refused() -> None:
    with pytest.raises(FileRefused):
        read_samples([("x.csv", b"a,b\n1,2\n")])


def test_a_column_of_times_of_day_says_nothing_about_dates() -> None:
    rows = ["Trade ID;Side;ISIN;Quantity;Price;Ccy;Trade Date;Settle Date;Exec Time"]
    rows += [
        f"Z{n};BUY;{_ISINS[n % 6]};{100 + n};{20 + n}.5;USD;20/11/2026;24/11/2026;09:30:{n}" for n in range(10, 40)
    ]
    found = line(learn("\n".join(rows).encode()), "date_format")
    assert (found.value, found.confidence) == ("DD/MM/YYYY", 0.99)
