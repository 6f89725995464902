"""Names: an execution's key in the store, and the ARNs of machines, executions and activities as AWS writes them."""

import re

from domain.errors import PermanentError

MAIN = "tieout"
"""The machine an engine was opened with; its executions are kept under their plain names."""

ROLE = "arn:aws:iam::000000000000:role/tieout"
_PREFIX = "arn:aws:states:local:000000000000"
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]{1,80}")
_ARN = re.compile(r"arn:[a-z-]+:states:[a-z0-9-]*:\d*:(?P<kind>stateMachine|execution|activity):(?P<rest>.+)")


def key_of(machine: str, name: str) -> str:
    """The key of an execution in the store; no name holds a colon, so no two executions share a key."""
    return name if machine == MAIN else f"{machine}:{name}"


def machine_and_name(key: str) -> tuple[str, str]:
    """The machine and the plain name behind a key."""
    machine, _, name = key.rpartition(":")
    return machine or MAIN, name


def machine_arn(machine: str) -> str:
    """A machine's ARN."""
    return f"{_PREFIX}:stateMachine:{machine}"


def execution_arn(key: str) -> str:
    """An execution's ARN."""
    machine, name = machine_and_name(key)
    return f"{_PREFIX}:execution:{machine}:{name}"


def activity_arn(activity: str) -> str:
    """An activity's ARN."""
    return f"{_PREFIX}:activity:{activity}"


def activity_in(arn: str) -> str:
    """The activity an ARN names. Raises PermanentError ("InvalidArn: ...")."""
    return _only(arn, "activity")


def machine_in(arn: str) -> str:
    """The machine an ARN names. Raises PermanentError ("InvalidArn: ...")."""
    return _only(arn, "stateMachine")


def key_in(arn: str) -> str:
    """The key of the execution an ARN names. Raises PermanentError ("InvalidArn: ...")."""
    kind, rest = _parts(arn)
    machine, _, name = rest.partition(":")
    if kind != "execution" or not name or ":" in name:
        raise PermanentError(f"InvalidArn: Invalid Arn: 'Resource type not valid in this context: {kind}'")
    return key_of(machine, name)


def is_name(text: str) -> bool:
    """Whether Step Functions takes this as a name: 1 to 80 characters without blanks, brackets, wildcards and such."""
    return _NAME.fullmatch(text) is not None


def _only(arn: str, wanted: str) -> str:
    kind, rest = _parts(arn)
    if kind != wanted or ":" in rest:
        raise PermanentError(f"InvalidArn: Invalid Arn: 'Resource type not valid in this context: {kind}'")
    return rest


def _parts(arn: str) -> tuple[str, str]:
    found = _ARN.fullmatch(arn)
    if found is None:
        raise PermanentError(f"InvalidArn: Invalid Arn: '{arn[:200]}'")
    return found["kind"], found["rest"]
