"""Two whole services on one stream, ledger and warehouse; one is killed in mid day: the tie-out of a quiet one."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from app.client import running
from app.moto_child import moto_server
from domain.errors import PermanentError
from tests.journeys.inside import inside
from tests.journeys.service import Service, raw_streams, settings_file, until
from tests.warehouse.fake_snowflake import fake_login
from warehouse.snowflake import SnowflakeWarehouse

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1_200)]
FILLS, SEED = 20, 7
# The stand-in for Snowflake takes seconds for what takes Snowflake one.
PATIENT = 400.0


def idle(service: Service) -> bool:
    """Whether the service answers, and is; one that was killed comes back."""
    return running(service.data.root) is not None and service.idle()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kinesis and DynamoDB, for this process and its children."""
    pytest.importorskip("moto.server", reason="moto is not installed")
    with moto_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.parametrize("ledger", ["dynamodb://tieout-ledger", "sqlite://{root}/ledger.sqlite"])
def test_a_service_takes_over_what_a_killed_one_left(
    tmp_path: Path, aws: None, snowflake_account: dict[str, Any], monkeypatch: pytest.MonkeyPatch, ledger: str
) -> None:
    login = fake_login(snowflake_account)
    place = f"snowflake://fake/{login.database}/PUBLIC?host={login.host}&port={login.port}&protocol=http"
    monkeypatch.setenv("TIEOUT_SNOWFLAKE__OAUTH_TOKEN", "t")
    common: dict[str, Any] = {
        "profile": "local-aws", "stream": "kinesis://tieout-raw?shards=4", "warehouse": place,
        "ledger": ledger.format(root=tmp_path), "model": "http://127.0.0.1:1",
        "snowflake": {"user": "tester"}, "worker": {"batch_max_messages": 30, "lease_seconds": 3},
    }  # fmt: skip
    with ExitStack() as stack:
        warehouse = stack.enter_context(closing(SnowflakeWarehouse(login)))
        services = [Service(tmp_path / name, fills=FILLS, seed=SEED, **common) for name in "ab"]
        for service in services:
            stack.callback(service.stop)
            service.start(ready=False)
        one, other = services
        sending = threading.Thread(target=one.push, kwargs={"stores": tmp_path / "stores", "seconds": PATIENT})
        sending.start()
        total = sum(map(len, raw_streams(one.day).values()))

        def stored() -> int:
            with suppress(PermanentError):
                return int(warehouse.query("SELECT count(*) AS n FROM raw_message")["n"][0].as_py())
            return 0

        until(lambda: stored() > total // 4, "something is stored", PATIENT)
        other.kill("worker")
        sending.join(PATIENT)
        for what in (lambda: stored() >= total, lambda: idle(one), lambda: idle(other)):
            until(what, "everything is stored and matched", PATIENT)
        summary = one.summary()
    assert summary["completeness"]["problems"] == []
    _, alone = settings_file(tmp_path / "alone", FILLS, SEED, {"model": "http://127.0.0.1:1"})
    with inside(alone) as single:
        single.feed(raw_streams(one.day))
        expected = single.installation.summary()
    assert summary["groups"] == expected["groups"]
