"""What happens between a record and its reader: numbers, repetitions, gaps, damage, files, the truth about them."""

import io
import json
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from simulator import manifest
from simulator.delivery import damage, file_faults, gaps, repeats, schedule, sessions
from simulator.delivery.file_faults import Sent
from simulator.delivery.labels import Labels
from simulator.delivery.logs import write_log
from simulator.delivery.schedule import Damage, Schedule
from simulator.emit.context import Context
from simulator.flow.day import trade_day
from simulator.market.universe import make_world
from simulator.profiles import Profile
from simulator.records import SECOND_NS, Level, Records, Source, Status
from simulator.truth_file import live, parse_truth, write_truth

DAY = 20_777
NOON = (DAY * 86_400 + 43_200) * SECOND_NS


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def plan_of(messages: int, step: int = SECOND_NS) -> Schedule:
    return schedule.first_sends(np.arange(messages), NOON + np.arange(messages, dtype=np.int64) * step)


def some(plan: Schedule, *rows: int) -> np.ndarray:
    mask = np.zeros(len(plan), np.bool_)
    mask[list(rows)] = True
    return mask


def test_numbers_run_from_two_in_the_order_of_leaving_and_gaps_are_known() -> None:
    plan = schedule.late(rng(), plan_of(20), some(plan_of(20), 3))
    assert plan.row.tolist()[:5] == [0, 1, 2, 4, 3]
    left_out = gaps.skips(rng(), plan, 2)
    plan = schedule.numbered(plan, skips=left_out)
    missing = set(range(2, int(plan.seq[-1]))) - set(plan.seq.tolist())
    named = [tuple(map(int, gap.name.removeprefix("seq:").split("-"))) for gap in gaps.unfilled(plan, left_out)]
    assert len(named) == 2
    assert missing == {number for first, last in named for number in range(first, last + 1)}


def test_a_damaged_line_shows_the_number_of_the_message_that_follows_it() -> None:
    plan = damage.malformed(rng(), plan_of(50), 8, np.ones(50, np.bool_), on_wire=False)
    plan = schedule.numbered(plan)
    kinds = Counter(plan.damage.tolist())
    assert kinds == {0: 50, Damage.TRUNCATED: 4, Damage.NONSENSE: 2, Damage.GARBAGE: 2}
    torn = np.flatnonzero(plan.damage == Damage.TRUNCATED)
    assert (plan.seq[torn] == plan.seq[torn + 1]).all() and (plan.row[torn] == plan.row[torn + 1]).all()
    taken = plan.seq[~np.isin(plan.damage, (Damage.TRUNCATED, Damage.GARBAGE))]
    assert taken.tolist() == list(range(2, 54))


def test_replays_keep_number_and_first_time_and_repetitions_take_a_new_number() -> None:
    plan = repeats.again(rng(), plan_of(1_000), some(plan_of(1_000), 5, 9), marked=0.0)
    assert len(plan) == 1_002 and not plan.poss_resend.any()
    plan = schedule.numbered(plan)
    copies = schedule.joined(repeats.replays(rng(), plan, some(plan, 7)), repeats.reconnect(rng(), plan))
    assert copies.poss_dup.all() and len(copies) == 1 + repeats.RECONNECT_MESSAGES
    first = {int(seq): (int(row), int(at)) for seq, row, at in zip(plan.seq, plan.row, plan.at_ns, strict=True)}
    for seq, row, at_ns, orig in zip(copies.seq, copies.row, copies.at_ns, copies.orig_ns, strict=True):
        assert first[int(seq)] == (row, orig) and at_ns > orig


def test_what_is_lost_at_first_comes_later_under_its_number() -> None:
    plan = schedule.numbered(plan_of(100))
    filled = gaps.filled(rng(), plan, some(plan, 40))
    (at,) = np.flatnonzero(filled.poss_dup).tolist()
    assert at > 40 and filled.seq[at] == 42 and filled.at_ns[at] > filled.orig_ns[at] == plan.at_ns[40]
    assert sorted(filled.seq.tolist()) == plan.seq.tolist()


@pytest.fixture(scope="module")
def alpha() -> sessions.Session:
    world = make_world(3)
    trades = trade_day(3, DAY, world, Profile("tiny", 800))
    mine = trades.records.take(np.flatnonzero(trades.records.source == Source.ALPHA))
    return sessions.session(Source.ALPHA, Context(world, trades.orders), mine)


def lines_of(
    session: sessions.Session, trouble: sessions.Trouble
) -> tuple[list[bytes], Schedule, list[damage.Damaged]]:
    quiet = np.zeros(len(session.records), np.bool_)
    planned = sessions.disturbed(rng(), session, quiet, trouble)
    out = io.BytesIO()
    found = write_log(out, session, planned.plan, rng(), size=100)
    return out.getvalue().split(b"\n")[:-1], planned.plan, found


def framed(raw: bytes) -> bool:
    head = re.match(rb"8=FIX[^\x01]+\x019=(\d+)\x01", raw)
    if not head or not re.fullmatch(rb"10=\d{3}\x01", raw[-7:]):
        return False
    return len(raw) - 7 - head.end() == int(head[1]) and sum(raw[:-7]) % 256 == int(raw[-4:-1])


def test_a_log_is_well_framed_but_for_what_is_labelled_by_its_hash(alpha: sessions.Session) -> None:
    lines, plan, found = lines_of(alpha, sessions.Trouble(malformed=8, unproven=8, gaps=2))
    assert len(lines) == len(plan)
    assert all(re.match(rb"2026-11-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in lines)
    raws = [line[31:] for line in lines]
    assert Counter(item.damage for item in found) == {
        Damage.TRUNCATED: 4, Damage.NONSENSE: 2, Damage.GARBAGE: 2, Damage.CHECKSUM: 6, Damage.LENGTH: 2,
    }  # fmt: skip
    broken = {item.at for item in found if item.damage is not Damage.NONSENSE}
    assert {row for row, raw in enumerate(raws) if not framed(raw)} == broken
    for item in found:
        assert sha256(raws[item.at]).hexdigest() == item.hashes[0]
        if item.damage is Damage.GARBAGE:
            assert sha256(lines[item.at]).hexdigest() == item.hashes[1]
            assert b"8=FIX" not in raws[item.at] and re.search(rb"[\x02-\x08\x0e-\x1f]", raws[item.at])


def test_messages_a_label_names_come_once_and_in_time(alpha: sessions.Session) -> None:
    spoiled = np.ones(len(alpha.records), np.bool_)
    plan = sessions.disturbed(rng(), alpha, spoiled, sessions.Trouble(malformed=5, unproven=5)).plan
    new = plan.take(np.flatnonzero(~plan.poss_dup & ~plan.poss_resend))
    assert not new.damage.any()
    assert (new.at_ns >= alpha.records.arrive_ns[new.row]).all()
    first = new.take(np.unique(new.row, return_index=True)[1])
    assert (first.at_ns == alpha.records.arrive_ns[first.row]).all()


def test_on_a_live_session_nothing_is_missing_and_silence_is_broken(alpha: sessions.Session) -> None:
    quiet = np.zeros(len(alpha.records), np.bool_)
    trouble = sessions.Trouble(malformed=5, unproven=5, gaps=5)
    plan = sessions.disturbed(rng(), alpha, quiet, trouble, on_wire=True, idle_ns=60 * SECOND_NS).plan
    assert set(plan.damage.tolist()) == {Damage.NONE, Damage.NONSENSE, Damage.IDLE}
    fresh = plan.take(np.flatnonzero(~plan.poss_dup))
    assert fresh.seq.tolist() == list(range(2, 2 + len(fresh)))
    assert np.diff(fresh.at_ns).max() <= 60 * SECOND_NS


def test_files_come_empty_then_in_full_and_tables_change_their_columns(tmp_path: Path) -> None:
    table = "a,b,c,d\n" + "".join(f'{n},x,y,"1,5"\n' for n in range(4))
    names = [f"charlie/trades_2026112{n}_1.csv" for n in range(4)]
    (tmp_path / "charlie").mkdir()
    for name in names:
        (tmp_path / name).write_text(table)
    labels = Labels()
    sent = [Sent(Source.CHARLIE, name, NOON, 4) for name in names]
    after = file_faults.spoil(rng(), tmp_path, sent, labels, 2, 2)
    by_code = {code: [row.external_ids[0].uid for row in labels.rows if row.code == code] for code in ("I06", "I07")}
    assert {len(found) for found in by_code.values()} == {2}
    for name in by_code["I06"]:
        assert (tmp_path / name).read_text() in ("", "a,b,c,d\n")
        assert (tmp_path / name.replace(".csv", "_R.csv")).read_text() == table
    drifted = sorted((tmp_path / name).read_text().splitlines()[1] for name in by_code["I07"])
    assert drifted == ['0,x,PRIME-1,y,"1,5"', 'x,y,"1,5",0']
    assert sorted(file.name for file in after) == sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv")
    )
    again, noise = file_faults.repeat(tmp_path, after[-1])
    assert (tmp_path / again.name).read_bytes() == (tmp_path / after[-1].name).read_bytes()
    assert noise.codes == ("N22",) and noise.uid == again.name


def some_records() -> Records:
    """Two fills of the fund and two bookings, all twins; one more pair whose booking was corrected."""
    made = Records.blank(7).with_(day=DAY, version=1, order=-1, qty=100, price=5, event_ns=NOON, pb=1, root=1, serial=1)
    columns = {
        "source": [0, 0, 1, 1, 0, 1, 1],
        "serial": [1, 2, 1, 2, 3, 3, 4],
        "root": [1, 2, 1, 2, 3, 3, 3],
        "prev": [0, 0, 0, 0, 0, 0, 3],
        "version": [1, 1, 1, 1, 1, 1, 2],
        "status": [0, 0, 0, 0, 0, 0, int(Status.CORRECT)],
        "group": [7, 8, 7, 8, 9, 9, 9],
        "qty": [100, 100, 100, 100, 50, 40, 50],
        "level": [int(Level.FILL)] * 7,
        "noise": [0, 0, 1 << 19 | 1 << 6, 0, 0, 0, 1 << 5],
    }
    return made.with_(**{name: np.array(values) for name, values in columns.items()})


def test_the_truth_names_live_records_twins_and_noise() -> None:
    records = some_records()
    assert live(records).tolist() == [True, True, True, True, True, False, True]
    out = io.BytesIO()
    counts = write_truth(out, {"profile": "x"}, records, [])
    lines = out.getvalue().splitlines()
    head = json.loads(lines[0])
    assert (head["kind"], head["bookings"], head["clean_bookings"]) == ("run", {"ALPHA": 3}, 3)
    rows = [json.loads(line) for line in lines[1:]]
    assert Counter(row["kind"] for row in rows) == {"match": 3, "twins": 2, "noise": 2}
    assert sum(counts.rows.values()) == len(lines)
    last = next(row for row in rows if row.get("group_id") == "9")
    assert last["internal_ids"] == [{"source": "OMS", "uid": "ME26112000000003"}]
    assert last["external_ids"] == [{"source": "ALPHA", "uid": "ALT-26112000000004"}]
    assert {tuple(row["codes"]) for row in rows if row["kind"] == "noise"} == {("N06", "N19"), ("N05",)}
    assert {tuple(row["uids"]) for row in rows if row["kind"] == "twins"} == {
        ("ME26112000000001", "ME26112000000002"), ("ALT-26112000000001", "ALT-26112000000002"),
    }  # fmt: skip
    assert len(parse_truth(lines)) == len(rows)


def test_a_cancel_leaves_nothing_alive() -> None:
    records = some_records()
    gone = records.with_(status=np.where(records.version == 2, Status.CANCEL, records.status))
    assert live(gone).tolist() == [True, True, True, True, True, False, False]


def test_a_folder_of_others_is_refused_and_only_own_files_are_removed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "note.txt").write_text("mine")
    with pytest.raises(manifest.OutputRefused, match="not made by tieout simulate"):
        manifest.claim(theirs)
    ours = tmp_path / "ours"
    manifest.claim(ours)
    (ours / "alpha").mkdir()
    (ours / "alpha" / "alpha.fix").write_text("x")
    (ours / "data").mkdir()
    (ours / "data" / "kept").write_text("x")
    files = {"alpha/alpha.fix": manifest.entry(ours / "alpha" / "alpha.fix", 1)}
    manifest.write(manifest.Manifest("x", 1, (), (), {}, {}, {}, files=files), ours)
    manifest.claim(ours)
    assert sorted(path.name for path in ours.iterdir()) == ["data", "manifest.json"]
