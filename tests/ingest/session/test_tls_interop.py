"""TLS against others: QuickFIX logs on over mutual TLS, `tieout send` pushes a log over TLS, wrong ones are refused."""

import asyncio
from pathlib import Path

import pytest

from app.send import SendRefused, TlsOptions, push
from domain.clock import SystemClock
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.access import Access, server_context
from ingest.session.state import SessionConfig
from tests.ingest.session.quickfix_engine import Application, fix, initiator, until
from tests.ingest.session.test_access import certificate
from tests.ingest.session.test_quickfix import fill, kept

PAIR = SessionConfig("ALPHA", "TIEOUT")


@pytest.fixture
def secured(tmp_path: Path) -> AcceptorConfig:
    """An acceptor that asks ALPHA for a certificate of the authority's for alpha.example."""
    certificate(tmp_path, "authority")
    server = certificate(tmp_path, "localhost", "authority")
    certificate(tmp_path, "alpha.example", "authority", rsa=True)  # QuickFIX shows no other kind
    return AcceptorConfig(
        "127.0.0.1", 0, tmp_path / "log", tmp_path, (PAIR,), 1,
        tls=server_context(*server, tmp_path / "authority.pem"), access={PAIR.name: Access((), "alpha.example")},
    )  # fmt: skip


def pems(root: Path) -> tuple[Path, Path, Path]:
    return root / "authority.pem", root / "alpha.example.pem", root / "alpha.example.key"


async def while_listening(config: AcceptorConfig, scenario) -> None:  # type: ignore[no-untyped-def]
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run_acceptor(config, SystemClock(), stop, port.set_result))
    try:
        await scenario(await port)
    finally:
        stop.set()
        await running


def test_quickfix_sends_over_mutual_tls(secured: AcceptorConfig, tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        app = Application()
        engine = initiator(tmp_path, port, "FIX.4.4", app, pems(tmp_path))
        try:
            engine.start()
            await until(lambda: app.logons == 1)
            for n in range(50):
                fix.Session.sendToTarget(fill(n, "FIX.4.4"), fix.SessionID("FIX.4.4", "ALPHA", "TIEOUT"))
            await until(lambda: len(kept(tmp_path)) == 50)
        finally:
            await asyncio.to_thread(engine.stop)

    asyncio.run(while_listening(secured, scenario))
    assert [tags[17] for tags in kept(tmp_path)] == [f"Q{n}" for n in range(50)]


def test_a_log_is_pushed_over_tls_and_only_to_whom_it_is_meant_for(secured: AcceptorConfig, tmp_path: Path) -> None:
    log = tmp_path / "day.fix"
    log.write_text("8=FIX.4.4|35=8|37=O1|17=E1|55=VOD.L|54=1|31=1.25|32=100|10=000|\n")
    authority, own, key = pems(tmp_path)

    async def scenario(port: int) -> None:
        async def sent(options: TlsOptions) -> str:
            return await asyncio.to_thread(push, log, f"127.0.0.1:{port}", "ALPHA", "TIEOUT", None, None, options)

        with pytest.raises(SendRefused, match="certificate"):
            await sent(TlsOptions(ca=authority, certificate=own, key=key))  # the certificate is not for 127.0.0.1
        with pytest.raises(SendRefused, match="certificate"):
            await sent(TlsOptions(wanted=True, server_name="localhost"))  # an authority nobody trusts
        with pytest.raises(SendRefused):
            await sent(TlsOptions())
        told = await sent(TlsOptions(ca=authority, certificate=own, key=key, server_name="localhost"))
        assert "1 messages sent and taken" in told

    asyncio.run(while_listening(secured, scenario))
    assert [tags[17] for tags in kept(tmp_path)] == ["E1"]


def test_what_tls_needs_is_said(tmp_path: Path) -> None:
    log = tmp_path / "day.fix"
    log.write_text("8=FIX.4.4|35=8|37=O1|17=E1|10=000|\n")
    with pytest.raises(SendRefused, match="--tls-key needs --tls-certificate"):
        push(log, "127.0.0.1:1", "A", "B", None, None, TlsOptions(key=log))
    with pytest.raises(SendRefused, match="cannot be used"):
        push(log, "127.0.0.1:1", "A", "B", None, None, TlsOptions(ca=log))
