"""Which engine runs the executions: embedded in this process, or Step Functions, chosen by the scheme of `engine`."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from app.aws import client
from app.paths import DataDir
from app.settings import Settings, SettingsError
from domain.clock import Clock
from orchestrator.calls import Caller
from orchestrator.embedded import EmbeddedEngine
from orchestrator.queued import over_queues
from orchestrator.remote import RemoteEngine, machine_named, put_machine
from orchestrator.task_server import VISIBLE_AFTER_SECONDS, Queue, TaskServer

Functions = Mapping[str, Callable[[dict[str, Any]], Any]]
ServiceEngine = EmbeddedEngine | RemoteEngine
_PARALLEL_THREADS = 2
_POLL_SECONDS = 5
_LOCAL_ROLE = "arn:aws:iam::000000000000:role/tieout"


def open_engine(
    settings: Settings, definition: Mapping[str, Any], functions: Functions, clock: Clock, serial: Collection[str]
) -> ServiceEngine:
    """The engine of the service. Raises SettingsError naming the key for what cannot work."""
    if settings.address("engine").scheme == "embedded":
        path = DataDir(settings.data_dir).engine
        return EmbeddedEngine(
            path, definition, functions, clock, serial=serial, synchronous=settings.worker.synchronous
        )
    return _step_functions(settings, definition, functions, clock, frozenset(serial))


def _step_functions(
    settings: Settings, definition: Mapping[str, Any], functions: Functions, clock: Clock, serial: frozenset[str]
) -> RemoteEngine:
    """The state machine `stepfunctions://NAME` and its two task queues; with `?role=` (and in local-aws) they are made.

    Tasks named in `serial` come through a FIFO queue in one group, so that one runs at a time over all workers. With
    `?tasks=lambda` the machine calls Lambda functions (app/handlers.py) and there are no queues.
    """
    address = settings.address("engine")
    name = address.host or address.path.lstrip("/")
    if not name:
        raise SettingsError("engine: stepfunctions:// needs a name, as in stepfunctions://tieout?role=ARN")
    role = address.query.get("role", _LOCAL_ROLE if settings.profile == "local-aws" else "")
    by = address.query.get("tasks", "queues")
    if by not in ("queues", "lambda"):
        raise SettingsError(f"engine: tasks={by}: the tasks come by queues or by lambda")
    sqs, states = client(settings, "sqs"), client(settings, "stepfunctions")
    plain, urls = name.rpartition(":")[2], ["", ""]
    try:
        if by == "queues":
            urls = [_queue(sqs, f"{plain}-tasks", bool(role)), _queue(sqs, f"{plain}-serial.fifo", bool(role))]
            definition = over_queues(definition, lambda function: (urls[function in serial], function in serial))
        arn = put_machine(states, name, definition, role) if role else machine_named(states, name)
    except Exception as error:
        raise SettingsError(f"engine: {settings.engine}: {error}") from None
    if arn is None:
        raise SettingsError(f"engine: there is no state machine {name!r}; with ?role=ARN it is made")
    queues = [Queue(urls[0], _PARALLEL_THREADS), Queue(urls[1], 1)] if by == "queues" else []
    server = TaskServer(sqs, states, Caller(functions, clock), queues, _POLL_SECONDS)
    return RemoteEngine(states, arn, server, clock)


def _queue(sqs: Any, name: str, may_make: bool) -> str:
    if not may_make:
        return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
    attributes = {"VisibilityTimeout": str(VISIBLE_AFTER_SECONDS)}
    if name.endswith(".fifo"):
        attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
