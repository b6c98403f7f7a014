"""The openai SDK's client for one provider, for uses off the hot path."""

from typing import TYPE_CHECKING

import httpx2
import openai
from django.conf import settings

from llm.providers.address_guard import GUARD, PORTS

if TYPE_CHECKING:
    from llm.models import Provider

READ_TIMEOUT_S = 15.0
NO_KEY = "none"  # the SDK wants some key even where the endpoint wants none


class Transport(httpx2.HTTPTransport):
    """Connects to a checked address, even if the name changes its address later.

    Proxies of the environment are not used, as on the hot path.
    """

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if not GUARD.allows_all():
            try:
                _pin(request)
            except OSError as error:
                raise httpx2.ConnectError(str(error), request=request) from error
        return super().handle_request(request)


def _pin(request: httpx2.Request) -> None:
    """Raises OffLimits, OSError."""
    GUARD.require_https(str(request.url))
    host = request.url.host
    address = GUARD.resolve_address(host, request.url.port or PORTS["https"])
    # TLS and the header Host still have the name.
    request.extensions = {**request.extensions, "sni_hostname": host}
    request.url = request.url.copy_with(host=address)


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
        http_client=openai.DefaultHttpxClient(
            timeout=timeout, follow_redirects=False, transport=Transport()
        ),
    )
