"""Who may connect: addresses and client certificates of a session, TLS contexts of acceptor and initiator."""

import ssl
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from domain.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Access:
    """What a connection must show beside its CompIDs: an address of `networks`, a certificate for `certificate_name`.

    Empty means any. A certificate is for a name when its subject's common name or a DNS name of it is that name.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    certificate_name: str = ""

    def refusal(self, peer_name: object, certificate: object) -> str:
        """Why the connection may not speak for the session, empty when it may."""
        host = peer_name[0] if isinstance(peer_name, tuple) and peer_name else ""
        if self.networks and not self._knows(str(host)):
            return f"address {host or 'unknown'} is not allowed"
        if self.certificate_name and self.certificate_name not in certificate_names(certificate):
            return f"the client certificate is not for {self.certificate_name}"
        return ""

    def _knows(self, host: str) -> bool:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        # A dual-stack socket shows an IPv4 peer as ::ffff:a.b.c.d.
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self.networks)


def certificate_names(certificate: object) -> frozenset[str]:
    """Common name and DNS names of a peer certificate as the ssl module gives it; empty for none."""
    if not isinstance(certificate, dict):
        return frozenset()
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return frozenset(common + [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"])


def server_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer for the acceptor; with `client_ca` every client must show a certificate of that authority.

    Raises PermanentError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_pair(context, certificate, key)
    if client_ca is not None:
        _load_authority(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer for a session we dial; the server's name is checked against `ca`, else the system's authorities.

    Raises PermanentError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        _load_authority(context, ca)
    else:
        context.load_default_certs()
    if certificate is not None:
        _load_pair(context, certificate, key or certificate)
    return context


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise PermanentError(f"TLS: {certificate} with key {key} cannot be used: {_reason(error)}") from None


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise PermanentError(f"TLS: {authority} cannot be used: {_reason(error)}") from None


def _reason(error: OSError | ssl.SSLError) -> str:
    return getattr(error, "reason", None) or error.strerror or "not a PEM file"
