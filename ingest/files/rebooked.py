"""Rebooked trades of a statement: what a later version leaves blank is still as the version before it told."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.sheet import Sheet

FLAG = "COMMISSION_KEPT"


def keep_commission(sheet: Sheet, found: dict[str, pa.Array]) -> None:
    """Give a correction without a commission that of the newest earlier version of the same trade in the file.

    A cancel and rebook under one id charges nothing again and takes nothing back. Rows so filled are flagged.
    """
    if "commission" not in found:
        return
    blank = pc.and_(pc.equal(found["status"], "CORRECT"), pc.is_null(found["commission"]))
    rows = np.flatnonzero(pc.fill_null(blank, False).to_numpy(zero_copy_only=False))
    if not len(rows):
        return
    uids, versions = found["trade_uid"].to_pylist(), found["version"].to_pylist()
    amounts = found["commission"].to_pylist()
    charged = sorted((uids[at], versions[at], at) for at in range(sheet.count) if uids[at] and amounts[at] is not None)
    of: dict[str, list[tuple[int, int]]] = {}
    for uid, version, at in charged:
        of.setdefault(uid, []).append((version, at))
    kept = np.zeros(sheet.count, dtype=bool)
    for row in rows.tolist():
        before = [at for version, at in of.get(uids[row], ()) if version < versions[row]]
        if before:
            amounts[row], kept[row] = amounts[before[-1]], True
    found["commission"] = pa.array(amounts, found["commission"].type)
    sheet.mark(kept, FLAG)
