"""The forwarder process: ships the segment log to the remote stream."""

import logging
import os
import threading

from app.build import open_remote_stream
from app.files import write_json
from app.paths import DataDir
from app.settings import Settings
from domain.clock import Clock
from domain.errors import TransientError
from ingest.streams.forward import FilePositions, forward_once
from ingest.streams.segment import SegmentStream

IDLE_SECONDS = 0.05
RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


def run_forwarder_child(settings: Settings, clock: Clock, stop: threading.Event) -> None:
    """Forward until `stop`; an outage of the remote stream is only lag, the log keeps everything."""
    data = DataDir(settings.data_dir).create()
    source, sink = SegmentStream(data.raw), open_remote_stream(settings, clock)
    positions = FilePositions(data.forward)
    write_json(data.ready / "forwarder.json", {"pid": os.getpid()})
    while not stop.is_set():
        try:
            if forward_once(source, sink, positions) == 0:
                clock.sleep(IDLE_SECONDS)
        except TransientError as error:
            logger.warning("forwarding waits: %s", error)
            clock.sleep(RETRY_SECONDS)
