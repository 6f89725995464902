"""A Snowflake account in this process: fakesnow's server, spoken to by Snowflake's own connector over HTTP.

fakesnow is DuckDB underneath. What it gets wrong is put right here, so that the product is not bent to it:
a missing time arrives as 1970, and a nested `trim` loses the characters it trims. Times keep microseconds only.
"""

import importlib
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest

from warehouse.snowflake_session import SnowflakeLogin

_NAMES = (f"TIEOUT_{number}" for number in itertools.count(1))
_LOGGERS = ("uvicorn", "uvicorn.access", "uvicorn.error", "fakesnow.server")


@contextmanager
def fake_account() -> Iterator[dict[str, Any]]:
    """Host and port of the fake server while it runs. Skips the test where the extra is absent."""
    fakesnow = pytest.importorskip("fakesnow", reason="fakesnow[server] is not installed: no Snowflake to test with")
    pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
    true_struct = importlib.import_module("fakesnow.arrow").timestamp_to_sf_struct
    true_trim = importlib.import_module("fakesnow.transforms").trim_cast_varchar

    def struct(times: Any) -> pa.Array:
        times = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
        made = true_struct(times)
        fields = [made.field(at) for at in range(made.type.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(made.type), mask=times.is_null())

    def trim(expression: Any) -> Any:
        made = true_trim(expression)
        if made is not expression:
            for name in ("expression", "position"):
                made.set(name, expression.args.get(name))
        return made

    with (
        mock.patch("fakesnow.arrow.timestamp_to_sf_struct", struct),
        mock.patch("fakesnow.transforms.trim_cast_varchar", trim),
        mock.patch("uvicorn.config.Config.configure_logging"),
        fakesnow.server() as server,
    ):
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield {"host": server["host"], "port": server["port"]}


def fake_login(account: dict[str, Any], **changes: Any) -> SnowflakeLogin:
    """A login to an empty database of the fake account, with a token; `changes` replace single fields."""
    given = {"account": "fake", "database": next(_NAMES), "schema": "PUBLIC", "user": "tester", "token": lambda: "t"}
    return SnowflakeLogin(**{**given, **account, "protocol": "http", "network_timeout_seconds": 2, **changes})


def key_file(folder: Path, passphrase: str = "") -> Path:
    """A fresh RSA key as PKCS#8 PEM."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    lock = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    path = folder / "key.p8"
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock))
    return path
