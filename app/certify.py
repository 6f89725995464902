"""`tieout certify`: the scripted test of a counterparty's session, in its own place, with a report of every step."""

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.certify_report import as_html, as_object
from app.paths import DataDir
from app.settings import Settings, SettingsError, load
from domain.clock import Clock, SystemClock
from domain.errors import PermanentError
from ingest.certify.acceptor import CertifyingAcceptor, Place
from ingest.certify.client import TestClient
from ingest.certify.examiner import Examiner
from ingest.certify.judge import Judge
from ingest.certify.play import Play, from_sample, scripted
from ingest.certify.steps import SCRIPT, Report, Step
from ingest.dialects.dialect import Dialect, load_dialects
from ingest.feeds import Feed, UatIdentity, feeds_by_session
from ingest.files.read import decode
from ingest.fix.dictionary_file import imported_dictionaries
from ingest.normalise_reference import Reference
from ingest.session.access import server_context
from ingest.session.state import Role, SessionConfig
from ingest.session.versions import VERSIONS

WIRE_LOG = "wire.log"


class CertifyError(Exception):
    """The run cannot begin; the text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class CertifyOptions:
    """What is certified and how. `port` 0 takes any free one; `step_seconds` is the counterparty's time per step."""

    session: str
    config: Path
    out: Path | None = None
    self_test: bool = False
    sample: Path | None = None
    skip: frozenset[str] = frozenset()
    host: str = "127.0.0.1"
    port: int = 0
    step_seconds: float = 300.0
    begin_string: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything a run needs, checked."""

    feed: Feed
    dialect: Dialect
    identity: UatIdentity
    folder: Path
    session: SessionConfig
    tls: ssl.SSLContext | None


def prepare(options: CertifyOptions, settings: Settings, clock: Clock) -> Prepared:
    """Feed, dialect, test identity and a new folder of the run's own. Raises CertifyError."""
    wanted = options.session
    feed = next(
        (f for f in settings.feeds if wanted in (f.name, f.session and f.session.name, f.uat and f.uat.name)), None
    )
    if feed is None:
        names = ", ".join(f.name for f in settings.feeds if f.session is not None) or "none"
        raise CertifyError(f"{wanted}: no feed or session of this name; feeds with a session: {names}")
    unknown = options.skip - {step.name for step in SCRIPT}
    if unknown:
        raise CertifyError(f"--skip {min(unknown)}: no such step; steps: {', '.join(step.name for step in SCRIPT)}")
    identity = feed.uat
    if identity is None and options.self_test and feed.session is not None:
        identity = UatIdentity(
            sender_comp_id=f"{feed.session.sender_comp_id}_UAT", target_comp_id=f"{feed.session.target_comp_id}_UAT"
        )
    if identity is None:
        raise CertifyError(
            f"feed {feed.name} has no test identity: add  uat: {{sender_comp_id: ..., target_comp_id: ...}}  to it"
        )
    if identity.name in feeds_by_session(settings.feeds):
        raise CertifyError(f"{identity.name} is a session in production, not one to test with")
    try:
        dialect = load_dialects(settings.dialects).get(feed.dialect)
    except PermanentError as error:
        raise CertifyError(str(error)) from None
    if dialect is None:
        raise CertifyError(f"feed {feed.name}: no dialect {feed.dialect!r}: name the one to certify with")
    session = _session(options, settings, feed, identity)
    tls = settings.acceptor.tls if not options.self_test else None
    context = server_context(tls.certificate, tls.key, tls.client_ca) if tls else None
    return Prepared(feed, dialect, identity, _new_folder(options, settings, identity, clock), session, context)


def _session(options: CertifyOptions, settings: Settings, feed: Feed, identity: UatIdentity) -> SessionConfig:
    """The test session: the rules of the one in production, under the test system's CompIDs."""
    limits, rules = settings.acceptor, feed.session
    version = VERSIONS[rules.version] if rules and rules.version else None
    strict = bool(rules and rules.validation == "strict")
    return SessionConfig(
        identity.sender_comp_id,
        identity.target_comp_id,
        options.begin_string or (version.begin_string if version else None),
        appl_ver_id=version.appl_ver_id if version else "",
        heartbeat_min_seconds=limits.heartbeat_min_seconds,
        heartbeat_max_seconds=limits.heartbeat_max_seconds,
        max_message_bytes=limits.max_message_bytes,
        strict=strict,
        dictionaries=imported_dictionaries(DataDir(settings.data_dir).dictionaries) if strict else {},
    )


def _new_folder(options: CertifyOptions, settings: Settings, identity: UatIdentity, clock: Clock) -> Path:
    stamp = f"{datetime.fromtimestamp(clock.now_ns() // 10**9, UTC):%Y%m%dT%H%M%S}"
    name = f"{identity.sender_comp_id}-{identity.target_comp_id}".replace("/", "_")
    folder = options.out or settings.data_dir / "uat" / name / stamp
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CertifyError(f"{folder}: {error.strerror or error}") from None
    if (folder / WIRE_LOG).exists():
        raise CertifyError(f"{folder}: holds a run already; give another --out")
    return folder


def certify(options: CertifyOptions, say: Callable[[str], None], clock: Clock | None = None) -> tuple[Report, Path]:
    """Run the script and write report.json, report.html and wire.log; returns the report and its folder.

    Raises CertifyError and SettingsError when it cannot begin.
    """
    clock = clock or SystemClock()
    try:
        settings = load(options.config)
    except SettingsError as error:
        raise CertifyError(str(error)) from None
    try:
        ready = prepare(options, settings, clock)
    except (PermanentError, ValueError) as error:
        raise CertifyError(str(error)) from None
    report = asyncio.run(_run(options, ready, say, clock))
    (ready.folder / "report.json").write_text(json.dumps(as_object(report), indent=2) + "\n", encoding="utf-8")
    (ready.folder / "report.html").write_text(as_html(report), encoding="utf-8", newline="\n")
    return report, ready.folder


async def _run(options: CertifyOptions, ready: Prepared, say: Callable[[str], None], clock: Clock) -> Report:
    identity, dialect, config = ready.identity, ready.dialect, ready.session
    reference = Reference({dialect.name: dialect})
    play = _play(options, ready, reference, clock) if options.self_test else None
    skipped = dict.fromkeys(play.lacking if play else (), "there is no such message in the sample")
    skipped |= dict.fromkeys(options.skip, "left out on request")
    judge = Judge(ready.feed, reference, identity.name)
    examiner = Examiner(SCRIPT, skipped, judge, options.step_seconds, clock.monotonic())
    client = _client(config, play, clock) if play else None
    ports: list[int] = []
    bound = asyncio.Event()
    started = clock.now_ns()

    def listening(port: int) -> None:
        ports.append(port)
        bound.set()

    def told(step: Step) -> None:
        number = SCRIPT.index(step) + 1
        say(f"[{number}/{len(SCRIPT)}] {step.title}: {step.ask}")
        if client is not None:
            client.told(step.name)

    with (ready.folder / WIRE_LOG).open("wb") as log:

        def record(at_ns: int, inbound: bool, message: bytes) -> None:
            log.write(f"{at_ns} {'IN ' if inbound else 'OUT'} ".encode() + message + b"\n")
            log.flush()

        place = Place(options.host, options.port, listening, told, record, ready.tls)
        acceptor = CertifyingAcceptor(config, place, examiner, clock)
        running = asyncio.create_task(acceptor.run())
        waiting = asyncio.create_task(bound.wait())
        tasks: set[asyncio.Task[Any]] = {running, waiting}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            waiting.cancel()
            running.result()
        say(f"listening on {options.host}:{ports[0]} for {identity.name}")
        await _with_client(client, running, options.host, ports[0])
    role = "both sides over loopback (self-test)" if play else "acceptor; the counterparty's test system connects"
    notes = [*examiner.notes, *([f"the counterparty's messages are {play.source}"] if play else [])]
    version = f"{dialect.name}, version {dialect.version}"
    return Report(
        identity.name, ready.feed.name, version, role, started, clock.now_ns(), examiner.outcomes, tuple(notes)
    )


async def _with_client(client: TestClient | None, running: "asyncio.Task[None]", host: str, port: int) -> None:
    if client is None:
        await running
        return
    over = asyncio.Event()
    running.add_done_callback(lambda _: over.set())
    playing = asyncio.create_task(client.run(host, port, over))
    await asyncio.wait({running, playing}, return_when=asyncio.FIRST_EXCEPTION)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    running.result()


def _play(options: CertifyOptions, ready: Prepared, reference: Reference, clock: Clock) -> Play:
    if options.sample is None:
        return scripted(ready.session.begin_string or "FIX.4.4", ready.dialect.tz60, clock.now_ns())
    try:
        data = decode(options.sample.read_bytes()).data
    except OSError as error:
        raise CertifyError(f"{options.sample}: {error.strerror}") from None
    play = from_sample(data, Judge(ready.feed, reference, "SAMPLE"), clock.now_ns())
    if play is None:
        raise CertifyError(f"{options.sample}: no message in it becomes a new trade by dialect {ready.dialect.name}")
    return play


def _client(config: SessionConfig, play: Play, clock: Clock) -> TestClient:
    """The same pair seen from the other side: it sends from `sender` to `target`."""
    theirs = SessionConfig(config.target, config.sender, play.begin_string, role=Role.INITIATOR, heartbeat_seconds=30)
    return TestClient(theirs, play, clock)
