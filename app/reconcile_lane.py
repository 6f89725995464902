"""Which lane decodes a tie-out's FIX logs: the compiled one for many bytes of them, where it is installed."""

from pathlib import Path

from app.settings import Settings
from ingest.files.file_dialect import is_file_dialect
from ingest.fix.codec.jit import Jit

# Less than this is read before the machine code would be there.
WORTH_BYTES = 64 * 2**20


def compiled_lane(settings: Settings, base: Path, worth: int = WORTH_BYTES) -> Jit | None:
    """The compiled lane, getting ready in the background, where the feeds' FIX logs are `worth` it; else None.

    Nothing waits for it: until it is there, and where it never comes, NumPy decodes.
    """
    if not settings.jit or bytes_of(settings, base, logs_alone=True) < worth:
        return None
    jit = Jit()
    jit.warm()
    return jit


def bytes_of(settings: Settings, base: Path, *, logs_alone: bool = False) -> int:
    """The size of what the patterns of the feeds name, or of those with a FIX dialect, as far as it can be seen."""
    patterns = [
        feed.path_glob
        for feed in settings.feeds
        if feed.path_glob is not None and not (logs_alone and is_file_dialect(feed.dialect))
    ]
    total = 0
    for pattern in map(Path, patterns):
        root, inner = (Path(pattern.anchor), pattern.relative_to(pattern.anchor)) if pattern.anchor else (base, pattern)
        try:
            total += sum(path.stat().st_size for path in root.glob(str(inner)) if path.is_file())
        except (OSError, ValueError, NotImplementedError):
            continue  # reading tells what is wrong with it
    return total
