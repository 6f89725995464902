"""The completeness check: what was received is accounted for, and every live fact has its place."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from domain.facts import ALERT
from domain.ids import digest128
from domain.schema import KNOWN_BY_HASH, arrow_schema
from matching.completeness import completeness
from warehouse.port import Warehouse

Json = dict[str, Any]
OUTCOMES = ("SESSION", "DUPLICATE", "FACT", "QUARANTINE", "IGNORED")
_RAISED, _CLEARED = "RAISED", "CLEARED"
# Of a trade, the day is its trade date; of a message, the day it was received (UTC).
_COUNTS = "SELECT m.feed, m.outcome, count(*) AS n FROM raw_message m WHERE {chosen} GROUP BY m.feed, m.outcome"
_WITHOUT_FACT = """
SELECT m.feed, count(*) AS n FROM raw_message m WHERE {chosen} AND m.outcome = 'FACT'
  AND NOT EXISTS (SELECT 1 FROM trade_event e WHERE e.message_id = m.message_id)
  {others} GROUP BY m.feed
"""
_OTHER = "AND NOT EXISTS (SELECT 1 FROM {table} f WHERE f.raw_sha256 = m.sha256 AND f.feed = m.feed)"
_WITHOUT_REASON = """
SELECT m.feed, count(*) AS n FROM raw_message m WHERE {chosen} AND m.outcome = 'QUARANTINE'
  AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.message_id = m.message_id) GROUP BY m.feed
"""
_LACKING = """
SELECT f.feed, count(*) AS n FROM file_manifest f LEFT JOIN (
  SELECT m.session, count(*) AS n FROM raw_message m
  WHERE m.session IN (SELECT x.feed || '/' || x.name FROM file_manifest x) GROUP BY m.session) s
  ON s.session = f.feed || '/' || f.name
WHERE f.status = 'LOADED' AND coalesce(s.n, 0) < f.row_count GROUP BY f.feed
"""
_LATE = """
SELECT b.headline, b.component, b.trade_date FROM recon_break b
WHERE b.code = 'I06' AND b.state = 'OPEN' ORDER BY b.component
"""
_ALERTS = """
SELECT alert_key, state FROM alert
QUALIFY row_number() OVER (PARTITION BY alert_key ORDER BY noted_at DESC, state) = 1
"""


@dataclass(frozen=True, slots=True)
class FeedCheck:
    """One feed's messages by what became of them, its live trades by where they are, and every difference found."""

    feed: str
    received: int
    outcomes: Mapping[str, int]
    live: int
    grouped: int
    broken: int
    expected: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """All feeds (or one) of all days (or one); `problems` beside the feeds' own are the installation's.

    `late` is what should have come and did not (I06): nothing to count, so no difference, but not all is there.
    """

    feeds: tuple[FeedCheck, ...]
    problems: tuple[str, ...] = ()
    late: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """True when nothing differs anywhere."""
        return not self.problems and not any(feed.problems for feed in self.feeds)

    def as_json(self) -> Json:
        """Plain data, `holds` among it."""
        return {
            "holds": self.holds,
            "problems": list(self.problems),
            "late": list(self.late),
            "feeds": [asdict(feed) for feed in self.feeds],
        }


def check(warehouse: Warehouse, feed: str | None = None, day: date | None = None) -> Check:
    """Count and compare, as committed now."""
    params: dict[str, object] = {name: value for name, value in (("feed", feed), ("day", day)) if value is not None}
    terms = {"feed": "m.feed = :feed", "day": "CAST(m.recv_ts AS DATE) = :day"}
    chosen = " AND ".join(terms[name] for name in params) or "1 = 1"
    counts: dict[str, dict[str, int]] = {}
    for row in warehouse.query(_COUNTS.format(chosen=chosen), params).to_pylist():
        counts.setdefault(row["feed"], {})[row["outcome"]] = row["n"]
    others = "\n  ".join(_OTHER.format(table=table) for table in KNOWN_BY_HASH)
    lost = _by_feed(warehouse, _WITHOUT_FACT.format(chosen=chosen, others=others), params)
    bare = _by_feed(warehouse, _WITHOUT_REASON.format(chosen=chosen), params)
    lacking = {} if day is not None else _by_feed(warehouse, _LACKING, {})
    names = {feed} if feed is not None else {*counts, *lacking, *_trading(warehouse, day)}
    found = []
    for name in sorted(names):
        outcomes = counts.get(name, {})
        placed = completeness(warehouse, name, day)
        told = [
            _told(lost.get(name, 0), "{} counted as facts without a fact"),
            _told(bare.get(name, 0), "{} in quarantine without a reason"),
            _told(lacking.get(name, 0), "{} with fewer messages than rows", "file"),
            _told(sum(n for kind, n in outcomes.items() if kind not in OUTCOMES), "{} without an outcome"),
            _told(len(placed.offenders), "{} in no group and no break, or in several", "live fact"),
            _told(len(placed.unmatched), "{} that no run has seen", "fact"),
        ]
        problems = tuple(text for text in told if text)
        found.append(
            FeedCheck(
                name, sum(outcomes.values()), outcomes, placed.live, placed.grouped, placed.broken, placed.expected,
                problems,
            )
        )  # fmt: skip
    return Check(tuple(found), late=_late(warehouse, feed, day))


def _late(warehouse: Warehouse, feed: str | None, day: date | None) -> tuple[str, ...]:
    """What is late, of one feed where it is known which owes it."""
    rows = warehouse.query(_LATE).to_pylist()
    return tuple(
        str(row["headline"] or row["component"])
        for row in rows
        if (day is None or row["trade_date"] == day) and (feed is None or f"|{feed}|" in f"{row['component']}|")
    )


def raise_alerts(warehouse: Warehouse, result: Check, at_ns: int) -> int:
    """Record each difference as a CRITICAL alert, once, and clear those that are gone; returns how many stand."""
    now = {f"completeness|{feed.feed}|{text}": text for feed in result.feeds for text in feed.problems}
    now |= {f"completeness||{text}": text for text in result.problems}
    before = {row["alert_key"]: row["state"] for row in warehouse.query(_ALERTS).to_pylist()}
    checked = {feed.feed for feed in result.feeds}
    rows = [_alert(key, _RAISED, text, at_ns) for key, text in now.items() if before.get(key) != _RAISED]
    for key, state in before.items():
        about = key.split("|")[1]
        if state == _RAISED and key not in now and (about in checked or not about):
            rows.append(_alert(key, _CLEARED, key.rpartition("|")[2], at_ns))
    if rows:
        table = pa.Table.from_pylist(rows)
        moment = table["noted_at"].cast(pa.timestamp("ns"))
        table = table.set_column(table.column_names.index("noted_at"), "noted_at", moment)
        schema = arrow_schema(ALERT)
        warehouse.append("alert", table.select(schema.names).cast(schema))
    return len(now)


def _alert(key: str, state: str, text: str, at_ns: int) -> Json:
    return {
        "alert_id": digest128("alert", key, state, str(at_ns)), "alert_key": key, "kind": "completeness",
        "severity": "CRITICAL", "state": state, "subject": key.split("|")[1], "detail": text, "noted_at": at_ns,
    }  # fmt: skip


def _told(count: int, text: str, what: str = "message") -> str:
    return text.format(f"{count:,} {what}{'' if count == 1 else 's'}") if count else ""


def _by_feed(warehouse: Warehouse, sql: str, params: Mapping[str, object]) -> dict[str, int]:
    return {row["feed"]: row["n"] for row in warehouse.query(sql, params).to_pylist()}


def _trading(warehouse: Warehouse, day: date | None) -> Sequence[str]:
    sql = "SELECT DISTINCT feed FROM trade_event" + (" WHERE trade_date = :day" if day else "")
    names: list[str] = warehouse.query(sql, {"day": day} if day else {})["feed"].to_pylist()
    return names


def as_text(result: Check) -> str:
    """The check as a person reads it: a line per feed, then what is wrong."""
    lines = []
    for one in result.feeds:
        shown = {kind: one.outcomes.get(kind, 0) for kind in OUTCOMES}
        lines.append(
            f"{one.feed}: {one.received:,} received = {shown['SESSION']:,} session-level + {shown['DUPLICATE']:,}"
            f" duplicates + {shown['FACT']:,} facts + {shown['QUARANTINE']:,} quarantined"
            f" + {shown['IGNORED']:,} ignored"
        )
        if one.live:
            lines.append(
                f"  {one.live:,} live trades = {one.grouped:,} grouped + {one.broken:,} broken"
                f" + {one.expected:,} expected"
            )
        lines += [f"  PROBLEM: {text}" for text in one.problems]
    lines += [f"LATE (I06): {text}" for text in result.late]
    lines += [f"PROBLEM: {text}" for text in result.problems]
    lines.append("complete" if result.holds else "NOT complete")
    return "\n".join(lines)


def day_of(text: str) -> date:
    """A date written YYYY-MM-DD. Raises ValueError with one clear sentence."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date such as 2026-11-20") from None
