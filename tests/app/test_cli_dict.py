"""`tieout dict`: importing a dictionary, looking things up with and without it, names in `decode`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import app

XML = """<fix type='FIX' major='4' minor='{minor}' servicepack='0'><header/><trailer/>
 <messages><message name='Offer' msgtype='U7' msgcat='app'><field name='OfferKind' required='Y'/></message></messages>
 <components/>
 <fields><field number='20001' name='OfferKind' type='CHAR'><value enum='Q' description='QUICK_ONE'/></field></fields>
</fix>"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "their.xml").write_text(XML.format(minor="4"))
    (tmp_path / "odd.xml").write_text(XML.format(minor="7"))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_tag_and_a_message_are_shown_from_our_own_table(here: Path) -> None:
    tag = run("dict", "show", "940")
    assert tag.exit_code == 0
    assert tag.output.splitlines() == [
        "940 AffirmStatus  INT", "  1  received", "  2  rejected (not affirmed)", "  3  affirmed",
        "in ConfirmationAck (AU)", "FIX.4.4, Tieout's own table",
    ]  # fmt: skip
    assert run("dict", "show", "affirmstatus").output == tag.output
    message = run("dict", "show", "AE", "--version", "FIX.5.0SP2").output
    assert message.startswith("AE TradeCaptureReport  application") and "    54    Side  required" in message
    assert run("dict", "show", "1137").output.rstrip().endswith("in Logon (A)\nFIX.5.0SP2, Tieout's own table")


def test_an_imported_dictionary_names_what_ours_does_not(here: Path) -> None:
    log = here / "their.fix"
    log.write_text("8=FIX.4.4|9=1|35=U7|49=A|56=B|34=1|20001=Q|10=000|\n")
    assert "OfferKind" not in run("decode", "their.fix").output
    imported = run("dict", "import", "their.xml")
    assert imported.exit_code == 0
    assert "FIX.4.4: 1 messages, 1 fields, 1 of them with listed values -> " in imported.output
    assert "  Q  QUICK ONE" in run("dict", "show", "20001").output
    shown = run("decode", "their.fix").output
    assert "Offer (U7)" in shown and "OfferKind" in shown
    assert "OrdStatus" in run("dict", "show", "39").output  # what it lacks is still ours


def test_what_cannot_be_done_is_said_in_one_line(here: Path) -> None:
    for words, said in (
        (("dict", "show", "nonsense"), "nothing is known by 'nonsense'"),
        (("dict", "show", "54", "--version", "FIX.9.9"), "no FIX version 'FIX.9.9'"),
        (("dict", "import", "gone.xml"), "gone.xml: No such file"),
        (("dict", "import", "their.xml", "--as", "FIX.4.9"), "say with --as"),
        (("dict", "import", "odd.xml"), "calls its version 'FIX.4.7'"),
    ):
        result = run(*words)
        assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.output
    assert run("dict", "import", "odd.xml", "--as", "FIX.4.2").exit_code == 0
    damaged = here / ".tieout" / "dictionaries" / "FIX.4.2.dictionary"
    damaged.write_text("not one\n")
    assert "FIX.4.2.dictionary: line 1" in run("dict", "show", "54").stderr
