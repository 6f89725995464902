"""What can be wrong with the reader, batcher and writer of a Map."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.checks_jsonata import is_open
from orchestrator.item_reader import DATA_TYPES, MANIFEST, TYPES, is_manifest
from orchestrator.problem import Problem

_LISTING = "arn:aws:states:::s3:listObjectsV2"
_READ = ("arn:aws:states:::s3:getObject", _LISTING)
_WRITE = ("arn:aws:states:::s3:putObject",)
_FLAT = "LOAD_AND_FLATTEN"
_MANIFESTS = ("ATHENA_DATA", "S3_INVENTORY")
_DELIMITERS = ("COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB")


def fields(state: Mapping[str, Any], path: str, language: str) -> Iterator[Problem]:
    """The fields only a distributed Map has, and the numbers every Map may have."""
    processor = state.get("ItemProcessor")
    config = processor.get("ProcessorConfig") if isinstance(processor, Mapping) else None
    mode = config.get("Mode", "INLINE") if isinstance(config, Mapping) else "INLINE"
    yield from _processor(config, f"{path}/ItemProcessor/ProcessorConfig")
    yield from _limits(state, path, language)
    for name, known in (("ItemReader", _READ), ("ItemBatcher", ()), ("ResultWriter", _WRITE)):
        part = state.get(name)
        if name not in state:
            continue
        if mode != "DISTRIBUTED":
            yield Problem(f"{path}/{name}", f"{name} belongs to a Map whose ProcessorConfig says DISTRIBUTED")
        if not isinstance(part, Mapping):
            yield Problem(f"{path}/{name}", f"{name} is an object")
            continue
        needs_resource = name == "ItemReader" or (name == "ResultWriter" and "WriterConfig" not in part)
        if known and (needs_resource or "Resource" in part) and part.get("Resource") not in known:
            yield Problem(f"{path}/{name}/Resource", f"Resource must be one of {', '.join(known)}")
    yield from _reader(state.get("ItemReader"), f"{path}/ItemReader", language)
    yield from _batcher(state.get("ItemBatcher"), f"{path}/ItemBatcher", language)
    yield from _writer(state.get("ResultWriter"), f"{path}/ResultWriter")


def _processor(config: Any, path: str) -> Iterator[Problem]:
    """How the iterations run."""
    if config is None:
        return
    if not isinstance(config, Mapping):
        yield Problem(path, "ProcessorConfig is an object")
    elif config.get("Mode", "INLINE") not in ("INLINE", "DISTRIBUTED"):
        yield Problem(f"{path}/Mode", "Mode is INLINE or DISTRIBUTED")
    elif config.get("ExecutionType", "STANDARD") not in ("STANDARD", "EXPRESS"):
        yield Problem(f"{path}/ExecutionType", "ExecutionType is STANDARD or EXPRESS")


def _limits(state: Mapping[str, Any], path: str, language: str) -> Iterator[Problem]:
    """Numbers that are written as such; what a path or an expression finds is told when it is found."""
    for name in ("MaxConcurrency", "ToleratedFailureCount"):
        value = state.get(name, 0)
        if not _told_later(value, language) and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            yield Problem(f"{path}/{name}", f"{name} is a whole number from 0")
    value = state.get("ToleratedFailurePercentage", 0)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not _told_later(value, language) and not (is_number and 0 <= value <= 100):
        yield Problem(f"{path}/ToleratedFailurePercentage", "ToleratedFailurePercentage is a number from 0 to 100")


def _reader(reader: Any, path: str, language: str) -> Iterator[Problem]:
    config = reader.get("ReaderConfig", {}) if isinstance(reader, Mapping) else {}
    if not isinstance(config, Mapping):
        yield Problem(f"{path}/ReaderConfig", "ReaderConfig is an object")
        return
    where = f"{path}/ReaderConfig"
    yield from _kind(config, where, reader.get("Resource") == _LISTING if isinstance(reader, Mapping) else False)
    if config.get("InputType") == "CSV":
        location = config.get("CSVHeaderLocation")
        if location not in ("FIRST_ROW", "GIVEN"):
            yield Problem(f"{where}/CSVHeaderLocation", "CSVHeaderLocation is FIRST_ROW or GIVEN")
        if location == "GIVEN" and not isinstance(config.get("CSVHeaders"), list):
            yield Problem(f"{where}/CSVHeaders", "CSVHeaders is a list of names where CSVHeaderLocation is GIVEN")
        if config.get("CSVDelimiter", "COMMA") not in _DELIMITERS:
            yield Problem(f"{where}/CSVDelimiter", f"CSVDelimiter must be one of {', '.join(_DELIMITERS)}")
    yield from _numbers(config, where, ("MaxItems",), language)


def _kind(config: Mapping[str, Any], where: str, is_listing: bool) -> Iterator[Problem]:
    """What is read: items, a listing's objects, or what a manifest names."""
    kind, manifest, flat = (config.get(name) for name in ("InputType", "ManifestType", "Transformation"))
    if kind not in (None, *TYPES):
        yield Problem(f"{where}/InputType", f"InputType must be one of {', '.join(sorted(TYPES))}")
    if manifest not in (None, *_MANIFESTS):
        yield Problem(f"{where}/ManifestType", f"ManifestType must be one of {', '.join(_MANIFESTS)}")
    elif manifest == "S3_INVENTORY" and kind not in (None, MANIFEST):
        yield Problem(f"{where}/InputType", "an inventory's files are CSV: S3_INVENTORY goes without InputType")
    elif manifest == "ATHENA_DATA" and kind not in (None, *DATA_TYPES):
        yield Problem(f"{where}/InputType", "InputType is that of the files an ATHENA_DATA manifest names")
    if flat not in (None, "NONE", _FLAT):
        yield Problem(f"{where}/Transformation", f"Transformation is NONE or {_FLAT}")
    elif flat == _FLAT and not is_listing:
        yield Problem(f"{where}/Transformation", f"{_FLAT} belongs to {_LISTING}")
    elif flat == _FLAT and kind not in DATA_TYPES:
        yield Problem(f"{where}/InputType", f"{_FLAT} needs an InputType of {', '.join(sorted(DATA_TYPES))}")
    if is_listing and is_manifest(config):
        yield Problem(where, "a manifest is read with s3:getObject")
    if "ItemsPointer" in config:
        pointer = config["ItemsPointer"]
        if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
            yield Problem(f"{where}/ItemsPointer", "ItemsPointer is a JSON Pointer: /name/0/name")
        if kind not in (None, "JSON"):
            yield Problem(f"{where}/ItemsPointer", "ItemsPointer belongs to JSON")


def _writer(writer: Any, path: str) -> Iterator[Problem]:
    config = writer.get("WriterConfig", {}) if isinstance(writer, Mapping) else {}
    if not isinstance(config, Mapping):
        yield Problem(f"{path}/WriterConfig", "WriterConfig is an object")
        return
    for name, known in (("Transformation", ("NONE", "COMPACT", "FLATTEN")), ("OutputType", ("JSON", "JSONL"))):
        if config.get(name, known[0]) not in known:
            yield Problem(f"{path}/WriterConfig/{name}", f"{name} must be one of {', '.join(known)}")


def _batcher(batcher: Any, path: str, language: str) -> Iterator[Problem]:
    if not isinstance(batcher, Mapping):
        return
    names = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")
    if not any(name in batcher or f"{name}Path" in batcher for name in names):
        yield Problem(path, f"ItemBatcher needs one of {' and '.join(names)}")
    yield from _numbers(batcher, path, names, language)


def _told_later(value: Any, language: str) -> bool:
    return language == "JSONata" and is_open(value)


def _numbers(part: Mapping[str, Any], path: str, names: tuple[str, ...], language: str) -> Iterator[Problem]:
    for name in names:
        value = part.get(name, 1)
        if not _told_later(value, language) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            yield Problem(f"{path}/{name}", f"{name} is a whole number from 1")
        if name in part and f"{name}Path" in part:
            yield Problem(path, f"only one of {name} and {name}Path is allowed")
