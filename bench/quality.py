"""Scores the engine on simulated days and prints the tables of docs/quality.md: python -m bench.quality [PROFILE]."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

Json = Mapping[str, Any]

PROFILES = ("day", "noise-only", "stress")
SEED, DATE = "7", "2026-11-20"
# 0: tied out or perfect; 1: breaks or not perfect. Both are answers.
_ANSWERS = (0, 1)


def run(profile: str, folder: Path) -> Json:
    """One profile simulated, reconciled and scored; the score's JSON with the seconds the reconciliation took."""
    day, result = folder / profile, folder / f"{profile}-result"
    _tieout("simulate", "--profile", profile, "--seed", SEED, "--date", DATE, "--out", str(day))
    started = monotonic()
    _tieout("reconcile", "--config", str(day / "tieout.yaml"), "--out", str(result), "--format", "json")
    seconds = monotonic() - started
    score: dict[str, Any] = json.loads(
        _tieout("score", "--truth", str(day / "truth.jsonl"), "--result", str(result), "--json")
    )
    return {**score, "seconds": seconds}


def _tieout(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments], capture_output=True, text=True
    )
    if done.returncode not in _ANSWERS:
        raise SystemExit(f"tieout {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def summary(scores: Mapping[str, Json]) -> list[str]:
    """One column per profile."""
    rows = [
        ("planted breaks open at the end", lambda s: f"{s['detection']['labels']:,}"),
        ("found, under any code", lambda s: _share(s["detection"]["recall"])),
        ("found under their own code", lambda s: _share(s["detection"]["recall_exact"])),
        ("reports that answer a planted break", lambda s: _share(s["detection"]["precision"])),
        ("macro F1 over the codes", lambda s: "—" if s["macro_f1"] is None else f"{s['macro_f1']:.3f}"),
        ("money at stake found", lambda s: _money(s["exposure_usd"])),
        ("false breaks per 1,000 clean bookings", lambda s: f"{s['false_per_1000_clean']:,.1f}"),
        ("closed by itself though still there", lambda s: f"{s['closed_wrongly']:,}"),
        ("reported links that are right", lambda s: _share(s["grouping"]["precision"])),
        ("true links that are reported", lambda s: _share(s["grouping"]["recall"])),
        ("reconciliation, seconds on two cores", lambda s: f"{s['seconds']:,.0f}"),
    ]
    lines = [f"| | {' | '.join(scores)} |", "|---|" + "---:|" * len(scores)]
    return lines + [f"| {name} | {' | '.join(show(s) for s in scores.values())} |" for name, show in rows]


def per_code(score: Json) -> list[str]:
    """One row per break code with labels or reports."""
    lines = [
        "| code | planted | found | under another code | missed | recall, 95% | false | precision, 95% |",
        "|---|---:|---:|---:|---:|---|---:|---|",
    ]
    for code, row in sorted(score["codes"].items()):
        lines.append(
            f"| {code} | {row['labels']:,} | {row['exact']:,} | {row['other_code']:,} | {row['missed']:,} |"
            f" {_interval(row['recall'])} | {row['false']:,} | {_interval(row['precision'])} |"
        )
    return lines


def _share(part: Json) -> str:
    return "—" if not part["of"] else f"{100 * part['value']:.2f}% of {part['of']:,}"


def _interval(part: Json) -> str:
    return "—" if not part["of"] else f"{part['value']:.3f} ({part['low']:.3f}–{part['high']:.3f})"


def _money(exposure: Json) -> str:
    return "—" if exposure["recall"] is None else f"{100 * exposure['recall']:.1f}%"


def main(profiles: Sequence[str]) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        scores = {profile: run(profile, Path(folder)) for profile in profiles}
    print("\n".join(summary(scores)))
    for profile, score in scores.items():
        print(f"\n### {profile}\n")
        print("\n".join(per_code(score)))


if __name__ == "__main__":
    main(sys.argv[1:] or PROFILES)
