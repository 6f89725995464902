"""Putting Tieout's message objects where `import pyfixmsg` finds them, and taking them away again."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_HOME = "ingest.fix.pyfix"
_SUBMODULES = ("codecs", "codecs.stringfix", "fixmessage", "reference", "util")


def install(name: str = "pyfixmsg", replace: bool = False) -> ModuleType:
    """Make `import NAME` and its submodules give Tieout's; returns the top module.

    Raises RuntimeError where another package of that name is already imported, unless `replace` is given.
    """
    top = importlib.import_module(f"{_HOME}.pyfixmsg")
    if sys.modules.get(name, top) is not top:
        if not replace:
            raise RuntimeError(
                f"another {name!r} is already imported; install the alias before it, or with replace=True"
            )
        _forget(name)
    sys.modules[name] = top
    for one in _SUBMODULES:
        sys.modules[f"{name}.{one}"] = importlib.import_module(f"{_HOME}.{one}")
    return top


def remove(name: str = "pyfixmsg") -> None:
    """Undo `install`; another package of that name is left alone."""
    if sys.modules.get(name) is sys.modules.get(f"{_HOME}.pyfixmsg"):
        _forget(name)


@contextmanager
def installed(name: str = "pyfixmsg") -> Iterator[ModuleType]:
    """`install` for a while; what was imported under that name before comes back."""
    before = {key: sys.modules[key] for key in _keys(name)}
    try:
        yield install(name, replace=True)
    finally:
        _forget(name)
        sys.modules.update(before)


def _forget(name: str) -> None:
    for key in _keys(name):
        del sys.modules[key]


def _keys(name: str) -> list[str]:
    return [key for key in sys.modules if key == name or key.startswith(f"{name}.")]
