"""Who gets in: token, cookie, origin, host, content type and the headers on every answer."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from console.app import create_console
from console.ports import ConsoleDeps
from console.security import COOKIE, CSP, cookie_value

BASE = "http://127.0.0.1"
TOKEN = "test-token-5f2c"
SAME = {"origin": BASE, "sec-fetch-site": "same-origin"}


@pytest.fixture
def visitor(deps: ConsoleDeps) -> Iterator[TestClient]:
    """A client without any token."""
    with TestClient(create_console(deps), base_url=BASE, follow_redirects=False) as found:
        yield found


@pytest.fixture
def guest(deps: ConsoleDeps) -> Iterator[TestClient]:
    """A client of a console with open reads."""
    import dataclasses

    opened = dataclasses.replace(deps, open_reads_on_loopback=True)
    with TestClient(create_console(opened), base_url=BASE, follow_redirects=False) as found:
        yield found


def test_page_without_token_is_a_friendly_401(visitor: TestClient) -> None:
    answer = visitor.get("/breaks")
    assert answer.status_code == 401
    assert "tieout serve" in answer.text and TOKEN not in answer.text


@pytest.mark.parametrize("path", ["/api/breaks", "/api/status", "/api/events", "/metrics", "/api/openapi.json"])
def test_api_without_token_is_401_json(visitor: TestClient, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 401 and "Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/base.css"])
def test_probes_and_assets_are_open(visitor: TestClient, path: str) -> None:
    assert visitor.get(path).status_code == 200


def test_token_in_the_address_becomes_a_cookie_and_leaves_the_address(visitor: TestClient) -> None:
    answer = visitor.get(f"/breaks?state=all&token={TOKEN}&q=a%26b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/breaks?state=all&q=a%26b"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert visitor.get("/breaks").status_code == 200


def test_token_redirect_stays_on_this_host(visitor: TestClient) -> None:
    answer = visitor.get(f"{BASE}//evil.example/?token={TOKEN}")
    assert answer.headers["location"] == "/evil.example/"


def test_wrong_token_gives_no_cookie(visitor: TestClient) -> None:
    answer = visitor.get("/breaks?token=guess")
    assert answer.status_code == 401 and "set-cookie" not in answer.headers


def test_every_port_has_its_own_cookie(visitor: TestClient) -> None:
    headers = {"host": "127.0.0.1:8080"}
    answer = visitor.get(f"/breaks?token={TOKEN}", headers=headers)
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}_8080=")


def test_cookie_of_another_token_is_refused(visitor: TestClient) -> None:
    visitor.cookies.set(COOKIE, cookie_value("old-token"))
    assert visitor.get("/breaks").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.5:8080", ""])
def test_foreign_host_header_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/breaks", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8080", "[::1]:8080", "LOCALHOST"])
def test_loopback_names_are_served(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def write(client: TestClient, **headers: str) -> int:
    sent = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    answer = client.post("/api/breaks/none/actions", content='{"kind":"comment","reason":"x"}', headers=sent)
    return int(answer.status_code)


def test_write_with_cookie_needs_our_own_origin(visitor: TestClient) -> None:
    visitor.cookies.set(COOKIE, cookie_value(TOKEN))
    assert write(visitor, **SAME) == 404
    assert write(visitor, origin=BASE) == 404
    assert write(visitor) == 403
    assert write(visitor, origin="http://evil.example") == 403
    assert write(visitor, origin="null") == 403
    assert write(visitor, **{"sec-fetch-site": "cross-site"}) == 403
    assert write(visitor, **{"sec-fetch-site": "same-site"}) == 403
    assert write(visitor, **{"sec-fetch-site": "none"}) == 403
    assert write(visitor, origin="http://127.0.0.1:9999", **{"sec-fetch-site": "same-origin"}) == 403


def test_write_with_bearer_needs_no_browser_headers_but_obeys_them(client: TestClient) -> None:
    assert write(client) == 404
    assert write(client, origin="http://evil.example") == 403


def test_write_needs_a_token_or_cookie(visitor: TestClient) -> None:
    assert write(visitor, **SAME) == 401
    assert write(visitor, authorization="Bearer guess") == 401


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_write_must_be_json(client: TestClient, media: str) -> None:
    headers = {"content-type": media}
    assert client.post("/api/breaks/none/actions", content="{}", headers=headers).status_code == 415


def test_open_reads_show_pages_but_writes_need_the_session(guest: TestClient) -> None:
    assert guest.get("/breaks").status_code == 200
    assert write(guest, **SAME) == 401
    assert guest.post("/api/session", json={}, headers=SAME).status_code == 200
    assert write(guest, **SAME) == 404


def test_session_is_for_our_own_pages_only(guest: TestClient, visitor: TestClient) -> None:
    assert guest.post("/api/session", json={}).status_code == 403
    assert guest.post("/api/session", json={}, headers={"origin": "http://evil.example"}).status_code == 403
    assert guest.post("/api/session", json={}, headers=SAME | {"host": "evil.example"}).status_code == 421
    assert visitor.post("/api/session", json={}, headers=SAME).status_code == 401
    assert not guest.cookies and not visitor.cookies


@pytest.mark.parametrize(
    "path", ["/breaks", "/nothing-here", "/api/breaks?limit=x", "/runs/run-bad", "/static/queue.js"]
)
def test_every_answer_carries_the_policy(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == CSP
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


def test_pages_hold_no_inline_script_or_style(client: TestClient, break_ids: list[str]) -> None:
    import re

    for path in (
        "/breaks",
        f"/breaks/{break_ids[0]}",
        "/runs",
        "/runs/run-bad",
        "/feeds",
        "/health",
        "/help",
        "/signin",
    ):
        page = client.get(path).text
        assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:", page), path
        assert all("src=" in tag or 'type="application/json"' in tag for tag in re.findall(r"<script[^>]*>", page)), (
            path
        )
