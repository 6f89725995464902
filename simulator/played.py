"""A flow that is played over FIX sessions, kept on disk: a log per session, truth, reference files and settings."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import manifest, settings_file
from simulator.emit.text import log_time
from simulator.manifest import Manifest
from simulator.output import FILES_SETTINGS, Output
from simulator.records import Source
from simulator.simulate import TRUTH, Flow
from simulator.truth import BreakTruth
from simulator.truth_file import text_bytes, truth_line


def keep(flow: Flow, folder: Path) -> Path:
    """Write the flow as `tieout simulate` writes a folder, with what the sessions carry; the path of its manifest.

    Same flow, same bytes. Raises OutputRefused when `folder` holds what neither made.
    """
    manifest.claim(folder)
    output = Output(folder)
    sources = [Source[name] for name in flow.run["sources"]]
    by_sender = {f"{settings_file.sender(source)}->": source for source in sources}
    for session, stream in flow.streams.items():
        source = next(source for sender, source in by_sender.items() if session.startswith(sender))
        output.put(settings_file.log_name(source), log(stream), len(stream))
    head = json.dumps(flow.run, separators=(",", ":")) + "\n"
    output.put(TRUTH, head.encode() + b"".join(map(truth_line, flow.truth)), len(flow.truth) + 1)
    output.tables(flow.reference)
    names = sorted(Path(name).stem for name in flow.reference)
    settings = settings_file.files_settings(sources, sources, names, ())
    output.put(FILES_SETTINGS, settings.encode(), settings.count("\n"))
    made = Manifest(
        profile=flow.run["profile"],
        seed=flow.run["seed"],
        trade_dates=tuple(flow.run["trade_dates"]),
        sources=tuple(flow.run["sources"]),
        counts={"messages": sum(map(len, flow.streams.values())), "truth_rows": len(flow.truth)},
        bookings=flow.run["bookings"],
        breaks=dict(sorted(Counter(row.code for row in flow.truth if isinstance(row, BreakTruth)).items())),
        files=output.entries(),
    )
    return manifest.write(made, folder)


def log(stream: list[tuple[int, bytes]]) -> bytes:
    """A FIX log, `2026-11-20T14:30:01.123456789Z 8=FIX...` a line, separated as on the wire."""
    times = log_time(np.array([at_ns for at_ns, _ in stream], np.int64)).cast(pa.binary())
    raws = pa.array([raw for _, raw in stream], pa.binary())
    return bytes(text_bytes(pc.binary_join_element_wise(times, b" ", raws, b"\n", b"")))
