"""Why a break is a break, as text: the sentence, the fields of both sides, the rows it was read from, the rule."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.report_words import amount, deadline, security
from domain.taxonomy import taxonomy

Json = Mapping[str, Any]

_LINE_SHOWN = 400


def explain_from_dir(folder: Path, break_id: str) -> str:
    """The evidence of one break from the files `tieout reconcile --out` wrote; `break_id` may be a unique beginning.

    Raises OSError when the folder cannot be read, ValueError when it holds something else, LookupError when no break
    or more than one begins like this.
    """
    item = _find(folder, break_id)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    rule = taxonomy()[item["code"]]
    head = (
        f"{item['code']} {item['title']}, {item['severity'].lower()}: {security(item)} in {item['account_id'] or '?'}"
    )
    lines = [head + (f", held at {item['pb_id']}" if item["pb_id"] else ""), item["headline"] or "", ""]
    lines += [
        f"Money     {amount(item)}",
        f"Fix by    {deadline(item)}",
        f"Next      {item['next_step'] or rule.auto_action}",
    ]
    lines += ["", *_fields(item), "", *_evidence(item, summary), ""]
    lines.append(f"Rule      {item['rule_id'] or '—'}, found by pass {item['pass_id'] or '—'}: {rule.detection}")
    lines.append(f"Cause     usually {rule.cause}")
    lines.append(f"Rule set  {summary['rule_set']} {item['rule_set_hash']}")
    lines.append(f"Break     {item['break_id']}")
    return "\n".join(lines)


def _find(folder: Path, break_id: str) -> Json:
    found = []
    path = folder / "breaks.jsonl"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            item = json.loads(line)
        except ValueError:
            raise ValueError(f"{path}:{number}: not JSON; was this written by tieout reconcile --out?") from None
        if str(item.get("break_id", "")).startswith(break_id):
            found.append(item)
    if not found:
        raise LookupError(f"no break in {folder} has an id that begins with {break_id!r}")
    if len(found) > 1:
        raise LookupError(f"{len(found)} breaks in {folder} begin with {break_id!r}; give more of the id")
    chosen: Json = found[0]
    return chosen


def _fields(item: Json) -> Iterator[str]:
    rows = [
        (row["label"], *("".join(text for text, _ in row[side]) for side in ("left", "right")), row["status"])
        for row in item["fields"]
    ]
    if not rows:
        return
    wide = [max(len(row[at]) for row in [("", "ours", "theirs", ""), *rows]) for at in range(3)]
    yield f"{'':{wide[0]}}  {'ours':{wide[1]}}  theirs"
    for label, left, right, status in rows:
        mark = "  <-- differs" if status == "differs" else ""
        yield f"{label:{wide[0]}}  {left:{wide[1]}}  {right}{mark}".rstrip()


def _evidence(item: Json, summary: Json) -> Iterator[str]:
    files = {file["name"]: file for file in summary["files"]}
    for side, title in (("left", "Ours"), ("right", "Theirs")):
        for member in item[side]:
            yield f"{title:8}  {member['trade_uid']}  {member['file']}:{member['line']}"
            yield f"{'':8}  {_row(files.get(member['file']), member['line'])}"


def _row(file: Json | None, line: int | None) -> str:
    """The row itself, if the file is still where it was and still the same."""
    if file is None or not line:
        return "(not from a file)"
    try:
        data = Path(file["path"]).read_bytes()
    except OSError:
        return f"({file['path']} is not here any more)"
    if sha256(data).hexdigest() != file["sha256"]:
        return f"({file['path']} has changed since)"
    encoding = file["encoding"]
    rows = data.decode(encoding, "replace").replace("\x01", "|").split("\n")
    text = rows[line - 1].rstrip("\r") if line <= len(rows) else ""
    return text[:_LINE_SHOWN] + ("…" if len(text) > _LINE_SHOWN else "")
