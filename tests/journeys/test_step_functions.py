"""The service with Step Functions as its engine: machine and queues are made, tasks served; days end as embedded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.build_engine import open_engine
from app.settings import SettingsError, load
from domain.clock import SystemClock
from orchestrator.remote import RemoteEngine
from tests.journeys.inside import Inside, inside
from tests.journeys.service import edit, raw_streams, settings_file

pytest.importorskip("localstack_client.session")
BREAKS = "SELECT break_id, code, state, left_value, right_value FROM recon_break ORDER BY break_id"


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A moto server that runs state machines, as the local-aws profile finds it."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    config = {"stepfunctions": {"execute_state_machine": True}}
    httpx.post(f"{url}/moto-api/config", json=config, trust_env=False).raise_for_status()
    for name, value in (
        ("AWS_ENDPOINT_URL", url), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "us-east-1"), ("MOTO_PORT", str(port)),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    yield
    server.stop()


def on_aws(config: Path, **more: Any) -> None:
    remote = {"profile": "local-aws", "stream": "segment://", "engine": "stepfunctions://tieout"}
    edit(config, {**remote, "ledger": f"sqlite://{config.parent / 'ledger.sqlite'}", **more})


def fed(here: Inside, streams: dict[str, Any]) -> list[dict[str, Any]]:
    here.feed(streams)
    here.end_of_input()
    return here.rows(BREAKS)


# Its small sibling is tests/contracts/test_parity.py: the same definition and server, functions that do nothing.
@pytest.mark.heavy
@pytest.mark.usefixtures("moto")
def test_a_day_ends_as_on_the_embedded_engine(tmp_path: Path) -> None:
    found = []
    day, config = settings_file(tmp_path, 10, 7, {})
    streams = dict(raw_streams(day))
    for name in ("embedded", "aws"):
        if name == "aws":
            on_aws(config, data_dir=str(tmp_path / "on-aws"))
        with inside(config) as here:
            found.append(fed(here, streams))
            runs = here.installation.engine.list("SUCCEEDED", 100)
            assert runs and not here.installation.engine.list("FAILED", 10)
            if name == "aws":
                engine = here.installation.engine
                assert isinstance(engine, RemoteEngine) and set(engine.counts()) == {"SUCCEEDED"}
                events = [event.type for event in engine.history(runs[-1].name)]
                assert "TaskSubmitted" in events and events[-1] == "ExecutionSucceeded"
                assert "StartAt" in engine.definition_of(runs[0].name)
                again = engine.describe(runs[0].name)
                assert engine.start(runs[0].name, again.input).status == "SUCCEEDED", "a name is an idempotency key"
    assert found[0] == found[1] and found[0]


@pytest.mark.usefixtures("moto")
def test_what_cannot_work_is_said_by_its_key(tmp_path: Path) -> None:
    config = tmp_path / "tieout.yaml"
    config.write_text("{}")
    on_aws(config, ledger="sqlite://", data_dir=str(tmp_path / "data"))
    with pytest.raises(SettingsError, match=r"^ledger: "), inside(config):
        pass
    on_aws(config, engine="stepfunctions://")
    with pytest.raises(SettingsError, match=r"^engine: "):
        open_engine(load(config), {}, {}, SystemClock(), ())
    on_aws(config, engine="stepfunctions://tieout?tasks=carrier-pigeon")
    with pytest.raises(SettingsError, match=r"^engine: tasks=carrier-pigeon"):
        open_engine(load(config), {}, {}, SystemClock(), ())
