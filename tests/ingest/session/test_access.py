"""Who may connect: TLS, mutual TLS, client certificates, addresses, passwords, hours; sessions we dial."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from domain.clock import SystemClock
from domain.errors import PermanentError
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.access import Access, certificate_names, client_context, server_context
from ingest.session.dialer import Dial
from ingest.session.schedule import Schedule
from ingest.session.sent import SentFile
from ingest.session.state import Role, SessionConfig
from ingest.session.status import read_status
from ingest.session.store import SessionStore
from ingest.session.wire import compose
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream

BEGIN = "FIX.4.4"
THEM = SessionConfig("PB", "FUND", BEGIN)


def certificate(folder: Path, name: str, issuer: str = "", *, rsa: bool = False) -> tuple[Path, Path]:
    """A certificate and key for `name`, signed by `issuer` (made before) or by itself."""
    pytest.importorskip("cryptography", reason="cryptography, which makes the test certificates, is not installed")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    key = generate_private_key(65_537, 2_048) if rsa else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer, by = key, subject
    if issuer:
        signer = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)
        by = x509.load_pem_x509_certificate((folder / f"{issuer}.pem").read_bytes()).subject
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / f"{name}.pem", folder / f"{name}.key"


def engine(root: Path, *sessions: SessionConfig, **more: object) -> AcceptorConfig:
    config = AcceptorConfig("127.0.0.1", 0, root / "log", root / "state", sessions, min_free_bytes=1)
    return replace(config, tick_seconds=0.02, status_seconds=0.02, shutdown_seconds=2, **more)


async def together(listens: AcceptorConfig, dials: Callable[[int], AcceptorConfig], until: Callable[[], bool]) -> None:
    """Run the two engines until the condition holds; TimeoutError when it never does."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    first = asyncio.create_task(run_acceptor(listens, SystemClock(), stop, port.set_result))
    second = asyncio.create_task(run_acceptor(dials(await port), SystemClock(), stop))
    try:
        async with asyncio.timeout(5):
            while not until():
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await asyncio.gather(first, second)


def connected(root: Path) -> bool:
    status = read_status(root / "state")
    return status is not None and status.sessions[0].connected


def test_a_dialed_session_over_mutual_tls(tmp_path: Path) -> None:
    certificate(tmp_path, "authority")
    server, client = certificate(tmp_path, "localhost", "authority"), certificate(tmp_path, "fund.example", "authority")
    authority = tmp_path / "authority.pem"
    listens = engine(
        tmp_path / "pb",
        THEM,
        tls=server_context(*server, authority),
        access={THEM.name: Access((ip_network("127.0.0.0/8"),), "fund.example")},
    )
    tls = client_context(authority, *client)
    # The dialing side is PB to the listening one: CompIDs are seen from each side.
    session = SessionConfig("FUND", "PB", BEGIN, role=Role.INITIATOR)

    def dials(port: int) -> AcceptorConfig:
        return engine(tmp_path / "fund", session, dial={session.name: Dial("127.0.0.1", port, tls, "localhost")})

    asyncio.run(together(listens, dials, lambda: connected(tmp_path / "pb") and connected(tmp_path / "fund")))


@pytest.mark.parametrize("wrong", ["no certificate", "another name", "no TLS", "not trusted"])
def test_tls_that_is_refused(tmp_path: Path, wrong: str) -> None:
    certificate(tmp_path, "authority")
    certificate(tmp_path, "stranger")
    server, client = (
        certificate(tmp_path, "localhost", "authority"),
        certificate(tmp_path, "other.example", "authority"),
    )
    authority = tmp_path / "authority.pem"
    access = {THEM.name: Access(certificate_name="fund.example")}
    listens = engine(tmp_path / "pb", THEM, tls=server_context(*server, authority), access=access)
    tls = client_context(authority, *client) if wrong == "another name" else client_context(authority, None, None)
    if wrong == "not trusted":
        tls = client_context(tmp_path / "stranger.pem", *client)
    session = SessionConfig("FUND", "PB", BEGIN, role=Role.INITIATOR)
    dial = Dial("127.0.0.1", 0, None if wrong == "no TLS" else tls, "localhost", pause_seconds=0.05)

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await together(
                    listens,
                    lambda port: engine(tmp_path / "fund", session, dial={session.name: replace(dial, port=port)}),
                    lambda: False,
                )

    asyncio.run(scenario())
    assert SegmentStream(tmp_path / "pb" / "log").read(THEM.name, None, 10).count == 0


def test_tls_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(PermanentError, match="text with key"):
        server_context(tmp_path / "text", tmp_path / "text", None)
    with pytest.raises(PermanentError, match="missing"):
        client_context(tmp_path / "missing", None, None)
    assert server_context(*certificate(tmp_path, "a"), None).minimum_version == ssl.TLSVersion.TLSv1_2


def test_addresses_and_certificates() -> None:
    access = Access((ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    assert access.refusal(("10.1.2.3", 5), None) == ""
    assert access.refusal(("::ffff:10.1.2.3", 5, 0, 0), None) == ""
    assert access.refusal(("fd00::1%eth0", 5, 0, 0), None) == ""
    assert "10.2.0.1" in access.refusal(("10.2.0.1", 5), None)
    assert "unknown" in access.refusal(None, None)
    shown = {"subject": ((("commonName", "pb.example"),),), "subjectAltName": (("DNS", "fix.pb.example"), ("IP", "x"))}
    assert certificate_names(shown) == {"pb.example", "fix.pb.example"}
    assert Access(certificate_name="fix.pb.example").refusal(None, shown) == ""
    assert "not for x" in Access(certificate_name="x").refusal(None, None)


def test_an_address_that_is_not_allowed_gets_no_answer(tmp_path: Path) -> None:
    config = engine(tmp_path, THEM, access={THEM.name: Access((ip_network("10.0.0.0/8"),))})

    async def scenario() -> None:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        running = asyncio.create_task(run_acceptor(config, SystemClock(), stop, port.set_result))
        reader, writer = await asyncio.open_connection("127.0.0.1", await port)
        writer.write(compose(BEGIN, [(35, "A"), (49, "PB"), (56, "FUND"), (34, "1"), (98, "0"), (108, "30")]))
        assert await reader.read() == b""
        writer.close()
        stop.set()
        await running

    asyncio.run(scenario())
    assert SegmentStream(tmp_path / "log").read(THEM.name, None, 10).count == 0


def at(text: str, zone: str = "America/New_York") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**9


def test_hours() -> None:
    night = Schedule(time(17), time(16, 30), "America/New_York")
    assert night.period(at("2026-01-06T03:00:00")) == at("2026-01-05T17:00:00")
    assert night.period(at("2026-01-06T16:29:59")) == at("2026-01-05T17:00:00")
    assert night.period(at("2026-01-06T16:45:00")) is None
    assert night.period(at("2026-01-06T17:00:00")) == at("2026-01-06T17:00:00")
    week = Schedule(time(17), time(17), "America/New_York", frozenset({6}), last_day=4)
    assert week.period(at("2026-01-07T12:00:00")) == at("2026-01-04T17:00:00")
    assert week.period(at("2026-01-09T17:00:00")) is None
    days = Schedule(time(8), time(18), "Europe/London", frozenset(range(5)))
    assert days.period(at("2026-03-28T12:00:00", "Europe/London")) is None
    assert days.period(at("2026-03-30T08:00:00", "Europe/London")) == at("2026-03-30T07:00:00", "UTC")
    whole = Schedule(time(0), time(0), "UTC", frozenset({0}))
    assert whole.period(at("2026-01-05T23:59:59", "UTC")) == at("2026-01-05T00:00:00", "UTC")


def test_numbers_start_again_in_a_new_period_and_only_then(tmp_path: Path) -> None:
    def load(period: int | None) -> tuple[int, int]:
        stream = SegmentStream(tmp_path / "log")
        store = SessionStore(tmp_path, stream)
        numbers = store.load("PB->US", period)
        store.close()
        stream.close()
        return numbers.next_in, numbers.next_out

    def log(number: int, next_in: int) -> None:
        stream = SegmentStream(tmp_path / "log")
        stream.append([Envelope("PB->US", number, 0, (b"x",), next_in)])
        store = SessionStore(tmp_path, stream)
        store.load("PB->US", None)
        store.sent("PB->US").record(next_in, b"kept %d" % next_in)
        store.reserve("PB->US", next_in + 1)
        store.release("PB->US")
        store.close()
        stream.close()

    log(1, 9)
    assert load(100) == (9, 10), "a session that never had hours goes on"
    assert load(None) == (9, 10)
    assert load(200) == (1, 1)
    assert load(200) == (1, 1), "also after a crash before the Logon"
    log(2, 2)
    assert load(200) == (2, 3)
    assert load(None) == (2, 3), "outside of hours nothing changes"
    kept = SentFile(next(tmp_path.glob("*.sent")))
    assert [number for number, _ in kept.read(1, 99)] == [2]
    kept.close()


def test_the_sent_file_survives_any_torn_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.sent"
    file = SentFile(path)
    for n in range(1, 200, 2):
        file.record(n, b"message %d" % n)
    assert [n for n, _ in file.read(50, 60)] == [51, 53, 55, 57, 59]
    file.close()
    whole = path.read_bytes()
    for cut in (0, 1, 15, 16, 17, len(whole) // 2, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:cut])
        file = SentFile(path)
        found = list(file.read(1, 1_000))
        assert found == [(n, b"message %d" % n) for n in range(1, 2 * len(found), 2)]
        file.record(500, b"again")
        assert list(file.read(500, 500)) == [(500, b"again")]
        file.close()
        assert SentFile(path).last == 500


def test_numbers_of_what_was_kept_without_a_connection_are_never_used_again(tmp_path: Path) -> None:
    stream = SegmentStream(tmp_path / "log")
    store = SessionStore(tmp_path, stream)
    store.load("PB->US")
    store.reserve("PB->US", 5)
    store.sent("PB->US").record(5, b"nobody was there")
    store.release("PB->US")
    assert store.load("PB->US").next_out == 6
    store.close()
    stream.close()
