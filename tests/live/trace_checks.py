"""What every trace must be like: names of the conventions, spans within each other."""

from typing import Any

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    server_attributes,
    service_attributes,
)

from tests.otlp import Received, Trace

HEADER = "x-valuecanvas-trace-id"
STEPS = ["validate", "authenticate", "resolve", "look up", "admit"]
CONVENTIONS = {
    value
    for module in (
        gen_ai_attributes,
        error_attributes,
        http_attributes,
        server_attributes,
        service_attributes,
    )
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
# They still have a constant, but the conventions deprecate them.
DEPRECATED = {
    "gen_ai.system",
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens",
}


def check(trace: Trace) -> None:
    for one in trace.spans:
        names = {*one.attributes, *one.resource}
        for event in one.span.events:
            names |= {attribute.key for attribute in event.attributes}
        standard = {name for name in names if not name.startswith("valuecanvas.")}
        assert standard <= CONVENTIONS - DEPRECATED
        for child in trace.children(one):
            # Times of failed attempts are those of the ledger, in milliseconds.
            assert (
                child.span.start_time_unix_nano >= one.span.start_time_unix_nano - 2e6
            )
            if child.kind != "CONSUMER":
                end = one.span.end_time_unix_nano
                assert child.span.end_time_unix_nano <= end + 2e6
    ids = [one.span.span_id for one in trace.spans]
    assert len(set(ids)) == len(ids)


def steps(spans: list[Received]) -> list[str]:
    """Their names; those that were repeated with a newer configuration once."""
    return list(dict.fromkeys(one.name for one in spans))


def has(span: Received, **expected: Any) -> bool:
    """Whether the span has these attributes; `__` stands for a dot."""
    sent = {name.replace("__", "."): value for name, value in expected.items()}
    return sent.items() <= span.attributes.items()
