"""The simulator's brokers, each learnt as one nobody has seen: at least 95% of the fields are proposed right."""

import pytest

from bench.learn import FILLS, SEED, file_rows, fix_rows
from ingest.learn.ours import Ours
from ingest.learn.table import propose_map
from ingest.learn.table_sample import read_xml_samples, record_element

RIGHT_MIN = 0.95

_XML = b"""<?xml version="1.0"?><Statement><Trades>%s</Trades></Statement>"""
_TRADE = (
    b'<Trade tradeID="%d" origTradeID="%s" accountId="F%d" isin="US0378331005" buySell="%s" quantity="%d" '
    b'tradePrice="%d.50" currency="USD" proceeds="%d" ibCommission="-%d" netCash="%d" tradeDate="20261120" '
    b'settleDateTarget="20261123" dateTime="20261120;%02d3000" />'
)


def test_fix_brokers_are_learnt() -> None:
    rows, _ = fix_rows(1_000, SEED)
    assert len(rows) == 6
    for name, scored in rows:
        assert scored.right >= RIGHT_MIN * scored.asked, (name, scored.wrong)


@pytest.mark.heavy
def test_all_samples_are_learnt() -> None:
    named, _ = file_rows(FILLS, SEED)
    rows = [*fix_rows(FILLS, SEED)[0], *named]
    for name, scored in rows:
        assert scored.right >= RIGHT_MIN * scored.asked, (name, scored.wrong)


def test_an_xml_statement_is_learnt_as_a_file_dialect() -> None:
    trades = []
    for n in range(40):
        qty, price, paid = 10 + 2 * n, 100 + n, 3 + n % 4
        gross = qty * price + qty // 2
        sells = n % 3 == 0
        net = gross - paid if sells else -gross - paid
        trades.append(_TRADE % (
            9_000 + n, b"%d" % (8_999 + n) if n % 9 == 8 else b"", n % 3, b"SELL" if sells else b"BUY",
            -qty if sells else qty, price, gross if sells else -gross, paid, net, 9 + n % 7,
        ))  # fmt: skip
    data = _XML % b"\n".join(trades)
    record = record_element(data)
    assert record == "Trade"
    found = propose_map(read_xml_samples([("flex.xml", data)], record), Ours(), {"name": "flex", "kind": "xml"})
    want = {"trade_uid": "tradeID", "prev_uid": "origTradeID", "account": "accountId", "isin": "isin",
            "side": "buySell",
            "qty": "quantity", "price": "tradePrice", "gross_money": "proceeds", "net_money": "netCash",
            "commission": "ibCommission", "trade_date": "tradeDate", "settle_date": "settleDateTarget"}  # fmt: skip
    assert {name: found.columns.get(name) for name in want} == want
    assert next(line for line in found.lines if line.key == "cost_sign").value == "negative"
    assert "kind: xml" in found.text()


def test_a_document_with_entities_is_refused() -> None:
    from ingest.files.read import FileRefused

    bad = b'<!DOCTYPE x [<!ENTITY a "b">]>' + _XML % b'<Trade a="&a;" b="1" c="1" d="1" e="1" f="1"/>'
    with pytest.raises(FileRefused):
        read_xml_samples([("x.xml", bad)], "Trade")
