"""What a Map goes over: its state's input, an object, a listing, or the objects a listing or a manifest names."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator import item_reader, manifests
from orchestrator.commands import Program, RunTask
from orchestrator.distributed import GETTING, LISTING, answered, called, is_distributed
from orchestrator.flow import Flow
from orchestrator.manifests import Named
from orchestrator.map_items import Item, listed

_UNREAD = "States.ItemReaderFailed"


def read(name: str, flow: Flow, base: Any, key: str) -> Program:
    """ItemReader's items, else those of the state's input."""
    reader = flow.state.get("ItemReader")
    if reader is None:
        processor = flow.state.get("ItemProcessor") or flow.state["Iterator"]
        return listed(flow.items(base, may_be_object=is_distributed(processor)))
    config, is_listing = reader.get("ReaderConfig", {}), reader["Resource"] == LISTING
    most = flow.number("MaxItems", base, config)
    cut = None if most is None else int(most) or None
    given = flow.filled(reader.get("Parameters", reader.get("Arguments", {})), base, "Arguments")
    bucket = str(given.get("Bucket", ""))
    whole, flat = not item_reader.is_manifest(config), config.get("Transformation") == "LOAD_AND_FLATTEN"
    if is_listing:
        contents = yield from _listing(name, flow, reader, base, key, given, None if flat else cut)
        if not flat:
            return listed(contents, f"S3://{bucket}")
        return (yield from _each(name, key, manifests.listed(bucket, contents, config), cut))
    answer = yield from called(name, flow, reader, base, f"{key}read#0", given, _UNREAD)
    if whole:
        return listed(item_reader.items(answer, config, cut), f"S3://{bucket}/{given.get('Key', '')}")
    return (yield from _each(name, key, manifests.named(bucket, answer, config), cut))


def _listing(
    name: str, flow: Flow, reader: Mapping[str, Any], base: Any, key: str, given: Mapping[str, Any], cut: int | None
) -> Program:
    """The entries of every page of a listing, at most `cut`."""
    found: list[Any] = []
    for page in itertools.count():
        at = f"{key}read#0" if page == 0 else f"{key}page{page}#0"
        answer = yield from called(name, flow, reader, base, at, given, _UNREAD)
        found += item_reader.entries(answer)
        following = answer.get("NextContinuationToken")
        if not following or (cut is not None and len(found) >= cut):
            return found[:cut]
        given = {**given, "ContinuationToken": following}
    raise AssertionError("a listing has a last page")


def _each(name: str, key: str, objects: Iterator[Named], cut: int | None) -> Program:
    """The items of one object after another; none is read for items beyond `cut`."""
    items: list[Item] = []
    for number, one in enumerate(objects):
        at = {"Bucket": one.bucket, "Key": one.key}
        answer = yield RunTask(f"{key}read{number}#0", GETTING, at, name)
        left = None if cut is None else cut - len(items)
        found = item_reader.items(answered(answer, _UNREAD), one.config, left)
        items += listed(found, f"S3://{one.bucket}/{one.key}")
        if cut is not None and len(items) >= cut:
            break
    return items
