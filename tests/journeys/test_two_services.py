"""Two whole services on one stream, ledger and warehouse; one dies by kill -9 in mid day: the tie-out of a quiet one."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.moto_child import moto_server
from tests.journeys.inside import inside
from tests.journeys.service import Service, raw_streams, settings_file, until
from tests.warehouse.fake_snowflake import fake_login
from warehouse.snowflake import SnowflakeWarehouse

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]
FILLS, SEED = 20, 7


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
    tables = closing(SnowflakeWarehouse(login))
    with (
        Service(tmp_path / "a", fills=FILLS, seed=SEED, **common) as one,
        Service(tmp_path / "b", fills=FILLS, seed=SEED, **common) as other,
        tables as warehouse,
    ):
        sending = threading.Thread(target=one.push, kwargs={"stores": tmp_path / "stores"})
        sending.start()
        total = sum(map(len, raw_streams(one.day).values()))

        def stored() -> int:
            return int(warehouse.query("SELECT count(*) AS n FROM raw_message")["n"][0].as_py())

        until(lambda: stored() > total // 4, "something is stored", 240)
        other.kill("worker")
        sending.join(240)
        until(lambda: stored() >= total, "everything is stored", 240)
        for service in (one, other):
            service.settle()
        summary = one.summary()
    assert summary["completeness"]["problems"] == []
    _, alone = settings_file(tmp_path / "alone", FILLS, SEED, {"model": "http://127.0.0.1:1"})
    with inside(alone) as single:
        single.feed(raw_streams(one.day))
        expected = single.installation.summary()
    assert summary["groups"] == expected["groups"]
