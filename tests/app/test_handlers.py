"""Lambda handlers: the shipped machine calls them by name, batch and sweep, and they do what the service's tasks do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import handlers
from app.settings import load
from ingest.streams.segment import SegmentStream
from orchestrator import TaskError, run
from orchestrator.definition import load_shipped
from orchestrator.portable import INVOKE
from tests.journeys.inside import inside
from tests.journeys.service import raw_streams, settings_file

Json = dict[str, Any]


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[tuple[Path, handlers.Functions]]:
    day, config = settings_file(tmp_path, 5, 7, {})
    with inside(config) as here:
        for session, messages in raw_streams(day).items():
            here.append(session, messages)
    opened = handlers.Functions(config)
    yield config, opened
    opened.close()


def test_the_shipped_machine_runs_on_handlers(functions: tuple[Path, handlers.Functions]) -> None:
    config, opened = functions

    def invoke(given: Json) -> Json:
        try:
            return {"Payload": opened.handler(given["FunctionName"])(given["Payload"], None), "StatusCode": 200}
        except Exception as error:
            raise TaskError(type(error).__name__, str(error)) from None

    stream = SegmentStream(load(config).data_dir / "raw")
    task: Json = {"tenant": "default", "after": None, "marks": {}}
    for lane in stream.lanes():
        batch = stream.read(lane, None, 5_000)
        if not batch.count:
            continue
        as_of = max(envelope.recv_ts for envelope in batch.envelopes)
        given = {**task, "execution": lane, "kind": "batch", "lane": lane, "until": batch.next, "as_of": as_of}
        first, again = (run(load_shipped(), given | {"count": batch.count}, {INVOKE: invoke}) for _ in range(2))
        assert first.status == again.status == "SUCCEEDED", first.cause
        assert first.output["normalize"]["messages"] and first.output["match"] == again.output["match"]
    sweep = {**task, "execution": "sweep-1", "kind": "sweep", "lane": "", "until": None, "count": 0}
    swept = run(load_shipped(), sweep | {"as_of": as_of + 86_400 * 10**9}, {INVOKE: invoke})
    assert swept.status == "SUCCEEDED", swept.cause
    stream.close()
    opened.close()
    with inside(config) as here:
        assert here.one("SELECT count(*) AS n FROM trade_event") and here.one("SELECT count(*) AS n FROM match_group")
        assert here.rows("SELECT DISTINCT execution FROM execution_log WHERE execution = 'sweep-1'")


def test_every_function_of_the_machine_has_a_handler() -> None:
    wanted = {
        state["Parameters"]["FunctionName"] for state in load_shipped()["States"].values() if state["Type"] == "Task"
    }
    assert {f"tieout-{name}" for name in ("normalize", "match", "score", "ticket", "park")} == wanted
    assert all(callable(getattr(handlers, name.removeprefix("tieout-"))) for name in wanted)
