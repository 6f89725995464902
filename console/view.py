"""Templates and small helpers every page shares: environment, navigation, error pages."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console.diff import show
from console.ports import ConsoleDeps
from console.runs import STATUS_GLYPHS, STATUS_WORDS
from console.sessions import Sessions
from console.wording import break_name, compact, severity_word, span_words, stamp
from domain.principal import Principal

HERE = Path(__file__).parent
NAVIGATION = (
    ("breaks", "Breaks"), ("proposals", "Approvals"), ("runs", "Runs"), ("feeds", "Feeds"), ("rules", "Rules"),
    ("audit", "Audit"), ("health", "Health"), ("help", "Help"),
)  # fmt: skip
SAVED_VIEWS = (
    ("critical", "Critical, unassigned", "/breaks?severity=4&assignee=none"),
    ("late", "Deadline breached", "/breaks?due=breached&sort=deadline"),
    ("soon", "Due within 1 h", "/breaks?due=1h&sort=deadline"),
    ("missing", "Missing at a broker", "/breaks?code=T01"),
)


def clock_time(ms: float | None) -> str:
    """`09:30:00.004` UTC from milliseconds since 1970; a dash for None."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3] if ms is not None else "—"


def day_time(ms: float | None) -> str:
    """`2026-11-20 09:30:00` UTC from milliseconds since 1970; a dash for None."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if ms is not None else "—"


def duration(ms: float | None) -> str:
    """`12 ms`, `7.70 s` or `2 h 13`; a dash for None."""
    if ms is None:
        return "—"
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.2f} s" if ms < 60_000 else span_words(ms / 1000)


def compact_count(n: int) -> str:
    """`12`, `1.2k`, `15k`: a count that fits a chip."""
    return str(n) if n < 1000 else f"{n / 1000:.1f}k" if n < 10_000 else f"{n // 1000}k"


def environment() -> Environment:
    """The Jinja environment: autoescape on, an undefined name is an error."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    env.filters.update(
        stamp=stamp, clock_time=clock_time, day_time=day_time, duration=duration, compact=compact,
        break_name=break_name, severity_word=severity_word,
        compact_count=compact_count, plain_number=show,
        sentence=lambda s: s[:1].upper() + s[1:],
        status_word=lambda s: STATUS_WORDS.get(s, s), status_glyph=lambda s: STATUS_GLYPHS.get(s, "·"),
    )  # fmt: skip
    return env


def deps_of(request: Request) -> ConsoleDeps:
    """The bundle this console was built with."""
    return cast(ConsoleDeps, request.app.state.deps)


Deps = Annotated[ConsoleDeps, Depends(deps_of)]


def signed_in(request: Request) -> bool:
    """True when the guard knows who asks."""
    return getattr(request.state, "principal", None) is not None


def acting(request: Request) -> Principal:
    """Who looks: the person signed in, else who acts in the open mode, else nobody in particular."""
    sessions: Sessions = request.app.state.sessions
    found: Principal | None = getattr(request.state, "principal", None)
    return found or sessions.guest() or Principal(sessions.service, "service")


def initials(name: str) -> str:
    """Up to two capital letters for the badge next to a person's name."""
    words = [word for word in name.replace(".", " ").replace("_", " ").replace("-", " ").split() if word]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def page(request: Request, template: str, section: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A rendered page with navigation, tenant and actor."""
    deps, principal = deps_of(request), acting(request)
    text = request.app.state.templates.get_template(template).render(
        section=section, navigation=NAVIGATION, saved_views=SAVED_VIEWS, tenant=deps.tenant, actor=principal.name,
        actor_initials=initials(principal.name), may_approve=principal.may_approve, has_people=deps.people is not None,
        base_ccy=deps.base_ccy, open_reads=deps.open_reads_on_loopback and not signed_in(request),
        address=request.url.path + ("?" + request.url.query if request.url.query else ""), **context,
    )  # fmt: skip
    return HTMLResponse(text, status_code=status)


def fragment(request: Request, template: str, **context: Any) -> HTMLResponse:
    """A piece of a page, for the drawer."""
    deps, principal = deps_of(request), acting(request)
    template_object = request.app.state.templates.get_template(template)
    return HTMLResponse(
        template_object.render(
            actor=principal.name, may_approve=principal.may_approve, base_ccy=deps.base_ccy, **context
        )
    )


def wants_json(request: Request) -> bool:
    """True for API paths, whose errors are JSON."""
    return request.url.path.startswith("/api/")
