"""The two errors the workflow knows; Step Functions compares error names as strings, so the set stays flat."""


class TransientError(Exception):
    """The world may heal by itself (time-out, 503, lock): the state machine retries. `str(e)` is the cause."""


class PermanentError(Exception):
    """Retrying cannot help (refused, corrupt, fenced): the state machine parks the work. `str(e)` is the cause."""
