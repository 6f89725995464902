"""What the acceptance scenarios are told with: FIX messages, a folder of feeds, and the tie-out of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from ingest.session.wire import seal

DAY = date(2026, 11, 20)
NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
Tags = Mapping[int, str]
Row = dict[str, Any]

OMS = {"name": "OMS", "role": "INTERNAL", "party": "MERIDIAN", "dialect": "generic", "grace_seconds": 60}
ALPHA = {"name": "ALPHA", "role": "PB", "party": "ALPHA", "dialect": "alpha_ae44", "grace_seconds": 60}
BRAVO = {"name": "BRAVO", "role": "PB", "party": "BRAVO", "dialect": "bravo_er42", "grace_seconds": 60}
SESSIONS = {"OMS": "MERIDIAN_OMS", "ALPHA": "ALPHA", "BRAVO": "BRAVO"}


def tieout(*words: object) -> Result:
    """One call of the command line, in this process."""
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def live(feed: Mapping[str, Any]) -> Row:
    """The feed as a FIX session."""
    return {**feed, "session": {"sender_comp_id": SESSIONS[feed["name"]], "target_comp_id": "TIEOUT"}}


def filed(feed: Mapping[str, Any]) -> Row:
    """The feed as a recorded log."""
    return {**feed, "path_glob": f"{feed['name'].lower()}/*.fix"}


def message(
    begin: str, kind: str, sender: str, number: int, at: datetime, tags: Tags, tail: str = "", mark: str = ""
) -> bytes:
    """A FIX message: header, `tags` in their order, then `tail` (groups) with `|` between fields.

    `mark` goes into the header (43=Y and the like).
    """
    head = f"35={kind}|49={sender}|56=TIEOUT|34={number}|{mark}52={at:%Y%m%d-%H:%M:%S.%f}"[:-3] + "|"
    body = "".join(f"{tag}={value}|" for tag, value in tags.items() if value)
    return seal(begin.encode(), (head + body + tail).replace("|", "\x01").encode("latin-1"))


def fill(uid: str, order: str, changes: Tags | None = None, at: datetime = NOON, **header: Any) -> bytes:
    """Our execution report: 100 AAPL bought at 227.48 for MER-LS-01 at ALPHA unless told otherwise."""
    tags = {37: f"O{order}", 11: f"C{order}", 17: uid, 19: "", 150: "F", 39: "2", 1: "MER-LS-01", 55: "AAPL",
            48: "US0378331005", 22: "4", 54: "1", 38: "1000", 32: "100", 31: "227.48", 14: "100", 151: "0",
            6: "227.48", 15: "USD", 60: f"{at:%Y%m%d-%H:%M:%S}", 75: f"{DAY:%Y%m%d}", 64: "20261123",
            12: "1.00", 13: "3"}  # fmt: skip
    tags |= changes or {}
    broker = tags.pop(448, "ALPHA")
    party = f"453=1|448={broker}|447=D|452=4|" if broker else ""
    return message("FIX.4.4", "8", "MERIDIAN_OMS", header.pop("number", 2), at, tags, party, **header)


def booking(uid: str, of: str, order: str, changes: Tags | None = None, at: datetime = NOON, **header: Any) -> bytes:
    """ALPHA's trade capture report of our execution `of`, with the same terms unless told otherwise."""
    root = {571: uid, 572: "", 487: "0", 856: "0", 527: of, 570: "N", 55: "AAPL", 48: "US0378331005", 22: "4",
            32: "100", 31: "227.48", 75: f"{DAY:%Y%m%d}", 60: f"{at:%Y%m%d-%H:%M:%S}", 64: "20261123", 15: "USD",
            423: "", 461: "", 167: ""}  # fmt: skip
    side = {54: "1", 37: f"O{order}", 11: f"C{order}", 1: "MER-LS-01", 12: "1.00", 13: "3", 159: "", 381: "", 118: "",
            119: "", 155: "", 120: "", 1056: ""}  # fmt: skip
    changes = changes or {}
    root |= {tag: value for tag, value in changes.items() if tag in root}
    side |= {tag: value for tag, value in changes.items() if tag not in root}
    tail = "552=1|" + "".join(f"{tag}={value}|" for tag, value in side.items() if value)
    return message("FIX.4.4", "AE", "ALPHA", header.pop("number", 2), at, root, tail, **header)


def copy42(uid: str, of: str, order: str, changes: Tags | None = None, at: datetime = NOON, **header: Any) -> bytes:
    """BRAVO's drop copy of our execution `of`: FIX 4.2, New York time, its own tag for our id."""
    tags = {37: f"B{order}", 17: uid, 19: "", 20: "0", 11: f"C{order}", 150: "2", 39: "2", 14: "100", 151: "0",
            6: "227.48", 1: "MER-LS-01", 55: "AAPL", 48: "037833100", 22: "1", 54: "1", 32: "100", 31: "227.4800",
            15: "USD", 60: f"{at.astimezone(NEW_YORK):%Y%m%d-%H:%M:%S}", 75: f"{DAY:%Y%m%d}", 64: "20261123",
            12: "1.00", 13: "3", 9001: "0.00", 9002: of}  # fmt: skip
    tags |= changes or {}
    return message("FIX.4.2", "8", "BRAVO", header.pop("number", 2), at, tags, **header)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `tieout reconcile` wrote, read back from its files."""

    breaks: list[Row]
    groups: list[Row]
    quarantine: list[Row]
    summary: Row
    said: str
    out: Path

    def explained(self, row: Mapping[str, Any]) -> str:
        """What `tieout explain` says of a break."""
        done = tieout("explain", row["break_id"], "--in", self.out)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def of(self, account: str) -> list[Row]:
        """The breaks of an account, by code."""
        return sorted((row for row in self.breaks if row["account_id"] == account), key=lambda row: row["code"])

    def codes(self, account: str | None = None) -> list[str]:
        """The codes of all breaks, or of an account's."""
        return sorted(row["code"] for row in (self.breaks if account is None else self.of(account)))

    def grouped(self, *names: str) -> list[Row]:
        """The groups with one of these trades in them."""
        return [row for row in self.groups if {*names} & {*uids(row["left"]), *uids(row["right"])}]


def uids(members: Iterable[Mapping[str, Any]]) -> list[str]:
    """Their trade ids, sorted."""
    return sorted(str(member["trade_uid"]) for member in members)


class Folder:
    """A settings file, its feeds and their files."""

    def __init__(self, root: Path, feeds: Sequence[Mapping[str, Any]], **settings: Any) -> None:
        self.root, self.feeds, self.settings = root, list(feeds), settings
        self._numbers: dict[str, int] = {}

    def log(self, feed: str, messages: Iterable[tuple[datetime, bytes]], name: str = "day.fix") -> None:
        """Append messages to a feed's log, each with the time it was received."""
        path = self.root / feed.lower() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as out:
            for at, raw in messages:
                out.write(f"{at:%Y-%m-%dT%H:%M:%S.%f}Z ".encode() + raw.replace(b"\x01", b"|") + b"\n")

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the folder."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    @property
    def config(self) -> Path:
        """The settings file, written as the feeds are now."""
        text = yaml.safe_dump({"feeds": self.feeds, **self.settings}, sort_keys=False)
        return self.write("tieout.yaml", text)

    def tie(self, *words: object) -> Outcome:
        """`tieout reconcile --config`, with its files read back."""
        out = self.root / "result"
        done = tieout("reconcile", "--config", self.config, "--out", out, *words)
        assert done.exit_code in (0, 1), done.stderr
        breaks, groups, quarantine = (_lines(out / f"{part}.jsonl") for part in ("breaks", "groups", "quarantine"))
        return Outcome(breaks, groups, quarantine, json.loads((out / "summary.json").read_text()), done.stdout, out)


def _lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def seconds(count: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=count)
