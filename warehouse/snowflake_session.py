"""Snowflake sessions: who signs in and how, and which of the connector's errors may heal by themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.errors import PermanentError, TransientError

# Statements are UTC and times without a zone throughout; an implicit cast must not depend on the account's defaults.
SESSION_PARAMETERS: Mapping[str, object] = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "AUTOCOMMIT": True,
    "CLIENT_TELEMETRY_ENABLED": False,
}
_APPLICATION = "Tieout"
# Session or token gone, statement cancelled or timed out, too many waiting for a lock, warehouse not up yet.
_PASSING = frozenset({390_104, 390_111, 390_112, 390_114, 390_195, 604, 625, 630, 606, 609, 90_073})


@dataclass(frozen=True, slots=True)
class SnowflakeLogin:
    """Where an account's tables are and who reads them. Secrets are not shown by `repr`.

    One way to sign in is given: `private_key_file` (PEM, PKCS#8), `token` (asked for at every sign-in, so that a file
    renewed by others is read anew), or `client` (OAuth client credentials: id, secret, token address, scope).
    """

    account: str
    database: str
    schema: str
    user: str = ""
    warehouse: str = ""
    role: str = ""
    private_key_file: Path | None = None
    private_key_passphrase: str = field(default="", repr=False)
    token: Callable[[], str] | None = field(default=None, repr=False)
    client: tuple[str, str, str, str] | None = field(default=None, repr=False)
    host: str = ""
    port: int | None = None
    protocol: str = "https"
    query_tag: str = "tieout"
    network_timeout_seconds: int = 60

    def options(self) -> dict[str, Any]:
        """Arguments of `snowflake.connector.connect`. Raises PermanentError when no way to sign in is given."""
        place = {
            "account": self.account, "user": self.user, "database": self.database, "schema": self.schema,
            "warehouse": self.warehouse, "role": self.role, "host": self.host, "port": self.port,
        }  # fmt: skip
        return {
            **{name: value for name, value in place.items() if value},
            **self._proof(),
            "protocol": self.protocol,
            "paramstyle": "qmark",
            "autocommit": True,
            # Without this a NUMBER with a scale arrives as a float.
            "arrow_number_to_decimal": True,
            "client_session_keep_alive": True,
            "network_timeout": self.network_timeout_seconds,
            "login_timeout": self.network_timeout_seconds,
            "application": _APPLICATION,
            "session_parameters": {**SESSION_PARAMETERS, "QUERY_TAG": self.query_tag},
        }

    def _proof(self) -> dict[str, Any]:
        if self.private_key_file is not None:
            key: dict[str, Any] = {"private_key_file": str(self.private_key_file), "authenticator": "SNOWFLAKE_JWT"}
            if self.private_key_passphrase:
                key["private_key_file_pwd"] = self.private_key_passphrase
            return key
        if self.token is not None:
            return {"authenticator": "oauth", "token": self.token()}
        if self.client is not None:
            name, secret, address, scope = self.client
            found = {"authenticator": "OAUTH_CLIENT_CREDENTIALS", "oauth_client_id": name,
                     "oauth_client_secret": secret, "oauth_token_request_url": address}  # fmt: skip
            return {**found, "oauth_scope": scope} if scope else found
        raise PermanentError("snowflake: no way to sign in: a private key, an OAuth token or an OAuth client is needed")


def connect(login: SnowflakeLogin) -> Any:
    """A signed-in connection. Raises TransientError for an account out of reach, PermanentError when it refuses."""
    try:
        import snowflake.connector as connector
        from snowflake.connector import errors
    except ImportError:
        raise PermanentError("snowflake:// needs the extra: pip install 'tieout[snowflake]'") from None
    try:
        return connector.connect(**login.options())
    except errors.Error as error:
        told = _one_line(error)
        refused = isinstance(error, errors.DatabaseError) and not isinstance(error, errors.OperationalError)
        if refused and error.errno not in _PASSING:
            raise PermanentError(f"snowflake account {login.account} refuses: {told}") from error
        raise TransientError(f"snowflake account {login.account}: {told}") from error
    except (TypeError, ValueError) as error:
        raise PermanentError(f"snowflake: the private key cannot be used: {error}") from error
    except OSError as error:
        # A key file is our side's matter; everything else of the operating system is the network.
        kind = PermanentError if isinstance(error, (FileNotFoundError, PermissionError)) else TransientError
        raise kind(f"snowflake account {login.account}: {error}") from error


def translated(error: Exception, doing: str) -> TransientError | PermanentError:
    """The workflow's error for one of the connector: what Snowflake refuses is permanent, the rest may heal."""
    from snowflake.connector import errors

    told = f"{doing}: {_one_line(error)}"
    settled = (errors.ProgrammingError, errors.IntegrityError, errors.DataError, errors.NotSupportedError)
    if isinstance(error, settled) and getattr(error, "errno", None) not in _PASSING:
        return PermanentError(f"SQL refused: {told}")
    if isinstance(error, (errors.Error, OSError)):
        return TransientError(told)
    return PermanentError(told)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
