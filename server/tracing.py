"""Spans for OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT says whom to tell; else nothing happens here.

A span holds what a log line holds: method, route, status, request id. Paths, queries, bodies, addresses and
messages of exceptions may tell of a patient and have no way in: every attribute is written in this module,
and libraries that make spans of their own (FastAPI, DBOS) have no part in this provider. A caller's
`traceparent` is followed, its `tracestate` and `baggage` are not: they hold what the caller likes.

OpenTelemetry's API comes with FastAPI; what sends the spans comes with the extra `otel`.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracerProvider, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope

from server.metrics import known_method

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

NAME = "davinci-payer"
PARENT = "traceparent"

_W3C = TraceContextTextMapPropagator()
_provider: trace.TracerProvider = NoOpTracerProvider()


def installed() -> bool:
    """Whether the extra `otel` is there."""
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def configure(endpoint: str) -> None:
    """Once a process: spans go to a collector, OTLP over HTTP, `http://collector:4318`. The collector's
    other settings (headers, certificates, sampling) are OpenTelemetry's own variables."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    told_to(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))


def told_to(processor: SpanProcessor | None) -> None:
    """From here on spans go to this processor; to none at all with None."""
    global _provider
    if processor is None:
        _provider = NoOpTracerProvider()
        return
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    about = {"service.name": NAME, "service.version": metadata.version("davinci-payer")}
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(processor)
    _provider = provider


@contextmanager
def request(scope: Scope, request_id: str) -> Iterator[Span]:
    """The span of one request, child of the caller's where it names one."""
    sent = Headers(scope=scope).get(PARENT)
    parent = _W3C.extract({PARENT: sent}) if sent else None
    with _span(SpanKind.SERVER, known_method(scope["method"]), parent) as span:
        span.set_attribute("payer.request_id", request_id)
        yield span


def answered(span: Span, method: str, route: str, status: int) -> None:
    """What is known of a request at its end."""
    span.update_name(f"{known_method(method)} {route}")
    span.set_attribute("http.route", route)
    _status(span, status, failed_from=500)


@contextmanager
def call(method: str, headers: MutableMapping[str, str]) -> Iterator[Span]:
    """The span of one request of ours to somebody else, who hears by `headers` which it is."""
    with _span(SpanKind.CLIENT, method, None) as span:
        _W3C.inject(headers)
        yield span


def told(span: Span, status: int) -> None:
    """What somebody else answered."""
    _status(span, status, failed_from=400)


@contextmanager
def _span(kind: SpanKind, method: str, parent: Context | None) -> Iterator[Span]:
    tracer = _provider.get_tracer(NAME)
    with tracer.start_as_current_span(
        method,
        context=parent,
        kind=kind,
        attributes={"http.request.method": method},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


def _status(span: Span, status: int, failed_from: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= failed_from:
        span.set_attribute("error.type", str(status))
        span.set_status(StatusCode.ERROR)
