"""Messages shown to a reader."""

from collections.abc import Callable

from ingest.fix.dump import decode_lines


def test_fields_are_named_in_order_with_line_prefix_and_flags(fill: Callable[..., bytes]) -> None:
    edited = fill({9001: "x"}).replace(b"\x01", b"|").replace(b"|31=187.25", b"|31=9")
    pasted = b"\n2026-06-04 INFO [in] " + edited + b"\n"
    (message,) = decode_lines(pasted)
    assert (message.line, message.prefix) == (2, "2026-06-04 INFO [in]")
    assert (message.msg_type, message.name) == ("8", "ExecutionReport")
    assert message.flags == ("I02_CHECKSUM", "I02_LENGTH", "SEPARATOR", "LOG_PREFIX")
    named = [(field.tag, field.name, field.value) for field in message.fields]
    assert named[0] == (8, "BeginString", "FIX.4.4")
    assert (31, "LastPx", "9") in named
    assert (9001, "", "x") in named
    assert named[-1][:2] == (10, "CheckSum")


def test_other_text_is_skipped_and_damage_is_told() -> None:
    first, second = decode_lines(b"hello\n\x00\xff\n8=FIX nothing more\n")
    assert (first.line, first.error, first.fields) == (2, "undecodable", ())
    assert (second.line, second.error, second.fields) == (3, "undecodable", ())
    assert list(decode_lines(b"hello\n")) == []


def test_a_message_without_type_is_shown_with_its_error() -> None:
    (message,) = decode_lines(b"8=FIX.4.4|9=5|34=2|x=7|10=000|")
    assert (message.begin_string, message.msg_type, message.error) == ("FIX.4.4", "", "missing_required_field")
    assert [(f.tag, f.value) for f in message.fields][-2:] == [(-1, "x=7"), (10, "000")]
