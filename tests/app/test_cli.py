"""The command line: every verb explains itself with an example, and fails with one clear line."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from app.cli import app
from domain.schema import TABLES

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


def verbs() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in sorted(get_command(app).commands.items()):  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [(name, each) for each in sorted(inner)] if inner else [(name,)]
    return found


def invoke(*words: object) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


def test_the_verbs_are_all_here() -> None:
    assert {" ".join(verb) for verb in verbs()} >= {
        "config check", "decode", "demo", "explain", "map", "rebuild", "reconcile", "redrive", "ref check", "ref load",
        "send", "serve", "status",
    }  # fmt: skip


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_help_shows_an_example_that_the_verb_understands(verb: tuple[str, ...]) -> None:
    status, out, _ = invoke(*verb, "--help")
    assert status == 0 and "Usage:" in out
    if verb == ("map",):
        return  # takes no argument: its usage is its example
    example = re.search(r"Example: (tieout .+?)\n\s*\n", out, re.S)
    assert example, f"{' '.join(verb)} has no example"
    words = shlex.split(" ".join(example[1].split()))
    assert tuple(words[1 : 1 + len(verb)]) == verb
    command = get_command(app)
    for name in verb:
        command = command.commands[name]  # type: ignore[attr-defined]
    # What a verb would ask for at the keyboard is given.
    asked = [word for option in command.params if getattr(option, "prompt", None) for word in (option.opts[0], "x")]
    command.make_context("tieout", [*words[1 + len(verb) :], *asked], resilient_parsing=False)


def test_no_verb_shows_help_and_an_unknown_one_is_named() -> None:
    _, out, err = invoke()
    assert "Usage:" in out + err
    status, out, err = invoke("recncile")
    assert status == 2 and "recncile" in out + err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("serve", "--config", "nowhere.yaml"), "nowhere.yaml: no such settings file"),
        (("status", "--config", "nowhere.yaml"), "nowhere.yaml: no such settings file"),
        (("explain", "x", "--in", "nowhere"), "nowhere"),
        (("send", "nowhere.log", "--to", "127.0.0.1:1", "--sender", "A", "--target", "B"), "nowhere.log"),
        (("send", "README.md", "--to", "somewhere", "--sender", "A", "--target", "B"), "'somewhere' is not HOST:PORT"),
        (("decode", "nowhere.fix"), "nowhere.fix"),
        (("ref", "check", "nowhere.csv"), "not a reference table"),
        (("ref", "check", "fx_rate.csv"), "fx_rate.csv: no such reference file"),
        (("demo", "--profile", "aws"), "--profile aws"),
        (("demo", "--fault", "earthquake"), "--fault earthquake"),
        (("reconcile", "nowhere.fix", "--against", "gone.csv"), "nowhere.fix"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text("nothing to send here\n")
    monkeypatch.chdir(tmp_path)
    status, out, err = invoke(*words)
    assert status == 2 and out == ""
    assert says in err and err.startswith("tieout: ") and len(err.splitlines()) == 1, err
    assert "Traceback" not in err


def test_a_verb_without_settings_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = invoke("status")
    assert status == 2 and "tieout.yaml" in err and ".tieout/demo/tieout.yaml" in err


def test_a_verb_on_an_installation_that_never_ran(tmp_path: Path) -> None:
    config = tmp_path / "tieout.yaml"
    config.write_text("tenant: quiet\ndata_dir: data\n")
    status, _, err = invoke("status", "--config", config)
    assert status == 2 and "nothing has run here yet" in err
    assert not (tmp_path / "data").exists(), "looking makes nothing"


def test_an_installation_that_saw_nothing_ties_out(tmp_path: Path) -> None:
    config = tmp_path / "tieout.yaml"
    config.write_text("tenant: quiet\ndata_dir: data\n")
    (tmp_path / "data").mkdir()
    status, out, err = invoke("status", "--config", config)
    assert (status, err) == (0, "") and "not running" in out and "complete" in out
    status, out, _ = invoke("rebuild", "--config", config)
    assert status == 0 and "identical" in out
    status, out, _ = invoke("redrive", "all", "--config", config)
    assert (status, out) == (0, "no failed execution\n")
    status, _, err = invoke("explain", "abc", "--config", config)
    assert status == 2 and "no break starts with 'abc'" in err


def test_reference_files_are_checked_and_loaded_once(tmp_path: Path) -> None:
    config, rates = tmp_path / "tieout.yaml", tmp_path / "fx_rate.csv"
    config.write_text("tenant: quiet\ndata_dir: data\n")
    (tmp_path / "data").mkdir()
    header = ", ".join(name for name in TABLES["fx_rate"].columns if name != "known_at")
    rates.write_text("from_ccy,to_ccy,rate,valid_from\nEUR,USD,1.1,2026-01-01\n")
    assert invoke("ref", "check", rates)[1].endswith("1 rows for fx_rate, ok\n")
    assert "1 new rows" in invoke("ref", "load", rates, "--config", config)[1]
    assert "0 new rows" in invoke("ref", "load", rates, "--config", config)[1]
    for text, says in (
        ("from_ccy,to_ccy,rate,valid_from\nEUR,USD,much,2026-01-01\n", "line 2: rate 'much'"),
        ("from_ccy,to_ccy,rate,valid_from\nEUR,,1.1,2026-01-01\n", "line 2: to_ccy is empty"),
        ("from_ccy,rate\nEUR,1\n", "missing column"),
        ("from_ccy,to_ccy,rate,valid_from,mood\n", f"unknown column 'mood'; expected {header}"),
    ):
        rates.write_text(text)
        status, _, err = invoke("ref", "check", rates)
        assert status == 2 and says in err and len(err.splitlines()) == 1, err


def test_the_demo_never_empties_a_folder_it_did_not_make(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    status, _, err = invoke("demo", "--exit", "--data", tmp_path)
    assert status == 2 and "it will not be emptied" in err and precious.read_text() == "mine"


def test_decode_names_the_tags() -> None:
    status, out, _ = invoke("decode", ROOT / "examples" / "fund.fix")
    assert status == 0 and "ExecID" in out and "ME03" in out


def test_the_house_map_lists_every_module() -> None:
    status, out, _ = invoke("map")
    assert status == 0 and "  cli.py " in out and "\nmatching/\n" in out
