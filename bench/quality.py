"""Scores the engine on simulated days, for docs/quality.md: `python -m bench.quality [PROFILE...] [SEED...]`."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from simulator.scoring.intervals import Rate

Json = Mapping[str, Any]

PROFILES = ("day", "noise-only", "stress")
SEEDS, DATE = ("7", "8", "9"), "2026-11-20"
# Codes whose detection has a target: recall >= 0.99, precision >= 0.98.
_AIMED = tuple(f"T{n:02d}" for n in (*range(1, 16), *range(22, 26)))
_COUNTS = ("labels", "exact", "other_code", "missed", "miscoded", "false")
# 0: tied out or perfect; 1: breaks or not perfect. Both are answers.
_ANSWERS = (0, 1)


def run(profile: str, seed: str, folder: Path) -> Json:
    """One profile simulated, reconciled and scored; the score's JSON with the seconds the reconciliation took."""
    day, result = folder / "day", folder / "result"
    _tieout("simulate", "--profile", profile, "--seed", seed, "--date", DATE, "--out", str(day))
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
    """One column per profile and seed."""
    rows = [
        ("planted breaks open at the end", lambda s: f"{s['detection']['labels']:,}"),
        ("found, under any code", lambda s: _share(s["detection"]["recall"])),
        ("found under their own code", lambda s: _share(s["detection"]["recall_exact"])),
        ("reports that answer a planted break", lambda s: _share(s["detection"]["precision"])),
        ("macro F1 over the codes", lambda s: "—" if s["macro_f1"] is None else f"{s['macro_f1']:.3f}"),
        ("money at stake found", lambda s: _money(s["exposure_usd"])),
        ("false breaks per 1,000 clean bookings", lambda s: f"{s['false_per_1000_clean']:,.2f}"),
        ("closed by itself though still there", lambda s: f"{s['closed_wrongly']:,}"),
        ("reported links that are right", lambda s: _share(s["grouping"]["precision"])),
        ("true links that are reported", lambda s: _share(s["grouping"]["recall"])),
        ("reconciliation, seconds on two cores", lambda s: f"{s['seconds']:,.0f}"),
    ]
    lines = [f"| | {' | '.join(scores)} |", "|---|" + "---:|" * len(scores)]
    return lines + [f"| {name} | {' | '.join(show(s) for s in scores.values())} |" for name, show in rows]


def pooled(scores: Sequence[Json]) -> dict[str, dict[str, int]]:
    """Counts per code over several seeds; what a score does not say of a code is 0."""
    found: dict[str, dict[str, int]] = {}
    for score in scores:
        for code, row in score["codes"].items():
            total = found.setdefault(code, dict.fromkeys(_COUNTS, 0))
            for name in _COUNTS:
                total[name] += row[name]
    return found


def per_code(codes: Mapping[str, Mapping[str, int]]) -> list[str]:
    """One row per break code with labels or reports, and one for all whose detection has a target."""
    lines = [
        "| code | planted | found | under another code | missed | recall, 95% | false | precision, 95% |",
        "|---|---:|---:|---:|---:|---|---:|---|",
    ]
    aimed = dict.fromkeys(_COUNTS, 0)
    for code, row in sorted(codes.items()):
        lines.append(_row(code, row))
        if code in _AIMED:
            aimed = {name: aimed[name] + row[name] for name in _COUNTS}
    return [*lines, _row("**T01–T15, T22–T25**", aimed)] if aimed["labels"] else lines


def _row(name: str, row: Mapping[str, int]) -> str:
    recall = Rate(row["exact"] + row["other_code"], row["labels"])
    precision = Rate(row["exact"], row["exact"] + row["miscoded"] + row["false"])
    return (
        f"| {name} | {row['labels']:,} | {row['exact']:,} | {row['other_code']:,} | {row['missed']:,} |"
        f" {_interval(recall)} | {row['false']:,} | {_interval(precision)} |"
    )


def _share(part: Json) -> str:
    return "—" if not part["of"] else f"{100 * part['value']:.2f}% of {part['of']:,}"


def _interval(rate: Rate) -> str:
    value, interval = rate.value, rate.interval
    if value is None or interval is None:
        return "—"
    return f"{value:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def _money(exposure: Json) -> str:
    return "—" if exposure["recall"] is None else f"{100 * exposure['recall']:.1f}%"


def main(arguments: Sequence[str]) -> None:
    """Print the tables: a column per profile and seed, then the codes of each profile over all seeds."""
    seeds = [word for word in arguments if word.isdecimal()] or SEEDS
    profiles = [word for word in arguments if not word.isdecimal()] or PROFILES
    scores: dict[str, dict[str, Json]] = {}
    for profile in profiles:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                scores.setdefault(profile, {})[f"{profile}, seed {seed}"] = run(profile, seed, Path(folder))
    for by_seed in scores.values():
        print("\n".join(summary(by_seed)), end="\n\n")
    for profile, by_seed in scores.items():
        print(f"### {profile}, {len(by_seed)} seeds\n")
        print("\n".join(per_code(pooled(list(by_seed.values())))), end="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
