"""One break: headline, comparison, timeline, messages, and what people do about it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from console.diff import compare_sides, spans
from console.ports import ConsoleDeps
from console.wording import break_name, compact, deadline_words, headline, instant, readable_value, span_words
from domain.taxonomy import taxonomy

NOW = instant(1_795_205_100_000_000_000)


def post(client: TestClient, break_id: str, **body: Any) -> Any:
    return client.post(f"/api/breaks/{break_id}/actions", json=body)


def marked(value: tuple[Any, ...]) -> str:
    return "".join(f"[{s.text}]" if s.changed else s.text for s in value)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("9,063", "9,163", ("9,[0]63", "9,[1]63")),
        ("63.78", "63.78", ("63.78", "63.78")),
        ("1,000", "11,000", ("1,000", "[1]1,000")),
        ("BUY", "SELL", ("[BUY]", "[SELL]")),
        ("1,000 @ 2.5", "—", ("[1,000 @ 2.5]", "[—]")),
        ("", "x", ("", "[x]")),
    ],
)
def test_characters_that_differ_are_marked(left: str, right: str, expected: tuple[str, str]) -> None:
    a, b = spans(left, right)
    assert (marked(a), marked(b)) == expected
    assert "".join(s.text for s in a) == left and "".join(s.text for s in b) == right


def test_several_fills_are_added_up_before_they_are_compared() -> None:
    fills = [{"qty": Decimal(300), "price": Decimal("10.1"), "commission": Decimal("1.5")},
             {"qty": Decimal(700), "price": Decimal("10.2"), "commission": Decimal("3.5")}]  # fmt: skip
    block = [{"qty": Decimal(1000), "price": Decimal("10.17"), "commission": Decimal("5.1")}]
    rows = {r.name: r for group in compare_sides(fills, block) for r in group.rows}
    assert rows["qty"].status == "same" and rows["price"].status == "same"
    assert rows["commission"].status == "differs" and marked(rows["commission"].left) == "5"


def test_gross_of_an_average_price_differs_only_beyond_its_rounding() -> None:
    fills = [{"qty": Decimal(3000), "price": Decimal("190.07"), "price_scale": 2, "gross_money": Decimal("570210")},
             {"qty": Decimal(4369), "price": Decimal("190.08"), "price_scale": 2,
              "gross_money": Decimal("830459.52")}]  # fmt: skip
    block = [{"qty": Decimal(7369), "price": Decimal("190.0759"), "price_scale": 4,
              "gross_money": Decimal("1400669.3071")}]  # fmt: skip

    def status(ours: list[dict[str, object]], theirs: list[dict[str, object]]) -> str:
        return {r.name: r.status for group in compare_sides(ours, theirs) for r in group.rows}["gross_money"]

    assert status(fills, block) == "info"
    assert status(fills, [block[0] | {"gross_money": Decimal("1400669.90")}]) == "differs"
    assert status([fills[0]], [fills[0] | {"gross_money": Decimal("570210.01")}]) == "differs", "one fill each: exact"
    assert status(fills, [block[0] | {"qty": Decimal(7368)}]) == "differs", "another quantity is no rounding"


def test_average_price_is_compared_to_the_digits_the_other_side_shows() -> None:
    fills = [{"qty": Decimal(1), "price": Decimal("340.83"), "price_scale": 2},
             {"qty": Decimal(2), "price": Decimal("340.84"), "price_scale": 2}]  # fmt: skip
    block = [{"qty": Decimal(3), "price": Decimal("340.8367"), "price_scale": 4}]
    rows = {r.name: r.status for group in compare_sides(fills, block) for r in group.rows}
    assert rows["price"] == "same"
    halves = [block[0] | {"qty": Decimal("1.5")}] * 2
    assert {r.name: r.status for group in compare_sides(fills, halves) for r in group.rows}["price"] == "same"
    off = [block[0] | {"price": Decimal("340.8368")}]
    assert {r.name: r.status for group in compare_sides(fills, off) for r in group.rows}["price"] == "differs"


@pytest.mark.parametrize(
    ("value", "words"),
    [("950", "950"), ("9999", "9,999"), ("102352", "102 k"), ("46168.4", "46.2 k"), ("5267585.67", "5.27 m"),
     ("-21500000000", "-21.5 bn"), ("0", "0")],
)  # fmt: skip
def test_large_amounts_are_told_in_the_right_unit(value: str, words: str) -> None:
    assert compact(Decimal(value)) == words


def test_ids_never_differ_and_silence_is_not_a_difference() -> None:
    rows = {r.name: r for g in compare_sides([{"trade_uid": "A", "net_money": None, "qty": Decimal(1)}],
                                             [{"trade_uid": "B", "net_money": Decimal(5), "qty": Decimal(1)}])
            for r in g.rows}  # fmt: skip
    assert rows["trade_uid"].status == rows["net_money"].status == "info"


def test_one_sided_breaks_show_what_there_is() -> None:
    (group,) = compare_sides([{"qty": Decimal(5)}], [])
    assert group.rows[0].status == "one-sided" and marked(group.rows[0].right) == "—"


def test_headline_says_what_money_when_and_next(client: TestClient, break_ids: list[str]) -> None:
    found = client.get(f"/api/breaks/{break_ids[0]}").json()
    sentence = found["headline"]
    assert found["break"]["symbol"] in sentence and "at risk" in sentence
    assert "New York time" in sentence or "no deadline" in sentence
    assert sentence.endswith("Next: Ask the broker for its fill report.")


def test_headline_tells_money_and_clock_once() -> None:
    told = "BRAVO booked 900 where we traded 1,000 AAPL in M-1: 100 short, USD 22,748.00 at risk, fix by 20:30 ET today"
    row = {"code": "T05", "headline": told, "exposure_base": Decimal(22748), "deadline_at": NOW, "state": "OPEN"}
    sentence = headline(row, NOW, "USD")
    assert sentence.startswith("BRAVO booked 900 where we traded 1,000 AAPL in M-1: 100 short. USD 22,748 at risk; ")
    assert sentence.count("at risk") == 1 and "20:30" not in sentence


def test_every_code_has_a_readable_name() -> None:
    names = {code: break_name(code) for code in taxonomy()}
    assert all(name and "_" not in name and name[0].isupper() for name in names.values())
    assert len(set(names.values())) == len(names) and names["T01"] == "Missing at PB"


def test_deadline_is_told_in_the_market_s_time() -> None:
    from datetime import timedelta

    soon, late = NOW + timedelta(hours=2, minutes=13), NOW - timedelta(minutes=31)
    assert deadline_words(soon, NOW, "America/New_York") == "by 17:18 New York time today (2 h 13 left)"
    assert deadline_words(late, NOW, "") == "by 19:34 UTC today (31 min late)"
    assert deadline_words(NOW, NOW, "../etc/passwd").endswith("(0 s left)")
    assert [span_words(s) for s in (42, 60, 3660, 90000)] == ["42 s", "1 min", "1 h 01", "1 d 1 h"]


@pytest.mark.parametrize(
    ("value", "family", "shown"),
    [("74760", "qty", "74,760"), ("67450 @ 682.29", "existence", "67,450 @ 682.29"),
     ("2026-11-23", "settle_date", "2026-11-23"), ("77010", "account", "77010"),
     ("MERID-EQ-0100", "existence", "MERID-EQ-0100")],
)  # fmt: skip
def test_numbers_read_well_and_ids_stay(value: str, family: str, shown: str) -> None:
    assert readable_value(value, family) == shown


def test_page_shows_messages_tag_by_tag_and_escapes_them(client: TestClient, break_ids: list[str]) -> None:
    page = client.get(f"/breaks/{break_ids[0]}").text
    assert "LastQty" in page and "OMS:L1" in page and "BRAVO:R1" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page
    assert "&lt;b&gt;BOLD" in page and "<b>BOLD" not in page


def test_page_survives_an_explanation_without_messages(deps: ConsoleDeps, break_ids: list[str]) -> None:
    import dataclasses

    from console.app import create_console

    bare = dataclasses.replace(deps, explain=lambda _: {"messages": [{"fields": [{"tag": 35}]}]})
    with TestClient(
        create_console(bare), base_url="http://127.0.0.1", headers={"authorization": f"Bearer {deps.token}"}
    ) as c:
        assert c.get(f"/breaks/{break_ids[0]}").status_code == 200


def test_score_comes_with_reasons(client: TestClient, break_ids: list[str]) -> None:
    score = client.get(f"/api/breaks/{break_ids[1]}").json()["score"]
    assert score["reasons"][0] == {"text": "Seen 3 times this month with BRAVO", "weight": 0.41}
    assert "Seen 3 times this month" in client.get(f"/breaks/{break_ids[1]}/panel").text


def test_life_of_a_break(client: TestClient, break_ids: list[str]) -> None:
    mine = break_ids[5]
    assert post(client, mine, kind="assign", payload={"assignee": "Bo"}).json()["state"] == "ASSIGNED"
    assert post(client, mine, kind="comment", reason="Asked <i>BRAVO</i>").status_code == 201
    assert post(client, mine, kind="resolve", reason="Broker booked it late").json()["state"] == "RESOLVED"
    assert post(client, mine, kind="resolve", reason="again").status_code == 409
    assert mine not in {r["id"] for r in client.get("/api/breaks?limit=500").json()["rows"]}
    assert post(client, mine, kind="reopen", reason="It came back").json()["state"] == "REOPENED"
    assert post(client, mine, kind="reopen", reason="again").status_code == 409
    found = client.get(f"/api/breaks/{mine}").json()
    assert [e["title"] for e in found["timeline"] if e["kind"] == "person"] == [
        "Reopened",
        "Resolved",
        "Comment",
        "Assigned to Bo",
    ]
    assert {e["kind"] for e in found["timeline"]} == {"person", "system", "ticket"}
    assert "Asked &lt;i&gt;BRAVO" in client.get(f"/breaks/{mine}/panel").text


@pytest.mark.parametrize(
    "body",
    [{"kind": "resolve"}, {"kind": "comment", "reason": "   "}, {"kind": "reopen", "reason": ""}, {"kind": "assign"},
     {"kind": "assign", "payload": {"assignee": " "}}, {"kind": "assign", "payload": {"assignee": ["x"]}},
     {"kind": "delete", "reason": "x"}, {"kind": "comment", "reason": "x" * 2001}, [],
     {"kind": "comment", "reason": "x", "more": 1}, {"kind": "assign", "payload": {"assignee": "x" * 65}}, "text",
     None],
)  # fmt: skip
def test_incomplete_actions_are_422(client: TestClient, break_ids: list[str], body: Any) -> None:
    answer = client.post(
        f"/api/breaks/{break_ids[2]}/actions", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422


def test_broken_json_is_refused(client: TestClient, break_ids: list[str]) -> None:
    headers = {"content-type": "application/json"}
    assert client.post(f"/api/breaks/{break_ids[2]}/actions", content=b"{\xff", headers=headers).status_code in (
        400,
        422,
    )


def test_unknown_break_is_404(client: TestClient) -> None:
    assert client.get("/api/breaks/nope").status_code == 404
    assert post(client, "nope", kind="comment", reason="x").status_code == 404
    page = client.get("/breaks/nope")
    assert page.status_code == 404 and "no such break" in page.text


def test_many_at_once_reports_what_was_refused(client: TestClient, break_ids: list[str]) -> None:
    ids = [break_ids[7], break_ids[8], "nope", break_ids[7]]
    answer = client.post(
        "/api/actions", json={"kind": "assign", "payload": {"assignee": "Cy"}, "break_ids": ids}
    ).json()
    assert set(answer["done"]) == {break_ids[7], break_ids[8]} and set(answer["refused"]) == {"nope"}
    mine = client.get("/api/breaks?assignee=Cy").json()
    assert {r["id"] for r in mine["rows"]} == {break_ids[7], break_ids[8]} and mine["total"] == 2


def test_refusal_of_the_action_store_is_told(deps: ConsoleDeps, break_ids: list[str]) -> None:
    import dataclasses

    from console.app import create_console
    from domain.errors import PermanentError

    class Refusing:
        def record(self, *_: object) -> str:
            raise PermanentError("a second person must approve this")

    strict = dataclasses.replace(deps, actions=Refusing())
    with TestClient(
        create_console(strict), base_url="http://127.0.0.1", headers={"authorization": f"Bearer {deps.token}"}
    ) as c:
        answer = post(c, break_ids[3], kind="comment", reason="x")
    assert answer.status_code == 409 and "second person" in answer.json()["detail"]
