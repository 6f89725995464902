"""JSON lines from a file or a running service, read one by one; what is wrong is said with file and line."""

import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]
# A record named by its source and that source's own id.
Key = tuple[str, str]

_TIMEOUT_SECONDS = 120.0
_CHUNK_BYTES = 1 << 20
_LINE_BYTES_MAX = 64 << 20
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?")
_SEQUENCE = re.compile(r"seq:(\d{1,12})(?:-(\d{1,12}))?")
# A gap longer than this is compared as a whole.
_GAP_NUMBERS_MAX = 10_000


class InputError(Exception):
    """The truth or the result cannot be used; the text is one line for a person."""


class WrongRowError(Exception):
    """A row of the wrong shape; whoever reads the file adds its name and the line number."""


@dataclass(frozen=True, slots=True)
class JsonLines:
    """One JSON object a line: in a file (`path`), or answered by a service (`url` with its bearer `token`)."""

    name: str
    path: Path | None = None
    url: str = ""
    token: str = ""

    def exists(self) -> bool:
        """False for a file that is not there; a service is asked only when it is read."""
        return self.path is None or self.path.exists()

    def each(self, handle: Callable[[Json, int], None]) -> bool:
        """Call `handle(row, line number)` for every object.

        False when the service does not know the address. Raises InputError naming the line.
        """
        with self._lines() as lines:
            if lines is None:
                return False
            for number, line in enumerate(lines, 1):
                if line.isspace():
                    continue
                try:
                    handle(_object(line), number)
                except WrongRowError as error:
                    raise InputError(f"{self.name}:{number}: {error}") from None
        return True

    @contextmanager
    def _lines(self) -> Iterator[Iterator[bytes] | None]:
        """Lines without interpretation: other line ends than LF may stand inside a JSON text."""
        if self.path is not None:
            try:
                with self.path.open("rb") as file:
                    yield _bounded(file, self.name)
            except OSError as error:
                raise InputError(f"{self.name}: {error.strerror or error}") from None
            return
        try:
            # A bare context where no certificate is needed: loading the trusted ones takes 50 ms.
            bare = self.url.startswith("http://")
            verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if bare else ssl.create_default_context()
            headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            with (
                httpx.Client(headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False, verify=verify) as client,
                client.stream("GET", self.url) as answer,
            ):
                if answer.status_code == 404:
                    yield None
                    return
                if answer.status_code != 200:
                    raise InputError(f"{self.url}: {_refusal(answer.status_code)}")
                yield _split(answer.iter_bytes(_CHUNK_BYTES), self.name)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise InputError(f"{self.url}: no answer ({_short(error) or type(error).__name__})") from None


def _no_constant(name: str) -> None:
    raise WrongRowError(f"{name} is not a number")


# json.loads would make a decoder for every line.
_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_MARK = b"\xef\xbb\xbf"


def _object(line: bytes) -> Json:
    try:
        body = line.strip().decode("utf-8-sig" if line.startswith(_MARK) else "utf-8")
        # What `decode` does besides is looking for blanks, a third of the time.
        row, end = _DECODER.raw_decode(body)
        if end != len(body):
            raise ValueError(f"Extra data: char {end}")
    except (ValueError, RecursionError) as error:
        raise WrongRowError(f"not JSON ({_short(error)})") from None
    if type(row) is not dict:
        raise WrongRowError(f"a JSON object is needed, this is {_kind(row)}")
    return row


def _bounded(lines: Any, name: str) -> Iterator[bytes]:
    number = 0
    while line := lines.readline(_LINE_BYTES_MAX):
        number += 1
        if len(line) == _LINE_BYTES_MAX:
            raise InputError(f"{name}:{number}: a line of more than {_LINE_BYTES_MAX >> 20} MiB")
        yield line


def _split(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_BYTES_MAX:
            raise InputError(f"{name}: a line of more than {_LINE_BYTES_MAX >> 20} MiB")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def _refusal(status: int) -> str:
    return f"{status} refused: give the service's token with --token" if status in (401, 403) else f"answers {status}"


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def text(row: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text field; the default where it is absent or null. Raises WrongRowError."""
    value = row.get(name)
    if type(value) is str:
        return value
    if value is not None:
        raise WrongRowError(f"{name} must be text, this is {_kind(value)}")
    if default is None:
        raise WrongRowError(f"{name} is missing")
    return default


def keys(row: Mapping[str, Any], name: str, id_names: tuple[str, str] = ("uid", "trade_uid")) -> list[Key]:
    """A list of `{source, uid}` as keys; absent and null are empty. Raises WrongRowError."""
    value = row.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise WrongRowError(f"{name} must be a list of {{source, {id_names[0]}}}, this is {_kind(value)}")
    first, second = id_names
    found = []
    for item in value:
        try:
            source, uid = item["source"], item[first]
        except (KeyError, TypeError):
            source, uid = _named(item, name, first, second)
        if type(source) is not str or type(uid) is not str:
            wrong, field = (source, "source") if type(source) is not str else (uid, first)
            said = "is missing" if wrong is None else f"must be text, this is {_kind(wrong)}"
            raise WrongRowError(f"{name}: {field} {said}")
        found.append((source, uid))
    return found


def _named(item: object, name: str, first: str, second: str) -> tuple[Any, Any]:
    """Source and id of a record that lacks one of them, or names it the other way."""
    if not isinstance(item, dict):
        raise WrongRowError(f"{name} must hold objects {{source, {first}}}, here is {_kind(item)}")
    uid = item.get(first)
    return item.get("source"), item.get(second) if uid is None else uid


def without_ranges(named: list[Key]) -> list[Key]:
    """`seq:120-122` as seq:120, seq:121, seq:122, so that two overlapping gaps share something."""
    found = []
    for source, uid in named:
        match = _SEQUENCE.fullmatch(uid) if uid.startswith("seq:") else None
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if match and 0 <= last - first < _GAP_NUMBERS_MAX:
            found += [(source, f"seq:{number}") for number in range(first, last + 1)]
        else:
            found.append((source, uid))
    return found


def instant(row: Mapping[str, Any], name: str) -> int | None:
    """A time as UTC nanoseconds since 1970: given so, or as ISO text (UTC where it names no offset)."""
    value = row.get(name)
    if value is None or type(value) is int:
        return value
    match = _TIME.fullmatch(value) if type(value) is str else None
    if match is None:
        raise WrongRowError(f"{name} must be UTC nanoseconds or a time such as 2026-11-20T14:30:01Z")
    try:
        moment = datetime.fromisoformat(match[1] + (match[3] or "Z"))
        whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise WrongRowError(f"{name} is no time: {value}") from None
    return (whole.days * 86_400 + whole.seconds) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))
