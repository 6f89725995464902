"""What tests of several rooms share: one fake Snowflake account for the whole run, started when first asked for."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.warehouse.fake_snowflake import fake_account, fake_login
from warehouse.migrations import migrate
from warehouse.snowflake import SnowflakeWarehouse


@pytest.fixture(scope="session")
def snowflake_account() -> Iterator[dict[str, Any]]:
    """Host and port of the fake account; skips where fakesnow or the extra `snowflake` is not installed."""
    with fake_account() as account:
        yield account


@pytest.fixture(scope="session")
def snowflake_warehouse(snowflake_account: dict[str, Any]) -> Iterator[SnowflakeWarehouse]:
    """A warehouse on the fake account, migrated once; who needs its tables empty empties them."""
    with closing(SnowflakeWarehouse(fake_login(snowflake_account))) as warehouse:
        migrate(warehouse)
        yield warehouse
