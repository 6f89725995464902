"""The supervisor: one service per data directory, children that end with it, a configuration that cannot work."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from app.files import read_json, write_json
from app.paths import DataDir
from app.settings import SettingsError, load
from app.supervise import Supervisor, hold
from domain.clock import SystemClock
from domain.errors import TransientError
from ingest.session.initiator import SenderLimits, SendReport, send_messages
from ingest.session.status import read_status

PATIENCE_SECONDS = 60
MEGABYTE = 1024 * 1024
# Others write to the same disk meanwhile: the watermark is this far from what is free, on either side.
MARGIN_MB = 1024


def configured(root: Path, **settings: object) -> Path:
    path = root / "tieout.yaml"
    feed = {"name": "A", "role": "PB", "party": "A", "session": {"sender_comp_id": "A", "target_comp_id": "T"}}
    defaults = {"data_dir": "data", "feeds": [feed], "acceptor": {"port": 0}, "console": {"port": 0}}
    path.write_text(yaml.safe_dump({**defaults, **settings}))
    return path


def supervisor(config: Path) -> Supervisor:
    return Supervisor(load(config), config, SystemClock(), log=config.parent / "log")


def test_one_service_per_data_directory(tmp_path: Path) -> None:
    config = configured(tmp_path)
    data = DataDir(tmp_path / "data").create()
    write_json(data.service, {"pid": 4711, "token": "theirs"})
    held = hold(data)
    second = supervisor(config)
    with pytest.raises(SettingsError, match=r"data_dir: .* in use by the service with process id 4711"):
        second.start()
    second.stop()
    assert read_json(data.service)["token"] == "theirs", "the other's address and token are untouched"
    os.close(held)
    os.close(hold(data))


def test_the_hold_ends_with_its_process(tmp_path: Path) -> None:
    data = DataDir(tmp_path).create()
    code = (
        "import sys; from pathlib import Path; from app.paths import DataDir; from app.supervise import hold;"
        "hold(DataDir(Path(sys.argv[1]))); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(SettingsError):
            hold(data)
        other.kill()
        other.wait()
    os.close(hold(data))


def test_a_child_that_can_never_work_ends_the_service(tmp_path: Path) -> None:
    """A restart would not help: the settings became wrong after the supervisor read them."""
    config = configured(tmp_path)
    here = supervisor(config)
    configured(tmp_path, tenant="Not A Tenant")
    here.start()
    try:
        status: list[int] = []
        watching = threading.Thread(target=lambda: status.append(here.run(threading.Event())), daemon=True)
        watching.start()
        watching.join(PATIENCE_SECONDS)
        assert status == [2]
        assert not DataDir(tmp_path / "data").ready.joinpath("worker.json").exists()
    finally:
        here.stop()
    said = (tmp_path / "log").read_text()
    assert "tenant" in said and "Traceback" not in said
    assert not DataDir(tmp_path / "data").service.exists(), "a stopped service leaves no token behind"


def acceptor(config: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The acceptor alone, as the supervisor starts it; the pipe end that keeps it alive."""
    DataDir(config.parent / "data").create()
    read_end, write_end = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "app.children", "acceptor", "--config", str(config), "--parent-fd", str(read_end)],
        pass_fds=(read_end,),
        stderr=subprocess.PIPE,
    )
    os.close(read_end)
    return child, write_end


def ready(config: Path, child: subprocess.Popen[bytes]) -> int:
    path = config.parent / "data" / "ready" / "acceptor.json"
    wait(lambda: (found := read_json(path)) and found["pid"] == child.pid)
    return int(read_json(path)["port"])


def wait(condition: Callable[[], object]) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert clock.monotonic() < deadline, "it never happened"
        clock.sleep(0.02)


def test_a_child_ends_when_its_parent_does_and_not_on_ctrl_c(tmp_path: Path) -> None:
    config = configured(tmp_path)
    child, pipe = acceptor(config)
    try:
        port = ready(config, child)
        child.send_signal(signal.SIGINT)  # reaches the whole group; the supervisor decides
        socket.create_connection(("127.0.0.1", port)).close()
        assert child.poll() is None
        os.close(pipe)
        _, said = child.communicate(timeout=PATIENCE_SECONDS)
        assert child.returncode == 0 and b"Traceback" not in said
    finally:
        child.kill()


def test_a_nearly_full_disk_stops_the_acceptor_until_there_is_room_again(tmp_path: Path) -> None:
    free_mb = shutil.disk_usage(tmp_path).free // MEGABYTE
    if free_mb < 8 * MARGIN_MB:
        pytest.skip(f"needs {8 * MARGIN_MB} MB of free disk, there are {free_mb}")
    config = configured(tmp_path, acceptor={"port": 0, "disk_watermark_mb": free_mb - MARGIN_MB})
    ballast, state = tmp_path / "ballast", DataDir(tmp_path / "data").sessions
    fill = b"8=FIX.4.4\x0135=8\x0137=O1\x0117=E1\x0110=000\x01"
    once, patient = SenderLimits(logon_seconds=1.5), SenderLimits(attempts=200, reconnect_seconds=0.1)
    child, pipe = acceptor(config)
    try:
        port = ready(config, child)

        def send(limits: SenderLimits) -> SendReport:
            store = tmp_path / "sender.store"
            return asyncio.run(
                send_messages("127.0.0.1", port, "A", "T", "FIX.4.4", [fill], store_path=store, limits=limits)
            )

        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 2 * MARGIN_MB * MEGABYTE)
        wait(lambda: (status := read_status(state)) and status.disk_low)
        with pytest.raises(TransientError, match="no answer to Logon"):
            send(once)
        assert (read_status(state) or pytest.fail("no status")).sessions[0].received == 0
        ballast.unlink()
        assert send(patient).sent == 1
        wait(lambda: (status := read_status(state)) and not status.disk_low and status.sessions[0].received > 0)
    finally:
        os.close(pipe)
        child.communicate(timeout=PATIENCE_SECONDS)
        ballast.unlink(missing_ok=True)


def test_a_second_acceptor_waits_for_the_first_one_to_go(tmp_path: Path) -> None:
    config = configured(tmp_path)
    first, first_pipe = acceptor(config)
    second, second_pipe = None, -1
    try:
        ready(config, first)
        second, second_pipe = acceptor(config)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1.5)
        os.close(first_pipe)
        first.communicate(timeout=PATIENCE_SECONDS)
        assert ready(config, second) > 0
    finally:
        for child in (first, second):
            if child is not None:
                child.kill()
                child.communicate()
        if second_pipe >= 0:
            os.close(second_pipe)
