"""One proposed line of a dialect or column map: the value, how sure it is, and what in the sample says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

# From here on a line is written as it stands; below it is written too, and marked for a person to confirm.
SURE = 0.9
# Below this a value is only a question: it is written as a comment and has no effect.
LIKELY = 0.5
MARK = "<-- confirm"
_WIDTH = 46

Value = str | bool | int | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A key of the file with its value, as dotted path (`tz60`, `custom.9002`, `columns.qty`).

    `value` None: the sample says that nothing is to be written (an unused custom tag, no default currency).
    `confidence` is 0 to 1: the share of the sample's cases that agree, lowered where something else could say the
    same. `evidence` is a sentence for the person who confirms. `standard` marks a value that is the default anyway.
    """

    key: str
    value: Value
    confidence: float
    evidence: str
    standard: bool = False

    @property
    def section(self) -> str:
        """The key's first part."""
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """What stands behind the first dot; empty for a key without one."""
        return self.key.partition(".")[2]

    @property
    def written(self) -> bool:
        """Whether the line has an effect in the file."""
        return self.value is not None and not self.standard and self.confidence >= LIKELY

    @property
    def open(self) -> bool:
        """Whether a person has to say something: not sure, and not simply the default."""
        return self.confidence < SURE


def as_yaml(head: Sequence[str], fixed: Mapping[str, Value], lines: Sequence[Proposal]) -> str:
    """The file: `head` as comments, `fixed` keys, then every proposal with evidence and confidence as a comment.

    Values that are the default anyway, and those too weak to stand, are comments themselves.
    """
    out = [f"# {line}".rstrip() for line in head]
    out += [f"{key}: {scalar(value)}" for key, value in fixed.items()]
    sections: dict[str, list[Proposal]] = {}
    for line in lines:
        sections.setdefault(line.section, []).append(line)
    for section, group in sections.items():
        if group[0].name:
            written = any(line.written for line in group)
            out.append(f"{section}:" if written else f"# {section}:")
        out += [_line(line) for line in group]
    return "\n".join(out) + "\n"


def _line(line: Proposal) -> str:
    indent = "  " if line.name else ""
    key = _key(line.name) if line.name else line.key
    text = f"{indent}{key}: {scalar(line.value)}"
    if not line.written:
        text = f"# {text}"
    mark = f" {MARK}" if line.open else ""
    why = " ".join(line.evidence.split())
    return f"{text:<{_WIDTH}} # {line.confidence:.2f} {why}{mark}"


def _key(name: str) -> str:
    return (
        name if name.replace("_", "").isalnum() and not name[0].isdigit() else name if name.isdigit() else quoted(name)
    )


def scalar(value: Value) -> str:
    """A value as YAML on one line, quoted where YAML would read something else."""
    if value is None:
        return "null"
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(scalar(item) for item in value)}]"
    plain = value.replace("_", "").replace("-", "").replace("/", "").replace(" ", "").isalnum()
    if plain and yaml.safe_load(value) == value and value == value.strip():
        return value
    return quoted(value)


def quoted(text: str) -> str:
    """A double-quoted YAML scalar."""
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10_000).strip()
    return dumped


def share(part: int, whole: int) -> str:
    """`97% of 120`, for evidence."""
    return f"{100 * part // whole if whole else 0}% of {whole:,}"
