"""The objects that a bucket's listing, an S3 inventory's manifest or the manifest of an Athena query name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.item_reader import array, json_of
from orchestrator.object_bodies import body, unreadable

_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Named:
    """An object to read items from, and the ReaderConfig to read it with."""

    bucket: str
    key: str
    config: Mapping[str, Any]


def listed(bucket: str, contents: list[Any], config: Mapping[str, Any]) -> Iterator[Named]:
    """The objects of a listing; a folder's marker holds no items."""
    for entry in contents:
        key = entry.get("Key") if isinstance(entry, Mapping) else None
        if not isinstance(key, str):
            raise unreadable("an entry of the listing has no Key")
        if not (key.endswith("/") and not entry.get("Size")):
            yield Named(bucket, key, config)


def named(bucket: str, answer: Any, config: Mapping[str, Any]) -> Iterator[Named]:
    """The data files of a manifest in what s3:getObject answered. Raises States.ItemReaderFailed."""
    text = body(answer)
    return _athena(text, config) if config.get("ManifestType") == "ATHENA_DATA" else _inventory(bucket, text)


def _athena(text: str, config: Mapping[str, Any]) -> Iterator[Named]:
    """One `s3://bucket/key` a line, as UNLOAD and its kin write them."""
    for number, line in enumerate(text.splitlines(), 1):
        place = line.strip().strip('"')
        if not place:
            continue
        bucket, _, key = place[len(_SCHEME) :].partition("/")
        if not place.lower().startswith(_SCHEME) or not bucket or not key:
            raise unreadable(f"line {number} of the manifest is no address of an object: {place[:100]}")
        yield Named(bucket, key, config)


def _inventory(bucket: str, text: str) -> Iterator[Named]:
    """The CSV files of an inventory: beside the manifest, without a header, their columns named in the manifest."""
    manifest = json_of(text, "the manifest")
    if not isinstance(manifest, Mapping):
        raise unreadable("the manifest is not an object")
    if manifest.get("fileFormat") != "CSV":
        raise unreadable(f"the inventory's fileFormat is {manifest.get('fileFormat')}; CSV is what can be read")
    schema = manifest.get("fileSchema")
    names = [name.strip() for name in schema.split(",")] if isinstance(schema, str) else []
    if not all(names) or not names:
        raise unreadable("the manifest has no fileSchema")
    config = {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": names}
    for number, file in enumerate(array(manifest.get("files"), "files")):
        key = file.get("key") if isinstance(file, Mapping) else None
        if not isinstance(key, str):
            raise unreadable(f"file {number} of the manifest has no key")
        yield Named(bucket, key, config)
