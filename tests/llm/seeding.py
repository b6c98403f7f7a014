"""Environments that the seed may find, and what it makes of them."""

from typing import Any

from llm.models import Route

LLAMA = "meta-llama/Llama-3-70b-chat-hf"


def configure(settings: Any, *, together: str = "", openai: str = "") -> None:
    settings.PROVIDER_KEYS = {"TOGETHER_API_KEY": together, "OPENAI_API_KEY": openai}
    settings.LOCAL_MODEL_URL = "http://127.0.0.1:4001/v1"
    settings.DEMO_PROVIDER_URL = "http://127.0.0.1:4002/v1"


def live(model: str) -> list[str]:
    """The providers that would be tried for a model, in order."""
    routes = Route.objects.filter(
        model=model, enabled=True, provider__enabled=True
    ).order_by("priority")
    return list(routes.values_list("provider_id", flat=True))
