"""The house tests itself: sizes, first lines, empty __init__ files, and words that do not belong here."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "domain", "warehouse", "ingest", "matching", "anomaly", "orchestrator", "alerting", "console", "simulator", "app",
    "infra",
)  # fmt: skip
FILE_LINES_MAX = 400
# Below the `def`: with the rest of the signature, the docstring and the body.
FUNCTION_LINES_MAX = 60


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository matching the patterns (tracked, or new and not ignored)."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    try:
        out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return [p for pattern in patterns for p in ROOT.rglob(pattern) if ".venv" not in p.parts]
    return [ROOT / line for line in out.splitlines() if (ROOT / line).is_file()]


PRODUCT = [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in ROOMS]


def test_there_is_something_to_check() -> None:
    assert len(PRODUCT) > 50


@pytest.mark.parametrize("path", PRODUCT, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_fits_the_house(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= FILE_LINES_MAX
    if path.name == "__init__.py":
        assert not text.strip() or path == ROOT / "orchestrator" / "__init__.py"
        return
    docstring = ast.get_docstring(tree) or ""
    assert docstring.partition("\n")[0].strip(), "the first line says what the module holds"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno
            assert length <= FUNCTION_LINES_MAX, f"{node.name} is {length} lines"


def test_no_init_files_under_tests() -> None:
    assert not [p for p in tracked("tests/*.py", "tests/**/*.py") if p.name == "__init__.py"]


def test_locks_hold_hashes_and_no_addresses() -> None:
    for name in ("core", "dev"):
        text = (ROOT / "requirements" / f"{name}.lock").read_text()
        assert "://" not in text and "--index-url" not in text
        pins = re.findall(r"^[A-Za-z0-9_.\-\[\]]+==", text, re.M)
        assert len(pins) > 50
        assert len(re.findall(r"--hash=sha256:", text)) >= len(pins)


def test_core_pins_are_the_dev_pins() -> None:
    def pins(name: str) -> set[str]:
        return set(
            re.findall(r"^([A-Za-z0-9_.\-]+==[^ \\]+)", (ROOT / "requirements" / f"{name}.lock").read_text(), re.M)
        )

    assert pins("core") <= pins("dev")


def test_declared_packages_are_the_rooms() -> None:
    import tomllib

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert tuple(sorted(wheel["packages"])) == tuple(sorted(ROOMS))
