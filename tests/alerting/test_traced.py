"""Ticket work as spans: requests beneath the work they are for, the traceparent on the wire, no words of a ticket."""

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")
pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs the extra otel")
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from alerting.deliver import deliver
from alerting.gate import Gate, GateLimits
from alerting.instance import Instance
from alerting.outbox import write
from alerting.port import TicketBusy
from alerting.servicenow import ServiceNow
from alerting.triage import TriagePolicy
from app.telemetry import Telemetry
from domain.clock import SystemClock
from domain.traceparent import span_id, trace_id


def connected(service) -> ServiceNow:
    clock = SystemClock()
    return ServiceNow(Instance(service.url, ("tieout", "secret"), clock, Gate(clock, GateLimits())), "tieout")


def test_a_ticket_s_work_is_a_span_with_its_requests_beneath_it(book, service, limits):
    book.opened("b1")
    write(book.warehouse, "e1", book.clock.now_ns(), TriagePolicy())
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("", "meridian", SystemClock(), exporter)
    with connected(service) as adapter:
        store = telemetry.store(adapter, [adapter.instance])
        assert deliver(book.warehouse, store, book.clock, limits).delivered == 1
    telemetry.flush()
    spans = exporter.get_finished_spans()
    opened = next(span for span in spans if span.name == "ticket open")
    beneath = [span for span in spans if span.parent and span.parent.span_id == opened.context.span_id]
    assert beneath and all(span.context.trace_id == opened.context.trace_id for span in beneath)
    assert opened.attributes["tieout.ticket.number"] == service.incidents()[0]["number"]
    assert opened.resource.attributes["service.namespace"] == "meridian"
    said = " ".join(str(value) for span in spans for value in (span.attributes or {}).values())
    assert "AAPL" not in said and "secret" not in said


def test_one_trace_spans_the_match_that_found_a_break_and_its_ticket(book, service, limits):
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("", "meridian", SystemClock(), exporter)

    def match(task):
        book.opened("b1")  # as execution e1, which is what its change says
        return {"changes": 1}

    def ticket(task):
        write(book.warehouse, task["execution"], book.clock.now_ns(), TriagePolicy(traced=True))
        raise ValueError("ALPHA booked 200 AAPL")

    tasks = telemetry.tasks({"tieout-match": match, "tieout-ticket": ticket})
    assert tasks["tieout-match"]({"execution": "e1"}) == {"changes": 1}
    with pytest.raises(ValueError):
        tasks["tieout-ticket"]({"execution": "e2"})
    telemetry.ended("e1", "SUCCEEDED")
    with connected(service) as adapter:
        # Another process, later: the row of the outbox says which trace it belongs to.
        store = telemetry.store(adapter, [adapter.instance])
        assert deliver(book.warehouse, store, book.clock, limits).delivered == 1
    telemetry.flush()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    root, found, opened = spans["execution"], spans["match"], spans["ticket open"]
    assert f"{root.context.trace_id:032x}" == trace_id("e1") and f"{root.context.span_id:016x}" == span_id("e1")
    assert root.parent is None and root.start_time <= found.start_time < root.end_time
    assert {span.context.trace_id for span in (found, opened)} == {root.context.trace_id}
    assert {span.parent.span_id for span in (found, opened)} == {root.context.span_id}
    assert found.attributes["tieout.changes"] == 1
    failed = spans["ticket"]
    assert f"{failed.context.trace_id:032x}" == trace_id("e2") and failed.status.description == "ValueError"
    assert not failed.events, "the words of an error may be a counterparty's"
    assert f"Trace {trace_id('e1')}" in service.incidents()[0]["description"]


def test_a_failed_span_says_the_kind_of_the_error_alone(service):
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("", "meridian", SystemClock(), exporter)
    service.fault("503")
    key = TriagePolicy().key("b1", 1, code="T05", pb_id="ALPHA")
    with connected(service) as adapter, pytest.raises(TicketBusy):
        telemetry.store(adapter, [adapter.instance]).find(key)
    telemetry.flush()
    (failed,) = [span for span in exporter.get_finished_spans() if span.name == "ticket find"]
    assert not failed.status.is_ok and failed.status.description == "TicketBusy" and not failed.events


def test_a_batch_of_openings_is_linked_to_the_executions_it_is_for(book, service, limits):
    book.many(3)
    write(book.warehouse, "e9", book.clock.now_ns(), TriagePolicy())
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("", "meridian", SystemClock(), exporter)
    with connected(service) as adapter:
        store = telemetry.store(adapter, [adapter.instance])
        assert deliver(book.warehouse, store, book.clock, replace(limits, batch_from=2)).delivered == 3
    telemetry.flush()
    (batch,) = [span for span in exporter.get_finished_spans() if span.name == "ticket open many"]
    assert [f"{link.context.trace_id:032x}" for link in batch.links] == [trace_id("e1")]


def test_spans_reach_a_collector_and_requests_carry_the_trace(ticketing):
    got: list[tuple[str, str, int]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = len(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, self.headers["Content-Type"], size))
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            got.append((self.path.partition("?")[0], self.headers.get("traceparent", ""), 0))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"result": []}')

        def log_message(self, *_args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    clock = SystemClock()
    try:
        with ServiceNow(Instance(url, ("tieout", "x"), clock, Gate(clock, GateLimits())), "tieout") as adapter:
            telemetry = Telemetry(url, "meridian", clock)
            store = telemetry.store(adapter, [adapter.instance])
            assert store.unfinished("", 10) == []
            telemetry.flush()
    finally:
        server.shutdown()
        server.server_close()
    paths = {path: told for path, told, _ in got}
    assert paths["/v1/traces"] == "application/x-protobuf"
    assert next(told for path, told in paths.items() if "/table/" in path).startswith("00-")
