"""`tieout model serve` as SageMaker starts it: the port from the environment, /ping, /invocations, SIGTERM."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from anomaly.features import COLUMNS
from app.settings import SettingsError, container_port

ROOT = Path(__file__).parents[2]


def test_the_container_answers_ping_and_invocations_and_ends_on_sigterm() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from app.cli import main; main()", "model", "serve"]
    environment = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                assert _ping(client, process) == 200
                answer = client.post(
                    "/invocations",
                    json={"instances": [{"features": {COLUMNS[0]: 1.0}}, {"features": {COLUMNS[0]: 9.0}}]},
                )
            scores = answer.json()["scores"]
            assert answer.status_code == 200 and len(scores) == 2
            assert all(0 <= item["score"] <= 1 and item["model_version"] for item in scores)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) is not None
        finally:
            process.kill()


def _ping(client: httpx.Client, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return client.get("/ping").status_code
        except httpx.ConnectError:
            time.sleep(0.1)
    return 0


def test_a_port_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "many")
    with pytest.raises(SettingsError, match="SAGEMAKER_BIND_TO_PORT: 'many'"):
        container_port()
