"""Whether answers are cached: set by the model, the prompt and the key."""

from typing import Any

from django.db import models


class CachePolicy(models.TextChoices):
    AUTO = "auto", "Unless variety is asked for"
    ALWAYS = "always", "Always"
    NEVER = "never", "Never"


# As plain texts: an enum's take three times as long, and each request asks.
_DECISIVE = (CachePolicy.NEVER.value, CachePolicy.ALWAYS.value)
_USUAL = CachePolicy.AUTO.value


def cache_policies() -> list[tuple[str, str]]:
    return CachePolicy.choices


def policy_field(help_text: str) -> "models.CharField[str, str]":
    """The database field for a model, a prompt or a key."""
    return models.CharField(
        "answers are reused",
        max_length=6,
        choices=cache_policies,
        default=CachePolicy.AUTO,
        help_text=help_text,
    )


def join_policies(*policies: str) -> str:
    """Combine policies: a 'never' wins, else an 'always', else 'auto'."""
    return next((one for one in _DECISIVE if one in policies), _USUAL)


def wants_variety(body: dict[str, Any]) -> bool:
    """Whether a request asks for another answer each time, or for several."""
    return _above(body.get("temperature"), 0) or _above(body.get("n"), 1)


def _above(value: Any, least: int) -> bool:
    return isinstance(value, int | float) and value > least
