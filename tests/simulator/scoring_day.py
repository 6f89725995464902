"""A small hand-made day for the scorer's tests: its truth, the perfect result, and what a planted mistake moves."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.scoring.read import JsonLines
from simulator.scoring.result import result_at
from simulator.scoring.score import Score, as_json, score

Row = dict[str, Any]

SECOND = 1_000_000_000
NOON = 1_795_176_000 * SECOND
GARBAGE = "8=FIX.4.4|9=120|35=8|17=F40|32=1x0"
DELAY_SECONDS = 2


def us(*uids: str) -> list[Row]:
    """Records of the fund, as truth rows name them."""
    return [{"source": "OMS", "uid": uid} for uid in uids]


def them(*uids: str) -> list[Row]:
    """Records of the prime broker, as truth rows name them."""
    return [{"source": "ALPHA", "uid": uid} for uid in uids]


def label(code: str, ours: list[Row], theirs: list[Row], usd: int = 1_000, **more: Any) -> Row:
    """A labelled break, detectable at noon."""
    name = f"{code}:{'+'.join(item['uid'] for item in (*ours, *theirs))}"
    return {
        "kind": "break", "break_id": name, "code": code, "group_id": "", "internal_ids": ours, "external_ids": theirs,
        "detectable_at": NOON, "cured_at": None, "materiality_usd": str(usd), **more,
    }  # fmt: skip


def match(name: str, ours: list[Row], theirs: list[Row]) -> Row:
    """Records that belong together."""
    return {"kind": "match", "group_id": name, "pb": "ALPHA", "internal_ids": ours, "external_ids": theirs}


def shown(code: str, ours: list[Row], theirs: list[Row], **more: Any) -> Row:
    """A break as a result reports it, opened two seconds after noon."""
    opened = f"2026-11-20T12:00:{DELAY_SECONDS:02d}Z"
    left, right = _members(ours), _members(theirs)
    name = hashlib.sha256(json.dumps([code, left, right]).encode()).hexdigest()[:16]
    return {"break_id": name, "code": code, "left": left, "right": right, "state": "OPEN", "opened_at": opened, **more}


def group(ours: list[Row], theirs: list[Row]) -> Row:
    """A group as a result reports it."""
    return {"left": _members(ours), "right": _members(theirs)}


def _members(named: list[Row]) -> list[Row]:
    return [{"source": item["source"], "trade_uid": item["uid"], "version": 1, "file": None} for item in named]


@dataclass
class Day:
    """Truth and result as rows, to be changed and then scored."""

    truth: list[Row]
    groups: list[Row]
    breaks: list[Row]
    quarantine: list[Row] = field(default_factory=list)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Truth file and result folder."""
        folder.mkdir(parents=True, exist_ok=True)
        _lines(folder / "truth.jsonl", self.truth)
        for name in ("groups", "breaks", "quarantine"):
            _lines(folder / f"{name}.jsonl", getattr(self, name))
        return folder / "truth.jsonl", folder

    def score(self, folder: Path, **options: Any) -> Score:
        """Write both and score them."""
        truth, result = self.write(folder)
        return score(JsonLines(str(truth), truth), result_at(str(result)), **options)

    def report(self, code: str, uid: str) -> Row:
        """The result's break of that code naming that record."""
        (found,) = (
            row for row in self.breaks
            if row["code"] == code and uid in {m["trade_uid"] for m in (*row["left"], *row["right"])}
        )  # fmt: skip
        return found

    def group_with(self, uid: str) -> Row:
        """The result's group naming that record of the fund."""
        (found,) = (row for row in self.groups if uid in {member["trade_uid"] for member in row["left"]})
        return found


def perfect_day() -> Day:
    """Ten clean pairs, twins, one booking of three fills, labels of several codes, and the result that says just that.

    By code: T01 F20 (dear) and F21 (cheap), T02 A22, T05 F23 and F24, T06 F25, T14 F26, both T05 and T14 on F27,
    I01 a damaged message, I05 a gap; T06 on F28 cured and reported so, T01 on F29 cured before anybody could see it.
    """
    pairs = [(us(f"F{n}"), them(f"A{n}")) for n in range(1, 13)] + [(us("F13", "F14", "F15"), them("A13"))]
    broken = [(us(f"F{n}"), them(f"A{n}")) for n in (23, 24, 25, 26, 27)]
    healed = [(us(f"F{n}"), them(f"A{n}")) for n in (28, 29)]
    found = [("T01", us("F20"), []), ("T01", us("F21"), []), ("T02", [], them("A22"))]
    codes = ("T05", "T05", "T06", "T14", "T05")
    found += [(code, *pair) for code, pair in zip(codes, broken, strict=True)] + [("T14", *broken[4])]
    money = {"F20": 1_000_000, "F21": 100}
    gap = {"source": "ALPHA", "uid": "seq:120-125"}
    damaged = {"source": "OMS", "uid": f"sha256:{hashlib.sha256(GARBAGE.encode()).hexdigest()}"}
    cured = {"cured_at": NOON + 60 * SECOND}
    position = them("ACC-1|AAPL")
    truth = [
        {"kind": "run", "profile": "by-hand", "seed": 1, "clean_bookings": 500},
        *(match(f"g-{ours[0]['uid']}", ours, theirs) for ours, theirs in (*pairs, *broken, *healed)),
        *(label(code, a, b, money.get(a[0]["uid"], 1_000) if a else 1_000, group_id=f"g-{a[0]['uid']}" if a else "")
          for code, a, b in found),
        label("T06", *healed[0], **cured),
        label("T01", *healed[1], **cured),
        label("I01", [damaged], [], 0),
        label("I05", [], [gap], 0),
        {"kind": "twins", "source": "OMS", "uids": ["F11", "F12"]},
        {"kind": "noise", "source": "OMS", "uid": "F1", "codes": ["N20"]},
        {"kind": "noise", "source": "ALPHA", "uid": "A1", "codes": ["N06", "N14"]},
        {"kind": "consequence", "code": "P01", "external_ids": position, "explained_by": ["T05:F23+A23"]},
    ]  # fmt: skip
    raw = {
        "code": "I01",
        "source": "OMS",
        "reason": "bad",
        "raw": GARBAGE,
        "raw_bytes": len(GARBAGE),
        "file": "oms.fix",
    }
    return Day(
        truth,
        groups=[group(ours, theirs) for ours, theirs in (*pairs, *healed)],
        breaks=[
            *(shown(code, ours, theirs) for code, ours, theirs in found),
            shown("T06", *healed[0], state="RESOLVED", resolution="cured"),
            shown("I05", [], [{"source": "ALPHA", "uid": "seq:121-125"}]),
            shown("P01", [], position),
        ],
        quarantine=[raw],
    )


def numbers(found: Score) -> dict[str, Any]:
    """The measures a mistake may move, by name."""
    said = as_json(found)
    detection, links = said["detection"], said["grouping"]
    return {
        "perfect": said["perfect"],
        "recall": detection["recall"]["value"],
        "recall under the code": detection["recall_exact"]["value"],
        "precision": detection["precision"]["value"],
        "macro F1": said["macro_f1"],
        "missed": detection["missed"],
        "false": detection["false"],
        "false per 1,000": said["false_per_1000_clean"],
        "stale": detection["stale"],
        "closed wrongly": said["closed_wrongly"],
        "cured and closed": said["cured"]["reported_and_closed"],
        "twice": detection["reported_twice"],
        "secondary": detection["secondary"],
        "explained": detection["explained"],
        "money": said["exposure_usd"]["recall"],
        "links right": links["precision"]["value"],
        "links found": links["recall"]["value"],
        "median delay": said["timeliness"]["p50_seconds"],
        "longest delay": said["timeliness"]["max_seconds"],
        "came and went": said["result"]["reports"]["came_and_went_for_nothing"],
        "waiting": said["result"]["reports"]["waiting"],
    }


def _lines(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
