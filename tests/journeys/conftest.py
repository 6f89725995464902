"""One service with a reconciled day, shared by the journeys that leave its day as it is."""

from collections.abc import Iterator

import pytest

from tests.journeys.service import Service


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A day of 120 fills pushed over FIX sessions, its grace ended."""
    with Service(tmp_path_factory.mktemp("office"), fills=120) as service:
        service.push()
        service.end_of_input()
        yield service
