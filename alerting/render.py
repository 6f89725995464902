"""Ticket texts: what differs, by how much, by when, the next step, a link and the evidence, from editable templates."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from domain.taxonomy import Severity, taxonomy

_SHIPPED = Path(__file__).parent / "templates"
_SHORT_LIMIT = 160  # incident.short_description
_LONG_LIMIT = 4_000  # incident.description
_EVIDENCE_LIMIT = 10
_MARKUP = re.compile(r"\[(/?code)", re.IGNORECASE)


@cache
def _environment(directory: Path | None) -> ImmutableSandboxedEnvironment:
    """The templates, compiled once; a file that was edited since is read again."""
    made = ImmutableSandboxedEnvironment(
        # Templates can be edited by the installation, values come from brokers: both are kept in the sandbox.
        loader=FileSystemLoader([directory, _SHIPPED] if directory else [_SHIPPED]),
        undefined=StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # plain text in a JSON body, never HTML
    )
    made.filters |= {"number": number, "when": when}
    return made


class Renderer:
    """Renders the texts of a ticket; a template in `directory` replaces the shipped one of the same name."""

    def __init__(self, directory: Path | None = None, console_url: str = "") -> None:
        self._templates = _environment(directory)
        self._console_url = console_url.rstrip("/")

    def short_description(self, break_row: Mapping[str, Any]) -> str:
        """One line of at most 160 characters."""
        return _cut(" ".join(self._render("short_description", break_row).split()), _SHORT_LIMIT)

    def description(
        self,
        break_row: Mapping[str, Any],
        evidence: Sequence[Mapping[str, Any]],
        score: Mapping[str, Any] | None,
        checks: Sequence[str] = (),
        trace: str = "",
    ) -> str:
        """The full text, at most 4,000 characters: both sides' records (`evidence`), the playbook's `checks`.

        `trace` is the id of the trace in which the break was found; empty where nobody traces.
        """
        text = self._render(
            "description",
            break_row,
            evidence=list(evidence[:_EVIDENCE_LIMIT]),
            evidence_more=max(len(evidence) - _EVIDENCE_LIMIT, 0),
            score=score,
            checks=list(checks),
            trace=trace,
            link=self.link(str(break_row["break_id"])),
        )
        return _cut(text, _LONG_LIMIT)

    def link(self, break_id: str) -> str:
        """Where the console shows the break; empty without a console."""
        return f"{self._console_url}/breaks/{break_id}" if self._console_url else ""

    def note(self, name: str, break_row: Mapping[str, Any], came_back: int | None = None) -> str:
        """The work note of template `note_<name>` (changed, cured, reopened)."""
        return _cut(self._render(f"note_{name}", break_row, came_back=came_back), _LONG_LIMIT)

    def storm(self, name: str, worst: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        """A text of a storm's parent ticket (template `storm_<name>`); `worst` is its gravest break."""
        link = f"{self._console_url}/breaks?code={worst['code']}" if self._console_url else ""
        text = self._render(f"storm_{name}", worst, link=link, **values)
        if name == "short_description":
            return _cut(" ".join(text.split()), _SHORT_LIMIT)
        return _cut(text, _LONG_LIMIT)

    def _render(self, name: str, break_row: Mapping[str, Any], **values: object) -> str:
        return self._templates.get_template(f"{name}.j2").render(b=_described(break_row), **values).strip()


def _described(break_row: Mapping[str, Any]) -> dict[str, Any]:
    """The break with the taxonomy's words."""
    entry = taxonomy().get(str(break_row["code"]))
    words = {
        "code_name": entry.name if entry else "",
        "detection": entry.detection if entry else "",
        "cause": entry.cause if entry else "",
        "auto_action": entry.auto_action if entry else "",
        "deadline_zone": entry.deadline.zone if entry and entry.deadline else "",
        "severity_name": Severity(break_row["severity"]).name,
    }
    return {**break_row, **words}


def plain(value: object) -> object:
    """A value safe in a ticket: one line, no control characters, no `[code]` (ServiceNow renders that as HTML)."""
    if not isinstance(value, str):
        return value
    text = "".join(char if char.isprintable() else " " for char in value)
    return _MARKUP.sub(r"[ \1", text)


def number(value: Decimal | float | None) -> str:
    """A number without trailing zeros, thousands separated; `unknown` for None."""
    if value is None:
        return "unknown"
    text = f"{Decimal(str(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def when(ns: int, zone: str = "") -> str:
    """UTC nanoseconds as `2026-11-20 20:30 America/New_York (2026-11-21 01:30 UTC)`."""
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    utc = f"{moment:%Y-%m-%d %H:%M} UTC"
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone} ({utc})" if zone else utc


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
