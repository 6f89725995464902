"""Quirks of messages, one test per row of the list in docs/fix.md: framing, logs, tags, groups, dialects, times."""

import json

import numpy as np
import pytest

from ingest.dialects.choose import choose
from ingest.dialects.dialect import Dialect, Who, load_dialects
from ingest.feeds import Feed
from ingest.fix.dump import decode_lines
from ingest.normalise import normalise
from ingest.normalise_reference import Reference
from ingest.quarantine import repair_of
from tests.ingest.fix.conftest import batch_of
from tests.ingest.quirk_desk import fill, flags, framed, from_log, one, read, reason

SEPARATORS = ["|", " | ", ";", "#", "^", "^A", "^A ", " ", "{SOH}", "<SOH>"]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_01_separators_are_sniffed(separator: str) -> None:
    result = read([fill().replace(b"\x01", separator.encode())], live=False)
    assert one(result)["trade_uid"] == "E1"
    assert "SEPARATOR" in flags(result)


def test_01_a_separator_inside_a_data_field_stays() -> None:
    data = fill({95: "5", 96: "a|b=c"}).replace(b"\x01", b"|")
    (message,) = decode_lines(data)
    assert (96, "a|b=c") in [(field.tag, field.value) for field in message.fields]


@pytest.mark.parametrize(
    ("checksum", "flag"), [(b"10=000", "I02_CHECKSUM"), (b"10=0", "I02_CHECKSUM"), (b"", "I02_NO_CHECKSUM")]
)
def test_02_a_wrong_checksum_is_refused_live_and_marked_in_a_log(checksum: bytes, flag: str) -> None:
    raw = fill()
    raw = raw[: raw.rindex(b"10=")] + (checksum + b"\x01" if checksum else b"")
    assert flags(read([raw], live=False)) >= {flag}
    assert reason(read([raw]))[0] == "garbled"


def test_03_body_length_wrong_absent_or_padded() -> None:
    length = fill().split(b"\x01")[1]
    wrong, absent, padded = (
        fill().replace(length + b"\x01", new) for new in (b"9=7\x01", b"", b"9=0000" + length[2:] + b"\x01")
    )
    assert "I02_LENGTH" in flags(read([wrong], live=False))
    assert "I02_NO_LENGTH" in flags(read([absent], live=False))
    assert "I02_LENGTH" not in flags(read([padded], live=False))
    # Line breaks inside a text field survive where the length proves the end.
    assert one(from_log(fill({58: "two\nlines"})))["trade_uid"] == "E1"


def test_04_header_order_is_marked_and_body_order_is_free() -> None:
    parts = fill().split(b"\x01")
    moved = b"\x01".join([parts[0], parts[1], *reversed(parts[2:-2]), *parts[-2:]])
    result = read([moved], live=False)
    assert one(result)["qty"] == 100
    assert "HEADER_ORDER" in flags(result)


def test_05_log_prefixes_and_several_messages_on_a_line() -> None:
    line = b"20260623-02:57 [in] : " + fill() + b" " + fill({17: "E2"}) + b"\n"
    rows = from_log(line).trades.to_pylist()
    assert [row["trade_uid"] for row in rows] == ["E1", "E2"]
    assert "LOG_PREFIX" in rows[0]["flags"]
    assert json.loads(rows[0]["ext"])["prefix"] == "20260623-02:57 [in] :"


def test_06_placeholders_matter_only_in_needed_fields() -> None:
    assert reason(read([fill({60: "<TIME>"})]))[0] == "placeholder_value"
    assert reason(read([fill({17: "XXXX"})]))[0] == "placeholder_value"
    assert "PLACEHOLDER" in flags(read([fill({58: "<TEXT>"})]))


def test_07_a_lost_delimiter_is_refused_where_it_counts_and_a_repair_is_offered() -> None:
    raw = fill({32: "10031=187.25", 31: None})
    assert reason(read([raw]))[0] == "suspect_missing_delimiter"
    assert "|32=100|31=187.25|" in str(repair_of(raw))
    assert repair_of(fill()) is None
    assert "SWALLOWED" in flags(read([fill({109: "Kevin1=2005"})]))


def test_08_tokens_that_are_no_field_empty_values_and_odd_tags() -> None:
    assert "ODD_TAG" in flags(read([framed("35=8|" + "nonsense|" + fill().split(b"35=8\x01")[1][:-7].decode())]))
    assert "ODD_TAG" in flags(read([fill({54: None}).replace(b"\x0138=", b"\x01054=1\x0138=")], live=False))
    result = read([fill({64: "", 15: ""})], default_ccy="USD")
    assert "EMPTY_VALUE" in flags(result) and one(result)["settle_date"] is None


def test_09_data_fields_keep_soh_and_a_wrong_length_is_rescanned() -> None:
    held = fill({95: "9", 96: "<a>\x0131=1\x01"})
    assert str(one(read([held]))["price"].normalize()) == "187.25"
    result = read([fill({95: "999", 96: "abc"})])
    assert "DATA_LENGTH" in flags(result)


def test_10_custom_tags_are_kept_and_mean_what_the_dialect_says() -> None:
    raw = fill({9001: "1.25", 9730: "A"})
    assert json.loads(one(read([raw]))["ext"]) == {"9001": "1.25", "9730": "A"}
    result = read([raw], custom={9001: "fee.SEC", 9730: "strategy"})
    assert result.fees["fee_type"].to_pylist() == ["SEC"] and one(result)["strategy"] == "A"


AE = "35=AE|49=A|56=B|34=2|52=20260604-13:30:05|571=T1|32=100|31=10|15=USD|75=20260604|60=20260604-13:30:01|55=AAPL|"


def test_11_unknown_tags_stay_in_the_open_group_and_doubt_is_marked() -> None:
    sides = "552=2|54=1|37=O1|20015=x|1=A1|54=2|37=O2|20015=y|1=A2|"
    rows = read([framed(AE + sides)]).trades.to_pylist()
    assert [row["account_id"] for row in rows] == ["A1", "A2"] and rows[0]["flags"] is None
    rows = read([framed(AE + sides + "9999=root or side?|")]).trades.to_pylist()
    assert [row["flags"] for row in rows] == ["GROUP_TAIL", "GROUP_TAIL"]


def test_12_groups_nobody_knows_stay_an_ordered_list_of_tags() -> None:
    (message,) = decode_lines(b"8=FIX.4.4|9=5|35=U7|20001=2|20002=a|20003=b|20002=c|20003=d|10=000|")
    tail = [(field.tag, field.value) for field in message.fields[3:-1]]
    assert tail == [(20001, "2"), (20002, "a"), (20003, "b"), (20002, "c"), (20003, "d")]


def test_13_the_dialect_is_chosen_by_whom_a_message_is_from_then_by_version() -> None:
    dialects = {
        **load_dialects(),
        "desk": Dialect(name="desk", who=(Who(sender_comp_id="OMS", on_behalf_of_comp_id="X"),)),
        "broker": Dialect(name="broker", who=(Who(sender_comp_id="OMS"),), side={"K": "BUY"}),
    }  # fmt: skip
    messages = [
        fill({115: "X"}),
        fill(),
        fill({49: "Y"}, "FIX.4.2"),
        fill({49: "Y", 1128: "9"}, "FIXT.1.1"),
        fill({49: "Z"}, "FIX.9.9"),
    ]
    assert choose(dialects, messages, None) == ["desk", "broker", "fix42", "fix50sp2", "generic"]
    feed = Feed(name="HUB", role="PB", party="HUB", dialect="auto")
    result = normalise(batch_of([fill({54: "K"}), fill({54: "K", 49: "Y", 17: "E2"})], feed), Reference(dialects))
    assert result.trades["side"].to_pylist() == ["BUY"]
    assert result.quarantine["dialect"].to_pylist() == ["fix44"]
    # The version in 8 lies: a TradeCaptureReport in FIX.4.2 is read and marked.
    assert "VERSION" in flags(read([framed(AE + "552=1|54=1|1=A1|", "FIX.4.2")]))


@pytest.mark.parametrize(
    ("text", "utc", "precision", "odd"),
    [
        ("20260604-13:30:01", "13:30:01", "s", False),
        ("20260604-13:30:01.123", "13:30:01.123", "ms", False),
        ("20260604-13:30:01.123456", "13:30:01.123456", "us", False),
        ("20260604-13:30:01.123456789", "13:30:01.123456789", "ns", False),
        ("20260604-13:30:01.123456789012", "13:30:01.123456789", "ns", True),
        ("20260604- 13:30:01", "13:30:01", "s", True),
        ("20260604", "00:00:00", "d", True),
    ],
)
def test_14_timestamps_in_every_precision(text: str, utc: str, precision: str, odd: bool) -> None:
    result = read([fill({60: text})])
    row = one(result)
    assert row["event_time_utc"] == np.datetime64(f"2026-06-04T{utc}") or str(row["event_time_utc"]).endswith(utc)
    assert row["event_time_precision"] == precision
    assert ("TIME_ODD" in flags(result)) is odd


def test_15_local_times_are_read_by_the_dialect_and_suspected_without_one() -> None:
    local = [fill({17: f"E{n}", 52: f"20260604-10:21:{n:02}", 60: f"20260604-09:21:{n:02}"}) for n in range(8)]
    rows = read(local).trades.to_pylist()
    assert {row["flags"] for row in rows} == {"TZ60_SUSPECT"}
    assert "52 is +1 h from 60" in json.loads(rows[0]["ext"])["tz60"]
    assert str(rows[0]["event_time_utc"])[11:16] == "09:21"  # suspected, not corrected
    row = read([fill({60: "20260604-09:30:01"})], tz60="America/New_York").trades.to_pylist()[0]
    assert (str(row["event_time_utc"])[11:16], row["tz_source"]) == ("13:30", "America/New_York")
    # Five messages are the least that can say so.
    assert {row["flags"] for row in read(local[:4]).trades.to_pylist()} == {None}


@pytest.mark.parametrize(
    ("utc", "zone", "roll", "day"),
    [
        ("20260604-22:30:00", "America/Chicago", "17:00", "2026-06-05"),
        ("20260605-22:30:00", "America/New_York", "17:00", "2026-06-08"),  # Friday evening: Monday
        ("20260604-20:30:00", "America/New_York", "17:00", "2026-06-04"),
        ("20260604-23:30:00", "Asia/Tokyo", None, "2026-06-05"),
    ],
)
def test_16_trade_date_by_market_zone_and_session_roll(utc: str, zone: str, roll: str | None, day: str) -> None:
    keys = {"market_tz": zone, "session_roll": roll}
    result = read([fill({60: utc, 75: None, 52: utc})], **keys)
    assert str(one(result)["trade_date"]) == day
    assert "TRADE_DATE" in flags(result)
    stated = read([fill({60: utc, 75: "20260601", 52: utc})], **keys)
    assert str(one(stated)["trade_date"]) == "2026-06-01"  # 75 wins


@pytest.mark.parametrize(("text", "utc"), [("20260630-23:59:60", "23:59:59.999999"), ("20260604-24:00:00", "00:00:00")])
def test_17_leap_second_and_the_end_of_the_day(text: str, utc: str) -> None:
    result = read([fill({60: text})])
    assert utc in str(one(result)["event_time_utc"])
    assert "TIME_ODD" in flags(result)


def test_26_duplicates_marked_or_not_are_one_event() -> None:
    raw = [fill(), fill({43: "Y", 122: "20260604-13:30:01.500"}), fill({97: "Y", 34: "9"}), fill({34: "10"})]
    rows = read(raw).trades.to_pylist()
    assert len({row["event_key"] for row in rows}) == 1
    assert [row["flags"] for row in rows] == [None, "POSS_DUP", "POSS_RESEND", None]
    # A resend with another content is another event.
    assert read([fill({97: "Y", 32: "90"})]).trades["event_key"][0].as_py() != rows[0]["event_key"]


def test_27_cancel_before_new_and_both_ways_to_refer() -> None:
    new, first, second = fill(), fill({17: "E2", 19: "E1", 150: "G"}), fill({17: "E3", 19: "E2", 150: "H"})
    original = fill({17: "E3", 19: "E1", 150: "H"})
    for order in ([new, first, second], [second, first, new], [original, new, first]):
        rows = {row["trade_uid"]: row for row in read(order).trades.to_pylist()}
        assert rows["E2"]["prev_uid"] == "E1" and rows["E3"]["prev_uid"] in ("E1", "E2")
        assert [rows[uid]["status"] for uid in ("E1", "E2", "E3")] == ["NEW", "CORRECT", "CANCEL"]


def test_28_a_higher_suffix_of_an_exec_id_corrects() -> None:
    result = read([fill({17: "0000e0d5.62b1.01.02"})], exec_id_version_suffix=r"\.(\d\d)$")
    row = one(result)
    assert (row["status"], row["version"], row["prev_uid"]) == ("CORRECT", 2, "0000e0d5.62b1.01.01")
    assert "ID_VERSION" in flags(result)


def test_29_an_exec_id_used_again_in_another_account_or_on_another_day() -> None:
    raw = [fill({1: "A1"}), fill({1: "A2"}), fill({1: "A1", 75: "20260605"})]
    rows = read(raw, id_scope="account").trades.to_pylist()
    assert [row["trade_uid"] for row in rows] == ["A1/E1", "A2/E1", "A1/E1"]
    assert len({row["event_key"] for row in rows}) == 3


def test_30_what_is_told_on_a_later_day_is_as_of() -> None:
    late = fill({17: "E2", 19: "E1", 150: "G", 52: "20260609-13:00:00"})
    result = read([late])
    row = one(result)
    assert str(row["trade_date"]) == "2026-06-04" and str(row["sent_time_utc"])[:10] == "2026-06-09"
    assert "AS_OF" in flags(result) and "AS_OF" not in flags(read([fill()]))


def test_31_text_in_any_encoding_keeps_its_bytes() -> None:
    name = "Zürich 株式".encode("cp932", "replace")
    raw = framed(b"35=8|347=Shift_JIS|106=" + name + b"|" + fill().split(b"35=8\x01")[1][:-7].replace(b"\x01", b"|"))
    assert "NON_ASCII" in flags(read([raw]))
    (message,) = decode_lines(raw)
    assert next(field.value for field in message.fields if field.tag == 106) == name.decode("cp932")
    latin = framed(b"35=8|106=Z\xfcrich|" + fill().split(b"35=8\x01")[1][:-7].replace(b"\x01", b"|"))
    (message,) = decode_lines(latin)
    assert next(field.value for field in message.fields if field.tag == 106).encode("latin-1") == b"Z\xfcrich"


@pytest.mark.parametrize("raw", [b"\x00\xff\x10\x80garbage", b"8=FIX", b"\x1f\x8b\x08\x00\x00", b"8=FIX.4.4\x00\x00"])
def test_32_binary_garbage_is_kept_with_a_hex_preview(raw: bytes) -> None:
    slug, detail = reason(read([raw], live=False))
    assert slug == "undecodable" and raw[:3].hex(" ") in detail


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_32_wide_and_marked_text_is_read(encoding: str) -> None:
    text = fill().replace(b"\x01", b"|").decode("latin-1")
    assert one(from_log(f"{text}\n".encode(encoding)))["trade_uid"] == "E1"


def test_32_a_truncated_line_is_used_only_if_nothing_needed_is_missing() -> None:
    raw = fill()
    assert "I02_NO_CHECKSUM" in flags(read([raw[: raw.rindex(b"453=")]], live=False))
    assert reason(read([raw[: raw.index(b"54=")]], live=False))[0] == "missing_required_field"
