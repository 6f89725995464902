"""Settings of a Snowflake warehouse: its address says where, this section who signs in and how."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from domain.address import Address
from domain.errors import PermanentError
from warehouse.snowflake_session import SnowflakeLogin

EXAMPLE = "snowflake://myorg-myaccount/DATABASE/SCHEMA?warehouse=TIEOUT_WH&role=TIEOUT"
_KNOWN = frozenset({"warehouse", "role", "host", "port", "protocol"})


class SnowflakeSettings(BaseModel):
    """Who signs in: a user with a key pair, or OAuth with a token, a token file or a client of its own.

    A token file is read at every sign-in, so that whoever renews it needs to tell nobody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = ""
    private_key: Path | None = None
    private_key_passphrase: SecretStr | None = None
    oauth_token: SecretStr | None = None
    oauth_token_file: Path | None = None
    oauth_client_id: str = ""
    oauth_client_secret: SecretStr | None = None
    oauth_token_url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""
    oauth_scope: str = ""
    query_tag: Annotated[str, Field(max_length=200)] = ""
    network_timeout_seconds: Annotated[int, Field(gt=0, le=3_600)] = 60

    @model_validator(mode="after")
    def _one_way(self) -> "SnowflakeSettings":
        ways = {
            "private_key": self.private_key, "oauth_token": self.oauth_token,
            "oauth_token_file": self.oauth_token_file, "oauth_client_id": self.oauth_client_id,
        }  # fmt: skip
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(f"give one way to sign in, not {' and '.join(given)}")
        if self.private_key and not self.user:
            raise ValueError("private_key needs the user it belongs to")
        if self.oauth_client_id and not (self.oauth_client_secret and self.oauth_token_url):
            raise ValueError("oauth_client_id needs oauth_client_secret and oauth_token_url")
        return self

    @property
    def signs_in(self) -> bool:
        """Whether a way to sign in is given."""
        return bool(self.private_key or self.oauth_token or self.oauth_token_file or self.oauth_client_id)

    def rebased(self, base: Path) -> "SnowflakeSettings":
        """The same with relative paths taken from `base`."""
        paths: Mapping[str, Path | None] = {
            "private_key": self.private_key, "oauth_token_file": self.oauth_token_file
        }  # fmt: skip
        return self.model_copy(update={name: base / path for name, path in paths.items() if path is not None})


def check_address(address: Address) -> None:
    """Raises ValueError when the address does not name account, database and schema, or says something unknown."""
    if not address.host or len(_place(address)) != 2:
        raise ValueError(f"{str(address)!r} needs account, database and schema, as in {EXAMPLE}")
    unknown = sorted(set(address.query) - _KNOWN)
    if unknown:
        raise ValueError(f"{str(address)!r}: unknown {unknown[0]!r}; known: {', '.join(sorted(_KNOWN))}")
    if address.query.get("protocol", "https") not in ("http", "https") or not address.query.get("port", "0").isdigit():
        raise ValueError(f"{str(address)!r}: protocol is http or https, port a number")


def login_for(address: Address, settings: SnowflakeSettings, tenant: str) -> SnowflakeLogin:
    """The login the address and the settings stand for. Raises ValueError for an address that cannot be meant."""
    check_address(address)
    database, schema = _place(address)
    query = address.query
    secret = settings.oauth_client_secret
    protocol: Literal["http", "https"] = "http" if query.get("protocol") == "http" else "https"
    return SnowflakeLogin(
        account=address.host,
        database=database,
        schema=schema,
        user=settings.user,
        warehouse=query.get("warehouse", ""),
        role=query.get("role", ""),
        private_key_file=settings.private_key,
        private_key_passphrase=_plain(settings.private_key_passphrase),
        token=(lambda: _token(settings)) if settings.oauth_token or settings.oauth_token_file else None,
        client=(settings.oauth_client_id, _plain(secret), settings.oauth_token_url, settings.oauth_scope)
        if settings.oauth_client_id
        else None,
        host=query.get("host", ""),
        port=int(query["port"]) if "port" in query else None,
        protocol=protocol,
        query_tag=settings.query_tag or f"tieout {tenant}",
        network_timeout_seconds=settings.network_timeout_seconds,
    )


def _place(address: Address) -> list[str]:
    return [part for part in address.path.split("/") if part]


def _token(settings: SnowflakeSettings) -> str:
    if settings.oauth_token_file is None:
        return _plain(settings.oauth_token)
    try:
        return settings.oauth_token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        told = (error.strerror or str(error)).lower()
        raise PermanentError(f"snowflake.oauth_token_file: {settings.oauth_token_file}: {told}") from None


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
