"""Small durable files: atomic replacement and directory sync."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replace a small file so that a crash leaves either the old or the new content, and the new one is durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fdatasync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the directory's own entries (new and renamed files) durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
