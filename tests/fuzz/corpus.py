"""What damage is done to: a small simulated day as messages and files, and public messages where they are at hand."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

from simulator.profiles import PROFILES
from simulator.simulate import in_memory, simulate

_DAY = date(2026, 6, 4)
_PUBLIC = Path(__file__).parents[2].parent / "shared" / "fix-corpus" / "messages.fix"
_ROWS = 25


@cache
def streams() -> Mapping[str, list[bytes]]:
    """Messages of a simulated day by session, in wire form."""
    flow = in_memory(replace(PROFILES["smoke"], fills=120), 3, _DAY)
    return {name: [raw for _, raw in stream] for name, stream in flow.streams.items()}


@cache
def messages() -> list[bytes]:
    """All of them, and hand-made ones of kinds the simulator does not write."""
    found = [raw for stream in streams().values() for raw in stream]
    return [*found, *(_wire(line) for line in _OTHERS)]


@cache
def public_lines() -> list[bytes]:
    """Real-world messages, one a line, whatever separates their fields; none where the corpus is not at hand."""
    return [line for line in _PUBLIC.read_bytes().split(b"\n") if line] if _PUBLIC.is_file() else []


@cache
def files() -> Mapping[str, bytes]:
    """Files of the simulated prime brokers by name (logs, CSV, fixed width, XML), cut to a few rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "day"
        simulate(replace(PROFILES["smoke"], fills=120), 3, _DAY, out)
        paths = [p for p in sorted(out.rglob("*")) if p.suffix in (".fix", ".csv", ".txt", ".xml")]
        wanted = [p for p in paths if p.parent.name != "reference" and p.stat().st_size]
        return {str(p.relative_to(out)): _few(p.name, p.read_bytes()) for p in wanted}


def _few(name: str, data: bytes) -> bytes:
    if name.endswith(".xml"):
        return data
    lines = data.splitlines(keepends=True)
    # The trailer of a fixed-width file stays; what it counts is then wrong for once.
    return b"".join(lines if name.endswith(".txt") else lines[:_ROWS])


def _wire(text: str) -> bytes:
    body = text.encode().replace(b"|", b"\x01")
    head = b"8=FIX.4.4\x019=%d\x01" % len(body) + body
    return head + b"10=%03d\x01" % (sum(head) % 256)


_HEAD = "49=OMS|56=TIEOUT|34=7|52=20260604-13:30:01.500|"
_OTHERS = [
    "35=AP|" + _HEAD + "721=P1|715=20260604|730=10.5|731=1|1=A1|55=IBM|15=USD|702=2|703=TQ|704=10|705=3|703=SOD|704=1|",
    "35=AR|" + _HEAD + "571=T1|939=1|751=99|58=no|55=IBM|150=F|17=E1|",
    "35=P|" + _HEAD + "70=A1|87=1|88=5|60=20260604-13:30:01|58=unknown account|78=1|79=X|80=5|",
    "35=AU|" + _HEAD + "664=C1|773=1|940=3|60=20260604-13:30:01|75=20260604|",
    "35=AT|" + _HEAD + "755=R1|70=A1|87=0|60=20260604-13:30:01|",
    "35=Q|" + _HEAD + "37=O1|17=E1|127=A|55=IBM|54=1|32=5|31=1|",
    "35=AK|" + _HEAD + "664=C1|666=0|773=1|70=A1|54=1|55=IBM|80=5|6=1.5|15=USD|"
    "60=20260604-13:30:01|75=20260604|64=20260605|79=A1|381=7.5|118=7.5|",
]  # fmt: skip
