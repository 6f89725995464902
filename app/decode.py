"""`tieout decode`: FIX messages as a person reads them, or as JSON lines."""

import json
import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from app.dictionaries import Names
from ingest.fix.dump import DecodedMessage, decode_lines


def dump(file: Path, as_json: bool, out: TextIO, names: Names | None = None) -> int:
    """Write every message found; returns 0, or 1 when the file holds none. Raises OSError when it cannot be read."""
    names = names or Names()
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    console = Console(file=out, highlight=False, soft_wrap=True)
    found = 0
    for message in decode_lines(data):
        found += 1
        if as_json:
            out.write(json.dumps(as_object(message), ensure_ascii=False) + "\n")
        else:
            console.print(as_text(message, names))
    if not found:
        sys.stderr.write(f"tieout: {file}: no FIX message found (nothing like 8=FIX...)\n")
        return 1
    return 0


def as_object(message: DecodedMessage) -> dict[str, object]:
    """One message as plain data; a token that is no field has tag -1."""
    return {
        "line": message.line,
        "begin_string": message.begin_string,
        "msg_type": message.msg_type,
        "fields": [[field.tag, field.value] for field in message.fields],
        "flags": list(message.flags),
        "error": message.error,
    }


def as_text(message: DecodedMessage, names: Names) -> Text:
    """One message as a block: a title line, then one line per field; `names` knows tags our table lacks."""
    title = message.name or names.message(message.msg_type)
    text = Text()
    text.append(f"line {message.line}  ", style="dim")
    text.append(f"{title} ({message.msg_type})" if message.msg_type else "no message type", style="bold cyan")
    if message.error:
        text.append(f"  {message.error}", style="bold red")
    if message.flags:
        text.append("  " + " ".join(message.flags), style="yellow")
    for field in message.fields:
        text.append(f"\n  {field.tag:>6}  ", style="dim")
        text.append(f"{field.name or names.tag(field.tag):<24}", style="green")
        text.append(field.value)
    text.append("\n")
    return text
