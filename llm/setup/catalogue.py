"""The first rows of an installation: tiers, providers, models, routes and prices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from valuecanvas.embedded import local_model

TOGETHER, OPENAI, LOCAL, DEMO = "together", "openai", "local", "demo"
# The providers that stand in for the real ones while none of those has a key.
STAND_INS = (LOCAL, DEMO)

LOCAL_MODEL = "smollm2-135m-instruct"
DEMO_MODEL = "demo"
DEMO_EMBEDDING = "demo-embedding"


@dataclass(frozen=True, slots=True)
class TierRow:
    key: str
    name: str
    daily_requests: int
    max_output_tokens: int
    requests_per_minute: int
    tokens_per_minute: int
    concurrent_requests: int
    upgrade_to: str | None


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """`url` and `key` name the settings that it follows."""

    key: str
    name: str
    kind: str
    url: str
    api_key_env: str = ""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """`routes` are (provider, upstream model), the first one tried first."""

    name: str
    max_output_tokens: int
    routes: tuple[tuple[str, str], ...]
    kind: str = "chat"
    # As published; of a model that the price package knows, tests compare the two.
    context_tokens: int | None = None
    # Those that are not the model's defaults.
    timeouts: Mapping[str, int] = field(default_factory=dict)
    # What it takes; empty: it does not say.
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A price that no package knows, in USD per million tokens."""

    provider: str
    upstream_model: str
    input_usd: str
    output_usd: str


# In this order: each names the next one up, which must exist first.
TIERS = (
    TierRow("enterprise", "Enterprise", 5000, 16_384, 3000, 10_000_000, 500, None),
    TierRow("pro", "Pro", 500, 4096, 120, 400_000, 20, "enterprise"),
    TierRow("free", "Free", 10, 1024, 10, 20_000, 2, "pro"),
)

PROVIDERS = (
    ProviderRow(
        TOGETHER, "Together.ai", "together", "TOGETHER_BASE_URL", "TOGETHER_API_KEY"
    ),
    ProviderRow(OPENAI, "OpenAI", "openai", "OPENAI_BASE_URL", "OPENAI_API_KEY"),
    ProviderRow(LOCAL, "Local model", "compatible", "LOCAL_MODEL_URL"),
    ProviderRow(DEMO, "Demo provider", "compatible", "DEMO_PROVIDER_URL"),
)

_CHAT_STAND_INS = ((LOCAL, LOCAL_MODEL), (DEMO, DEMO_MODEL))

MODELS = (
    ModelRow(
        "meta-llama/Llama-3-70b-chat-hf",
        4096,
        (
            (TOGETHER, "meta-llama/Llama-3-70b-chat-hf"),
            (OPENAI, "gpt-4o-mini"),
            *_CHAT_STAND_INS,
        ),
        context_tokens=8192,
    ),
    ModelRow(
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        8192,
        (
            (TOGETHER, "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
            (OPENAI, "gpt-4o-mini"),
            *_CHAT_STAND_INS,
        ),
        # Its OpenAI route has 128,000.
        context_tokens=128_000,
    ),
    ModelRow(
        "gpt-4o-mini",
        16_384,
        ((OPENAI, "gpt-4o-mini"), *_CHAT_STAND_INS),
        context_tokens=128_000,
    ),
    ModelRow(
        "gpt-4o",
        16_384,
        ((OPENAI, "gpt-4o"), *_CHAT_STAND_INS),
        context_tokens=128_000,
    ),
    ModelRow(
        "gpt-5-mini",
        128_000,
        ((OPENAI, "gpt-5-mini"), *_CHAT_STAND_INS),
        context_tokens=400_000,
        # It reasons before it answers.
        timeouts={
            "first_token_s": 120,
            "between_tokens_s": 60,
            "total_stream_s": 600,
            "total_s": 600,
        },
    ),
    ModelRow(
        "text-embedding-3-small",
        1,
        ((OPENAI, "text-embedding-3-small"), (DEMO, DEMO_EMBEDDING)),
        kind="embedding",
        context_tokens=8192,
    ),
    # On a busy machine it writes ten tokens a second.
    ModelRow(
        LOCAL_MODEL,
        1024,
        ((LOCAL, LOCAL_MODEL),),
        context_tokens=local_model.CONTEXT_TOKENS,
        timeouts={"first_token_s": 60, "total_s": 300},
        # llama.cpp holds it to a schema, but its template has no place for tools.
        takes=("text", "schema"),
    ),
    ModelRow(DEMO_MODEL, 4096, ((DEMO, DEMO_MODEL),)),
)

# Invented, and not zero, so that costs can be seen before any real money flows.
OWN_PRICES = (
    PriceRow(LOCAL, LOCAL_MODEL, "0.10", "0.20"),
    PriceRow(DEMO, DEMO_MODEL, "0.10", "0.20"),
    PriceRow(DEMO, DEMO_EMBEDDING, "0.02", "0"),
)


def price_source(kind: str, provider: str) -> str:
    """The price package's id for a provider, which may not know it."""
    return provider if kind == "compatible" else kind


def is_stand_in(model: str, provider: str) -> bool:
    """Whether the route stands in for another provider's model."""
    return provider in STAND_INS and model not in (LOCAL_MODEL, DEMO_MODEL)


def priced_pairs() -> Iterable[tuple[str, str, str]]:
    """The seeded routes that the price package may know, as `seed_prices` wants them."""
    kinds = {row.key: row.kind for row in PROVIDERS}
    for model in MODELS:
        for provider, upstream in model.routes:
            if provider not in STAND_INS:
                yield provider, price_source(kinds[provider], provider), upstream
