"""Lines by message id, without an object for each."""

import numpy as np
import pytest

from ingest.files.numbered_lines import NumberedLines


def test_lines_are_found_by_the_ids_of_the_log_and_by_no_others() -> None:
    lines = NumberedLines("F/a:b.fix", np.array([1, 4, 9], dtype=np.int64))
    assert dict(lines) == {"F/a:b.fix:1": 1, "F/a:b.fix:2": 4, "F/a:b.fix:3": 9}
    for other in ("F/a:b.fix:0", "F/a:b.fix:4", "F/a:b.fix:", "F/a:b.fix", "F/other.fix:1", "1", "F/a:b.fix:-1"):
        assert other not in lines and lines.get(other) is None
        with pytest.raises(KeyError):
            lines[other]
