"""The bodies of requests as Step Functions defines them; fields this service has no use for are left aside."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Arn = Annotated[str, Field(min_length=1, max_length=2_048)]
ActivityArn = Annotated[str, Field(min_length=1, max_length=256)]
Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
PageSize = Annotated[int, Field(ge=0, le=1_000)]
Token = Annotated[str, Field(min_length=1, max_length=2_048)]


class Body(BaseModel):
    """A request; names are those of the API."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, strict=True)


class Paged(Body):
    """A page of a list; 0 is 100 rows."""

    max_results: PageSize = 0
    next_token: Annotated[str, Field(max_length=3_096)] | None = None

    @property
    def rows(self) -> int:
        """Rows asked for."""
        return self.max_results or 100


class StartExecution(Body):
    """Without a name one is made up."""

    state_machine_arn: Arn
    name: str | None = None
    input: str = "{}"


class OneExecution(Body):
    """DescribeExecution, DescribeStateMachineForExecution and RedriveExecution."""

    execution_arn: Arn


class StopExecution(OneExecution):
    """Error and cause are what the execution shows afterwards."""

    error: Annotated[str, Field(max_length=256)] = ""
    cause: Annotated[str, Field(max_length=32_768)] = ""


class GetExecutionHistory(Paged):
    """A page of events."""

    execution_arn: Arn
    reverse_order: bool = False
    include_execution_data: bool = True


class ListExecutions(Paged):
    """A page of executions, newest first."""

    state_machine_arn: Arn
    status_filter: Status | None = None
    redrive_filter: Literal["REDRIVEN", "NOT_REDRIVEN"] | None = None


class OneMachine(Body):
    """DescribeStateMachine and DeleteStateMachine."""

    state_machine_arn: Arn


class CreateStateMachine(Body):
    """A machine of its own."""

    name: str
    definition: str
    role_arn: Arn
    type: Literal["STANDARD", "EXPRESS"] = "STANDARD"


class UpdateStateMachine(OneMachine):
    """What is not given stays."""

    definition: str | None = None
    role_arn: Arn | None = None


class ValidateStateMachineDefinition(Body):
    """A definition to look at."""

    definition: str
    max_results: Annotated[int, Field(ge=0, le=100)] = 0


class SendTaskSuccess(Body):
    """The result of a task that waits for its token, as JSON text."""

    task_token: Token
    output: str


class SendTaskFailure(Body):
    """The failure of a task that waits for its token."""

    task_token: Token
    error: Annotated[str, Field(max_length=256)] = ""
    cause: Annotated[str, Field(max_length=32_768)] = ""


class SendTaskHeartbeat(Body):
    """A sign of life of a task that waits for its token."""

    task_token: Token


class CreateActivity(Body):
    """An activity; tags and keys have no meaning here."""

    name: str


class OneActivity(Body):
    """DescribeActivity and DeleteActivity."""

    activity_arn: ActivityArn


class GetActivityTask(OneActivity):
    """A worker asks for a task; its name stands in the history."""

    worker_name: Annotated[str, Field(min_length=1, max_length=80)] | None = None


class MockError(Body):
    """The failure a mocked call ends with."""

    error: Annotated[str, Field(max_length=256)] = ""
    cause: Annotated[str, Field(max_length=32_768)] = ""


class Mock(Body):
    """What the call of a tried state answers: a result as JSON text, or a failure."""

    result: str | None = None
    error_output: MockError | None = None


class StateConfiguration(Body):
    """How far a tried state came before."""

    retrier_retry_count: Annotated[int, Field(ge=0)] = 0


class TestState(Body):
    """One state, or a definition and the name of one; context and variables are JSON objects as text."""

    # No test, whatever its name looks like to pytest.
    __test__ = False

    definition: str
    input: str = "{}"
    state_name: str | None = None
    inspection_level: Literal["INFO", "DEBUG", "TRACE"] = "INFO"
    context: str | None = None
    variables: str | None = None
    mock: Mock | None = None
    state_configuration: StateConfiguration | None = None


class Anything(Body):
    """A request whose fields do not matter."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def __getitem__(self, key: str) -> Any:
        return (self.model_extra or {}).get(key)
