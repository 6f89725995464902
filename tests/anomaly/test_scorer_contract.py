"""One contract for every scorer: the model in process and the container over HTTP answer alike, and so do failures."""

import asyncio
import io
import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn

from anomaly.features import COLUMNS
from anomaly.model import InProcessScorer
from anomaly.port import Scored, Scorer
from anomaly.prior import synthetic_breaks
from anomaly.remote import HttpScorer, SageMakerScorer
from anomaly.serve import ScoringApp
from domain.errors import PermanentError, TransientError

ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in synthetic_breaks(40, 5).tolist()]


@pytest.fixture(scope="module")
def local() -> InProcessScorer:
    scorer = InProcessScorer()
    scorer.warm()
    return scorer


@pytest.fixture(scope="module")
def container(local: InProcessScorer) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(ScoringApp(local), log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=3)) as client:
        assert client.get(f"{url}/ping", timeout=10).status_code == 200
    yield url
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()


@pytest.fixture
def http(container: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=container, timeout=10) as client:
        yield client


class ContainerClient:
    """`sagemaker-runtime` as far as our calls go, in front of the real container."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def invoke_endpoint(self, EndpointName: str, ContentType: str, Accept: str, Body: bytes) -> dict[str, io.BytesIO]:
        headers = {"content-type": ContentType, "accept": Accept}
        return {"Body": io.BytesIO(self._client.post("/invocations", content=Body, headers=headers).content)}


@pytest.fixture(params=["in_process", "http", "sagemaker"])
def scorer(request: pytest.FixtureRequest, local: InProcessScorer, http: httpx.Client, container: str) -> Scorer:
    return {
        "in_process": local,
        "http": HttpScorer(http, container),
        "sagemaker": SageMakerScorer(ContainerClient(http), "break-scorer"),
    }[request.param]


def test_every_scorer_gives_the_same_answers(scorer: Scorer, local: InProcessScorer) -> None:
    answers = scorer.score(ROWS)
    assert answers == local.warm().score(ROWS)
    assert len({item.score for item in answers}) > 20
    assert all(item.reasons and item.model_version.startswith("iforest-") for item in answers)


def test_no_rows_give_no_scores(scorer: Scorer) -> None:
    assert scorer.score([]) == []


def test_unknown_values_are_allowed(scorer: Scorer) -> None:
    rows = [{"log_exposure": None, "severity": 3.0}, {"log_exposure": float("nan"), "severity": 3.0}]
    first, second = scorer.score(rows)
    assert first == second


def test_a_batch_larger_than_one_request_keeps_its_order(http: httpx.Client, container: str) -> None:
    many = (ROWS * 51)[:2_010]
    assert HttpScorer(http, container).score(many)[1_990:] == HttpScorer(http, container).score(many[1_990:])


def test_content_types_and_custom_attributes(http: httpx.Client) -> None:
    scored = http.post("/invocations", json={"instances": [{"features": ROWS[0]}]}).json()["scores"][0]
    assert set(scored) == {"score", "p_value", "reasons", "model_version"}
    row = ",".join(str(ROWS[0][name]) for name in COLUMNS)
    as_csv = http.post(
        "/invocations", content=row, headers={"content-type": "text/csv", "x-amzn-sagemaker-custom-attributes": "t=42"}
    )
    assert as_csv.json()["scores"] == [scored]
    assert as_csv.headers["x-amzn-sagemaker-custom-attributes"] == "t=42"
    line = httpx.Request("POST", "http://x", json={"features": ROWS[0]}).content + b"\n"
    lines = http.post(
        "/invocations",
        content=line * 2,
        headers={"content-type": "application/jsonlines", "accept": "application/jsonlines"},
    )
    assert lines.headers["content-type"] == "application/jsonlines"
    assert [httpx.Response(200, text=text).json() for text in lines.text.splitlines()] == [scored, scored]


@pytest.mark.parametrize(
    ("content_type", "body", "status", "word"),
    [
        ("application/json", b"{", 400, "not JSON"),
        ("application/json", b"[]", 400, "instances"),
        ("application/json", b'{"instances": [{"features": {"nothing_known": 1}}]}', 400, "instance 0"),
        ("application/json", b'{"instances": [{"features": {"hour": "noon"}}]}', 400, "instance 0, hour"),
        ("application/json", b'{"instances": [{"features": {"hour": NaN}}]}', 400, "finite"),
        ("application/jsonlines", b'{"features": {"hour": 1}}\n{', 400, "line 2"),
        ("text/csv", b"1,2,3", 400, "line 1: 3 values"),
        ("text/csv", b"\xff\xfe", 400, "UTF-8"),
        ("application/xml", b"<a/>", 415, "application/xml"),
    ],
)
def test_bad_requests_are_told_where_they_are_wrong(
    http: httpx.Client, content_type: str, body: bytes, status: int, word: str
) -> None:
    answer = http.post("/invocations", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert word in answer.json()["error"]


def test_paths_methods_and_the_body_limit(http: httpx.Client) -> None:
    assert http.get("/invocations").status_code == 405
    assert http.post("/ping").status_code == 405
    assert http.get("/other").status_code == 404
    assert http.post("/invocations", content=b" " * (6 * 1024 * 1024 + 1)).status_code == 413

    def chunks() -> Iterator[bytes]:  # without a Content-Length
        yield from [b" " * 1_048_576] * 7

    assert http.post("/invocations", content=chunks()).status_code == 413


def test_a_model_that_is_not_there_is_transient() -> None:
    with socket.socket() as unused, httpx.Client(timeout=2) as client:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError):
            HttpScorer(client, f"http://127.0.0.1:{unused.getsockname()[1]}").score(ROWS[:1])


@pytest.mark.parametrize(
    ("status", "error"), [(503, TransientError), (500, TransientError), (429, TransientError), (400, PermanentError)]
)
def test_http_statuses(status: int, error: type[Exception]) -> None:
    with (
        httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(status))) as client,
        pytest.raises(error),
    ):
        HttpScorer(client, "http://model").score(ROWS[:1])


@pytest.mark.parametrize(
    "body", [b"oops", b'{"scores": []}', b'{"scores": [{"score": 7}]}', b'{"scores": [{}]}', b'{"scores": [3]}']
)
def test_an_answer_that_is_no_score_is_permanent(body: bytes) -> None:
    with (
        httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=body))) as client,
        pytest.raises(PermanentError),
    ):
        HttpScorer(client, "http://model").score(ROWS[:1])


class FailingClient:
    """A runtime client whose every call fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def invoke_endpoint(self, **kwargs: object) -> object:
        raise self._error


def service_error(code: str, **extra: object) -> Exception:
    botocore = pytest.importorskip("botocore.exceptions", reason="boto3 is not installed")
    return botocore.ClientError({"Error": {"Code": code, "Message": "m"}, **extra}, "InvokeEndpoint")


def unreachable() -> Exception:
    botocore = pytest.importorskip("botocore.exceptions", reason="boto3 is not installed")
    return botocore.EndpointConnectionError(endpoint_url="https://x")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: service_error("ModelNotReadyException"), TransientError),
        (lambda: service_error("ThrottlingException"), TransientError),
        (lambda: service_error("ModelError", OriginalStatusCode=500), TransientError),
        (lambda: service_error("ModelError", OriginalStatusCode=400), PermanentError),
        (lambda: service_error("ValidationError"), PermanentError),
        (unreachable, TransientError),
        (ZeroDivisionError, ZeroDivisionError),
    ],
)
def test_endpoint_errors(make: Callable[[], Exception], expected: type[Exception]) -> None:
    with pytest.raises(expected):
        SageMakerScorer(FailingClient(make()), "e").score(ROWS[:1])


def test_a_scorer_that_is_down_makes_the_container_answer_503() -> None:
    class Down:
        def score(self, rows: object) -> list[Scored]:
            raise TransientError("loading")

    transport = httpx.ASGITransport(app=ScoringApp(Down()))

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/invocations", json={"instances": [{"features": ROWS[0]}]})

    assert asyncio.run(call()).status_code == 503
