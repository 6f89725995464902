"""Messages between the real package `pyfixmsg` and ours, both ways, and the real one from a checkout."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ingest.fix.pyfix.copying import fill_group, walk
from ingest.fix.pyfix.fixmessage import FixFragment, FixMessage
from ingest.fix.pyfix.groups import RepeatingGroup

_ATTRIBUTES = ("process", "separator", "time", "recipient", "direction", "raw_message", "typed_values", "tag_order")
_NAME = "pyfixmsg"


def load_checkout(directory: Path) -> ModuleType:
    """The real package from a checkout's folder, which has no installer. It needs `six`.

    Raises ImportError where the folder has no such package, or its imports fail, or the name is taken by the alias.
    """
    if not (directory / _NAME / "fixmessage.py").is_file():
        raise ImportError(f"{directory}: no checkout of {_NAME}: it has no {_NAME}/fixmessage.py")
    sys.path.insert(0, str(directory))
    try:
        package = importlib.import_module(_NAME)
        for name in ("fixmessage", "reference", "util", "codecs.stringfix"):
            importlib.import_module(f"{_NAME}.{name}")
    finally:
        sys.path.remove(str(directory))
    if Path(str(package.__file__)).resolve().parent != (directory / _NAME).resolve():
        raise ImportError(f"{_NAME} is already imported from {package.__file__}, not from {directory}")
    return package


def from_pyfixmsg(message: Mapping[Any, Any], codec: Any = None) -> FixMessage:
    """Ours with the same tags, values, groups and attributes as a message of the real package (or any such dict).

    The codec is ours: `codec`, else the default, which reads no groups.
    """
    fields = walk(
        message,
        lambda tag, value: value,
        lambda group, tag, entries: fill_group(RepeatingGroup(), group, tag, entries),
        lambda entry, new: FixFragment(new),
    )
    ours = FixMessage(fields)
    _with_attributes(ours, message, codec)
    return ours


def to_pyfixmsg(message: Mapping[Any, Any], package: ModuleType, codec: Any = None) -> Any:
    """A FixMessage of the real package with the same tags, values, groups and attributes; `codec` is one of its own."""
    classes = importlib.import_module(f"{package.__name__}.fixmessage")
    fields = walk(
        message,
        lambda tag, value: value,
        lambda group, tag, entries: fill_group(package.RepeatingGroup(), group, tag, entries),
        lambda entry, new: classes.FixFragment(new),
    )
    return _with_attributes(classes.FixMessage(fields), message, codec)


def _with_attributes(new: Any, message: Mapping[Any, Any], codec: Any) -> Any:
    for name in _ATTRIBUTES:
        if hasattr(message, name):
            setattr(new, name, getattr(message, name))
    if codec is not None:
        new.codec = codec
    return new
