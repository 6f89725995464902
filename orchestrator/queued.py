"""A machine whose functions are called through queues: workers take the message and return its task token."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.portable import INVOKE, QUEUE, function_of

SERIAL_GROUP = "serial"
# Names the queue of a function, and whether its calls come one at a time (a FIFO queue).
Queues = Callable[[str], tuple[str, bool]]


def over_queues(definition: Mapping[str, Any], queues: Queues) -> dict[str, Any]:
    """The same machine with every `lambda:invoke` of a literal name as `sqs:sendMessage.waitForTaskToken`.

    The message holds `token`, `function` and `payload`; who takes it returns what Lambda would (`Payload`), so that
    ResultSelector, Retry and Catch stay as they are.
    """
    states = {name: _state(state, queues) for name, state in definition.get("States", {}).items()}
    return {**definition, "States": states}


def _state(state: Mapping[str, Any], queues: Queues) -> dict[str, Any]:
    made = dict(state)
    for key in ("ItemProcessor", "Iterator"):
        if key in made:
            made[key] = over_queues(made[key], queues)
    if "Branches" in made:
        made["Branches"] = [over_queues(branch, queues) for branch in made["Branches"]]
    function = function_of(state) if state.get("Resource") == INVOKE else ""
    if not function:
        return made
    url, is_serial = queues(function)
    given = state.get("Parameters", {})
    payload = {key: given[key] for key in ("Payload", "Payload.$") if key in given} or {"Payload": {}}
    body = {"token.$": "$$.Task.Token", "function": function}
    body |= {key.replace("Payload", "payload"): value for key, value in payload.items()}
    asked: dict[str, Any] = {"QueueUrl": url, "MessageBody": body}
    if is_serial:
        asked["MessageGroupId"] = SERIAL_GROUP
    return made | {"Resource": f"{QUEUE}.waitForTaskToken", "Parameters": asked}
