"""What a message must keep before it counts as understood: header rules for all, the dictionary for strict sessions."""

from domain.clock import Clock
from ingest.session.state import SessionConfig
from ingest.session.strict import APPL_VERSION, MISSING, Problem, Rules
from ingest.session.versions import APPL_VERSIONS, Version
from ingest.session.wire import parse_timestamp

ADMIN = frozenset("01235A")
_COMP_ID, _SENDING_TIME = 9, 10
WRONG_TIME = "SendingTime accuracy problem (52)"
WRONG_PAIR = "CompID pair is not this session's"


class Checks:
    """The checks of one connection, once its version is known."""

    def __init__(self, config: SessionConfig, clock: Clock, version: Version) -> None:
        self._config, self._clock = config, clock
        self._pair = (config.sender, config.target)
        self._rules = Rules(version, config.dictionaries) if config.strict else None

    def time_is_right(self, head: dict[int, str]) -> bool:
        """Whether SendingTime(52) is near enough to now, where that is asked for."""
        limit, sent = self._config.sending_time_seconds, head.get(52)
        if not limit or sent is None:
            return True
        at = parse_timestamp(sent)
        return at is not None and abs(self._clock.now_ns() - at) <= limit * 1e9

    def of_new(self, message: bytes, head: dict[int, str]) -> Problem | None:
        """The first problem of a message that has the expected number."""
        if (head.get(49), head.get(56)) != self._pair:
            return Problem(_COMP_ID, 49, "CompID problem", fatal=WRONG_PAIR)
        if 52 not in head:
            return Problem(MISSING, 52, "Required tag missing")
        if not self.time_is_right(head):
            return Problem(_SENDING_TIME, 52, "SendingTime accuracy problem", fatal=WRONG_TIME)
        problem = self.of_duplicate(head) if head.get(43) == "Y" else None
        return problem or self._of_rules(message, head)

    def of_duplicate(self, head: dict[int, str]) -> Problem | None:
        """PossDup needs OrigSendingTime(122), not after SendingTime(52)."""
        if 122 not in head:
            return Problem(MISSING, 122, "Required tag missing")
        first, now = parse_timestamp(head[122]), parse_timestamp(head.get(52))
        late = first > now if first is not None and now is not None else head[122] > head.get(52, "")
        return Problem(_SENDING_TIME, 122, "OrigSendingTime is after SendingTime") if late else None

    def _of_rules(self, message: bytes, head: dict[int, str]) -> Problem | None:
        if self._rules is None:
            return None
        if head.get(1128, "9") not in APPL_VERSIONS:
            return Problem(APPL_VERSION, 1128, "Invalid or unsupported ApplVerID")
        problem = self._rules.check(message, head[35])
        if problem is None and head[35] not in ADMIN and head[35] not in self._config.supported:
            return Problem(-1, 0, "Unsupported message type")
        return problem
