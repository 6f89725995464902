"""The house as text: every module of every room with its first line."""

import ast
from importlib import resources
from pathlib import Path

ROOMS = (
    "domain", "warehouse", "ingest", "matching", "anomaly", "orchestrator", "alerting", "console", "simulator", "app",
    "infra",
)  # fmt: skip


def first_line(source: str) -> str:
    """First line of a module's docstring; empty when it has none."""
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def house_map() -> str:
    """One line per module: path and what it holds, grouped by room."""
    lines: list[str] = []
    for room in ROOMS:
        root = Path(str(resources.files(room)))
        modules = [path for path in sorted(root.rglob("*.py")) if path.name != "__init__.py"]
        if not modules:
            continue
        lines.append(f"{room}/")
        for path in modules:
            relative = path.relative_to(root).as_posix()
            lines.append(f"  {relative:<34} {first_line(path.read_text(encoding='utf-8'))}")
    return "\n".join(lines)
