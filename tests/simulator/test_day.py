"""A simulated day: deterministic bytes, valid FIX, truthful labels, and two sides that agree where nothing is wrong."""

import json
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from simulator.corrupt import BreakRates
from simulator.day import Day, simulate_day
from simulator.files import write_day
from simulator.score import SeenBreak, score, seen_in_message
from simulator.universe import isin_check_digit, reference, universe

FRIDAY = date(2026, 11, 20)
CODES = {"T01", "T02", "T03", "T05", "T06", "T07", "T10", "T14", "T16", "I01"}


@pytest.fixture(scope="module")
def day() -> Day:
    return simulate_day(7, FRIDAY)


def pairs(raw: bytes) -> list[tuple[str, str]]:
    return [(tag, value) for tag, _, value in (f.partition("=") for f in raw.decode("latin-1").split("\x01")[:-1])]


def uid_of(fields: dict[str, str]) -> str:
    return fields.get("571") or fields.get("70") or fields["17"]


def test_same_seed_and_date_give_the_same_bytes(tmp_path: Path, day: Day) -> None:
    first, second = (write_day(d, tmp_path / n) for d, n in ((day, "a"), (simulate_day(7, FRIDAY), "b")))
    assert first.read_bytes() == second.read_bytes()
    assert write_day(simulate_day(8, FRIDAY), tmp_path / "c").read_bytes() != first.read_bytes()
    listed = json.loads(first.read_text())["files"]
    on_disk = {p.name: sha256(p.read_bytes()).hexdigest() for p in first.parent.iterdir() if p.name != "manifest.json"}
    assert {name: entry["sha256"] for name, entry in listed.items()} == on_disk


def test_every_message_is_framed_and_every_session_is_numbered_without_gaps(day: Day) -> None:
    for session, messages in day.streams.items():
        numbers = []
        for item in messages:
            head, _, rest = item.raw.partition(b"\x0135=")
            body, mark, check = (b"35=" + rest).rpartition(b"\x0110=")
            declared = int(head.rpartition(b"9=")[2])
            assert declared == len(body) + 1, session
            assert int(check[:3]) == sum(item.raw[: -len(check) - 3]) % 256, session
            assert mark and check.endswith(b"\x01") and len(check) == 4
            fields = dict(pairs(item.raw))
            assert f"{fields['49']}->{fields['56']}" == session
            if fields.get("43") == "Y":
                assert fields["122"] <= fields["52"]
            else:
                numbers.append(int(fields["34"]))
        assert numbers == list(range(2, 2 + len(numbers)))
        assert [m.at_ns for m in messages] == sorted(m.at_ns for m in messages)


def test_each_code_occurs_and_every_label_names_records_that_were_sent(day: Day) -> None:
    counts = Counter(row.code for row in day.breaks)
    assert set(counts) == CODES
    assert min(counts.values()) >= 3
    assert 60 <= len(day.breaks) <= 90
    assert {row.code for row in day.breaks if row.cured_at} == {"T01", "T05", "T06"}
    sent = {uid_of(dict(pairs(m.raw))) for messages in day.streams.values() for m in messages}
    for row in (*day.breaks, *day.matches):
        assert {m.trade_uid for m in (*row.internal_ids, *row.external_ids)} <= sent, row
    assert len({row.break_id for row in day.breaks}) == len(day.breaks)


def test_a_missing_booking_is_really_missing_and_a_cure_really_comes_later(day: Day) -> None:
    alpha = [m for m in day.streams["ALPHA->TIEOUT"] if b"\x0143=Y" not in m.raw]
    for row in day.breaks:
        if row.code == "T01" and row.pb == "ALPHA":
            quoted = f"527={row.internal_ids[0].trade_uid}\x01".encode()
            hits = [m.at_ns for m in alpha if quoted in m.raw]
            assert min(hits, default=None) == row.cured_at
        if row.cured_at:
            assert row.cured_at > row.detectable_at


def live_economics(day: Day, session: str) -> dict[tuple[str, ...], list[Decimal]]:
    """Quantity and commission by account, order, side, settlement date and trade date, after busts and changes."""
    back = {row["alias"]: str(row["account_id"]) for row in day.reference.account_map}
    seen: dict[str, dict[str, str]] = {}
    replaced: set[str] = set()
    for item in day.streams[session]:
        fields = dict(pairs(item.raw))
        uid = uid_of(fields)
        seen[uid] = fields
        previous = fields.get("72") or fields.get("572") or fields.get("19")
        if previous:
            replaced.add(previous)
        cancel = {"8": ("20", "1"), "AE": ("487", "1"), "AS": ("71", "2")}[fields["35"]]
        if fields.get(cancel[0]) == cancel[1] or fields.get("150") == "H":
            replaced.add(uid)
    total: dict[tuple[str, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for uid, fields in seen.items():
        if uid in replaced:
            continue
        account = back[fields.get("79") or fields["1"]]
        if session.startswith("MERIDIAN") and fields["448"] not in ("ALPHA", "BRAVO"):
            continue
        scale = Decimal("0.01") if fields["15"].upper() == "GBX" or fields["15"] == "GBp" else Decimal(1)
        qty, price = Decimal(fields["32"]), Decimal(fields["31"]) * scale
        row = total[account, fields["11"], fields["54"], fields["64"], fields["75"]]
        row[0] += qty
        row[1] += qty * price
        row[2] += Decimal(fields["12"]) * scale
    return total


def test_without_breaks_both_sides_hold_equal_economics() -> None:
    clean = simulate_day(11, FRIDAY, 600, BreakRates.none())
    assert not clean.breaks
    ours = live_economics(clean, "MERIDIAN_OMS->TIEOUT")
    theirs = live_economics(clean, "ALPHA->TIEOUT") | live_economics(clean, "BRAVO->TIEOUT")
    assert len(ours) > 30
    assert ours == theirs


def test_an_average_price_block_equals_its_fills_within_the_precision_shown() -> None:
    clean = simulate_day(11, FRIDAY, 600, BreakRates.none())
    fills = {uid_of(f): f for f in (dict(pairs(m.raw)) for m in clean.streams["MERIDIAN_OMS->TIEOUT"])}
    blocks = {uid_of(f): f for f in (dict(pairs(m.raw)) for m in clean.streams["CHARLIE->TIEOUT"])}
    groups = [row for row in clean.matches if row.pb == "CHARLIE"]
    assert any(len(row.internal_ids) > 1 for row in groups)
    for row in groups:
        members = [fills[m.trade_uid] for m in row.internal_ids]
        block = blocks[row.external_ids[0].trade_uid]
        qty = sum(Decimal(f["32"]) for f in members)
        gross = sum(Decimal(f["32"]) * Decimal(f["31"]) for f in members)
        assert qty == Decimal(block["53"]) == Decimal(block["80"])
        assert abs(gross - qty * Decimal(block["6"])) <= qty * Decimal("0.00005")
        assert sum(Decimal(f["12"]) for f in members) == Decimal(block["12"])


def test_the_noise_is_there(day: Day) -> None:
    kinds = {row.kind for row in day.truth if hasattr(row, "kind")}
    expected = {"poss_dup", "poss_resend", "unmarked_duplicate", "identical_twin", "no_cross_reference"}
    assert kinds >= expected | {"cancel_both_sides", "correct_both_sides"}
    bravo = b"".join(m.raw for m in day.streams["BRAVO->TIEOUT"])
    assert b"\x0115=GBX\x01" in bravo and b"\x0115=GBp\x01" in bravo and b"\x0155=BRK/B\x01" in bravo
    assert b"\x011=MERID" not in bravo


def test_score_counts_found_missed_and_extra(day: Day) -> None:
    open_rows = [row for row in day.breaks if row.cured_at is None]
    perfect = [
        SeenBreak(row.code, frozenset(m.trade_uid for m in (*row.internal_ids, *row.external_ids))) for row in open_rows
    ]
    assert score(day.truth, perfect).perfect
    result = score(day.truth, [*perfect[1:], SeenBreak("T05", frozenset({"nobody"}))])
    assert [row.break_id for row in result.missed] == [open_rows[0].break_id]
    assert result.by_code["T05"].extra == 1
    assert result.by_code["T01"].missed == 1
    garbled = next(row for row in open_rows if row.code == "I01")
    uid = (*garbled.internal_ids, *garbled.external_ids)[0].trade_uid
    raw = next(m.raw for s in day.streams.values() for m in s if f"={uid}\x01".encode() in m.raw)
    assert uid in seen_in_message("I01", raw).members


def test_identifiers_have_valid_check_digits() -> None:
    known = {"US0378331005", "US5949181045", "GB0005405286", "DE0007164600", "GB00BH4HKS39"}
    isins = {line.isin for line in universe().instruments}
    assert known <= isins
    assert all(isin[-1] == isin_check_digit(isin[:-1]) for isin in isins)
    rows = reference(universe())
    assert {row["party"] for row in rows.account_map} == {"*", "BRAVO"}
    assert len({(r["id_source"], r["id_value"]) for r in rows.identifiers}) == len(rows.identifiers)


def test_settlement_counts_exchange_and_payment_holidays() -> None:
    # Friday before Columbus Day: the exchange opens on Monday, Fedwire does not.
    friday = simulate_day(3, date(2025, 10, 10), 60, BreakRates.none())
    oms = [dict(pairs(m.raw)) for m in friday.streams["MERIDIAN_OMS->TIEOUT"]]
    assert {f["64"] for f in oms if f["15"] == "USD"} == {"20251014"}
    assert {f["64"] for f in simulated_gbp()} == {"20261224"}


def simulated_gbp() -> list[dict[str, str]]:
    day = simulate_day(3, date(2026, 12, 22), 300, BreakRates.none())
    rows = [dict(pairs(m.raw)) for m in day.streams["MERIDIAN_OMS->TIEOUT"]]
    return [f for f in rows if f["15"] == "GBP"]
