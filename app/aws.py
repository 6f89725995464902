"""AWS clients: the one module that imports boto3; everything else is handed a client."""

from typing import Any

from app.settings import Settings, SettingsError


def client(settings: Settings, service: str) -> Any:
    """A boto3 client for `service`.

    In the local-aws profile it comes from localstack_client's session, which honours AWS_ENDPOINT_URL and
    LOCALSTACK_HOST: moto server and LocalStack are reached the same way. Raises SettingsError when the extra
    `aws` (or `local-aws`) is not installed.
    """
    try:
        if settings.profile == "local-aws":
            from localstack_client.session import Session

            return Session().client(service)
        import boto3

        return boto3.session.Session().client(service)
    except ImportError as error:
        raise SettingsError(f"profile {settings.profile} needs the extra 'local-aws' or 'aws': {error}") from None
