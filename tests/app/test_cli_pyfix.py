"""`tieout pyfixmsg`: a program written for the package runs on ours."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pyfixmsg import RepeatingGroup
from pyfixmsg.codecs.stringfix import Codec
from pyfixmsg.fixmessage import FixMessage
import helper
if __name__ == "__main__":
    print(FixMessage().load_fix(helper.ORDER)[55], sys.argv[1:])
"""


def tieout(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from app.cli import main; main()", "pyfixmsg", *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_a_script_runs_unchanged(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("ORDER = b'35=D;55=VOD;'\n")
    done = tieout("script.py", "a", "--spec=b", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "VOD ['a', '--spec=b']\n"), done.stderr
    assert tieout("-m", "script", cwd=tmp_path).stdout == "VOD []\n"


def test_what_cannot_be_run_is_told(tmp_path: Path) -> None:
    done = tieout("absent.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "tieout: absent.py: no such file\n")
    (tmp_path / "script.py").write_text("")
    done = tieout("--real", "script.py", cwd=tmp_path)
    assert done.returncode == 2 and "TIEOUT_PYFIXMSG names no folder" in done.stderr
