"""A durable Amazon States Language engine: run a machine in memory, validate one, or keep it in EmbeddedEngine."""

from orchestrator.definition import Problem, validate
from orchestrator.errors import TaskError
from orchestrator.machine import Outcome
from orchestrator.memory import run

__all__ = ["Outcome", "Problem", "TaskError", "run", "validate"]
