"""The face of the package `pyfixmsg`: everything under its names, to be put in place of that package."""

from pathlib import Path

from ingest.fix.pyfix import codecs, fixmessage, reference, util
from ingest.fix.pyfix.codecs import stringfix
from ingest.fix.pyfix.codecs.stringfix import SEPARATOR, Codec
from ingest.fix.pyfix.fixmessage import FixFragment, FixMessage
from ingest.fix.pyfix.groups import STRSUM, RepeatingGroup, RepeatingGroupFactory, len_and_chsum
from ingest.fix.pyfix.reference import FixSpec

__all__ = [
    "SEPARATOR", "STRSUM", "Codec", "FixFragment", "FixMessage", "FixSpec", "RepeatingGroup", "RepeatingGroupFactory",
    "codecs", "fixmessage", "len_and_chsum", "reference", "stringfix", "util",
]  # fmt: skip

# Makes it a package to the import system, so that `sys.modules["pyfixmsg"] = pyfixmsg` alone serves submodules too.
__path__ = [str(Path(__file__).parent)]
