"""Work behind `tieout rules ...`: rule files read, checked and held against history."""

from pathlib import Path

from matching.check_rules import Checked, check_text


class RulesError(Exception):
    """The verb cannot be carried out; the text says why and what to do."""


def checked(file: Path) -> Checked:
    """The check of a rule file. Raises RulesError when it cannot be read."""
    return check_text(text_of(file), str(file))


def text_of(file: Path) -> str:
    """The file's text. Raises RulesError."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RulesError(f"{file}: not a text file") from None
    except OSError as error:
        raise RulesError(f"{file}: {(error.strerror or str(error)).lower()}") from None
