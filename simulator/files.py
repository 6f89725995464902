"""A simulated day on disk: one FIX log per session, truth.jsonl, reference CSVs and a manifest with hashes."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from simulator.day import Day
from simulator.ledger import BreakTruth, MatchTruth, NoiseTruth, TruthRow
from simulator.transport import TimedMessage

_KINDS: Mapping[type, str] = {BreakTruth: "break", MatchTruth: "match", NoiseTruth: "noise"}


def write_day(day: Day, folder: Path) -> Path:
    """Write the day into `folder` (made if absent) and return the manifest's path; same day, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    for session, messages in day.streams.items():
        files[f"{session.replace('->', '-')}.fix"] = fix_log(messages)
    files["truth.jsonl"] = truth_lines(day.truth)
    files["account_map.csv"] = table_csv(day.reference.account_map)
    files["instrument.csv"] = table_csv(day.reference.instruments)
    files["identifier_history.csv"] = table_csv(day.reference.identifiers)
    files["fx_rate.csv"] = table_csv(day.reference.fx_rates)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = {
        "trade_date": day.trade_date.isoformat(),
        "sessions": {session: len(messages) for session, messages in day.streams.items()},
        "files": {
            name: {"bytes": len(content), "sha256": sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        },
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return path


def fix_log(messages: Sequence[TimedMessage], separator: str = "\x01") -> bytes:
    """A log with a time prefix per line, `2026-11-20T14:30:01.123456789Z 8=FIX...`, in the given separator."""
    lines = []
    for item in messages:
        seconds, rest = divmod(item.at_ns, 1_000_000_000)
        moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z "
        lines.append(moment.encode() + item.raw.replace(b"\x01", separator.encode()) + b"\n")
    return b"".join(lines)


def truth_lines(truth: Sequence[TruthRow]) -> bytes:
    """One JSON object per row with `kind` first; decimals are strings, times integer nanoseconds UTC."""
    rows = []
    for row in truth:
        content = asdict(row)
        if isinstance(row, NoiseTruth):
            content["noise"] = content.pop("kind")
        rows.append(json.dumps({"kind": _KINDS[type(row)], **content}, default=str))
    return ("\n".join(rows) + "\n").encode()


def table_csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows as CSV with a header of column names; dates in ISO form."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()
