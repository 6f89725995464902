"""docs/session.md: its example runs, and is short."""

import asyncio
import re
from pathlib import Path
from typing import Any

from ingest.session.wire import compose, fields

PAGE = (Path(__file__).parents[3] / "docs" / "session.md").read_text(encoding="utf-8")


def test_the_example_is_an_acceptor_that_answers() -> None:
    example = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    assert example.count("\n") <= 30
    names: dict[str, Any] = {}
    exec(example, names)

    def message(number: int, kind: str, *body: tuple[int, str]) -> bytes:
        head = [(35, kind), (49, "CLIENT"), (56, "BROKER"), (34, str(number)), (52, "20260105-10:00:00")]
        return compose("FIX.4.4", [*head, *body])

    async def scenario() -> list[dict[int, str]]:
        server = await asyncio.get_running_loop().create_server(names["Acceptor"], "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(message(1, "A", (98, "0"), (108, "30")))
        writer.write(message(2, "D", (11, "C1")) + message(3, "D", (11, "C2")))
        heard = b""
        while heard.count(b"\x0135=8\x01") < 2:
            heard += await reader.read(4_096)
        writer.write(message(4, "2", (7, "1"), (16, "0")) + message(5, "5"))
        found = [fields(b"8=" + part) for part in (heard + await reader.read()).split(b"8=FIX")[1:]]
        writer.close()
        server.close()
        return found

    answers = asyncio.run(scenario())
    told = [(answer[35], answer.get(11), answer.get(43)) for answer in answers]
    assert told[:3] == [("A", None, None), ("8", "C1", None), ("8", "C2", None)]
    assert told[3:] == [("4", None, "Y"), ("8", "C1", "Y"), ("8", "C2", "Y"), ("5", None, None)]
