"""A FIX dialect learnt from logs made here: zones, ids quoted, fees, codes, and what stays a question."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
import yaml

from ingest.dialects.dialect import parse_dialect
from ingest.learn.fix import FixProposal, propose_dialect
from ingest.learn.ours import Ours, read_ours
from ingest.learn.proposal import MARK, Proposal

_START = datetime(2026, 11, 20, 14, 31, 4)


def framed(body: str) -> bytes:
    content = body.replace("|", "\x01").encode()
    head = b"8=FIX.4.2\x019=%d\x01%s" % (len(content), content)
    return head + b"10=%03d\x01" % (sum(head) % 256) + b"\n"


def their_log(count: int = 40, hours: int = -5, extra: str = "", side: str = "1", **tags: str) -> bytes:
    """Fills of a broker whose local time is `hours` from UTC; `{n}` in extra is the fill's number."""
    rows = []
    for n in range(count):
        sent = _START + timedelta(minutes=7 * n)
        traded = sent - timedelta(seconds=2) + timedelta(hours=hours)
        gross, paid, fee = 100 * (20 + n), 5, n % 3
        net = gross + paid + fee
        fields = {
            "35": "8", "49": "NORTH", "56": "TIEOUT", "34": str(n + 2), "52": f"{sent:%Y%m%d-%H:%M:%S}.000",
            "37": f"O{n}", "17": f"N{n:06d}", "20": "0", "150": "2", "1": "PB-7001", "55": "AAPL", "54": side,
            "32": "100", "31": f"{20 + n}.00", "15": "USD", "30": "XNAS", "60": f"{traded:%Y%m%d-%H:%M:%S}",
            "75": "20261120", "12": f"{paid}.00", "381": f"{gross}.00", "118": f"{net}.00", **tags,
        }  # fmt: skip
        body = "".join(f"{tag}={value}|" for tag, value in fields.items() if value)
        rows.append(framed(body + extra.format(n=n, fee=fee)))
    return b"".join(rows)


def our_log(count: int = 40, account: str = "7001", side: str = "1", price_factor: int = 1) -> bytes:
    rows = []
    for n in range(count):
        at = _START + timedelta(minutes=7 * n) - timedelta(seconds=2)
        rows.append(framed(
            f"35=8|49=OMS|56=TIEOUT|34={n + 2}|52={at:%Y%m%d-%H:%M:%S}|37=M{n}|11=C{n}|17=E{n:06d}|150=F|1={account}"
            f"|54={side}|32=100|31={(20 + n) / price_factor:.2f}|15=USD|60={at:%Y%m%d-%H:%M:%S}|"
        ))  # fmt: skip
    return b"".join(rows)


def learn(data: bytes, ours: Ours | None = None) -> FixProposal:
    found = propose_dialect([data], "north", ours or Ours())
    assert found is not None
    return found


def line(found: FixProposal, key: str) -> Proposal:
    return next(one for one in found.lines if one.key == key)


@pytest.mark.parametrize(
    ("hours", "zone"), [(0, "UTC"), (-5, "America/New_York"), (9, "Asia/Tokyo"), (8, "Asia/Hong_Kong")]
)
def test_the_zone_of_60_comes_from_sending_times(hours: int, zone: str) -> None:
    found = line(learn(their_log(hours=hours)), "tz60")
    assert (found.value, found.standard) == (zone, zone == "UTC")
    assert found.confidence >= 0.75 and "sent within 30 minutes" in found.evidence


def test_without_anything_to_hold_times_against_the_zone_is_a_question() -> None:
    found = line(learn(their_log(**{"52": ""})), "tz60")
    assert found.open and "UTC is FIX's rule" in found.evidence


def test_a_log_of_ours_proves_ids_sides_and_accounts() -> None:
    theirs = their_log(extra="9002=E{n:06d}|9730=DESK|20015={n}|", side="K")
    found = learn(theirs, read_ours([our_log()]))
    assert found.known == 40
    assert line(found, "custom.9002").value == "cross_uid"
    assert line(found, "custom.9002").confidence > 0.95
    assert line(found, "side.K").value == "BUY" and not line(found, "side.K").open
    assert line(found, "account_pattern").value == "^PB-(.+)$"
    assert line(found, "custom.9730").value is line(found, "custom.20015").value is None


def test_without_ours_an_id_they_quote_is_proposed_to_be_confirmed() -> None:
    found = line(learn(their_log(extra="9002=E{n:06d}|")), "custom.9002")
    assert found.value == "cross_uid" and found.open and found.written


def test_a_fee_tag_is_what_fills_the_gap_of_gross_and_net() -> None:
    found = line(learn(their_log(extra="9001={fee}.00|9003=7.00|")), "custom.9001")
    assert (found.value, found.open) == ("fee.TOTAL", False)


def test_unknown_side_codes_are_told_by_the_money_or_asked() -> None:
    assert line(learn(their_log(side="B")), "side.B").value == "BUY"
    found = line(learn(their_log(side="Q")), "side.Q")
    assert found.value == "BUY" and found.open  # costs are added to the amount
    nothing = line(learn(their_log(side="Q", **{"118": "", "381": ""})), "side.Q")
    assert nothing.value is None and "ask" in nothing.evidence


def test_codes_of_minor_units_levels_signs_and_versions() -> None:
    found = learn(their_log(**{"15": "GBX", "79": "PB-7001"}))
    assert line(found, "minor_units.GBX").value == "GBP"
    assert line(found, "level.8").value == "ALLOCATION"
    assert line(learn(their_log(**{"32": "-100", "54": "2"})), "qty_sign").value == "signed"


def test_a_version_at_the_end_of_an_exec_id_is_found() -> None:
    rows = [their_log(1, **{"17": f"0000e.{n:04d}.01", "34": str(n)}) for n in range(20)]
    rows += [their_log(1, **{"17": f"0000e.{n:04d}.02", "20": "2", "34": str(n)}) for n in range(5)]
    found = line(learn(b"".join(rows)), "exec_id_version_suffix")
    assert found.value == r"\.(\d+)$" and found.written


def test_the_file_says_where_each_line_comes_from_and_loads() -> None:
    found = learn(their_log(extra="9001={fee}.00|9002=E{n:06d}|"))
    text = found.text()
    dialect = parse_dialect("north.yaml", text)
    assert dialect.custom == {9001: "fee.TOTAL", 9002: "cross_uid"}
    assert dialect.tz60 == dialect.market_tz == "America/New_York"
    marked = [one for one in text.splitlines() if one.endswith(MARK)]
    assert len(marked) == sum(one.open for one in found.lines) > 0
    assert all("# 0." in one or "# 1." in one for one in text.splitlines() if one.startswith(("tz60", "  9")))


def test_a_log_without_bookings_gives_no_dialect() -> None:
    assert propose_dialect([b"no FIX here\n", framed("35=0|49=A|56=B|34=1|")], "x", Ours()) is None


@pytest.mark.parametrize(
    "junk", [b"", b"8=FIX.4.2\x019=\x0135=8\x01", b"8=FIX.4.4|9=5|35=8|52=x|60=20261399-99:99:99|54=|32=1e999|"]
)
def test_damaged_logs_do_no_harm(junk: bytes) -> None:
    propose_dialect([junk], "x", Ours())


def keys(lines: Sequence[Proposal]) -> set[str]:
    return {one.key for one in lines}


def test_every_key_of_a_dialect_is_answered() -> None:
    found = keys(learn(their_log()).lines)
    assert {"tz60", "market_tz", "pb_id", "qty_sign", "exec_id_version_suffix", "default_ccy", "default_account",
            "account_pattern", "level.8", "side.1"} <= found  # fmt: skip
    assert yaml.safe_load(learn(their_log()).text())["name"] == "north"
