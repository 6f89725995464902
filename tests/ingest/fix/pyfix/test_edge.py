"""The edge: received bytes to messages, messages to raw bytes, and the names under which programs find them."""

import importlib
import sys

import pytest

from ingest.fix.pyfix import alias, pyfixmsg
from ingest.fix.pyfix.codecs.stringfix import Codec
from ingest.fix.pyfix.convert import from_pyfixmsg, load_checkout
from ingest.fix.pyfix.edge import read_messages, to_raw
from ingest.fix.pyfix.fixmessage import FixMessage


def wire(**more: str) -> bytes:
    return FixMessage(
        {8: "FIX.4.4", 35: "8", 49: "A", **{int(tag[1:]): value for tag, value in more.items()}}
    ).to_wire()


def test_received_bytes_become_messages_and_what_is_none_is_kept() -> None:
    good, other = wire(_58="one"), wire(_58="two")
    bad_sum = good[:-4] + b"999\x01"
    bad_text = FixMessage({8: "FIX.4.4", 35: "8", 58: b"\xff"}).to_wire()
    data = good + b"noise" + bad_sum + other + bad_text + good[:20]
    messages, garbled = read_messages(data)
    assert [message[58] for message in messages] == ["one", "two"] and messages[0].raw_message == good
    told = " ".join(frame.garbled for frame in garbled)
    assert "CheckSum is" in told and "(tag 58)" in told and "cut short" in told
    assert sum(map(len, (*(m.raw_message for m in messages), *(frame.data for frame in garbled)))) == len(data)


def test_messages_become_raw_bytes() -> None:
    message = FixMessage({8: "FIX.4.4", 35: "8"})
    assert to_raw([message, {8: "FIX.4.4", 35: "8"}]) == [b"8=FIX.4.4\x019=5\x0135=8\x0110=171\x01"] * 2


def test_the_alias_serves_every_import() -> None:
    with alias.installed("pyfixmsg") as top:
        assert importlib.import_module("pyfixmsg") is top is pyfixmsg
        assert importlib.import_module("pyfixmsg.codecs.stringfix").Codec is Codec
        assert importlib.import_module("pyfixmsg.fixmessage").FixMessage is FixMessage
        for name in ("reference", "util"):
            importlib.import_module(f"pyfixmsg.{name}")
        alias.remove()
        assert "pyfixmsg" not in sys.modules and "pyfixmsg.codecs" not in sys.modules
    assert set(pyfixmsg.__all__) <= set(dir(pyfixmsg))


def test_one_line_in_sys_modules_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with alias.installed("pyfixmsg"):
        alias.remove()
        monkeypatch.setitem(sys.modules, "pyfixmsg", pyfixmsg)
        for name in ("codecs", "codecs.stringfix", "fixmessage", "reference", "util"):
            monkeypatch.delitem(sys.modules, f"pyfixmsg.{name}", raising=False)
        read = importlib.import_module("pyfixmsg.fixmessage").FixMessage().load_fix(b"35=D;")
        assert read[35] == "D" and importlib.import_module("pyfixmsg.codecs.stringfix").Codec().parse(b"1=2\x01")


def test_another_package_of_that_name_is_not_replaced_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    other = type(sys)("pyfixmsg")
    monkeypatch.setitem(sys.modules, "pyfixmsg", other)
    with pytest.raises(RuntimeError, match="already imported"):
        alias.install()
    with alias.installed():
        assert sys.modules["pyfixmsg"] is pyfixmsg
    assert sys.modules["pyfixmsg"] is other
    alias.remove()
    assert sys.modules["pyfixmsg"] is other


def test_a_folder_without_checkout(tmp_path: "pytest.TempPathFactory") -> None:
    with pytest.raises(ImportError, match="no checkout"):
        load_checkout(tmp_path)  # type: ignore[arg-type]


def test_any_dict_becomes_a_message() -> None:
    message = from_pyfixmsg({35: "E", 73: [{11: "a"}]}, Codec())
    assert list(message.find_all(11)) == [[73, 0, 11]] and message[73].number_tag == 73
