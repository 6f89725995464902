"""The desk of tests/matching/desk.py as a fixture."""

import pytest

from matching.rules import RuleSet, load_rules
from tests.matching.desk import Desk


@pytest.fixture(scope="session")
def rules() -> RuleSet:
    return load_rules()


@pytest.fixture
def desk(rules: RuleSet) -> Desk:
    return Desk(rules)
