"""Lambda handlers: one function per task of the state machine, deployed under the names its states call.

Each is `app.handlers.NAME` with `tieout.yaml` beside the code, or settings in the environment (TIEOUT_<KEY>). The
stores are opened at the first call and kept as long as the process lives. The warehouse, the stream and the ledger must
be ones that several processes share.
"""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.installation import Installation, open_installation
from app.settings import load

Json = dict[str, Any]
Handler = Callable[[Json, Any], Json]
_SETTINGS = Path("tieout.yaml")


class Functions:
    """The functions of one installation, opened when the first of them is called."""

    def __init__(self, config: Path | None) -> None:
        self._config, self._lock, self._stack = config, threading.Lock(), contextlib.ExitStack()
        self._opened: Installation | None = None

    def handler(self, name: str) -> Handler:
        """The handler of the function of this name: the task's payload in, its answer out, its errors raised."""

        def handle(event: Json, _context: Any) -> Json:
            return dict(self._installation().functions[name](event))

        return handle

    def close(self) -> None:
        """Close the stores; Lambda ends the process instead."""
        with self._lock:
            self._stack.close()
            self._opened = None

    def _installation(self) -> Installation:
        with self._lock:
            if self._opened is None:
                config = self._config if self._config is not None and self._config.is_file() else None
                self._opened = self._stack.enter_context(open_installation(load(config)))
            return self._opened


_FUNCTIONS = Functions(_SETTINGS)
normalize = _FUNCTIONS.handler("tieout-normalize")
match = _FUNCTIONS.handler("tieout-match")
score = _FUNCTIONS.handler("tieout-score")
ticket = _FUNCTIONS.handler("tieout-ticket")
park = _FUNCTIONS.handler("tieout-park")
