"""A simulated folder being filled: logs, trade files, books, reference data and settings, with the rows of each."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simulator import manifest, settings_file
from simulator.delivery import file_faults
from simulator.delivery.damage import Damaged
from simulator.delivery.file_faults import Sent
from simulator.delivery.logs import write_log
from simulator.delivery.trade_files import column_map, planned_files, write_file
from simulator.delivery.ways import Way, fix_sources
from simulator.emit.context import Context
from simulator.flow.rng import rng
from simulator.manifest import FileEntry
from simulator.records import Source
from simulator.run import Run
from simulator.truth import NoiseTruth

FILES_SETTINGS, LIVE_SETTINGS = "tieout.yaml", "serve.yaml"
# Files are written and hashed two at a time: the fund's log is as long as all others together.
_WORKERS = 2
# At most one file in this many comes empty, and one in this many in another layout.
_FAILING = 4


@dataclass(slots=True)
class Output:
    """The folder and the rows of every file in it."""

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)

    def put(self, name: str, content: bytes, rows: int) -> None:
        """Write a small file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.rows[name] = rows

    def tables(self, files: Mapping[str, bytes]) -> None:
        """Write delimited files with a header each."""
        for name, content in files.items():
            self.put(name, content, max(0, content.count(b"\n") - 1))

    def entries(self) -> dict[str, FileEntry]:
        """Size, hash and rows of every file."""
        names = sorted(self.rows)
        with ThreadPoolExecutor(_WORKERS) as pool:
            made = pool.map(lambda name: manifest.entry(self.folder / name, self.rows[name]), names)
            return dict(zip(names, made, strict=True))


def write_logs(run: Run, ways: Iterable[Way], output: Output) -> None:
    """One FIX log per session; damage and gaps are labelled."""
    todo = list(ways)

    def one(way: Way) -> list[Damaged]:
        path = output.folder / settings_file.log_name(way.source)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            return write_log(out, way.planned.session, way.planned.plan, damage_rng(run, way.source))

    with ThreadPoolExecutor(_WORKERS) as pool:
        for way, found in zip(todo, pool.map(one, todo), strict=True):
            run.labels.damaged(way.source, way.planned.session.records, way.planned.plan, found)
            run.labels.gaps(way.source, way.planned.gaps)
            output.rows[settings_file.log_name(way.source)] = len(way.planned.plan)


def damage_rng(run: Run, source: Source) -> np.random.Generator:
    """The draws that damage the bytes of a source's messages."""
    return rng(run.seed, run.days[0], f"damage {source.name}")


def write_trade_files(run: Run, output: Output) -> list[Sent]:
    """The files of the brokers that send no FIX."""
    context, sent = Context(run.world, run.trades.orders), []
    for source in run.sources:
        if source in fix_sources(run):
            continue
        records = run.trades.records.take(np.flatnonzero(run.trades.records.source == source))
        sent += [write_file(output.folder, context, records, file) for file in planned_files(source, records)]
    output.rows |= {file.name: file.rows for file in sent}
    return sent


def spoil_files(run: Run, output: Output, trades: list[Sent]) -> list[NoiseTruth]:
    """What goes wrong with the brokers' files, labelled; one trade file comes twice, which is noise."""
    books = [
        Sent(Source[name.split("/")[0].upper()], name, run.arrivals[name], output.rows[name])
        for name in sorted(run.files)
        if not name.startswith("fund/")
    ]
    draw, noise = rng(run.seed, run.days[0], "files"), []
    if trades:
        twice = trades[int(draw.integers(len(trades)))]
        again, told = file_faults.repeat(output.folder, twice)
        output.rows[again.name] = again.rows
        noise.append(told)
        trades = [file for file in trades if file is not twice]
    sent = [*trades, *books]
    # Rates are by booking, files are few: on a big day not every one of them can fail.
    most = len(sent) if run.profile.breaks == "stress" else -(-len(sent) // _FAILING)
    numbers = (min(run.troubles[code], most) for code in ("I06", "I07"))
    spoiled = file_faults.spoil(draw, output.folder, sent, run.labels, *numbers)
    output.rows |= {file.name: file.rows for file in spoiled}
    return noise


def write_settings(run: Run, output: Output, reference: Iterable[str]) -> None:
    """The settings for the files and for the live sessions, and CHARLIE's column map."""
    names = sorted(Path(name).stem for name in reference)
    files, live = (
        settings_file.files_settings(run.sources, fix_sources(run), names, run.files),
        settings_file.live_settings(run.sources, names),
    )
    for name, text in ((FILES_SETTINGS, files), (LIVE_SETTINGS, live)):
        output.put(name, text.encode(), text.count("\n"))
    if Source.CHARLIE in run.sources and Source.CHARLIE not in fix_sources(run):
        text = settings_file.document("CHARLIE's trade files: which header holds what", column_map())
        output.put(settings_file.CHARLIE_MAP, text.encode(), text.count("\n"))
