"""The fields Amazon States Language knows, by where they stand, so that a misspelt one is not passed over."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from orchestrator.choice import OPERATORS


def _words(*groups: str) -> frozenset[str]:
    return frozenset(" ".join(groups).split())


_ANY = "Type Comment QueryLanguage"
_FLOW = "InputPath OutputPath"
_ONWARD = "Next End Assign"
_WORK = "Parameters ResultSelector ResultPath Retry Catch"

STATE_FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Pass": _words(_ANY, _FLOW, _ONWARD, "Parameters Result ResultPath"),
        "Task": _words(
            _ANY, _FLOW, _ONWARD, _WORK,
            "Resource Credentials TimeoutSeconds TimeoutSecondsPath HeartbeatSeconds HeartbeatSecondsPath",
        ),
        "Choice": _words(_ANY, _FLOW, "Assign Choices Default"),
        "Wait": _words(_ANY, _FLOW, _ONWARD, "Seconds SecondsPath Timestamp TimestampPath"),
        "Succeed": _words(_ANY, _FLOW),
        "Fail": _words(_ANY, "Error ErrorPath Cause CausePath"),
        "Parallel": _words(_ANY, _FLOW, _ONWARD, _WORK, "Branches"),
        "Map": _words(
            _ANY, _FLOW, _ONWARD, _WORK,
            "ItemProcessor Iterator ItemsPath ItemSelector ItemReader ItemBatcher ResultWriter Label",
            "MaxConcurrency MaxConcurrencyPath ToleratedFailureCount ToleratedFailureCountPath",
            "ToleratedFailurePercentage ToleratedFailurePercentagePath",
        ),
    }
)  # fmt: skip
MACHINE_FIELDS = _words("StartAt States Comment QueryLanguage Version TimeoutSeconds ProcessorConfig")
RULE_FIELDS = OPERATORS | _words("Variable And Or Not Next Assign Comment")
RETRY_FIELDS = _words("ErrorEquals IntervalSeconds MaxAttempts BackoffRate MaxDelaySeconds JitterStrategy Comment")
CATCH_FIELDS = _words("ErrorEquals Next ResultPath Assign Comment")
_JSONATA_FIELDS = _words("Arguments Output Items Condition")


def unknown(part: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """What to say of each field of `part` that is not known there."""
    return [
        f"{field} belongs to JSONata, which this engine does not support"
        if field in _JSONATA_FIELDS
        else f"{field} is not a field here"
        for field in part
        if field not in known
    ]
