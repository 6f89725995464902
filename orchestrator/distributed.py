"""A distributed Map: a child an item or a batch of them, results into files; reading and writing are tasks."""

import json
import uuid
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from orchestrator.commands import Program, RunTask, TaskFailure, TaskResult
from orchestrator.dataflow import text
from orchestrator.errors import StateFailure
from orchestrator.flow import Flow
from orchestrator.map_items import Item
from orchestrator.paths import Surroundings

LISTING, GETTING = "arn:aws:states:::s3:listObjectsV2", "arn:aws:states:::s3:getObject"
READERS = frozenset({GETTING, LISTING})
_INPUT_MAX_BYTES = 262_144
Context = Mapping[str, Any]
Child = tuple[Any, Context, int]


def is_distributed(processor: Mapping[str, Any]) -> bool:
    """Whether the iterations are executions of their own."""
    return bool(processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED")


def children(flow: Flow, base: Any, items: list[Item], around: Surroundings, seed: str) -> Iterator[Child]:
    """Input, context object and number of items of every child: one an item, or a batch of them."""
    singles = (_single(flow, base, index, item, around, f"{seed}{index}/") for index, item in enumerate(items))
    batcher = flow.state.get("ItemBatcher")
    if batcher is None:
        yield from singles
        return
    most = flow.number("MaxItemsPerBatch", base, batcher)
    longest = flow.number("MaxInputBytesPerBatch", base, batcher) or _INPUT_MAX_BYTES
    shared = {"BatchInput": flow.filled(batcher["BatchInput"], base, "BatchInput")} if "BatchInput" in batcher else {}
    empty = len(text({**shared, "Items": []}).encode())
    batch: list[Any] = []
    size = empty
    for given, _, _ in singles:
        more = len(text(given).encode()) + 1
        if batch and ((most and len(batch) >= most) or size + more > longest):
            yield _batch(shared, batch, around)
            batch, size = [], empty
        batch.append(given)
        size += more
    if batch:
        yield _batch(shared, batch, around)


def _single(flow: Flow, base: Any, index: int, item: Item, around: Surroundings, seed: str) -> Child:
    context = item.context(around.context, index)
    return flow.item(base, Surroundings(context, around.variables), item.given, seed), context, 1


def _batch(shared: Mapping[str, Any], batch: list[Any], around: Surroundings) -> Child:
    return {**shared, "Items": batch}, around.context, len(batch)


def written(name: str, flow: Flow, base: Any, key: str, told: list[tuple[Any, Any, StateFailure | None]]) -> Program:
    """The state's result: the children's outputs, or where ResultWriter put them. `told`: input, output, failure."""
    writer = flow.state.get("ResultWriter")
    config = (writer or {}).get("WriterConfig", {})
    shape = config.get("Transformation", "NONE" if writer else "COMPACT")
    if writer is None or "Resource" not in writer:
        return _shaped(shape, [child for child in told if child[2] is None])
    given = flow.filled(writer.get("Parameters", writer.get("Arguments", {})), base, "ResultWriter")
    run = str(uuid.UUID(int=Random(key).getrandbits(128), version=4))
    folder = "/".join(part for part in (str(given.get("Prefix", "")).strip("/"), run) if part)
    lines = config.get("OutputType") == "JSONL"
    files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status in ("SUCCEEDED", "FAILED"):
        chosen = [child for child in told if (child[2] is None) is (status == "SUCCEEDED")]
        if not chosen:
            continue
        shown = _shaped(shape, chosen)
        body = "\n".join(text(item) for item in shown) if lines else text(shown)
        where = {"Bucket": given.get("Bucket"), "Key": f"{folder}/{status}_0.{'jsonl' if lines else 'json'}"}
        yield from _put(name, flow, writer, base, f"{key}{status}#0", {**where, "Body": body})
        files[status].append({"Key": where["Key"], "Size": len(body.encode())})
    manifest = {"DestinationBucket": given.get("Bucket"), "MapRunArn": run, "ResultFiles": files}
    where = {"Bucket": given.get("Bucket"), "Key": f"{folder}/manifest.json"}
    yield from _put(name, flow, writer, base, f"{key}manifest#0", {**where, "Body": json.dumps(manifest)})
    return {"MapRunArn": run, "ResultWriterDetails": where}


def _shaped(shape: str, told: list[tuple[Any, Any, StateFailure | None]]) -> list[Any]:
    if shape == "NONE":
        return [
            {"Input": text(given), "Status": "SUCCEEDED", "Output": text(output)}
            if failure is None
            else {"Input": text(given), "Status": "FAILED", "Error": failure.error, "Cause": failure.cause}
            for given, output, failure in told
        ]
    outputs = [
        output if failure is None else {"Error": failure.error, "Cause": failure.cause} for _, output, failure in told
    ]
    if shape != "FLATTEN":
        return outputs
    return [item for output in outputs for item in (output if isinstance(output, list) else [output])]


def _put(name: str, flow: Flow, part: Any, base: Any, key: str, given: Mapping[str, Any]) -> Program:
    return called(name, flow, part, base, key, given, "States.ResultWriterFailed")


def called(
    name: str, flow: Flow, part: Mapping[str, Any], base: Any, key: str, given: Mapping[str, Any], error: str
) -> Program:
    """What a reader's or writer's resource answers; its own failures get the name they have in a Map."""
    filled = given or flow.filled(part.get("Parameters", part.get("Arguments", {})), base, "Arguments")
    answer = yield RunTask(key, str(part["Resource"]), filled, name)
    return answered(answer, error)


def answered(answer: TaskResult | TaskFailure, error: str) -> Any:
    """What a resource answered. Raises StateFailure under the name a failure of it has in a Map."""
    if isinstance(answer, TaskFailure):
        raise StateFailure(error, f"{answer.error}: {answer.cause}" if answer.cause else answer.error)
    return answer.output
