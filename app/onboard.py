"""`tieout onboard`: the rules of engagement for a prime broker, from its feeds, their dialects and the settings."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from app.settings import Settings, load
from domain.errors import PermanentError
from ingest.certify.steps import SCRIPT
from ingest.dialects.dialect import FIX_SIDES, Dialect, load_dialects
from ingest.feeds import Feed, SessionIdentity
from ingest.files.file_dialect import FileDialect, file_dialect, is_file_dialect
from ingest.fix.plans import FAMILIES, Family
from ingest.fix.tags import MESSAGE_TYPES, tag_name

# Fields without which a trade is quarantined.
_NEEDED = ("trade_uid", "account_raw", "side", "qty", "price", "trade_ccy")
_SHOWN = (
    "trade_uid", "prev_uid", "cross_uid", "account_raw", "side", "qty", "price", "trade_ccy", "symbol", "security_id",
    "security_id_source", "trade_date", "settle_date", "event_time", "settle_ccy", "gross_money", "commission",
    "net_money", "order_id", "client_order_id", "block_id", "alloc_id", "uti",
)  # fmt: skip
_STATUS_WORDS = {
    "EXECUTION": "new, correct, cancel: ExecTransType(20) 0, 2, 1 up to FIX 4.2; ExecType(150) F, G, H from 4.3",
    "CAPTURE": "new, correct, cancel: TradeReportTransType(487) 0, 2, 1",
    "ALLOCATION": "new, correct, cancel: AllocTransType(71) 0, 1, 2",
    "CONFIRMATION": "new, correct, cancel: ConfirmTransType(666) 0, 1, 2",
}


# Higher numbers in the plans stand for parties and alternative identifiers, which are no tags.
_PLAIN_TAGS = 100_000


class OnboardError(Exception):
    """There is nothing to write about; the text is for the person at the terminal."""


def page(party: str, config: Path, *, as_html: bool = False) -> str:
    """The rules of engagement as Markdown, or as one self-contained HTML page.

    Raises OnboardError when no feed is of this party, SettingsError for wrong settings.
    """
    settings = load(config)
    feeds = [feed for feed in settings.feeds if party in (feed.party, feed.name)]
    if not feeds:
        known = ", ".join(sorted({feed.party for feed in settings.feeds})) or "none"
        raise OnboardError(f"{party}: no feed is of this party; parties of the settings: {known}")
    try:
        dialects = load_dialects(settings.dialects)
        text = "\n".join(_lines(party, settings, feeds, dialects)) + "\n"
    except PermanentError as error:
        raise OnboardError(str(error)) from None
    return _html(party, text) if as_html else text


def _lines(party: str, settings: Settings, feeds: Sequence[Feed], dialects: object) -> Iterator[str]:
    assert isinstance(dialects, dict)
    yield f"# Rules of engagement: {party} and {settings.tenant}"
    yield ""
    yield f"How {party} sends its bookings to {settings.tenant}, and what becomes of them."
    live = [feed for feed in feeds if feed.session is not None]
    for feed in live:
        assert feed.session is not None
        yield from _session(settings, feed, feed.session)
        dialect = dialects.get(feed.dialect)
        if dialect is not None:
            yield from _messages(dialect)
    for feed in feeds:
        if feed.path_glob is not None and feed.session is None:
            yield from _file(feed)
    if live:
        yield from _test(live)
    yield from _always()


def _session(settings: Settings, feed: Feed, session: SessionIdentity) -> Iterator[str]:
    limits = settings.acceptor
    begin = session.version or "as your Logon says: FIX.4.0 to FIX.4.4, or FIXT.1.1 with DefaultApplVerID(1137)"
    hours = session.hours
    told = "all day, every day"
    if hours is not None:
        days = f"{hours.days[0]} to {hours.last_day}" if hours.last_day else ", ".join(hours.days)
        told = f"{hours.start} to {hours.end} {hours.zone}, {days}"
    where = (
        f"we connect to {session.connect}" if session.connect else f"you connect to {limits.host}, port {limits.port}"
    )
    tls = session.tls if session.connect else limits.tls
    rows = [
        ("Connection", where),
        ("SenderCompID(49) of yours", session.sender_comp_id),
        ("TargetCompID(56), us", session.target_comp_id),
        ("Version", begin),
        ("TLS", _tls(tls, session)),
        ("Logon", _logon(session, settings, feed)),
        ("Addresses allowed", ", ".join(map(str, session.allow_from)) or "any"),
        ("HeartBtInt(108)", f"{limits.heartbeat_min_seconds} to {limits.heartbeat_max_seconds} seconds"),
        ("Hours", told),
        ("Sequence numbers", _numbers(session)),
        ("Validation", _validation(session)),
        ("Longest message", f"{limits.max_message_bytes:,} bytes"),
        ("Receipts", "AR, P, AT, AU for what is on disk" if session.acknowledge else "none; the session level alone"),
    ]
    yield from _table(f"FIX session {feed.name}", ("what", "rule"), rows)


def _tls(tls: object, session: SessionIdentity) -> str:
    if tls is None:
        return "none; use a private line or a tunnel"
    mutual = getattr(tls, "client_ca", None) is not None or bool(session.client_certificate)
    name = f" for {session.client_certificate}" if session.client_certificate else ""
    return "1.2 or newer" + (f", with a client certificate{name}" if mutual else "")


def _logon(session: SessionIdentity, settings: Settings, feed: Feed) -> str:
    parts = ["EncryptMethod(98) is 0"]
    if session.username:
        parts.append(f"Username(553) is {session.username}")
    if settings.password(feed):
        parts.append("Password(554) as agreed apart from this page")
    return "; ".join(parts)


def _numbers(session: SessionIdentity) -> str:
    hours = session.hours
    reset = "go on over reconnections; ResetSeqNumFlag(141)=Y starts both sides at 1"
    if hours is not None and hours.reset:
        reset = f"start at 1 at {hours.start} {hours.zone}{' each week' if hours.last_day else ' each day'}; {reset}"
    return reset + "; a gap is asked for with ResendRequest(2) 16=0, trades come again with 43=Y and 122"


def _validation(session: SessionIdentity) -> str:
    if session.validation == "strict":
        return "strict: required tags, types, values and group counts; wrong ones are answered with Reject(3) or (j)"
    return "tolerant: the session's rules are kept, what cannot be read as a trade is set aside with its reason"


def _messages(dialect: Dialect) -> Iterator[str]:
    """What each message type is and which tags we read, by the dialect."""
    rows = []
    for family in FAMILIES:
        for kind in sorted(family.types):
            level = dialect.levels.get(kind)
            name = f"{MESSAGE_TYPES.get(kind, kind)} ({kind})"
            rows.append((name, str(level).lower(), _STATUS_WORDS.get(family.name, "")))
    yield from _table("Messages we read", ("message", "level", "status"), rows)
    yield ""
    yield "Other business messages are kept and not matched. Custom tags we do not name here are kept with the record."
    for family in FAMILIES:
        yield from _tags(family, dialect)
    yield from _conventions(dialect)


def _tags(family: Family, dialect: Dialect) -> Iterator[str]:
    custom: dict[str, list[int]] = {}
    for tag, target in dialect.custom.items():
        custom.setdefault(target, []).append(tag)
    rows = []
    for name in _SHOWN:
        tags = [*custom.get(name, []), *(tag for tag in family.columns.get(name, ()) if 0 < tag < _PLAIN_TAGS)]
        if tags:
            told = ", ".join(f"{tag_name(tag)}({tag})" if tag_name(tag) else f"your tag {tag}" for tag in tags)
            rows.append((name.removesuffix("_raw").replace("_", " "), told, "needed" if name in _NEEDED else ""))
    for target, tags in custom.items():
        if target.startswith("fee."):
            rows.append(
                (f"fee {target.removeprefix('fee.').lower()}", ", ".join(f"your tag {tag}" for tag in tags), "")
            )
    kinds = ", ".join(sorted(family.types))
    yield from _table(f"Tags of {kinds}", ("field", "tags, the first one present counts", ""), rows)


def _conventions(dialect: Dialect) -> Iterator[str]:
    sides = {**FIX_SIDES, **dialect.side}
    minor = ", ".join(f"{code} is a hundredth of {major}" for code, major in dialect.minor_units.items())
    rows = [
        ("TransactTime(60)", f"in {dialect.tz60}"),
        ("Trade date", f"TradeDate(75); without it the date in {dialect.market_tz}"),
        ("Side(54)", ", ".join(f"{code} {side.lower()}" for code, side in sides.items())),
        ("Currencies in minor units", minor or "none"),
        ("Quantities", "signed: negative is a sale" if dialect.qty_sign == "signed" else "positive, the side tells"),
        ("Account", f"group 1 of {dialect.account_pattern}" if dialect.account_pattern else "as written"),
        ("Prices", _prices(dialect)),
        ("LastQty(32)", {"incremental": "of this fill", "cumulative": "a running total", "order": "not used"}
         [dialect.fill_mode]),
        ("ExecID", "unique within its account" if dialect.id_scope == "account" else "unique within a trade date"),
    ]  # fmt: skip
    if dialect.exec_id_version_suffix:
        rows.append(("Version of a trade", f"in the id, by {dialect.exec_id_version_suffix}"))
    if dialect.default_ccy:
        rows.append(("Currency where none is said", dialect.default_ccy))
    yield from _table(f"Conventions (dialect {dialect.name}, version {dialect.version})", ("what", "rule"), rows)


def _prices(dialect: Dialect) -> str:
    unit = {"major": "in the currency", "minor": "in hundredths of it", "instrument": "in the instrument's own unit"}
    fraction = "" if dialect.price_fraction == "none" else f", fractions in {dialect.price_fraction}"
    return unit[dialect.price_unit] + fraction


def _file(feed: Feed) -> Iterator[str]:
    slots = ", ".join(f"{slot.name} at {slot.at} {slot.zone}" for slot in feed.slots) or "no fixed time"
    rows = [
        ("Contents", feed.contents),
        ("Name", str(feed.path_glob)),
        ("Due", f"{slots}, on open days of {feed.calendar}; late after {feed.grace_seconds // 60} minutes"),
    ]
    dialect = file_dialect(feed.dialect) if is_file_dialect(feed.dialect) else None
    if dialect is not None:
        rows += [("Layout", _layout(dialect)), ("Dates", dialect.date_format or "any unambiguous form")]
        rows.append(("Times without a zone", f"in {dialect.zone or 'UTC'}"))
    yield from _table(f"File feed {feed.name}", ("what", "rule"), rows)
    if dialect is not None:
        pairs = [(name.replace("_", " "), " or ".join(headers)) for name, headers in dialect.columns.items()]
        yield from _table(f"Columns of {feed.name}", ("field", "header"), pairs)


def _layout(dialect: FileDialect) -> str:
    if dialect.fixed is not None:
        return f"fixed width, {dialect.fixed.width} characters a record"
    if dialect.xml is not None:
        return f"XML, one {dialect.xml.record} element a row"
    return {"csv": "delimited, with a header row", "tab": "tab-delimited, with a header row"}.get(
        dialect.kind, "workbook"
    )


def _test(feeds: Sequence[Feed]) -> Iterator[str]:
    rows = [(feed.name, feed.uat.sender_comp_id if feed.uat else "to be agreed",
             feed.uat.target_comp_id if feed.uat else "to be agreed") for feed in feeds]  # fmt: skip
    yield from _table("Test system", ("session", "your SenderCompID(49)", "our TargetCompID(56)"), rows)
    yield ""
    yield "The test has CompIDs, numbers, log and data of its own; nothing of it reaches production. Its steps:"
    yield ""
    for number, step in enumerate(SCRIPT, 1):
        yield f"{number}. **{step.title}.** {step.ask} We check: {step.checks}"


def _always() -> Iterator[str]:
    yield ""
    yield "## What becomes of what you send"
    yield ""
    yield "- A message is taken once it is on our disk; only then its number counts and it is never asked for again."
    yield "- What cannot be read as a trade is set aside with its bytes and a reason. Correct it and send it again"
    yield "  under a new MsgSeqNum(34)."
    yield "- Corrections and cancels name the trade they change. The same trade told twice counts once."
    yield "- Our account codes are mapped on our side; tell us before a new code is used."


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}"
    "table{border-collapse:collapse;margin:.5rem 0}td,th{border-bottom:1px solid #d8dee5;padding:.3rem .9rem .3rem 0;"
    "text-align:left;vertical-align:top}h2{font-size:1.1rem;margin-top:1.8rem}"
)


def _html(party: str, text: str) -> str:
    """The page's own Markdown (headings, tables, lists, bold) as HTML."""
    out = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(party)}</title><style>{_STYLE}</style>"]
    in_table = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if in_table and not cells:
            out.append("</table>")
            in_table = False
        if line.startswith("|---"):
            continue
        if cells:
            mark = "td" if in_table else "th"
            out.append("" if in_table else "<table>")
            out.append("<tr>" + "".join(f"<{mark}>{escape(cell)}</{mark}>" for cell in cells) + "</tr>")
            in_table = True
        elif found := re.match(r"(#+) (.*)", line):
            out.append(f"<h{len(found[1])}>{escape(found[2])}</h{len(found[1])}>")
        elif line.strip():
            bold = re.sub(r"[*][*](.+?)[*][*]", r"<b>\1</b>", escape(line.strip()))
            out.append(f"<p>{bold}</p>")
    return "\n".join([*out, "</table>" if in_table else "", "</html>"]) + "\n"
