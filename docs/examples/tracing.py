"""Spans of OpenTelemetry for each call, here and in the node that carries it out.

``install()`` in each process is all that there is to do; this module can be imported by nodes.
"""

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pyacq_rpc import add_hook
from spawner import ProcessSpawner

tracer = trace.get_tracer("pyacq_rpc")


def outgoing(call):
    span = tracer.start_span(call.about, kind=SpanKind.CLIENT)
    propagate.inject(call.context, trace.set_span_in_context(span))  # as "traceparent"
    return lambda error: end(span, error)


def incoming(call):
    # Of the caller's trace, whatever this thread is in the middle of.
    parent = propagate.extract(call.context, context.Context())
    span = tracer.start_span(call.about, parent, kind=SpanKind.SERVER)
    token = context.attach(trace.set_span_in_context(span, parent))

    def ended(error):
        context.detach(token)
        end(span, error)

    return ended


def end(span, error):
    if error is not None:
        span.record_exception(error)
        span.set_status(StatusCode.ERROR, str(error))
    span.end()


def install(service):
    """Trace what this process does, and return what keeps the spans."""
    exporter = InMemorySpanExporter()  # yours is an OTLPSpanExporter, with a BatchSpanProcessor
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    add_hook(outgoing=outgoing, incoming=incoming)
    return exporter


def spans(exporter):
    """Return the name, kind, trace, span and parent of each span that has ended."""
    found = []
    for span in exporter.get_finished_spans():
        own, parent = span.get_span_context(), span.parent
        parent_id = parent.span_id if parent else 0
        found.append((span.name, span.kind.name, own.trace_id, own.span_id, parent_id))
    return found


def main():
    here = install("main")
    with ProcessSpawner(name="node") as node:
        over_there = node._import("tracing").install("node")
        with tracer.start_as_current_span("measurement"):
            node._import("math").sqrt(4)
        for span in [*spans(here), *node._import("tracing").spans(over_there)]:
            print("{:15} {:9} trace {:x}, span {:x}, parent {:x}".format(*span))


if __name__ == "__main__":
    main()
