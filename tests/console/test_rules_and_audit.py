"""The page of the rules in force and the page of the audit trail."""

import re

from fastapi.testclient import TestClient

from app.terms_kept import note_terms
from matching.rules import load_rules
from tests.app.test_as_known import loosened
from warehouse.audit_log import Deed, append_entries
from warehouse.duckdb import DuckDbWarehouse

AT_NS = 1_795_205_100_000_000_000
BREAK = "ab" * 16


def test_the_rules_in_force_and_those_before(client: TestClient, warehouse: DuckDbWarehouse) -> None:
    assert "No rule set has been used yet" in client.get("/rules").text
    rules, loose = load_rules(), loosened()
    note_terms(warehouse, rules, (), AT_NS)
    note_terms(warehouse, loose, (), AT_NS + 1)
    page = client.get("/rules").text
    assert page.count(loose.hash) == 2 and page.count(rules.hash) == 1, "the newest is the one in force"
    for one in loose.passes:
        assert one.id in page
    assert "uid=cross_uid, trade_date" in page and "agree at least: 2" in page
    assert "d.qty &gt; 0" in page and "default 0.05" in page and "up to 500 USD" in page
    assert "built-in" not in page


def test_the_trail_newest_first_filtered_and_escaped(client: TestClient, warehouse: DuckDbWarehouse) -> None:
    assert "Nothing is recorded." in client.get("/audit").text
    deeds = [Deed("ana", "break.comment", f"a{number}", {"break_id": BREAK, "reason": f"look <b>{number}</b>"})
             for number in range(130)]  # fmt: skip
    append_entries(warehouse, [*deeds, Deed("tieout", "ticket.open", "k#1", {"ticket_number": "INC1"})], AT_NS)
    page = client.get("/audit").text
    assert "Intact" in page and "INC1" in page and "look &lt;b&gt;129&lt;/b&gt;" in page and "<b>129" not in page
    assert f'href="/breaks/{BREAK}"' in page and "look &lt;b&gt;30" not in page
    [older] = re.findall(r'href="(/audit\?[^"]*before=32)"', page)
    assert "look &lt;b&gt;30" in client.get(older.replace("&amp;", "&")).text
    only = client.get("/audit", params={"actor": "tieout", "action": "ticket.open"}).text
    assert "INC1" in only and "look" not in only
    assert "Nothing is recorded that fits." in client.get("/audit", params={"actor": "eve"}).text
    assert "INC1" in client.get("/audit?before=x").text, "what is no number says nothing"


def test_all_entries_count_however_many_people_there_are(client: TestClient, warehouse: DuckDbWarehouse) -> None:
    before = warehouse.query("SELECT count(*) AS n FROM audit_entry")["n"].to_pylist()[0]
    append_entries(warehouse, [Deed(f"person {n}", "break.comment", f"p{n}", {}) for n in range(60)], AT_NS + 1)
    assert f"<span>Entries</span><b>{before + 60:,}</b>" in client.get("/audit").text


def test_an_entry_that_was_taken_away_is_missed(client: TestClient, warehouse: DuckDbWarehouse) -> None:
    append_entries(warehouse, [Deed("ana", "break.comment", f"x{n}", {}) for n in range(3)], AT_NS + 2)
    last = warehouse.query("SELECT max(seq) AS n FROM audit_entry")["n"].to_pylist()[0]
    taken = warehouse.query(f"SELECT * FROM audit_entry WHERE seq = {last - 1}")
    warehouse.execute(f"DELETE FROM audit_entry WHERE seq = {last - 1}")
    page = client.get("/audit").text
    warehouse.append("audit_entry", taken)
    assert f"Entry {last}: expected sequence number {last - 1}" in page
    assert "Intact" in client.get("/audit").text


def test_a_changed_entry_is_called_broken(client: TestClient, warehouse: DuckDbWarehouse) -> None:
    warehouse.execute("UPDATE audit_entry SET actor = 'eve' WHERE seq = 120")
    page = client.get("/audit").text
    assert "Broken" in page and "Entry 120: its hash does not fit its content" in page
    assert "Broken" not in client.get("/audit", params={"action": "ticket.open"}).text
