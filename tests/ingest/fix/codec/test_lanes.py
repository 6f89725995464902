"""The codec's lanes against an independent split-and-Decimal reference, bit for bit, under damage, cut anywhere."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.fix.codec.decoder import Decoded, Decoder
from ingest.fix.codec.jit import Jit, SwitchingLane
from ingest.fix.codec.plan import Column, Mark, Plan, Reason
from ingest.fix.values import as_text

PLAN = Plan(
    (
        Column("seq", 34, "int", level="message"),
        Column("msg_type", 35, level="message"),
        Column("at", 60, "timestamp", level="message", precision=True),
        Column("day", 75, "date", level="message"),
        Column("side", 54),
        Column("qty", 32, "decimal"),
        Column("price", 31, "decimal", level="message", scale=10),
        Column("account", 1),
        Column("fee", 12, "decimal", level="entry"),
        Column("text", 58, level="message"),
    )
)
_RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="session")
def jit(pytestconfig: pytest.Config) -> Jit | None:
    """The compiled lane, where numba is installed; its code is kept from run to run."""
    made = Jit()
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("jit")
    cache.chmod(0o700)
    made.compile(cache)
    if "not installed" in made.failure:
        return None
    assert made.ready, made.failure
    return made


def framed(body: bytes, version: bytes = b"FIX.4.4") -> bytes:
    """BeginString, BodyLength and CheckSum around a body."""
    head = b"8=%s\x019=%d\x01" % (version, len(body)) + body
    return head + b"10=%03d\x01" % (sum(head) % 256)


def message(text: str) -> bytes:
    """A message from a body written with `|`."""
    return framed(text.replace("|", "\x01").encode("latin-1"))


def decode(data: bytes, jit: Jit | None, **options: Any) -> Decoded:
    """By the NumPy lane, and by the compiled one with the same result."""
    found = Decoder(PLAN).decode(data, **options)
    assert found.table.num_rows == len(found.message)
    found.table.validate(full=True)
    if jit is not None:
        same(found, Decoder(PLAN, SwitchingLane(PLAN, jit)).decode(data, **options))
    return found


def same(one: Decoded, other: Decoded) -> None:
    """Bit for bit: values, validity, spans, marks, exact values."""
    assert one.table.combine_chunks().equals(other.table.combine_chunks())
    for name in ("message", "start", "end", "marks"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.rejects == other.rejects
    assert (one.exact, one.consumed) == (other.exact, other.consumed)


# --- the reference: split at SOH and `=`, Python's own decimals and dates ---------------------------------------------


def expected_rows(raw: bytes) -> list[dict[str, Any]]:
    """Rows of a message without data fields or repeated tags."""
    fields = [part.partition(b"=")[::2] for part in raw[:-1].split(b"\x01")]
    at = next((n for n, (tag, value) in enumerate(fields) if tag in (b"552", b"78") and value not in (b"0",)), None)
    root = dict(fields if at is None else fields[:at])
    entries: list[dict[bytes, bytes]] = []
    for tag, value in fields[at + 1 :] if at is not None else ():
        if tag == fields[at + 1][0]:
            entries.append({})
        (root if tag in (b"34", b"35", b"60", b"75", b"31", b"58") else entries[-1])[tag] = value
    return [expected_row(root, entry) for entry in (entries or [None])]


def expected_row(root: dict[bytes, bytes], entry: dict[bytes, bytes] | None) -> dict[str, Any]:
    """One row's values."""
    row: dict[str, Any] = {}
    for column in PLAN.columns:
        tag = b"%d" % column.tag
        value = root.get(tag, b"")
        if entry is not None and column.level != "message":
            value = entry.get(tag, b"") or (value if column.level == "row" else b"")
        row[column.name] = expected_value(column, as_text(value)) if value else None
        if column.precision:
            digits = len(value.partition(b".")[2])
            row[column.name + "_precision"] = ("s", "ms", "us", "ns")[(digits + 2) // 3] if value else None
    return row


def expected_value(column: Column, text: str) -> Any:
    """A value as its kind, None where that cannot hold it."""
    if column.kind == "decimal":
        try:
            value = Decimal(text)
        except InvalidOperation:
            return None
        _, digits, exponent = value.normalize().as_tuple()
        return value if int(exponent) >= -column.scale and len(digits) + int(exponent) <= 38 - column.scale else None
    if column.kind == "int":
        return int(text)
    if column.kind == "date":
        return datetime.strptime(text, "%Y%m%d").date()
    if column.kind == "timestamp":
        day, _, fraction = text.partition(".")
        moment = datetime.strptime(day, "%Y%m%d-%H:%M:%S") - datetime(1970, 1, 1)
        return moment // timedelta(seconds=1) * 10**9 + int(fraction.ljust(9, "0"))
    return text


def rows_of(found: Decoded) -> list[dict[str, Any]]:
    """The table with times as nanoseconds."""
    place = found.table.column_names.index("at")
    return found.table.set_column(place, "at", found.table["at"].cast(pa.int64())).to_pylist()


_NUMBERS = st.one_of(
    st.decimals(-(10**9), 10**9, places=4).map(lambda d: f"{d:f}"),
    st.decimals(-(10**14), 10**14, places=2).map(lambda d: f"{d:f}"),
    st.decimals(-1, 1, places=12).map(lambda d: f"{d:f}"),
    st.integers(-(10**18), 10**18).map(str),
    st.integers(0, 10**27).map(str),
    st.sampled_from(["0", "-0", "007", "1.", ".5", "0.00000001", "92233720368.54775807", "9223372036854775807.1"]),
)
_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), min_size=1, max_size=30)
_TIMES = st.tuples(st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)), st.sampled_from([0, 3, 6, 9])).map(
    lambda t: t[0].strftime("%Y%m%d-%H:%M:%S") + (f".{t[0].microsecond:06d}789"[: t[1] + 1] if t[1] else "")
)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """A report, or a capture with up to three sides."""
    kind = draw(st.sampled_from(["8", "AE", "J"]))
    number = draw(st.integers(-(10**17), 10**17))
    head = (
        f"35={kind}|34={number}|60={draw(_TIMES)}|75={draw(st.dates(datetime(1970, 1, 1).date())).strftime('%Y%m%d')}|"
    )
    if draw(st.booleans()):
        head += f"32={draw(_NUMBERS)}|31={draw(_NUMBERS)}|"
    if draw(st.booleans()):
        head += f"58={draw(_TEXT)}|7001=x|"
    if kind == "8":
        return head + f"54=1|1={draw(_TEXT)}|12={draw(_NUMBERS)}|"
    entries = draw(st.lists(st.tuples(_TEXT, _NUMBERS, st.booleans()), min_size=0, max_size=3))
    head += f"{552 if kind == 'AE' else 78}={len(entries)}|"
    for account, amount, fee in entries:
        head += f"54=2|1={account}|" + (f"12={amount}|" if fee else f"32={amount}|")
    return head


def wire(body: str) -> bytes:
    """The body's fields with SOH, `|` inside values kept out."""
    return framed(body.encode("latin-1").replace(b"|", b"\x01"))


@_RELAXED
@given(st.lists(bodies(), max_size=8))
@example(["35=8|34=1|60=20260604-13:30:01|75=20260604|54=1|1=A|12=1|"] * 40)
def test_lanes_agree_with_an_independent_reference(jit: Jit | None, texts: list[str]) -> None:
    messages = [wire(text) for text in texts]
    found = decode(b"".join(messages), jit)
    assert [found.raw(n) for n in range(len(messages))] == messages
    assert not found.rejects
    assert rows_of(found) == [row for raw in messages for row in expected_rows(raw)]


@_RELAXED
@given(st.lists(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(framed), bodies().map(wire)), max_size=8))
def test_lanes_agree_on_any_bytes_and_lose_none(jit: Jit | None, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    found = decode(data, jit)
    spans = sorted(
        [*zip(found.start.tolist(), found.end.tolist(), strict=True)] + [(r.start, r.end) for r in found.rejects]
    )
    kept = b"".join(data[start:end] for start, end in spans)
    assert kept.replace(b"\r", b"").replace(b"\n", b"") == data.replace(b"\r", b"").replace(b"\n", b"")
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


@_RELAXED
@given(st.lists(bodies(), min_size=1, max_size=4), st.data())
def test_a_buffer_cut_anywhere_gives_the_same(jit: Jit | None, texts: list[str], data: st.DataObject) -> None:
    whole = b"".join(wire(text) for text in texts)
    cut = data.draw(st.integers(0, len(whole)))
    first = decode(whole[:cut], jit, final=False)
    second = decode(whole[first.consumed :], jit)
    assert rows_of(first) + rows_of(second) == rows_of(decode(whole, jit))
    assert not first.rejects and not second.rejects


def test_two_thousand_damaged_messages(jit: Jit | None) -> None:
    rng = random.Random(11)
    good = [
        message(f"35=8|34={n}|60=20260604-13:30:01.{n % 1000:03d}|75=20260604|54=1|32={n}|31=1.5|1=A{n}|58=filler {n}|")
        for n in range(8_000)
    ]
    damaged = dict.fromkeys(rng.sample(range(len(good)), 2_000))
    for n in damaged:
        at = rng.randrange(len(good[n]))
        byte = rng.choice([b for b in range(256) if b != good[n][at]])
        damaged[n] = good[n][:at] + bytes([byte]) + good[n][at + 1 :]
    found = decode(b"".join(damaged.get(n) or raw for n, raw in enumerate(good)), jit)
    accepted = {found.raw(n) for n in range(len(found.start))}
    assert not accepted & set(damaged.values())
    lost = [n for n in range(len(good)) if n not in damaged and good[n] not in accepted]
    # Only a message whose neighbour's last separator was destroyed has no beginning any more.
    assert all(n - 1 in damaged and damaged[n - 1][-1:] != b"\x01" for n in lost)


def test_an_inflated_length_neither_stalls_nor_swallows(jit: Jit | None) -> None:
    good = message("35=8|34=1|54=1|")
    for length in (b"60000", b"999999999", b"0", b"x", b""):
        bad = good.replace(b"9=15\x01", b"9=%s\x01" % length)
        assert bad != good
        found = decode(bad + good, jit)
        assert len(found.start) == 1 and found.raw(0) == good
        assert [r.start for r in found.rejects] == [0] and found.consumed == len(bad + good)
    waiting = decode(good + good.replace(b"9=15\x01", b"9=60000\x01") + good, jit, final=False)
    assert len(waiting.start) == 1 and waiting.consumed == len(good)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"8=FIX.4.4\x0135=8\x01", Reason.NO_HEADER),
        (b"8=FIX.4.4\x019=70000\x0135=8\x01", Reason.LENGTH_CAP),
        (b"8=FIX.4.4\x019=9\x0135=8\x0134=1\x01", Reason.LENGTH),
        (b"8=FIX.4.4\x019=5\x0135=8\x0110=000\x01", Reason.CHECKSUM),
        (framed(b"34=1\x0135=8\x01"), Reason.MSG_TYPE),
        (framed(b"35=\x0134=1\x01"), Reason.MSG_TYPE),
        (b"2026-06-04 INFO connected", Reason.GARBAGE),
        (b"58=FIX.4.4\x01", Reason.GARBAGE),
    ],
)
def test_what_is_no_message_has_its_reason(jit: Jit | None, bad: bytes, reason: Reason) -> None:
    good = message("35=8|34=1|54=1|")
    found = decode(good + bad + b"\n" + good, jit)
    assert [r.reason for r in found.rejects] == [reason]
    assert found.rejects[0].text and len(found.start) == 2
    truncated = decode(good + good[:-3], jit)
    assert [r.reason for r in truncated.rejects] == [Reason.TRUNCATED]


def test_lines_of_a_log_are_messages(jit: Jit | None) -> None:
    good = message("35=8|34=1|54=1|")
    found = decode(good + b"\r\n" + good + b"\n\n" + good, jit)
    assert len(found.start) == 3 and not found.rejects


def test_what_the_fast_lanes_leave_takes_the_exact_one(jit: Jit | None) -> None:
    long = "1" * 20
    found = decode(
        b"".join(
            [
                message("35=8|34=1|32=0.123456789|31=5|"),
                message(f"35=8|34={long}|32={long}.5|31=1e3|"),
                framed(b"35=n\x0134=3\x0195=9\x0196=a\x0132=77\x01b\x0132=4\x0158=x\x01"),
                framed(b"35=n\x0134=4\x0195=99\x0196=a\x0132=7\x01"),
                message("35=8|34=5|32=1|32=2|58=same|58=same|"),
                message("35=AE|34=6|31=2|552=3|54=1|1=A|54=2|1=B|"),
                message("35=8|34=7|32=abc|60=20260604-23:59:60|75=20260231|loose|"),
                message("35=8|34=8|60=20260604-13:30:01.123456789123|31=7|"),
                message("35=8|34=9|60=20260604-13:30:01.1|31=7|"),
            ]
        ),
        jit,
    )
    table, marks = rows_of(found), [Mark(n) for n in found.marks.tolist()]
    assert table[0]["qty"] is None and found.exact[0, "qty"] == Decimal("0.123456789") and marks[0] == Mark.NOT_EXACT
    assert table[1]["qty"] == Decimal(f"{long}.5") and table[1]["price"] == 1000
    assert table[1]["seq"] is None and found.exact[1, "seq"] == int(long)
    assert (table[2]["qty"], table[2]["text"], marks[2]) == (Decimal(4), "x", Mark.EXACT)
    assert found.fields(2)[5] == (96, b"a\x0132=77\x01b")
    assert (table[3]["qty"], marks[3]) == (Decimal(7), Mark.EXACT | Mark.DATA_LENGTH)
    assert (table[4]["qty"], table[4]["text"], marks[4]) == (None, "same", Mark.EXACT | Mark.REPEATED)
    assert (table[5]["side"], table[5]["price"], marks[5]) == (None, Decimal(2), Mark.EXACT | Mark.GROUP_COUNT)
    assert marks[6] == Mark.EXACT | Mark.ODD_FIELD | Mark.BAD_VALUE | Mark.NOT_EXACT
    assert found.exact[6, "at"] == "20260604-23:59:60"
    assert table[7]["at"] is None and found.exact[7, "at"].endswith("123456789123")
    assert (table[8]["at"] % 10**9, table[8]["at_precision"]) == (100_000_000, "ms")


def test_text_beyond_ascii_keeps_every_byte(jit: Jit | None) -> None:
    texts = ["Grüße", "short é", "a longer text with é in it", "plain"]
    latin = [framed(b"35=8\x0134=1\x0158=" + text.encode("latin-1") + b"\x01") for text in texts]
    utf8 = [framed(b"35=8\x0134=1\x0158=" + text.encode() + b"\x01") for text in texts]
    assert decode(b"".join(latin + utf8), jit).table["text"].to_pylist() == texts + texts


def test_a_message_with_more_entries_than_a_block(jit: Jit | None) -> None:
    entries = "".join(f"54={1 + n % 2}|1=A{n}|" for n in range(3_000))
    found = decode(message("35=8|34=1|54=1|") + message(f"35=AE|34=2|552=3000|{entries}"), jit)
    assert found.table.num_rows == 3_001
    assert found.table["account"][3_000].as_py() == "A2999"
    assert found.table["at"].null_count == 3_001


def test_many_shapes_of_message(jit: Jit | None) -> None:
    rng = random.Random(5)
    optional = ["32=5|", "31=1.25|", "1=ACC|", "12=3|", "58=t|", "75=20260604|", "7001=a|", "60=20260604-13:30:01|"]
    messages = []
    for n in range(3_000):
        chosen = rng.sample(optional, rng.randrange(len(optional) + 1))
        messages.append(message(f"35=8|34={n}|" + "".join(chosen)))
    assert rows_of(decode(b"".join(messages), jit)) == [row for raw in messages for row in expected_rows(raw)]


@_RELAXED
@given(st.lists(st.tuples(*[st.sampled_from(["", "7", "12"])] * 6, st.integers(0, 3)), min_size=1, max_size=12))
def test_one_shape_serves_only_those_that_have_it(
    jit: Jit | None, values: list[tuple[str, str, str, str, str, str, int]]
) -> None:
    """Empty values and other counts under the same tags: together they read as each does alone."""
    shape = "35=AE|34=1|1={}|552={}|54=1|32={}|1={}|54=2|32={}|1={}|58={}|"
    messages = [message(shape.format(a, n, b, c, d, e, f)) for a, b, c, d, e, f, n in values]
    together = decode(b"".join(messages), jit).table
    alone = pa.concat_tables([decode(one, jit).table for one in messages])
    assert together.to_pylist() == alone.to_pylist()


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ([Column("a", 1), Column("a", 2)], "name 'a' is declared twice"),
        ([Column("a", 1), Column("b", 1)], "tag 1 is declared twice"),
        ([Column("a", 552)], "tag 552 counts a group"),
        ([Column("a", 95)], "is the length of a data field"),
        ([Column("a", 0)], "tag 0 is not between"),
        ([Column("a", 1, "decimal", scale=13)], "scale 13"),
        ([Column("a", 1, precision=True)], "only a timestamp"),
    ],
)
def test_a_plan_says_what_is_wrong_with_it(columns: Sequence[Column], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Plan(tuple(columns))


def test_a_plan_of_hundreds_of_tags() -> None:
    plan = Plan(tuple(Column(f"c{n}", 5_000 + n) for n in range(400)))
    found = Decoder(plan).decode(framed(b"35=8\x01" + b"".join(b"%d=%d\x01" % (5_000 + n, n) for n in range(400))))
    assert [found.table[f"c{n}"][0].as_py() for n in range(400)] == [str(n) for n in range(400)]


def test_the_numpy_lane_serves_until_the_compiled_one_is_ready(jit: Jit | None, tmp_path: Path) -> None:
    cold = Jit()
    decoder = Decoder(PLAN, SwitchingLane(PLAN, cold))
    assert decoder.lane == "numpy"
    assert len(decoder.decode(message("35=8|34=1|")).start) == 1
    if jit is not None:
        cold.block = jit.block
        assert decoder.lane == "numba"
        assert len(decoder.decode(message("35=8|34=1|")).start) == 1


def test_a_cache_others_can_write_is_not_used(tmp_path: Path) -> None:
    from ingest.fix.codec.jit import private_folder

    tmp_path.chmod(0o777)
    assert private_folder(tmp_path, "x") is None
    tmp_path.chmod(0o700)
    assert private_folder(tmp_path, "x") == tmp_path / "jit" / "x"
    assert private_folder(tmp_path / "file" / "none", "x") is not None
    (tmp_path / "taken").write_text("")
    assert private_folder(tmp_path / "taken", "x") is None
