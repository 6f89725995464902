"""The rule set of a reconciliation: the shipped one or a file, with tolerances replaced from a small YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from app.reconcile_inputs import ReconcileError
from matching.rules import RuleError, RuleSet, load_rules


def rule_set(rules: Path | None, tolerances: Path | None) -> RuleSet:
    """The rule set to match with. Raises ReconcileError naming file, line and key."""
    try:
        chosen = load_rules(rules)
    except RuleError as error:
        raise ReconcileError(str(error).splitlines()[0]) from None
    except ArithmeticError:
        raise ReconcileError(f"{rules}: a quoted amount is not a decimal number") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReconcileError(f"{rules}: {_reason(error)}") from None
    return chosen if tolerances is None else _with_tolerances(chosen, tolerances)


def _with_tolerances(chosen: RuleSet, path: Path) -> RuleSet:
    try:
        # BaseLoader keeps every scalar as text, so 0.01 stays exact.
        changes = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except (OSError, UnicodeDecodeError) as error:
        raise ReconcileError(f"{path}: {_reason(error)}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ReconcileError(
            f"{path}:{mark.line + 1 if mark else 1}: not YAML: {getattr(error, 'problem', error)}"
        ) from None
    if not isinstance(changes, dict):
        raise ReconcileError(f"{path}: expected tolerances such as `price: {{absolute: {{default: 0.01}}}}`")
    document = chosen.model_dump(mode="json")
    document["tolerances"] = _merged(document["tolerances"], changes.get("tolerances", changes))
    try:
        return RuleSet.model_validate(document)
    except ArithmeticError:
        raise ReconcileError(f"{path}: an amount is not a decimal number") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "tolerances")
        raise ReconcileError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None


def _merged(base: Mapping[str, Any], changes: Any) -> Any:
    if not isinstance(changes, Mapping):
        return changes
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, Mapping) else value
    return merged


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "not a text file"
