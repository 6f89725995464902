"""The session test cases of the FIX specification, as scripts of our own, on every version they are for."""

import pytest

from tests.ingest.session.case_runner import CASES, NAMES, CaseRunner, wanted

SCRIPTS = {path.stem: path.read_text() for path in sorted(CASES.glob("*.case"))}
ASKED = [f"1{part}" for part in "abcde"] + [f"2{part}" for part in "abcdefghijklmnopqrst"]
ASKED += ["3", "4", "6", "7", "8", "10", "11", "13", "14", "15", "19", "20"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_case(name: str) -> None:
    for version in wanted(SCRIPTS[name]):
        try:
            CaseRunner(version).run(SCRIPTS[name])
        except AssertionError as error:
            raise AssertionError(f"{name} in FIX {version}: {error}") from error


def test_every_case_of_the_specification_has_a_script() -> None:
    # 1b, two connections of one identity, needs sockets: test_acceptor.py.
    missing = [case for case in ASKED if case != "1b" and not any(n.startswith(f"{case}-") for n in SCRIPTS)]
    missing = [case for case in missing if not any(n[: len(case)] == case and n[len(case)].isalpha() for n in SCRIPTS)]
    assert missing == []


def test_the_scripts_run_in_every_version() -> None:
    assert {version for script in SCRIPTS.values() for version in wanted(script)} == set(NAMES)
    assert sum(len(wanted(script)) for script in SCRIPTS.values()) > 400
