"""Client of a running service: address and token from service.json, one method per API route."""

import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from app.files import read_json
from app.paths import DataDir

TIMEOUT_SECONDS = 120.0


class ServiceError(Exception):
    """The service answered with an error, or not at all; the text is fit for a person."""


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """Talks to the service's loopback API."""

    address: str
    token: str
    user: str = ""
    password: str = ""

    def signed_in(self, user: str, password: str) -> "ServiceClient":
        """The same service, asked as this person."""
        return replace(self, user=user, password=password)

    def text(self, path: str) -> str:
        """The body of GET `path`; raises ServiceError."""
        return self._answer("GET", path).text

    def get(self, path: str, **params: Any) -> Any:
        """Parsed JSON of GET `path`; raises ServiceError."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> Any:
        """Parsed JSON of POST `path`; raises ServiceError."""
        return self._call("POST", path, json={} if body is None else body)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        return self._answer(method, path, **options).json()

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {} if self.user else {"Authorization": f"Bearer {self.token}"}
        try:
            # A bare context: reading the trusted certificates takes 50 ms a call, and the service speaks plain HTTP.
            with httpx.Client(
                headers=headers,
                auth=(self.user, self.password) if self.user else None,
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            ) as client:
                answer = client.request(method, self.address + path, **options)
        except httpx.HTTPError as error:
            raise ServiceError(f"no answer from {self.address}: {error}") from None
        if answer.status_code >= 400:
            raise ServiceError(f"{path}: {answer.status_code} {_detail(answer)}")
        return answer


def running(data_dir: Path) -> ServiceClient | None:
    """A client for the service that holds `data_dir`, or None when none runs there."""
    data = DataDir(data_dir)
    service = read_json(data.service)
    worker = read_json(data.ready / "worker.json")
    if not service or not worker or not _alive(int(worker["pid"])):
        return None
    return ServiceClient(f"http://{worker['host']}:{worker['port']}", service["token"])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("detail", answer.text))
    except ValueError:
        return answer.text[:200]
