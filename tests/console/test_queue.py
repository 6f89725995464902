"""The queue: windows, filters, facets, search, sort, export, and what malformed input gets."""

import csv
import io
import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from console.export import guard
from console.ports import ConsoleDeps
from warehouse.duckdb import DuckDbWarehouse


def ask(client: TestClient, **params: Any) -> dict[str, Any]:
    answer = client.get("/api/breaks", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_windows_cover_the_queue_once(client: TestClient, break_ids: list[str]) -> None:
    seen = [r["id"] for offset in range(0, 80, 17) for r in ask(client, offset=offset, limit=17)["rows"]]
    assert sorted(seen) == sorted(break_ids)


def test_default_order_is_severity_then_money(client: TestClient, warehouse: DuckDbWarehouse) -> None:
    rows = ask(client, limit=500)["rows"]
    money = {r["break_id"]: r["exposure_base"] for r in warehouse.query("SELECT * FROM break_queue").to_pylist()}
    keys = [(-r["severity"], money[r["id"]] is None, -(money[r["id"]] or 0)) for r in rows]
    assert keys == sorted(keys)


@pytest.mark.parametrize("sort", ["ticket", "code", "symbol", "exposure", "score", "opened", "deadline", "state", "pb"])
def test_sorts_keep_all_rows_and_reverse(client: TestClient, break_ids: list[str], sort: str) -> None:
    up = [r["id"] for r in ask(client, sort=sort, dir="asc", limit=500)["rows"]]
    down = [r["id"] for r in ask(client, sort=sort, dir="desc", limit=500)["rows"]]
    assert sorted(up) == sorted(down) == sorted(break_ids)
    assert up != down or sort == "state"


def test_filters_and_facets_agree(client: TestClient, break_ids: list[str]) -> None:
    everything = ask(client)
    assert everything["total"] == len(break_ids)
    for facet in ("severity", "pb", "code"):
        assert sum(everything["facets"][facet].values()) == len(break_ids)
        for value, n in everything["facets"][facet].items():
            found = ask(client, limit=500, **{facet: value})
            assert found["total"] == n == len(found["rows"])
            assert found["facets"][facet] == everything["facets"][facet], "a facet leaves out its own filter"


def test_filters_combine(client: TestClient) -> None:
    both = ask(client, limit=500, severity=[3, 4], pb="BRAVO")
    assert both["total"] == len(both["rows"]) > 0
    assert {r["severity"] for r in both["rows"]} <= {3, 4} and {r["pb"] for r in both["rows"]} == {"BRAVO"}


def test_due_filters(client: TestClient) -> None:
    late, soon = ask(client, due="breached", limit=500), ask(client, due="1h", limit=500)
    assert late["total"] and all(r["deadline"] < late["now"] for r in late["rows"])
    assert soon["total"] and all(0 <= r["deadline"] - soon["now"] < 3_600_000 for r in soon["rows"])
    assert ask(client)["kpi"]["breached"] == late["total"]


def test_money_that_is_unknown_stays_unknown(client: TestClient) -> None:
    words = {r["exposure"] for r in ask(client, limit=500)["rows"]}
    assert "unknown" in words and not any(w.startswith("USD 0") for w in words)
    assert ask(client)["kpi"]["exposure_unknown"] == sum(
        r["exposure"] == "unknown" for r in ask(client, limit=500)["rows"]
    )


def test_ages_add_up(client: TestClient) -> None:
    kpi = ask(client)["kpi"]
    assert sum(a["n"] for a in kpi["ages"]) == kpi["open"] and [a["n"] > 0 for a in kpi["ages"]].count(True) == 5


def test_search_finds_words_in_any_order(client: TestClient) -> None:
    rows = ask(client, limit=500)["rows"]
    row = next(r for r in rows if r["ticket"])
    assert row["id"] in {r["id"] for r in ask(client, q=row["ticket"].lower())["rows"]}
    some = ask(client, q=f"{row['account'].lower()} {row['symbol'].lower()}", limit=500)["rows"]
    assert some and all(r["account"] == row["account"] and r["symbol"] == row["symbol"] for r in some)


@pytest.mark.parametrize("words", ["%", "_", "'; DROP TABLE recon_break; --", "!", "%%%", "\\", "\x00", "zzz-nothing"])
def test_search_is_literal(client: TestClient, words: str) -> None:
    expected = 60 if words == "\x00" else 0
    assert ask(client, q=words)["total"] == expected
    assert ask(client)["total"] == 60


BAD = [
    "limit=0", "limit=501", "limit=x", "offset=-1", "offset=99999999999999999999", "severity=9", "severity=abc",
    "sort=1;drop", "sort=exposure_base", "dir=sideways", "state=WRONG", "code=T5", "code=%27", "due=never",
    "facets=maybe", "q=" + "a" * 101, "pb=" + "x" * 65, "severity=", "offset=1e9", "limit=NaN",
]  # fmt: skip


@pytest.mark.parametrize("query", BAD)
def test_malformed_parameters_are_422_in_the_api_and_400_on_the_page(client: TestClient, query: str) -> None:
    assert client.get(f"/api/breaks?{query}").status_code == 422
    page = client.get(f"/breaks?{query}")
    ignored = query.split("=")[0] in ("limit", "offset", "facets") or query.endswith("=")
    assert page.status_code == (200 if ignored else 400)


@pytest.mark.parametrize(
    "path", ["/api/breaks/%00", "/api/breaks/%27", "/api/breaks/" + "a" * 200, "/api/breaks/%F0%9F%92%A3"]
)
def test_malformed_ids_are_refused(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 422)
    assert client.get(path.removeprefix("/api")).status_code == 404


def test_first_paint_holds_the_same_rows_as_the_api(client: TestClient) -> None:
    page = client.get("/breaks?severity=3").text
    match = re.search(r'<script type="application/json" id="first">(.*?)</script>', page, re.S)
    assert match is not None
    first = json.loads(match.group(1))
    assert [r["id"] for r in first["rows"]] == [r["id"] for r in ask(client, severity=3, limit=80)["rows"]]


def test_values_are_cut_into_marked_spans(client: TestClient) -> None:
    row = next(r for r in ask(client, code="T05", limit=500)["rows"])
    assert any(changed for _, changed in row["right"]) and any(not changed for _, changed in row["right"])


def test_a_duplicate_says_so_instead_of_showing_the_same_value_twice() -> None:
    from console.queue import value_spans

    row = {"code": "T03", "field_family": "existence", "left_value": "5000 @ 69.27", "right_value": "5000 @ 69.27"}
    assert [[s.text for s in side] for side in value_spans(row)] == [["5,000 @ 69.27"], ["booked twice"]]
    assert [[s.text for s in side] for side in value_spans(row | {"code": "T04"})] == [
        ["booked twice"],
        ["5,000 @ 69.27"],
    ]


def test_export_holds_the_filtered_queue(client: TestClient) -> None:
    answer = client.get("/breaks.csv?severity=3&sort=exposure")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [r["break_id"] for r in rows] == [
        r["id"] for r in ask(client, severity=3, sort="exposure", limit=500)["rows"]
    ]
    assert client.get("/breaks.csv?severity=99").status_code == 400


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", '=HYPERLINK("http://x")', "＝1"]
)
def test_formula_cells_are_disarmed(cell: str) -> None:
    assert guard(cell).startswith("'")


def test_numbers_stay_numbers_in_the_export() -> None:
    from decimal import Decimal

    assert guard(Decimal("-12.5")) == "-12.5" and guard(None) == "" and guard("AAPL") == "AAPL"


def test_state_filter_and_empty_queue(client: TestClient) -> None:
    assert ask(client, state="RESOLVED")["total"] == 0
    assert client.get("/breaks?state=RESOLVED").status_code == 200


def test_warehouse_failure_is_503(deps: ConsoleDeps) -> None:
    import dataclasses

    from console.app import create_console
    from domain.errors import TransientError

    class Broken:
        def query(self, sql: str, params: object = None) -> object:
            raise TransientError("the file is held by another process")

    broken = dataclasses.replace(deps, warehouse=Broken())  # type: ignore[arg-type]
    with TestClient(
        create_console(broken), base_url="http://127.0.0.1", headers={"authorization": f"Bearer {deps.token}"}
    ) as c:
        assert c.get("/api/breaks").status_code == 503
        assert c.get("/breaks").status_code == 503
        assert c.get("/readyz").status_code == 503
        assert c.get("/healthz").status_code == 200
