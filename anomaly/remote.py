"""Scorers elsewhere: a SageMaker endpoint through a boto3 client, or the same container reached over HTTP."""

from collections.abc import Sequence
from typing import Any, Protocol

import httpx

from anomaly.port import Features, Scored
from anomaly.wire import JSON, BadRequest, read_answer, write_request
from domain.errors import PermanentError, TransientError

# InvokeEndpoint errors that waiting cannot cure; everything else is a model that is not there at the moment.
_REFUSED = frozenset({"ValidationError", "ValidationException", "AccessDeniedException", "UnrecognizedClientException"})
_MAX_ROWS = 2_000


class RuntimeClient(Protocol):
    """The part of boto3's `sagemaker-runtime` client in use."""

    def invoke_endpoint(self, **kwargs: Any) -> Any:
        """InvokeEndpoint; answers a mapping with a readable `Body`."""
        ...


class SageMakerScorer:
    """The scorer behind `sagemaker://endpoint`."""

    def __init__(self, client: RuntimeClient, endpoint: str) -> None:
        self._client = client
        self._endpoint = endpoint

    def score(self, rows: Sequence[Features]) -> list[Scored]:
        """As the port says; batches of 2,000 rows keep a request far below the 6 MB limit."""
        return [item for batch in _batches(rows) for item in self._invoke(batch)]

    def _invoke(self, rows: Sequence[Features]) -> list[Scored]:
        try:
            answer = self._client.invoke_endpoint(
                EndpointName=self._endpoint, ContentType=JSON, Accept=JSON, Body=write_request(rows)
            )
            body: bytes = answer["Body"].read()
        except Exception as error:  # botocore is an optional dependency: its errors are told apart by shape
            raise _endpoint_error(self._endpoint, error) from error
        return _read(body, len(rows), f"endpoint {self._endpoint}")


def _endpoint_error(endpoint: str, error: Exception) -> Exception:
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        if type(error).__module__.partition(".")[0] in ("botocore", "urllib3") or isinstance(error, OSError):
            return TransientError(f"endpoint {endpoint}: {error}")
        return error
    code = response.get("Error", {}).get("Code", "")
    status = response.get("OriginalStatusCode") or 500
    if code in _REFUSED or (code == "ModelError" and 400 <= int(status) < 500 and int(status) != 429):
        return PermanentError(f"endpoint {endpoint} refused: {error}")
    return TransientError(f"endpoint {endpoint}: {error}")


class HttpScorer:
    """The scorer behind an http(s) address: a container that speaks the /invocations contract."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/") + "/invocations"

    def score(self, rows: Sequence[Features]) -> list[Scored]:
        """As the port says; batches of 2,000 rows keep a request far below the 6 MB limit."""
        return [item for batch in _batches(rows) for item in self._post(batch)]

    def _post(self, rows: Sequence[Features]) -> list[Scored]:
        try:
            answer = self._client.post(
                self._url, content=write_request(rows), headers={"content-type": JSON, "accept": JSON}
            )
        except httpx.TransportError as error:
            raise TransientError(f"{self._url}: {error or type(error).__name__}") from error
        except httpx.InvalidURL as error:
            raise PermanentError(f"{self._url}: {error}") from error
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise TransientError(f"{self._url} answered {answer.status_code}: {answer.text[:200]}")
        if answer.status_code != 200:
            raise PermanentError(f"{self._url} answered {answer.status_code}: {answer.text[:200]}")
        return _read(answer.content, len(rows), self._url)


def _batches(rows: Sequence[Features]) -> list[Sequence[Features]]:
    return [rows[start : start + _MAX_ROWS] for start in range(0, len(rows), _MAX_ROWS)]


def _read(body: bytes, expected: int, where: str) -> list[Scored]:
    try:
        return read_answer(body, expected)
    except BadRequest as error:
        raise PermanentError(f"{where}: {error}") from error
