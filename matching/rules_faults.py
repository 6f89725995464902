"""Faults of a rule file: line, key, what is wrong, and what was probably meant."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from domain.taxonomy import taxonomy

_QUOTED = re.compile(r"'([^']*)'")
_NEAR = 0.5


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file: its line (from 1), the key it is about, what is wrong, and what to write instead."""

    line: int
    key: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.line}: {self.key}: {self.text}" + (f"; {self.fix}" if self.fix else "")


def faults_of(error: ValidationError, node: yaml.Node | None, schema: Mapping[str, Any]) -> list[Fault]:
    """The faults pydantic found in the document `node`, whose shape `schema` (JSON schema) describes."""
    found = []
    for fault in error.errors():
        path = tuple(fault["loc"])
        text = fault["msg"].removeprefix("Value error, ")
        line = line_of(node, path) if path else _line_of_id(node, text)
        key = ".".join(str(part) for part in path) or "file"
        found.append(Fault(line, key, text, _fix(fault, path, schema)))
    return found


def twice_in(node: yaml.Node | None, path: tuple[str, ...] = ()) -> Iterator[Fault]:
    """Keys written twice in one mapping: YAML keeps the last without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                text = f"written before, in line {seen[key.value]}"
                yield Fault(line, ".".join((*path, key.value)), text, "remove one of the two")
            seen.setdefault(key.value, line)
            yield from twice_in(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from twice_in(value, (*path, str(index)))


def line_of(node: yaml.Node | None, path: Sequence[Any]) -> int:
    """Line (from 1) of the deepest part of `path` that the document has."""
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                continue  # a discriminator tag, which is no key of the document
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _line_of_id(node: yaml.Node | None, text: str) -> int:
    """A fault of the whole file that names an id: the line of its last use."""
    names = text.partition("id used twice: ")[2].split(", ")
    lines = [value.start_mark.line + 1 for value in _scalars(node) if value.value in names]
    return lines[-1] if lines else 1


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _scalars(value)
    elif isinstance(node, yaml.MappingNode):
        for _key, value in node.value:
            yield from _scalars(value)


# --- what was probably meant --------------------------------------------------------------------------------------


def nearest(word: str, known: Sequence[str]) -> str:
    """`did you mean 'x'?` for the known word most like `word`, empty where none is near."""
    folded = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), [*folded], n=1, cutoff=_NEAR)
    return f"did you mean '{folded[found[0]]}'?" if found else ""


def _fix(fault: Any, path: tuple[Any, ...], schema: Mapping[str, Any]) -> str:
    kind, context, text = fault["type"], fault.get("ctx") or {}, str(fault["msg"])
    if kind == "extra_forbidden":
        return nearest(str(path[-1]), _keys_at(schema, path[:-1])) or "remove it"
    if kind == "missing":
        return f"add `{path[-1]}:`"
    if kind == "union_tag_invalid":
        return nearest(str(context.get("tag")), _QUOTED.findall(str(context.get("expected_tags"))))
    if kind == "union_tag_not_found":
        return "add `kind:`"
    if kind == "literal_error":
        return nearest(str(fault["input"]), _QUOTED.findall(str(context.get("expected"))))
    wrong = _QUOTED.findall(text.partition("; known: ")[0])
    if "known: " in text and wrong:
        prefix, dot, name = wrong[-1].rpartition(".")
        found = nearest(name, text.partition("known: ")[2].split(", "))
        return found.replace("'", f"'{prefix}{dot}", 1) if found else ""
    if "unknown break code" in text and wrong:
        padded = f"{wrong[0][:1].upper()}{wrong[0][1:].zfill(2)}"
        return f"did you mean '{padded}'?" if padded in taxonomy() else nearest(wrong[0], [*taxonomy()])
    return ""


def _keys_at(schema: Mapping[str, Any], path: Sequence[Any]) -> list[str]:
    """Keys the document may have at `path`."""
    here: Mapping[str, Any] = schema
    for part in path:
        here = _below(_resolved(here, schema), part, schema)
    return [*_resolved(here, schema).get("properties", {})]


def _below(here: Mapping[str, Any], part: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(part, int):
        items: Mapping[str, Any] = here.get("items", {})
        return items
    if part in here.get("properties", {}):
        found: Mapping[str, Any] = here["properties"][part]
        return found
    mapping = here.get("discriminator", {}).get("mapping", {})
    if part in mapping:
        return _resolved({"$ref": mapping[part]}, schema)
    extra = here.get("additionalProperties")
    return extra if isinstance(extra, Mapping) else {}


def _resolved(here: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in here:
        found: Mapping[str, Any] = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
        return found
    for one in here.get("anyOf", ()):
        if one.get("type") != "null":
            return _resolved(one, schema)
    return here
