"""Who gets in: token, cookie, origin, host, content type and the headers on every answer."""

import dataclasses
import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from console.app import create_console
from console.ports import ConsoleDeps
from console.security import COOKIE, CSP, cookie_value

BASE = "http://127.0.0.1"
TOKEN = "test-token-5f2c"
SAME = {"origin": BASE, "sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def closed_console(deps: ConsoleDeps) -> Iterator[TestClient]:
    with TestClient(create_console(deps), base_url=BASE, follow_redirects=False) as found:
        yield found


@pytest.fixture(scope="module")
def open_console(deps: ConsoleDeps) -> Iterator[TestClient]:
    opened = dataclasses.replace(deps, open_reads_on_loopback=True)
    with TestClient(create_console(opened), base_url=BASE, follow_redirects=False) as found:
        yield found


@pytest.fixture
def visitor(closed_console: TestClient) -> TestClient:
    """A client without any token."""
    closed_console.cookies.clear()
    return closed_console


@pytest.fixture
def guest(open_console: TestClient) -> TestClient:
    """A client of a console with open reads."""
    open_console.cookies.clear()
    return open_console


def test_page_without_token_is_a_sign_in_form(deps: ConsoleDeps) -> None:
    hinted = dataclasses.replace(deps, token_hint="/data/<day>/service.json")
    answer = TestClient(create_console(hinted), base_url=BASE).get("/breaks?q=x")
    assert answer.status_code == 401 and answer.headers["cache-control"] == "no-store"
    assert re.search(r'<label for="token">Token</label>\s*<input id="token" type="password"', answer.text)
    # Without its script the form must not put the token anywhere: no name, no GET.
    assert 'method="post"' in answer.text and "name=" not in answer.text.split("<form")[1]
    assert "/data/&lt;day&gt;/service.json" in answer.text and TOKEN not in answer.text


@pytest.mark.parametrize("path", ["/api/breaks", "/api/status", "/api/events", "/metrics", "/api/openapi.json"])
def test_api_without_token_is_401_json(visitor: TestClient, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 401 and "Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/base.css"])
def test_probes_and_assets_are_open(visitor: TestClient, path: str) -> None:
    assert visitor.get(path).status_code == 200


def sign_in(visitor: TestClient, token: str, **headers: str) -> Response:
    return visitor.post("/api/session", json={}, headers=SAME | {"authorization": f"Bearer {token}"} | headers)


def test_the_right_token_becomes_a_cookie(visitor: TestClient) -> None:
    answer = sign_in(visitor, TOKEN)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie + answer.text
    assert visitor.get("/breaks").status_code == 200


@pytest.mark.parametrize("token", ["guess", "", TOKEN[:-1], TOKEN + "x"])
def test_a_wrong_token_gives_no_cookie(visitor: TestClient, guest: TestClient, token: str) -> None:
    for console in (visitor, guest):
        answer = sign_in(console, token)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert "token" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/breaks", "/signin", "/api/breaks"])
def test_a_token_in_the_address_opens_nothing(visitor: TestClient, path: str) -> None:
    answer = visitor.get(f"{path}?token={TOKEN}")
    assert answer.status_code == 401 and "set-cookie" not in answer.headers and TOKEN not in answer.text


def test_every_port_has_its_own_cookie(visitor: TestClient) -> None:
    answer = sign_in(visitor, TOKEN, host="127.0.0.1:8080", origin="http://127.0.0.1:8080")
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


CREDENTIALS = {
    "nothing": {},
    "a wrong token": {"authorization": "Bearer guess"},
    "a stale cookie": {"cookie": f"{COOKIE}={cookie_value('old-token')}"},
    "the cookie": {"cookie": f"{COOKIE}={cookie_value(TOKEN)}"},
    "the token": {"authorization": f"Bearer {TOKEN}"},
}
# What a browser says about where a request comes from, and the answer per credential, in the order above.
READS: dict[str, tuple[dict[str, str], tuple[int, ...]]] = {
    "nowhere": ({}, (401, 401, 401, 200, 200)),
    "our page": (SAME, (401, 401, 401, 200, 200)),
    "a link elsewhere": ({"sec-fetch-site": "cross-site"}, (401, 401, 401, 200, 200)),
}
WRITES: dict[str, tuple[dict[str, str], tuple[int, ...]]] = {
    "nowhere": ({}, (401, 401, 401, 403, 201)),
    "our page": (SAME, (401, 401, 401, 201, 201)),
    "our origin": ({"origin": BASE}, (401, 401, 401, 201, 201)),
    "another site": ({"sec-fetch-site": "cross-site"}, (403, 403, 403, 403, 403)),
    "another site, forged origin": ({"sec-fetch-site": "cross-site", "origin": BASE}, (403,) * 5),
    "another origin": ({"origin": "http://evil.example"}, (403, 403, 403, 403, 403)),
    "another port": ({"sec-fetch-site": "same-site", "origin": BASE + ":9999"}, (403, 403, 403, 403, 403)),
}


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_who_may_do_what(visitor: TestClient, break_ids: list[str], credential: str) -> None:
    """Every credential against every kind of request, with reads closed."""
    column = list(CREDENTIALS).index(credential)
    for origin, (headers, expected) in READS.items():
        for path in ("/breaks?limit=1", "/api/breaks?limit=1", "/metrics"):
            answer = visitor.get(path, headers=headers | CREDENTIALS[credential])
            assert answer.status_code == expected[column], (path, origin)
            is_page = path.startswith("/breaks")
            assert ("<html" in answer.text) == is_page
    for origin, (headers, expected) in WRITES.items():
        answer = visitor.post(
            f"/api/breaks/{break_ids[7]}/actions",
            json={"kind": "comment", "reason": "seen"},
            headers=headers | CREDENTIALS[credential],
        )
        assert answer.status_code == expected[column], origin


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
