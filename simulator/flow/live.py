"""Which versions stand at the end: the last of each record, unless it cancels or rejects."""

import numpy as np

from simulator.records import Bool, Records, Source, Status


def live(records: Records) -> Bool:
    """True for records of one day that no later version replaces and that are neither cancelled nor rejected."""
    stands = (records.status == Status.NEW) | (records.status == Status.CORRECT)
    later = np.flatnonzero(records.version > 1)
    for source in Source:
        of = later[records.source[later] == source]
        if not len(of):
            continue
        last = np.zeros(int(records.root[of].max()) + 1, np.int16)
        np.maximum.at(last, records.root[of], records.version[of])
        rows = np.flatnonzero(records.source == source)
        inside = rows[records.root[rows] < len(last)]
        stands[inside] &= records.version[inside] >= last[records.root[inside]]
    made: Bool = stands
    return made
