"""The openai SDK's client of one provider, for all that is off the hot path."""

from typing import TYPE_CHECKING

import openai
from django.conf import settings

if TYPE_CHECKING:
    from llm.models import Provider

READ_TIMEOUT_S = 15.0
NO_KEY = "none"  # the SDK wants some key even where the endpoint wants none


def sdk(provider: "Provider", read_timeout_s: float = READ_TIMEOUT_S) -> openai.OpenAI:
    """A client with the provider's key; close it after use, it is a context manager.

    It never retries, and never follows a redirect: that would carry the key to another
    host. Raises crypto.Unreadable where the sealed key can't be opened.
    """
    timeout = openai.Timeout(
        read_timeout_s,
        connect=settings.LLM_CONNECT_TIMEOUT_S,
        pool=settings.LLM_POOL_TIMEOUT_S,
    )
    return openai.OpenAI(
        api_key=provider.open_key() or NO_KEY,
        base_url=provider.base_url,
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(timeout=timeout, follow_redirects=False),
    )
