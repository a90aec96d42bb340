"""OpenTelemetry traces: one span per question, stage, hospital call and node request; ids, codes and times, never text.

Without the extra `otel` and an endpoint, spans go nowhere and cost nothing.
"""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind

from fedrag.core.errors import MissingExtra

ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer = trace.get_tracer("fedrag")


def configure(service: str, instance: str) -> None:
    """Send spans to the endpoint that the environment names, if it names one. Raises MissingExtra without the
    libraries."""
    if not any(os.environ.get(name) for name in ENDPOINT_VARIABLES):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise MissingExtra("traces need more libraries: pip install 'fedrag[otel]'") from None
    provider = TracerProvider(resource=Resource({"service.name": service, "service.instance.id": instance}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int | float) -> Iterator[Span]:
    """A span inside the current one. Attributes are named `fedrag.…`; exceptions leave their type, not their text."""
    named = {f"fedrag.{key}": value for key, value in attributes.items()}
    with _tracer.start_as_current_span(
        name, kind=kind, attributes=named, record_exception=False, set_status_on_exception=False
    ) as started:
        try:
            yield started
        except BaseException as error:
            started.set_attribute("error.type", getattr(error, "code", type(error).__name__))
            raise


@contextmanager
def serving(name: str, headers: Mapping[str, str], **attributes: str | int | float) -> Iterator[Span]:
    """A span for a request that came in, below the caller's if its headers say so (W3C trace context)."""
    from opentelemetry.context import attach, detach

    token = attach(propagate.extract(dict(headers)))
    try:
        with span(name, SpanKind.SERVER, **attributes) as started:
            yield started
    finally:
        detach(token)


def carry(headers: MutableMapping[str, str]) -> None:
    """Add the current trace context to headers that go out."""
    propagate.inject(headers)
