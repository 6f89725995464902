"""Everything that reads bytes from outside, by name."""

from tests.fuzz.harness import Target
from tests.fuzz.targets_codec import CODEC
from tests.fuzz.targets_dictionary import DICTIONARY
from tests.fuzz.targets_files import FILES
from tests.fuzz.targets_fix import FIX
from tests.fuzz.targets_session import SESSION

TARGETS: dict[str, Target] = {target.name: target for target in (*SESSION, *FIX, *CODEC, *FILES, *DICTIONARY)}
