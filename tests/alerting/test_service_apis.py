"""The embedded service beyond the Table API: sign-in, statistics, batches, files, import sets, events, short URLs."""

import base64
import json

import httpx
import pytest

from alerting.service.api import create_service
from alerting.service.auth import TOKEN_SECONDS, Credentials
from alerting.service.moments import Asker, evaluated, relative, span
from alerting.service.server import running
from domain.clock import ManualClock, SystemClock

TABLE = "/api/now/table/incident"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CREDENTIALS = Credentials(
    {"tieout": "secret"}, "token", clients={"app": ("app-secret", "tieout")}, api_keys={"key-1": "tieout"}
)


@pytest.fixture
def api(service):
    return service.admin


def make(api, count, **fields):
    ids = []
    for index in range(count):
        body = {"short_description": f"n{index}", "impact": str(index % 3 + 1), **fields}
        ids.append(api.post(TABLE, json=body).json()["result"]["sys_id"])
    return ids


@pytest.fixture(scope="module")
def door():
    clock = ManualClock()
    with running(create_service(":memory:", CREDENTIALS, clock)) as url:
        yield url, clock


def grant(url, **form):
    return httpx.post(f"{url}/oauth_token.do", data={"client_id": "app", "client_secret": "app-secret", **form})


def test_three_grants_give_tokens_that_end(door):
    url, clock = door
    granted = [
        grant(url, grant_type="client_credentials"),
        grant(url, grant_type="password", username="tieout", password="secret"),
    ]
    granted.append(grant(url, grant_type="refresh_token", refresh_token=granted[0].json()["refresh_token"]))
    for answer in granted:
        body = answer.json()
        assert (body["token_type"], body["scope"], body["expires_in"]) == ("Bearer", "useraccount", TOKEN_SECONDS)
        made = httpx.post(url + TABLE, json={}, headers={"Authorization": f"Bearer {body['access_token']}"})
        assert made.json()["result"]["sys_created_by"] == "tieout"
    clock.advance(TOKEN_SECONDS + 1)
    stale = httpx.get(url + TABLE, headers={"Authorization": f"Bearer {granted[0].json()['access_token']}"})
    assert stale.status_code == 401


def test_the_token_endpoint_refuses(door):
    url, _ = door
    wrong = [
        {"grant_type": "password", "username": "tieout", "password": "no"},
        {"grant_type": "client_credentials", "client_secret": "no"},
        {"grant_type": "refresh_token", "refresh_token": "no"},
        {"grant_type": "magic"},
    ]
    assert [grant(url, **form).status_code for form in wrong] == [401] * 4
    assert httpx.post(f"{url}/oauth_token.do", json={"grant_type": "client_credentials"}).status_code == 401
    basic = httpx.post(f"{url}/oauth_token.do", data={"grant_type": "client_credentials"}, auth=("app", "app-secret"))
    assert basic.status_code == 200


def test_an_api_key_is_a_user(door):
    url, _ = door
    assert httpx.get(url + TABLE, headers={"x-sn-apikey": "key-1"}).status_code == 200
    assert httpx.get(url + TABLE, headers={"x-sn-apikey": "key-2"}).status_code == 401


def test_statistics_count_and_group(api):
    make(api, 7, urgency="1")
    stats = "/api/now/stats/incident"
    plain = api.get(
        stats, params={"sysparm_count": "true", "sysparm_sum_fields": "impact", "sysparm_query": "impact>1"}
    )
    assert plain.json()["result"] == {"stats": {"count": "4", "sum": {"impact": "10"}}}
    assert api.get(stats).json()["result"] == {"stats": {}}  # nothing was asked for
    grouped = api.get(stats, params={"sysparm_count": "true", "sysparm_group_by": "impact",
                                     "sysparm_order_by": "COUNT^DESC", "sysparm_display_value": "true"})  # fmt: skip
    rows = grouped.json()["result"]
    assert (rows[0]["stats"]["count"], rows[0]["groupby_fields"][0]["value"]) == ("3", "1 - High")
    having = api.get(stats, params={"sysparm_count": "true", "sysparm_group_by": "impact",
                                    "sysparm_having": "count^impact^>^2"})  # fmt: skip
    assert len(having.json()["result"]) == 1
    for wrong in ({"sysparm_group_by": "nonsense"}, {"sysparm_having": "count>2"}):
        assert api.get(stats, params=wrong).status_code == 400


def test_a_batch_serves_each_request_with_its_own_outcome(api):
    def entry(number, method, url, body=None):
        raw = base64.b64encode(json.dumps(body).encode()).decode() if body is not None else ""
        headers = [{"name": "Content-Type", "value": "application/json"}]
        return {"id": str(number), "method": method, "url": url, "headers": headers, "body": raw}

    listed = [
        entry(1, "POST", TABLE, {"short_description": "one", "sys_id": "a" * 32}),
        entry(2, "POST", TABLE, {"short_description": "two", "sys_id": "a" * 32}),
        entry(3, "GET", f"{TABLE}/{'a' * 32}"),
        entry(4, "GET", "https://elsewhere.example/api/now/table/incident"),
        entry(5, "POST", "/api/now/batch", {}),
    ]
    answer = api.post("/api/now/v1/batch", json={"batch_request_id": 7, "rest_requests": listed}).json()
    assert answer["batch_request_id"] == "7" and answer["unserviced_requests"] == []
    assert [one["status_code"] for one in answer["serviced_requests"]] == [201, 403, 200, 400, 400]
    read = json.loads(base64.b64decode(answer["serviced_requests"][2]["body"]))
    assert read["result"]["short_description"] == "one"
    assert any(header["name"].lower() == "content-type" for header in answer["serviced_requests"][2]["headers"])
    assert api.post("/api/now/batch", json={"rest_requests": "no"}).status_code == 400


def test_files_on_a_record(service, api):
    (sys_id,) = make(api, 1)
    place = {"table_name": "incident", "table_sys_id": sys_id, "file_name": "trades.csv"}
    stored = api.post(
        "/api/now/v1/attachment/file", params=place, content=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"}
    )
    record = stored.json()["result"]
    assert stored.status_code == 201
    assert stored.headers["Location"] == f"{service.url}/api/now/v1/attachment/{record['sys_id']}/file"
    assert (record["size_bytes"], record["content_type"]) == ("8", "text/csv")
    got = api.get(f"/api/now/attachment/{record['sys_id']}/file")
    assert got.content == b"a,b\n1,2\n" and got.headers["Content-Disposition"] == "attachment"
    assert json.loads(got.headers["X-Attachment-Metadata"])["hash"] == record["hash"]
    listed = api.get("/api/now/attachment", params={"sysparm_query": f"table_sys_id={sys_id}"})
    assert listed.headers["X-Total-Count"] == "1"
    assert api.delete(f"/api/now/attachment/{record['sys_id']}").status_code == 204
    assert api.get(f"/api/now/attachment/{record['sys_id']}").status_code == 404
    for wrong in ({**place, "table_sys_id": "b" * 32}, {**place, "table_name": "nonsense"}, {**place, "file_name": ""}):
        assert api.post("/api/now/attachment/file", params=wrong, content=b"x").status_code in (400, 404)
    assert httpx.get(f"{service.url}/api/now/attachment/{record['sys_id']}/file").status_code == 401


def test_an_address_of_no_api_is_said_so(api, service):
    for verb in ("GET", "POST"):
        answer = api.request(verb, "/api/now/nope", json={})
        assert answer.status_code == 400 and "does not represent any resource" in answer.json()["error"]["message"]
    assert httpx.get(f"{service.url}/api/now/nope").status_code == 401


def test_a_file_comes_as_a_form_byte_for_byte(api, service):
    (sys_id,) = make(api, 1)
    content = bytes(range(256)) + b"\r\n--not the boundary\r\n\r\n--"
    place = {"table_name": "incident", "table_sys_id": sys_id}
    upload = "/api/now/attachment/upload"
    stored = api.post(upload, data=place, files={"uploadFile": ("Größe 1.bin", content, "application/x-thing")})
    record = stored.json()["result"]
    assert stored.status_code == 201 and record["size_bytes"] == str(len(content))
    assert (record["file_name"], record["content_type"]) == ("Größe 1.bin", "application/x-thing")
    assert api.get(f"/api/now/attachment/{record['sys_id']}/file").content == content
    empty = api.post(upload, data=place, files={"f": ("empty.txt", b"", "text/plain")})
    assert empty.status_code == 201 and empty.json()["result"]["size_bytes"] == "0"
    kind = {"Content-Type": "multipart/form-data; boundary=X"}
    whole = b'--X\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nbytes\r\n--X--\r\n'
    for wrong, headers, status in (
        (whole, {"Content-Type": "application/json"}, 415),
        (whole, {"Content-Type": "multipart/form-data"}, 400),
        (whole[:-5], kind, 400),
        (b"", kind, 400),
        (b"--X\r\nno end of headers\r\n--X--\r\n", kind, 400),
        (whole, kind, 400),  # no table_name
        (b'--X\r\nContent-Disposition: form-data; name="table_name"\r\n\r\nincident\r\n--X--\r\n', kind, 400),
    ):
        assert api.post(upload, content=wrong, headers=headers).status_code == status, (wrong, headers)


def test_an_import_set_coalesces(api):
    path = "/api/now/import/u_tieout_import"
    row = {"u_correlation_id": "c-1", "short_description": "first"}
    statuses = []
    for body in (row, row, {**row, "short_description": "second"}, {"u_correlation_id": "c-1", "state": "99"}):
        answer = api.post(path, json=body)
        assert answer.status_code == 201 and answer.json()["staging_table"] == "u_tieout_import"
        statuses.append(answer.json()["result"][0]["status"])
    assert statuses == ["inserted", "ignored", "updated", "error"]
    many = api.post(path + "/insertMultiple", json={"records": [{"correlation_id": f"m{n}"} for n in range(3)]})
    assert many.status_code == 201 and "multi_import_set_id" in many.json() and "result" not in many.json()
    assert len(api.get(TABLE).json()["result"]) == 4
    assert api.post("/api/now/import/u_other", json={}).status_code == 400
    assert api.post(path, json={"short_description": {"no": "objects"}}).status_code == 400


def test_events_open_and_clear_one_alert_per_key(api):
    def send(**event):
        return api.post("/api/global/em/jsonv2", json={"records": [{"source": "Tieout", "node": "n", **event}]})

    assert send(severity="2", message_key="k").status_code == 200
    assert send(severity="1", message_key="k").status_code == 200
    assert send(severity="0", message_key="k").status_code == 200
    assert len(api.get("/api/now/table/em_event").json()["result"]) == 3
    (alert,) = api.get("/api/now/table/em_alert").json()["result"]
    assert (alert["message_key"], alert["state"], alert["severity"]) == ("k", "Closed", "0")
    assert send(severity="9").status_code == 400


def test_a_short_url_stands_for_a_long_query(api):
    make(api, 3)
    query = "short_descriptionIN" + ",".join(f"n{index}" for index in range(2))
    short = api.post("/api/now/tinyurl", json={"url": f"{TABLE}?sysparm_query={query}"}).json()["result"]
    assert short.startswith("api/now/table/incident?sysparm_tiny=")
    assert len(api.get("/" + short).json()["result"]) == 2
    assert api.get(TABLE, params={"sysparm_tiny": "unknown"}).status_code == 400


def test_choices_roles_and_dictionary_are_records(api):
    def rows(table, query):
        return api.get(f"/api/now/table/{table}", params={"sysparm_query": query}).json()["result"]

    states = {row["value"]: row["label"] for row in rows("sys_choice", "name=incident^element=state")}
    assert states["6"] == "Resolved"
    assert any(row["value"] == "Solution provided" for row in rows("sys_choice", "element=close_code"))
    assert rows("sys_dictionary", "name=incident^element=assigned_to")[0]["reference"] == "sys_user"
    assert rows("sys_user_has_role", "user.user_name=tieout^role=itil")


def test_an_hourly_rule_refuses_and_says_until_when():
    clock = ManualClock(1_700_000_000_000_000_000)
    with running(create_service(":memory:", CREDENTIALS, clock, requests_per_hour=3)) as url:
        answers = [httpx.get(url + TABLE, auth=("tieout", "secret")) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].headers["X-RateLimit-Limit"] == "3"
        clock.advance(float(answers[3].headers["Retry-After"]))
        assert httpx.get(url + TABLE, auth=("tieout", "secret")).status_code == 200


ASKER = Asker(1_763_812_800_000_000_000, "u1", "maria")  # Saturday 2025-11-22 12:00 UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("javascript:gs.beginningOfToday()", "2025-11-22 00:00:00"),
        ("javascript:gs.endOfLastMonth()", "2025-10-31 23:59:59"),
        ("javascript:gs.beginningOfThisWeek()", "2025-11-17 00:00:00"),
        ("javascript:gs.beginningOfNextYear()", "2026-01-01 00:00:00"),
        ("javascript:gs.beginningOfThisQuarter()", "2025-10-01 00:00:00"),
        ("javascript:gs.endOfLastQuarter()", "2025-09-30 23:59:59"),
        ("javascript:gs.beginningOfLast7Days()", "2025-11-15 00:00:00"),
        ("javascript:gs.endOfLast30Days()", "2025-11-22 23:59:59"),
        ("javascript:gs.beginningOfLast15Minutes()", "2025-11-22 11:45:00"),
        ("javascript:gs.beginningOfLast3Months()", "2025-08-01 00:00:00"),
        ("javascript:gs.beginningOfLast9999Years()", "1000-01-01 00:00:00"),
        ("javascript:gs.endOfLastHour()", "2025-11-22 11:59:59"),
        ("javascript:gs.beginningOfCurrentMinute()", "2025-11-22 12:00:00"),
        ("javascript:gs.daysAgoStart(2)", "2025-11-20 00:00:00"),
        ("javascript:gs.hoursAgo(3)", "2025-11-22 09:00:00"),
        ("javascript:gs.monthsAgo(9)", "2025-02-22 12:00:00"),
        ("javascript:gs.dateGenerate('2025-11-01','08:00:00')", "2025-11-01 08:00:00"),
        ("javascript:gs.dateGenerate('2025-11-01','start')", "2025-11-01 00:00:00"),
        ('javascript:gs.dateGenerate("2025-11-01","end")', "2025-11-01 23:59:59"),
        ("javascript:gs.getUserID()", "u1"),
        ("javascript:gs.include('evil')", None),
        ("javascript:alert(1)", None),
        ("plain", "plain"),
    ],
)
def test_times_in_queries(value, expected):
    assert evaluated(value, ASKER) == expected


def test_spans_and_relative_times():
    today = "Today@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()"
    assert span(today, ASKER) == ("2025-11-22 00:00:00", "2025-11-22 23:59:59")
    assert span("2025-11-01", ASKER) == ("2025-11-01 00:00:00", "2025-11-01 23:59:59") and span("x", ASKER) is None
    assert relative("@hour@ago@3", ASKER) == "2025-11-22 09:00:00"
    assert relative("@month@ahead@3", ASKER) == "2026-02-22 12:00:00"
    assert relative("@fortnight@ago@1", ASKER) is None


def test_queries_over_time_fields_and_related_records(api):
    parent, child, _ = make(api, 3)
    api.patch(f"{TABLE}/{child}", json={"parent_incident": parent, "urgency": "1", "work_notes": "n"})

    def found(query):
        rows = api.get(TABLE, params={"sysparm_query": query, "sysparm_fields": "sys_id"}).json()["result"]
        return [row["sys_id"] for row in rows]

    assert len(found("sys_created_onONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()")) == 3
    assert len(found("sys_created_onRELATIVEGE@hour@ago@1")) == 3 and found("sys_created_onRELATIVELT@hour@ago@1") == []
    assert found("sys_created_onBETWEENjavascript:gs.daysAgo(3)@javascript:gs.daysAgo(1)") == []
    assert found("impactGT_FIELDurgency") == [child] and found("urgencyLT_FIELDimpact") == [child]
    year = "Y@javascript:gs.datePart('year','{}','{}')"
    assert len(found("sys_created_onDATEPART" + year.format(2020, "GE"))) == 3
    assert found("sys_created_onDATEPART" + year.format(2020, "EE")) == []
    assert len(found("sys_created_onDATEPART@javascript:gs.datePart('quarter','5','LT')")) == 3
    assert found("sys_created_onDATEPART@javascript:gs.datePart('month','nonsense','EE')^sys_id=" + child) == [child]
    api.patch(f"{TABLE}/{child}", json={"due_date": "2020-01-01 00:00:00"})
    assert found("due_dateMORETHANsys_created_on@week@before@1") == [child]
    assert found("due_dateMORETHANsys_created_on@hour@after@1") == []
    mine = "opened_byDYNAMIC90d1921e5f510100a9ad2572f2b477fe"
    assert len(found(mine)) == 3 and len(found("opened_byDYNAMICnone^" + mine)) == 3
    assert found("RLQUERYincident.parent_incident,>=1^urgency=1^ENDRLQUERY") == [parent]
    assert found("RLQUERYincident.parent_incident,>=1^urgency=3^ENDRLQUERY^ORsys_id=" + child) == [child]
    assert found("JOINincident.sys_id=sys_journal_field.element_id!element=work_notes") == [child]


def test_a_clock_that_is_off_shows_in_the_date(service):
    from alerting.instance import Instance

    service.fault("clock_skew", skew_seconds=600)
    instance = Instance(service.url, ("tieout", "secret"), SystemClock())
    instance.send("GET", TABLE, params={"sysparm_limit": "1"})
    assert instance.skew_seconds is not None and 590 < instance.skew_seconds < 610
    instance.close()
