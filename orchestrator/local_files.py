"""A folder in place of S3 for distributed Maps: `root/Bucket/Key` is the object of that bucket and key."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import TaskError
from orchestrator.object_bodies import BASE64

GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"
PUT = "arn:aws:states:::s3:putObject"
_MAX_BYTES = 64 << 20


def objects(root: Path) -> Mapping[str, Callable[[Any], Any]]:
    """Functions by Resource that read, list and write the objects below a folder; they raise TaskError."""

    def get(given: Any) -> Any:
        path = _path(root, given, "Key")
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise TaskError("S3.EntityTooLarge", f"{given['Key']} has more than {_MAX_BYTES:,} bytes")
            found = path.read_bytes()
        except OSError as error:
            raise TaskError("S3.NoSuchKeyException", f"{given['Key']}: {error.strerror}") from None
        try:
            return {"Body": found.decode("utf-8"), "ContentLength": len(found)}
        except UnicodeDecodeError:
            told = base64.b64encode(found).decode("ascii")
            return {"Body": told, "BodyEncoding": BASE64, "ContentLength": len(found)}

    def listing(given: Any) -> Any:
        folder = _path(root, {"Key": ".", **given}, "Key")
        prefix = str(given.get("Prefix", ""))
        found = sorted((p.relative_to(folder).as_posix(), p.stat().st_size) for p in folder.rglob("*") if p.is_file())
        return {"Contents": [{"Key": key, "Size": size} for key, size in found if key.startswith(prefix)]}

    def put(given: Any) -> Any:
        path = _path(root, given, "Key")
        body = given.get("Body", "")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body if isinstance(body, str) else str(body), encoding="utf-8")
        except OSError as error:
            raise TaskError("S3.WriteFailed", f"{given['Key']}: {error.strerror}") from None
        return {}

    return {GET: get, LIST: listing, PUT: put}


def _path(root: Path, given: Any, field: str) -> Path:
    """The file of a bucket and key, inside the root whatever they say."""
    bucket, key = (given.get(name) if isinstance(given, Mapping) else None for name in ("Bucket", field))
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        raise TaskError("S3.InvalidRequest", "Bucket and Key are needed")
    base = (root / bucket).resolve()
    path = (base / key).resolve()
    if base.parent != root.resolve() or not path.is_relative_to(base):
        raise TaskError("S3.AccessDenied", f"{bucket}/{key} is not below the folder")
    return path
