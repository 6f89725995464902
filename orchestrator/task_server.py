"""Serves the functions of a machine that calls them through SQS queues, and returns their task tokens."""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.calls import Caller
from orchestrator.commands import RunTask, TaskFailure, TaskResult
from orchestrator.dataflow import text
from orchestrator.portable import INVOKE

logger = logging.getLogger(__name__)

# A message nobody is known to work on comes back after this long; whoever works on it says so more often.
VISIBLE_AFTER_SECONDS = 30
_BEAT_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
# What Step Functions says of a token nobody waits for any more: the task timed out or its execution ended.
_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
_CAUSE_MAX = 32_768


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and how many of its messages are worked on at a time."""

    url: str
    threads: int


class TaskServer:
    """Threads that take messages, call functions and return tokens, until `close`.

    A message is deleted once its token is returned. When the process ends before, the message comes back and the
    function is called again, here or by another process: functions are idempotent.
    """

    def __init__(
        self, sqs: Any, stepfunctions: Any, caller: Caller, queues: Sequence[Queue], poll_seconds: int
    ) -> None:
        """`sqs` and `stepfunctions` are boto3 clients; `poll_seconds` is how long one request waits for a message."""
        self._sqs, self._stepfunctions, self._caller, self._poll = sqs, stepfunctions, caller, poll_seconds
        self._stop = threading.Event()
        # By receipt: a message that came back has another one, and the same token.
        self._held: dict[str, tuple[str, str]] = {}
        self._threads = [
            threading.Thread(target=self._work, args=(queue.url,), name=f"task-{number}", daemon=True)
            for queue in queues
            for number in range(queue.threads)
        ]
        self._threads.append(threading.Thread(target=self._keep, name="task-keeper", daemon=True))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Finish what is being worked on and stop."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, url: str) -> None:
        while not self._stop.is_set():
            try:
                found = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=self._poll)
                for message in found.get("Messages", []):
                    self._serve(url, message)
            except Exception as error:  # a network or AWS: the message comes back
                logger.warning("a task queue cannot be served: %s", error, extra={"queue": url})
                self._stop.wait(_PAUSE_SECONDS)

    def _serve(self, url: str, message: Mapping[str, Any]) -> None:
        receipt = message["ReceiptHandle"]
        asked = _asked(message.get("Body", ""))
        if asked is None:
            logger.warning("a message that is no task is left out", extra={"queue": url})
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)
            return
        token, function, payload = asked
        self._held[receipt] = (url, token)
        try:
            about = payload.get("execution", "") if isinstance(payload, Mapping) else ""
            command = RunTask("", INVOKE, {"FunctionName": function, "Payload": payload}, function)
            result, _ = self._caller.call(str(about), command)
            self._return(token, result)
        finally:
            del self._held[receipt]
        self._sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)

    def _return(self, token: str, result: TaskResult | TaskFailure) -> None:
        try:
            if isinstance(result, TaskResult):
                self._stepfunctions.send_task_success(taskToken=token, output=text(result.output))
            else:
                self._stepfunctions.send_task_failure(
                    taskToken=token, error=result.error[:256], cause=result.cause[:_CAUSE_MAX]
                )
        except Exception as error:
            if _code(error) not in _GONE:
                raise
            logger.warning("nobody waits for a task any more: %s", error)

    def _keep(self) -> None:
        """Say that what is being worked on is alive."""
        while not self._stop.wait(_BEAT_SECONDS):
            for receipt, (url, token) in list(self._held.items()):
                try:
                    self._sqs.change_message_visibility(
                        QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=VISIBLE_AFTER_SECONDS
                    )
                    self._stepfunctions.send_task_heartbeat(taskToken=token)
                except Exception as error:  # it may just have ended; if not, the message comes back
                    logger.info("a task's sign of life was not taken: %s", error)


def _asked(body: str) -> tuple[str, str, Any] | None:
    """Token, function and payload of a message, None when it is none of ours."""
    try:
        found = json.loads(body)
        return str(found["token"]), str(found["function"]), found.get("payload")
    except (ValueError, TypeError, KeyError):
        return None


def _code(error: Exception) -> str:
    told = getattr(error, "response", {}) or {}
    return str(told.get("Error", {}).get("Code", ""))
