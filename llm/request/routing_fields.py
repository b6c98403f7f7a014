"""Fields that tell aggregators and proxies where and how to send a request."""

import re
import unicodedata
from functools import lru_cache

from valuecanvas.core.parameters import UPSTREAM

# A longer name is none of ours, and is not checked.
MOST_LETTERS = 64
ROUTING = frozenset(
    {"agent_id", "allow_fallbacks", "allowed_openai_params", "azure_ad_token",
     "azure_deployment", "azure_endpoint", "context_window_fallback_dict",
     "deployment_id", "drop_params", "extra_query", "fallback", "fallback_models",
     "fallbacks", "gateway", "guardrails", "input_cost_per_token", "mock_response",
     "mock_tool_calls", "model_info", "model_list", "models", "output_cost_per_token",
     "preset", "provider", "provider_options", "providers", "requesty", "route",
     "router", "routing", "transforms", "user_config"}
)  # fmt: skip
# A name with such a word counts as one of them: proxies have more than can be listed.
WORDS = frozenset(
    {"aws", "azure", "bedrock", "callback", "callbacks", "credential", "credentials",
     "deployment", "endpoint", "fallback", "fallbacks", "gateway", "header", "headers",
     "host", "hostname", "litellm", "password", "provider", "providers", "proxy",
     "region", "route", "router", "routes", "routing", "secret", "ssl", "upstream",
     "uri", "url", "vertex", "webhook"}
)  # fmt: skip
# As in `base_url`, `baseUrl`, `base-URL`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")
_INSIDE = ("apikey", "apibase", "baseurl")


def is_routing(name: str) -> bool:
    """Whether a field of this name may choose where a request is sent."""
    # Cut before it is remembered: the names that clients send may be of megabytes.
    return name in ROUTING or _has_routing_word(name[:MOST_LETTERS])


@lru_cache(maxsize=1024)
def _has_routing_word(name: str) -> bool:
    text = unicodedata.normalize("NFKC", name)
    words = {word.casefold() for word in _WORD.findall(text)}
    joined = plain(name)
    return not WORDS.isdisjoint(words) or any(one in joined for one in _INSIDE)


def check_further(name: str) -> None:
    """Raises ValueError for a field that an operator cannot let clients send."""
    if plain(name) in _NEVER:
        raise ValueError(
            f"'{name}' would choose the host or its key: it is never sent."
        )
    if not is_routing(name):
        raise ValueError(
            f"'{name}' chooses no provider or model: it need not be listed."
        )


@lru_cache(maxsize=1024)
def plain(name: str) -> str:
    """A name without its case and separators: `Service-Tier` is `servicetier`."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


_NEVER = frozenset(map(plain, UPSTREAM))
