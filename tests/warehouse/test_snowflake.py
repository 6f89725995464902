"""The Snowflake adapter: who signs in, what is tried again, what a lost session means, values without loss."""

import threading
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from domain.address import Address
from domain.clock import ManualClock
from domain.errors import PermanentError, TransientError
from tests.warehouse.fake_snowflake import fake_login, key_file
from warehouse.snowflake import SnowflakeWarehouse
from warehouse.snowflake_session import SnowflakeLogin, connect, translated
from warehouse.snowflake_settings import SnowflakeSettings, check_address, login_for
from warehouse.snowflake_values import bound, positional, result_of_rows

errors = pytest.importorskip("snowflake.connector.errors", reason="the extra `snowflake` is not installed")
ADDRESS = Address.parse("snowflake://myorg-acct/TIEOUT/PUBLIC?warehouse=WH&role=R")


class Cursor:
    """A cursor that fails as told, once each, and then answers."""

    rowcount = 1
    description = (SimpleNamespace(name="N", type_code=0, precision=38, scale=0),)

    def __init__(self, session: "Session") -> None:
        self._session = session

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str, *_: object, **__: object) -> None:
        self._session.said.append(sql)
        if self._session.fails and not sql.startswith(("create temporary stage", "rollback")):
            raise self._session.fails.pop(0)

    def fetch_arrow_all(self, **_: object) -> pa.Table:
        return pa.table({"N": pa.array([1], pa.int8())})


class Session:
    """A session over such cursors; `fails` is shared by all sessions of one account."""

    def __init__(self, fails: list[Exception], opened: list["Session"]) -> None:
        self.fails, self.said, self.closed = fails, list[str](), False
        opened.append(self)

    def cursor(self) -> Cursor:
        return Cursor(self)

    def close(self) -> None:
        self.closed = True


def account_of(*fails: Exception) -> tuple[SnowflakeWarehouse, list[Session]]:
    opened: list[Session] = []
    left = list(fails)
    login = SnowflakeLogin("acct", "D", "S", token=lambda: "t")
    return SnowflakeWarehouse(login, clock=ManualClock(), opener=lambda _: Session(left, opened)), opened


def lost() -> Exception:
    return errors.OperationalError("connection reset", errno=250_001)  # type: ignore[no-any-return]


def test_names_become_places_outside_literals_and_casts() -> None:
    sql = "select ':a', \":b\", x::date, :c /* :d */ -- :e\n from t where y = :f and z = :c"
    text, names = positional(sql)
    assert names == ("c", "f", "c") and text == sql.replace(", :c", ", ?").replace("= :f", "= ?").replace("= :c", "= ?")
    assert bound("select :a", {"a": Decimal("1E+2"), "b": 1}) == ("select ?", ["100"])


def test_rows_without_an_arrow_form_have_the_same_types() -> None:
    described = [
        SimpleNamespace(name="N", type_code=0, precision=38, scale=0),
        SimpleNamespace(name="M", type_code=0, precision=28, scale=6),
        SimpleNamespace(name="T", type_code=2, precision=None, scale=None),
    ]
    found = result_of_rows([(1, Decimal("1.5"), "x"), (None, None, None)], described)
    assert found.schema == pa.schema([("n", pa.int64()), ("m", pa.decimal128(28, 6)), ("t", pa.string())])


def test_a_read_is_tried_again_and_a_refused_one_is_not() -> None:
    warehouse, opened = account_of(lost(), lost())
    assert warehouse.query("select 1 as n").to_pylist() == [{"n": 1}]
    assert [session.closed for session in opened] == [False, True, True, False]
    warehouse, _ = account_of(errors.ProgrammingError("no such table", errno=2003))
    with pytest.raises(PermanentError, match="no such table"):
        warehouse.query("select 1")
    warehouse, _ = account_of(*[lost() for _ in range(9)])
    with pytest.raises(TransientError, match="connection reset"):
        warehouse.query("select 1")


def test_a_write_is_never_tried_again_and_the_next_gets_a_new_session() -> None:
    warehouse, opened = account_of(lost())
    with pytest.raises(TransientError, match="connection reset"):
        warehouse.execute("insert into t select 1")
    assert opened[0].closed and len(opened) == 1
    assert warehouse.execute("insert into t select 1") == 1
    assert len(opened) == 2 and opened[1].said == ["create temporary stage if not exists tieout_load",
                                                   "insert into t select 1"]  # fmt: skip


def test_a_transaction_does_not_outlive_its_session() -> None:
    warehouse, opened = account_of()
    with pytest.raises(TransientError, match="lost"), warehouse.transaction():
        opened[0].fails.append(lost())
        with pytest.raises(TransientError):
            warehouse.execute("insert into t select 1")
        warehouse.execute("insert into t select 2")  # must not run outside the transaction
    assert len(opened) == 1
    with warehouse.transaction():
        warehouse.execute("insert into t select 3")
    assert opened[1].said[1:] == ["begin transaction", "insert into t select 3", "commit"]


def test_a_commit_nobody_confirmed_is_transient() -> None:
    warehouse, opened = account_of()
    with pytest.raises(TransientError), warehouse.transaction():
        opened[0].fails.append(lost())
    assert opened[0].closed


def test_errors_are_sorted() -> None:
    transient = [
        lost(), errors.ServiceUnavailableError(msg="503"), ConnectionResetError("reset"),
        errors.ProgrammingError("statement timed out", errno=630), errors.ProgrammingError("lock", errno=625),
        errors.DatabaseError("token expired", errno=390_114),
    ]  # fmt: skip
    assert {type(translated(error, "x")) for error in transient} == {TransientError}
    permanent = [errors.ProgrammingError("syntax", errno=1003), errors.IntegrityError("null"), RuntimeError("a bug")]
    assert {type(translated(error, "x")) for error in permanent} == {PermanentError}


def test_a_key_pair_signs_in(snowflake_account: dict[str, Any], tmp_path: Path) -> None:
    for passphrase in ("", "correct horse"):
        key = key_file(tmp_path, passphrase)
        login = fake_login(snowflake_account, private_key_file=key, private_key_passphrase=passphrase, token=None)
        connect(login).close()
    with pytest.raises(PermanentError, match="private key"):
        connect(fake_login(snowflake_account, private_key_file=key, private_key_passphrase="wrong", token=None))
    with pytest.raises(PermanentError, match=r"nokey\.p8"):
        connect(fake_login(snowflake_account, private_key_file=tmp_path / "nokey.p8", token=None))


def test_an_account_out_of_reach_is_transient(snowflake_account: dict[str, Any]) -> None:
    with pytest.raises(TransientError, match="snowflake account fake"):
        connect(fake_login(snowflake_account, port=1, network_timeout_seconds=1))


def test_eight_threads_read_while_one_writes(snowflake_account: dict[str, Any]) -> None:
    warehouse = SnowflakeWarehouse(fake_login(snowflake_account))
    warehouse.execute("create table t (id bigint)")
    seen: list[int] = []

    def look() -> None:
        for _ in range(3):
            seen.append(warehouse.query("select count(*) as n from t")["n"][0].as_py())

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for start in range(3):
        with warehouse.transaction():
            warehouse.append("t", pa.table({"id": [start]}))
            warehouse.append("t", pa.table({"id": [start]}))
    for thread in threads:
        thread.join()
    warehouse.close()
    assert len(seen) == 24 and set(seen) <= {0, 2, 4, 6}
    with pytest.raises(PermanentError, match="closed"):
        warehouse.query("select 1 as n")


def test_settings_become_a_login_whose_secrets_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    settings = SnowflakeSettings(user="svc", oauth_token_file=Path("token")).rebased(tmp_path)
    login = login_for(ADDRESS, settings, "main")
    options = login.options()
    assert (options["account"], options["database"], options["schema"], options["warehouse"], options["role"]) == (
        "myorg-acct", "TIEOUT", "PUBLIC", "WH", "R",
    )  # fmt: skip
    assert options["token"] == "first" and options["session_parameters"]["QUERY_TAG"] == "tieout main"
    (tmp_path / "token").write_text("second")
    assert login.options()["token"] == "second"
    client = SnowflakeSettings(
        oauth_client_id="id", oauth_client_secret="hush", oauth_token_url="https://idp.example/token"
    )  # fmt: skip
    login = login_for(ADDRESS, client, "main")
    assert login.options()["authenticator"] == "OAUTH_CLIENT_CREDENTIALS"
    assert "hush" not in repr(login) + repr(client)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"private_key": "k.p8"}, "needs the user"),
        ({"oauth_token": "t", "oauth_token_file": "f"}, "one way"),
        ({"oauth_client_id": "c"}, "oauth_token_url"),
    ],
)
def test_settings_that_cannot_sign_in_say_why(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SnowflakeSettings(**given)


@pytest.mark.parametrize("text", ["snowflake://acct", "snowflake://acct/DB", "snowflake://acct/DB/S?wharehouse=x"])
def test_an_address_says_account_database_and_schema(text: str) -> None:
    with pytest.raises(ValueError, match="snowflake"):
        check_address(Address.parse(text))
