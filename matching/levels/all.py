"""The levels a Match run knows besides the trade passes, in the order they look."""

from matching.levels.ingest import IngestLevel
from matching.levels.port import Level
from matching.levels.status import StatusLevel

LEVELS: tuple[Level, ...] = (
    StatusLevel(),
    IngestLevel(),
)
