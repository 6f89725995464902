"""Traces to an OpenTelemetry collector (extra `otel`): off until an endpoint is named. One trace per execution."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from alerting.instance import Instance
from alerting.shadow import TicketStore
from alerting.traced import Traced
from app.settings import Settings, SettingsError
from domain.clock import Clock
from domain.traceparent import span_id, trace_id, traceparent

_SERVICE = "tieout"
_MAX_BEGUN = 10_000
_FLUSH_MS = 2_000
Json = dict[str, Any]
Function = Callable[[Json], Json]


class Telemetry:
    """Spans of executions, their tasks and their tickets' work, in the trace the execution's name stands for.

    A span says names, counts and outcomes, never what a trade or a ticket says. `exporter` replaces the one over OTLP.
    Raises SettingsError where the extra is not installed.
    """

    def __init__(self, endpoint: str, tenant: str, clock: Clock, exporter: Any = None) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise SettingsError("telemetry.otlp_endpoint needs OpenTelemetry: pip install 'tieout[otel]'") from None
        self._clock = clock
        self._ids = _named_ids()
        resource = Resource.create({"service.name": _SERVICE, "service.namespace": tenant})
        self.provider = TracerProvider(resource=resource, id_generator=self._ids)
        exporter = exporter or OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("tieout.executions")
        self._begun: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def store(self, store: TicketStore, instances: list[Instance]) -> Traced:
        """The store with its work told, each HTTP request beneath it; `traceparent` goes along."""
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

        for instance in instances:
            instance.instrument(
                lambda client: HTTPXClientInstrumentor.instrument_client(client, tracer_provider=self.provider)
            )
        return Traced(store, self.provider.get_tracer("tieout.tickets"))

    def tasks(self, functions: Mapping[str, Function]) -> dict[str, Function]:
        """The functions behind the states, each a span of its execution's trace."""
        return {name: self._told(name, function) for name, function in functions.items()}

    def ended(self, execution: str, status: str) -> None:
        """The execution as a whole ended: its span, from its first task here on."""
        from opentelemetry.context import Context
        from opentelemetry.trace import Status, StatusCode

        now = self._clock.now_ns()
        with self._lock:
            began = self._begun.pop(execution, now)
        with self._ids.named(int(trace_id(execution), 16), int(span_id(execution), 16)):
            span = self._tracer.start_span(
                "execution", Context(), start_time=began, attributes={"tieout.execution": execution}
            )
        span.set_attribute("tieout.execution.status", status)
        if status != "SUCCEEDED":
            span.set_status(Status(StatusCode.ERROR, status))
        span.end(now)

    def flush(self) -> None:
        """Send what waits, for at most two seconds."""
        self.provider.force_flush(_FLUSH_MS)

    def _told(self, name: str, function: Function) -> Function:
        from opentelemetry.trace import Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        def traced(task: Json) -> Json:
            execution = str(task.get("execution", ""))
            self._begin(execution)
            parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent(execution)})
            with self._tracer.start_as_current_span(
                name.removeprefix("tieout-"), parent, record_exception=False, set_status_on_exception=False
            ) as span:
                span.set_attribute("tieout.execution", execution)
                try:
                    answer = function(task)
                except Exception as error:
                    # Its words may hold what a counterparty wrote.
                    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                    raise
                for key, value in answer.items():
                    if isinstance(value, int):
                        span.set_attribute(f"tieout.{key}", value)
                return answer

        return traced

    def _begin(self, execution: str) -> None:
        with self._lock:
            self._begun.setdefault(execution, self._clock.now_ns())
            while len(self._begun) > _MAX_BEGUN:
                self._begun.popitem(last=False)


def open_telemetry(settings: Settings, clock: Clock) -> Telemetry | None:
    """The telemetry of the settings; None where no collector is named. Raises SettingsError."""
    endpoint = settings.telemetry.otlp_endpoint
    return Telemetry(endpoint, settings.tenant, clock) if endpoint else None


def _named_ids() -> Any:
    """An IdGenerator whose next ids can be given: the span of an execution has the one its name stands for."""
    from contextlib import contextmanager

    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class NamedIds(RandomIdGenerator):
        def __init__(self) -> None:
            self._given = threading.local()

        @contextmanager
        def named(self, trace: int, span: int) -> Any:
            self._given.ids = (trace, span)
            try:
                yield
            finally:
                self._given.ids = None

        def generate_trace_id(self) -> int:
            ids = getattr(self._given, "ids", None)
            return ids[0] if ids else super().generate_trace_id()

        def generate_span_id(self) -> int:
            ids = getattr(self._given, "ids", None)
            return ids[1] if ids else super().generate_span_id()

    return NamedIds()
