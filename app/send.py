"""`tieout send`: push any FIX log over a FIX session."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from domain.errors import PermanentError, TransientError
from ingest.fix.sniff import find_messages, to_wire
from ingest.session.access import client_context
from ingest.session.initiator import send_messages


class SendRefused(Exception):
    """The log could not be sent; the text says why."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """TLS as the command says: wanted at all, whom we trust, our own certificate, the name the server must have."""

    wanted: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""

    def context(self) -> ssl.SSLContext | None:
        """The context, None for a plain line. Raises PermanentError naming a file that cannot be used."""
        if not (self.wanted or self.ca or self.certificate or self.key or self.server_name):
            return None
        if self.key and not self.certificate:
            raise PermanentError("--tls-key needs --tls-certificate")
        return client_context(self.ca, self.certificate, self.key)


def push(
    log: Path,
    to: str,
    sender: str,
    target: str,
    begin_string: str | None,
    rate: float | None,
    tls: TlsOptions = TlsOptions(),
) -> str:
    """Send every message of the log and return one sentence about it. Raises SendRefused."""
    host, _, port = to.rpartition(":")
    if not host or not port.isdigit():
        raise SendRefused(f"--to {to!r} is not HOST:PORT")
    try:
        data = log.read_bytes()
    except OSError as error:
        raise SendRefused(f"{log}: {error.strerror}") from None
    messages = [wire for found in find_messages(data) if found.is_message and (wire := to_wire(found.raw)) is not None]
    if not messages:
        raise SendRefused(f"{log}: no FIX message found (nothing like 8=FIX...)")
    version = begin_string or messages[0].split(b"\x01", 1)[0].removeprefix(b"8=").decode("ascii", "replace")
    try:
        context = tls.context()
        report = asyncio.run(
            send_messages(
                host, int(port), sender, target, version, messages,
                rate=rate, tls=context, server_name=tls.server_name,
            )
        )  # fmt: skip
    except (PermanentError, TransientError) as error:
        raise SendRefused(f"{to}: {error}") from None
    left_out = f" ({report.skipped} session-level left out)" if report.skipped else ""
    return f"{log}: {report.sent:,} messages sent and taken in {report.seconds:.1f} s{left_out}"
