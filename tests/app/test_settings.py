"""Settings: what is wrong is said in one line that names the key; the environment wins over the file."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from app.build import open_warehouse, snowflake_login
from app.cli import app
from app.settings import PROFILES, Settings, SettingsError, check_sources, load
from domain.clock import SystemClock

ROOT = Path(__file__).parents[2]
FEED = {
    "name": "OMS", "role": "INTERNAL", "party": "FUND",
    "session": {"sender_comp_id": "OMS", "target_comp_id": "TIEOUT"},
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path):
    def written(**settings: object) -> Path:
        path = tmp_path / "tieout.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    return written


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"tennant": "x"}, ("tennant", "unknown key")),
        ({"console": {"prot": 1}}, ("console.prot", "unknown key")),
        ({"console": {"port": 70_000}}, ("console.port", "65535", "70000")),
        ({"acceptor": {"port": "five"}}, ("acceptor.port", "'five'")),
        ({"acceptor": {"disk_watermark_mb": 0}}, ("acceptor.disk_watermark_mb", "greater than 0")),
        ({"acceptor": {"feeds": ["OMS", "TWIN"]}, "feeds": [FEED]}, ("acceptor.feeds", "'TWIN'")),
        ({"console": {"host": "0.0.0.0"}}, ("console.host", "loopback")),
        ({"stream": "pigeon://coop"}, ("stream", "'pigeon'", "kinesis, segment")),
        ({"warehouse": "oracle://x"}, ("warehouse", "'oracle'", "duckdb")),
        ({"duckdb": {"memory_mb": 1}}, ("duckdb.memory_mb", "256", "given 1")),
        ({"model": "inprocess"}, ("inprocess",)),
        ({"tenant": "Two Words"}, ("tenant", "'Two Words'")),
        ({"profile": "gcp"}, ("profile", "'gcp'")),
        ({"base_currency": "dollars"}, ("base_currency", "'dollars'")),
        ({"ticketing": {"min_severity": "AWFUL"}}, ("ticketing.min_severity", "'AWFUL'", "CRITICAL")),
        ({"ticketing": {"min_score": 2}}, ("ticketing.min_score", "given 2")),
        ({"ticketing": {"triage": {"templates": "gone"}}}, ("ticketing.triage.templates", "no such folder", "gone")),
        ({"feeds": [{**FEED, "role": "FRIEND"}]}, ("feeds.0.role", "'FRIEND'", "PB")),
        ({"feeds": [{"name": "OMS"}]}, ("feeds.0.role", "required")),
        ({"feeds": [FEED, FEED]}, ("feeds", "'OMS'", "more than once")),
        ({"feeds": [FEED, {**FEED, "name": "TWIN"}]}, ("feeds", "OMS and TWIN", "OMS->TIEOUT")),
        ({"feeds": [{**FEED, "dialect": "pidgin"}]}, ("feeds", "'OMS'", "'pidgin'", "generic")),
        ({"reference": {"fx_rate": "gone.csv"}}, ("reference.fx_rate", "no such file", "gone.csv")),
        ({"feeds": [{**FEED, "session": None}]}, ("feeds", "'OMS'", "session", "path_glob")),
        ({"feeds": [{**FEED, "map": "gone.yaml"}]}, ("feeds: 'OMS': map", "no such file", "gone.yaml")),
        ({"feeds": [{**FEED, "map": "tieout.yaml"}]}, ("feeds: 'OMS': map", "tieout.yaml", "feeds")),
        ({"feeds": [{**FEED, "path_glob": ""}]}, ("feeds.0.path_glob", "at least 1")),
        ({"feeds": [{**FEED, "slots": [{"name": "eod", "at": "25:00"}]}]}, ("feeds.0.slots.0.at", "'25:00'")),
    ],
)
def test_a_wrong_key_is_named_on_one_line(write, settings: dict[str, object], names: tuple[str, ...]) -> None:
    path = write(**settings)
    with pytest.raises(SettingsError) as caught:
        load(path)
    lines = [line for line in str(caught.value).splitlines() if names[0] in line]
    assert lines, str(caught.value)
    assert lines[0].startswith(f"{path}: ")
    assert all(any(name in line for line in lines) for name in names), lines
    assert "Value error" not in str(caught.value)


def test_every_wrong_key_is_named_at_once(write) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tenant="?", colour="red", console={"port": -1}))
    assert len(str(caught.value).splitlines()) == 3


def test_a_file_that_is_not_there_or_not_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.yaml: no such settings file"):
        load(tmp_path / "gone.yaml")
    broken = tmp_path / "broken.yaml"
    for text in ("tenant: [", "- a\n- b\n", "\x00"):
        broken.write_text(text)
        with pytest.raises(SettingsError, match=r"broken\.yaml: not a readable YAML mapping"):
            load(broken)


def test_the_environment_wins_over_the_file(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tenant="from-file", console={"port": 1}, acceptor={"host": "127.0.0.2"})
    monkeypatch.setenv("TIEOUT_TENANT", "from-env")
    monkeypatch.setenv("TIEOUT_CONSOLE__PORT", "9090")
    monkeypatch.setenv("TIEOUT_BASE_CURRENCY", "")
    settings = load(path)
    assert (settings.tenant, settings.console.port, settings.base_currency) == ("from-env", 9090, "USD")
    assert settings.acceptor.host == "127.0.0.2"
    monkeypatch.setenv("TIEOUT_CONSOLE__PORT", "many")
    with pytest.raises(SettingsError, match=r"console\.port: .*'many'"):
        load(path)


def test_an_unknown_variable_is_an_error_and_others_are_not_ours(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_TENANT", "x")
    load(write())
    monkeypatch.setenv("TIEOUT_TENNANT", "x")
    with pytest.raises(SettingsError, match="TIEOUT_TENNANT: no such setting 'tennant'"):
        load(write())


def test_a_password_is_never_shown(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_TICKETING__PASSWORD", "hunter2")
    settings = load(write())
    assert "hunter2" not in repr(settings) and "hunter2" not in str(settings.model_dump())
    assert settings.ticketing.password is not None and settings.ticketing.password.get_secret_value() == "hunter2"
    with pytest.raises(SettingsError) as caught:
        load(write(ticketing={"password": ["hunter3"]}, tenant="?"))
    assert "hunter3" not in str(caught.value)


def test_paths_are_taken_from_the_files_folder(write, tmp_path: Path) -> None:
    (tmp_path / "fx.csv").touch()
    (tmp_path / "texts").mkdir()
    texts = {"triage": {"templates": "texts"}}
    settings = load(write(data_dir="here", rules="my.yaml", reference={"fx_rate": "fx.csv"}, ticketing=texts))
    assert settings.ticketing.triage.templates == tmp_path / "texts"
    assert settings.data_dir == tmp_path / "here"
    assert (settings.rules, settings.reference.fx_rate) == (tmp_path / "my.yaml", tmp_path / "fx.csv")
    assert settings.reference.account_map is None


def test_a_feed_may_be_files_alone_and_says_what_they_hold(write, tmp_path: Path) -> None:
    (tmp_path / "pb.yaml").write_text("columns: {price: Kurs}\n")
    both = {**FEED, "path_glob": "oms/*.fix"}
    files = {"name": "PB", "role": "PB", "party": "PB", "path_glob": "pb/*.csv", "map": "pb.yaml"}
    path = write(feeds=[both, files])
    assert load(path).feeds[1].map == tmp_path / "pb.yaml"
    done = CliRunner().invoke(app, ["config", "check", str(path)])
    assert done.exit_code == 0 and "OMS->TIEOUT, oms/*.fix" in done.stdout and "pb/*.csv" in done.stdout
    check_sources(load(path), path)
    for wrong, told in (
        ({"contents": "positions"}, "contents: positions need a dialect of files, 'generic' is none"),
        ({"path_glob": "pb/**.csv"}, "path_glob: 'pb/**.csv': ** stands for whole folders and by itself"),
    ):
        done = CliRunner().invoke(app, ["serve", "--config", str(write(feeds=[both, {**files, **wrong}]))])
        assert (done.exit_code, done.stderr) == (2, f"tieout: {path}: feeds: 'PB': {told}\n")
    with pytest.raises(SettingsError, match="needs a path_glob"):
        load(write(feeds=[{**FEED, "source": "files"}]))


def test_a_profile_is_a_set_of_addresses_each_of_which_can_be_replaced(write) -> None:
    settings = load(write(profile="local-aws", stream="segment://"))
    assert settings.stream == "segment://" and settings.model == PROFILES["local-aws"]["model"]
    assert settings.address("stream").scheme == "segment"


def test_the_example_is_complete_and_right() -> None:
    done = CliRunner().invoke(app, ["config", "check", str(ROOT / "tieout.example.yaml")])
    assert done.exit_code == 0, done.output
    assert "ok" in done.stdout and "feed ALPHA" in done.stdout
    assert load(ROOT / "tieout.example.yaml").model_dump(exclude={"tenant", "feeds", "data_dir"}) == load(
        None
    ).model_dump(exclude={"tenant", "feeds", "data_dir"}), "what the example shows as default is the default"
    shown = (ROOT / "tieout.example.yaml").read_text().lower()
    assert not [name for name in Settings.model_fields if f"{name}:" not in shown and f"tieout_{name}__" not in shown]


def test_the_embedded_warehouse_takes_the_memory_and_threads_it_is_given(write, tmp_path: Path) -> None:
    file = write(data_dir=str(tmp_path), duckdb={"memory_mb": 300, "threads": 3})
    warehouse = open_warehouse(load(file), SystemClock())
    sql = "SELECT current_setting('memory_limit') AS memory, current_setting('threads') AS threads"
    assert warehouse.query(sql).to_pylist() == [{"memory": "286.1 MiB", "threads": 3}]
    warehouse.close()


def test_config_check_says_what_is_wrong(write) -> None:
    done = CliRunner().invoke(app, ["config", "check", str(write(console={"port": 70_000}))])
    assert done.exit_code == 2
    assert done.stderr.startswith("tieout: ") and "console.port" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_snowflake_warehouse_is_an_address_and_a_way_to_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tieout.yaml"
    path.write_text("warehouse: snowflake://ORG-ACCT/TIEOUT/PUBLIC?warehouse=WH\n")
    with pytest.raises(SettingsError, match="private_key, oauth_token"):
        load(path)
    monkeypatch.setenv("TIEOUT_SNOWFLAKE_LIVE", "1")
    monkeypatch.setenv("TIEOUT_SNOWFLAKE__USER", "svc")
    monkeypatch.setenv("TIEOUT_SNOWFLAKE__PRIVATE_KEY", "keys/k.p8")
    monkeypatch.setenv("TIEOUT_SNOWFLAKE__PRIVATE_KEY_PASSPHRASE", "hush")
    settings = load(path)
    login = snowflake_login(settings)
    assert (login.account, login.database, login.schema, login.warehouse) == ("org-acct", "TIEOUT", "PUBLIC", "WH")
    assert login.private_key_file == tmp_path / "keys/k.p8" and login.private_key_passphrase == "hush"
    assert "hush" not in repr(settings) + repr(login)
    path.write_text("warehouse: snowflake://ORG-ACCT/TIEOUT\n")
    with pytest.raises(SettingsError, match="account, database and schema"):
        load(path)
