"""Against the real pyfixmsg, where TIEOUT_PYFIXMSG names a checkout: its own tests on ours, and messages both ways."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ingest.fix.pyfix import pyfixmsg as ours
from ingest.fix.pyfix.convert import from_pyfixmsg, load_checkout, to_pyfixmsg

CHECKOUT = os.environ.get("TIEOUT_PYFIXMSG", "")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="TIEOUT_PYFIXMSG names no checkout of pyfixmsg")
WIRE = (
    b"8=FIX.4.4\x019=1\x0135=J\x0149=A\x0156=B\x0134=2\x0152=20261120-10:00:00\x0170=AL1\x0171=0\x01626=1\x01"
    b"73=2\x0111=c1\x0137=o1\x0111=c2\x0137=o2\x0154=1\x0155=VOD\x0153=300\x016=12.5\x0175=20261120\x01"
    b"78=2\x0179=ACC1\x0180=100\x0179=ACC2\x0180=200\x0110=000\x01"
)


@pytest.fixture
def real() -> ModuleType:
    return load_checkout(Path(CHECKOUT))


def test_the_packages_own_tests_pass_on_ours(quickfix_xml: Path, tmp_path: Path) -> None:
    tests = sorted(str(path) for path in (Path(CHECKOUT) / "tests").glob("test_*.py"))
    assert tests
    script = (
        "import sys, pytest; from ingest.fix.pyfix import alias; alias.install(); sys.exit(pytest.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "-q", "-p", "no:cacheprovider", "--rootdir", CHECKOUT, "-c", os.devnull]
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [*command, f"--spec={quickfix_xml}", "--confcutdir", CHECKOUT, *tests],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr


def test_messages_go_both_ways_with_equal_tags(quickfix_xml: Path, real: ModuleType) -> None:
    if quickfix_xml.stem != "FIX44":
        pytest.skip("the message is FIX 4.4")
    modules: Any = sys.modules
    codec = ours.Codec(spec=ours.FixSpec(str(quickfix_xml)), fragment_class=ours.FixFragment)
    classes = modules["pyfixmsg.fixmessage"]
    theirs_spec = modules["pyfixmsg.reference"].FixSpec(str(quickfix_xml))
    theirs_codec = modules["pyfixmsg.codecs.stringfix"].Codec(spec=theirs_spec, fragment_class=classes.FixFragment)
    theirs = classes.FixMessage.from_buffer(WIRE, theirs_codec)
    mine = ours.FixMessage.from_buffer(WIRE, codec)
    assert dict(theirs) == dict(mine) and len(mine[78]) == 2

    there, here = to_pyfixmsg(mine, real, theirs_codec), from_pyfixmsg(theirs, codec)
    assert type(there) is classes.FixMessage and type(there[78]) is real.RepeatingGroup
    assert type(here) is ours.FixMessage and type(here[78]) is ours.RepeatingGroup
    assert dict(there) == dict(theirs) == dict(here) and there.raw_message == WIRE and here.time == theirs.time
    assert list(there.find_all(80)) == list(here.find_all(80)) == [[78, 0, 80], [78, 1, 80]]
    assert there.to_wire() == here.to_wire() == theirs.to_wire() == mine.to_wire()
    back = from_pyfixmsg(to_pyfixmsg(mine, real), codec)
    back.time = mine.time
    assert back == mine


def test_the_packages_own_examples_run_on_ours(quickfix_xml: Path, tmp_path: Path) -> None:
    """As it says itself, the longer one is written for FIX 4.2."""
    if quickfix_xml.stem != "FIX42":
        pytest.skip("the examples are for FIX 4.2")
    example = Path(CHECKOUT) / "examples" / "pyfixmsg_example.py"
    if not example.is_file():
        pytest.skip("this checkout has no examples")
    script = (
        "import runpy, sys; from ingest.fix.pyfix import alias; alias.install();"
        " sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(example), str(quickfix_xml)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
