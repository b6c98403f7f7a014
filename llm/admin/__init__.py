"""Admin pages of the gateway, and of the billing rows that name its models."""

from llm.admin import (
    api_key,
    attempt,
    breaker,
    cache,
    chaos,
    customer,
    experiment,
    feedback,
    jobs,
    model,
    price,
    provider,
    refusal,
    replay,
    request,
    route,
    usage,
)
