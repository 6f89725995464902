"""A crash inside: logged once with its traceback, and nothing of it in the answer."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from app.logs import JsonFormatter
from console.app import create_console
from console.ports import ConsoleDeps
from console.security import CSP
from domain.errors import PermanentError, TransientError

SECRET = "SELECT password FROM vault"


@pytest.fixture(scope="module")
def crashing(deps: ConsoleDeps, serve: Callable[[FastAPI], str]) -> Iterator[httpx.Client]:
    """A console on a real server, with routes that fail."""
    app = create_console(deps)

    def fail(kind: str) -> None:
        raise {"bug": KeyError, "refused": PermanentError, "busy": TransientError}[kind](SECRET)

    def trickle() -> StreamingResponse:
        def lines() -> Iterator[str]:
            yield "one\n"
            raise OSError(SECRET)

        return StreamingResponse(lines())

    app.get("/fail/{kind}")(fail)
    app.get("/api/fail/{kind}")(fail)
    app.post("/fail/{kind}")(fail)
    app.get("/trickle")(trickle)
    headers = {"authorization": f"Bearer {deps.token}"}
    with httpx.Client(base_url=serve(app), headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the service's log holds by now."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonFormatter("worker"))
    logging.getLogger().addHandler(handler)
    yield lambda: [
        line for line in map(json.loads, text.getvalue().splitlines()) if line["level"] in ("WARNING", "ERROR")
    ]
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(("kind", "error"), [("bug", "KeyError"), ("refused", "PermanentError")])
def test_a_crash_is_a_clean_page_and_one_log_line(
    crashing: httpx.Client, log: Callable[[], list[dict[str, Any]]], kind: str, error: str
) -> None:
    answer = crashing.get(f"/fail/{kind}?q=private")
    assert answer.status_code == 500 and answer.headers["content-security-policy"] == CSP
    assert "Something went wrong" in answer.text and "Back to the queue" in answer.text
    assert not any(word in answer.text for word in (SECRET, error, "Traceback", "private"))
    (line,) = log()
    assert line["level"] == "ERROR" and line["role"] == "worker" and line["message"] == f"GET /fail/{kind} failed"
    assert "Traceback" in line["exception"] and error in line["exception"] and SECRET in line["exception"]


def test_a_crash_of_the_api_is_json(crashing: httpx.Client, log: Callable[[], list[dict[str, Any]]]) -> None:
    for answer in (
        crashing.get("/api/fail/bug"),
        crashing.post("/fail/bug", json={}),
    ):
        assert answer.status_code == 500 and list(answer.json()) == ["detail"] and SECRET not in answer.text
    assert [line["message"] for line in log()] == ["GET /api/fail/bug failed", "POST /fail/bug failed"]


@pytest.mark.parametrize("path", ["/fail/busy", "/api/fail/busy"])
def test_a_warehouse_away_is_503_and_its_words_stay_in_the_log(
    crashing: httpx.Client, log: Callable[[], list[dict[str, Any]]], path: str
) -> None:
    answer = crashing.get(path)
    assert answer.status_code == 503 and "warehouse" in answer.text and SECRET not in answer.text
    (line,) = log()
    assert line["level"] == "WARNING" and SECRET in line["exception"]


def test_a_crash_in_the_middle_of_an_answer_is_logged_too(
    crashing: httpx.Client, log: Callable[[], list[dict[str, Any]]]
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        crashing.get("/trickle")
    assert any(line["level"] == "ERROR" and SECRET in line.get("exception", "") for line in log())
