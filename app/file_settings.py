"""Settings of the files that the service takes in, and what a feed of files must say."""

from pathlib import Path, PurePath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ingest.feeds import Feed
from ingest.files.file_dialect import is_file_dialect


class FileSettings(BaseModel):
    """How the folders of feeds are watched.

    Every folder is looked at every `poll_seconds`; a file is taken once it has not changed for `settled_seconds`. One
    larger than `max_mb` (MiB) is set aside unread. `root` is the folder that patterns are relative to: that of the
    settings file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    settled_seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0
    max_mb: Annotated[int, Field(gt=0)] = 512
    root: Path = Path()

    def rebased(self, base: Path) -> "FileSettings":
        """With `root` from the settings file's folder."""
        return self.model_copy(update={"root": base / self.root})


def reads_files(feed: Feed) -> bool:
    """Whether the service takes the feed's files: it has a pattern, and no session or says so (`source: files`)."""
    return feed.path_glob is not None and (feed.session is None or feed.source == "files")


def faults(feed: Feed) -> str:
    """Why the service cannot read the feed's files; empty when it can."""
    if not reads_files(feed):
        return ""
    if feed.contents != "trades" and not is_file_dialect(feed.dialect):
        return f"contents: {feed.contents} need a dialect of files, {feed.dialect!r} is none"
    wrong = [part for part in PurePath(str(feed.path_glob)).parts if "**" in part and part != "**"]
    return f"path_glob: {feed.path_glob!r}: ** stands for whole folders and by itself" if wrong else ""
