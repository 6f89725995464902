"""Moto server as a child process: the AWS test double of the local-aws profile."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx

from app.settings import SettingsError, child_environment
from domain.clock import SystemClock

START_TIMEOUT_SECONDS = 30.0


@contextlib.contextmanager
def moto_server() -> Iterator[dict[str, str]]:
    """Run moto server on a free loopback port; yields the environment that points AWS clients at it.

    Raises SettingsError when it is not installed (extra `local-aws`) or does not start.
    """
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        command,
        env=child_environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process)
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + START_TIMEOUT_SECONDS
    while clock.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(url + "/moto-api/", timeout=1.0, trust_env=False)
            return
        clock.sleep(0.1)
    raise SettingsError("moto server did not start; install the extra 'local-aws' (make run does)")
