"""What tests of several rooms share: one fake Snowflake account for the whole run, started when first asked for."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.warehouse.fake_snowflake import fake_account


@pytest.fixture(scope="session")
def snowflake_account() -> Iterator[dict[str, Any]]:
    """Host and port of the fake account; skips where fakesnow or the extra `snowflake` is not installed."""
    with fake_account() as account:
        yield account
