"""A profile simulated: to a folder of logs, files and truth, or in memory for whoever plays it over FIX sessions."""

import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from simulator import manifest, output
from simulator.delivery.damage import Damaged
from simulator.delivery.logs import messages
from simulator.delivery.ways import note_noise, ways
from simulator.manifest import Manifest
from simulator.market.reference import reference_files
from simulator.profiles import Profile
from simulator.run import Run, make_run
from simulator.truth import BreakTruth, TruthRow
from simulator.truth_file import TruthCounts, parse_truth, write_truth

TRUTH = "truth.jsonl"
LIVE_SETTINGS = output.LIVE_SETTINGS
# Prime brokers that can be played over FIX.
LIVE_PBS = "ABC"


@dataclass(frozen=True, slots=True)
class Flow:
    """A run for FIX sessions.

    `streams` has per session (`SENDER->TIEOUT`) the sending times (UTC nanoseconds) and messages in order; `run` is
    the first row of a truth file, `truth` all others; `reference` are reference files by path.
    """

    streams: Mapping[str, list[tuple[int, bytes]]]
    truth: list[TruthRow]
    reference: dict[str, bytes]
    run: dict[str, Any]


def live_profile(profile: Profile) -> Profile:
    """The profile with the brokers that can be played over FIX alone."""
    pbs = "".join(letter for letter in profile.pbs if letter in LIVE_PBS)
    return replace(profile, pbs=pbs, charlie_fix=True)


def simulate(profile: Profile, seed: int, first: date, out: Path) -> Manifest:
    """Simulate the profile's days from `first` (or the next trading day) into `out`; same arguments, same bytes.

    Raises OutputRefused when `out` holds what this did not make.
    """
    manifest.claim(out)
    run = make_run(profile, seed, first)
    folder = output.Output(out)
    reference = reference_files(run.known, run.days, seed)
    folder.tables({**reference, **run.files})
    made = ways(run)
    output.write_logs(run, made, folder)
    sent = sum(len(way.planned.plan) for way in made)
    note_noise(run, made)
    del made
    trades = output.write_trade_files(run, folder)
    noise = output.spoil_files(run, folder, trades) if profile.transport else []
    with (out / TRUTH).open("wb") as handle:
        planted = [*run.planted, *run.labels.rows, *noise]
        counts = write_truth(handle, header(run), run.trades.records, planted)
    folder.rows[TRUTH] = sum(counts.rows.values())
    output.write_settings(run, folder, reference)
    done = _manifest(run, folder, counts, sent)
    manifest.write(done, out)
    return done


def in_memory(profile: Profile, seed: int, day: date, rate: float | None = None) -> Flow:
    """The same for small profiles and FIX sources alone, with what a live session lets through.

    At `rate` messages a second the sessions send heartbeats where they would be silent for long.
    """
    run = make_run(live_profile(profile), seed, day, books=False)
    streams = {}
    made = ways(run, on_wire=True, rate=rate)
    for way in made:
        found: list[Damaged] = []
        session, plan = way.planned.session, way.planned.plan
        streams[session.name] = messages(session, plan, output.damage_rng(run, way.source), found)
        run.labels.damaged(way.source, session.records, plan, found)
    note_noise(run, made)
    out = io.BytesIO()
    write_truth(out, header(run), run.trades.records, [*run.planted, *run.labels.rows])
    lines = out.getvalue().splitlines()
    return Flow(streams, parse_truth(lines), reference_files(run.known, run.days, seed), json.loads(lines[0]))


def header(run: Run) -> dict[str, Any]:
    """What the first row of the truth says about the run."""
    return {
        "profile": run.profile.name,
        "seed": run.seed,
        "trade_dates": [day.isoformat() for day in run.trade_dates],
        "sources": [source.name for source in run.sources],
    }


def _manifest(run: Run, folder: output.Output, counts: TruthCounts, sent: int) -> Manifest:
    labels = (row.code for row in (*run.planted, *run.labels.rows) if isinstance(row, BreakTruth))
    return Manifest(
        profile=run.profile.name,
        seed=run.seed,
        trade_dates=tuple(day.isoformat() for day in run.trade_dates),
        sources=tuple(source.name for source in run.sources),
        counts={
            "fills": run.profile.fills * run.profile.days,
            "records": len(run.trades.records),
            "messages": sent,
            **{f"truth_{kind}": number for kind, number in counts.rows.items()},
        },
        bookings=counts.bookings,
        breaks=dict(sorted(Counter(labels).items())),
        short=dict(sorted(run.short.items())),
        files=folder.entries(),
    )
