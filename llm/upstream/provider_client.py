"""Makes one HTTP call to a provider through the process's pool of connections."""

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from django.conf import settings

from llm.providers.address_guard import GUARD
from llm.providers.base import Verdict
from llm.types import Candidate
from llm.upstream.attempts import Attempts
from llm.upstream.http import Failed, ProviderResponse, check, release
from valuecanvas.core.access.url_guard import OffLimits

# A body is written in parts, so that the socket's buffers do not hold a second copy.
PIECE_BYTES = 65_536


def open_session() -> aiohttp.ClientSession:
    """The process's pool of upstream connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            limit_per_host=settings.LLM_POOL_SIZE,
            ttl_dns_cache=30,
            socket_factory=GUARD.open_socket,
        ),
        timeout=aiohttp.ClientTimeout(
            total=None,
            # Waiting for a free connection, and making one.
            connect=settings.LLM_POOL_TIMEOUT_S + settings.LLM_CONNECT_TIMEOUT_S,
            sock_connect=settings.LLM_CONNECT_TIMEOUT_S,
        ),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        read_bufsize=262_144,
    )


def headers(
    candidate: Candidate, attempt_id: str, traceparent: str = ""
) -> dict[str, str]:
    """The headers sent upstream: ours alone, none of the client's."""
    sent = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "valuecanvas",
        "x-valuecanvas-attempt": attempt_id,
    }
    if candidate.provider.api_key:
        sent["Authorization"] = f"Bearer {candidate.provider.api_key}"
    if traceparent:
        sent["traceparent"] = traceparent
    return sent


class RequestBody(aiohttp.BytesPayload):
    """The bytes of a request; `sending` is called when they are about to be sent."""

    def __init__(self, value: bytes, sending: Callable[[], None]) -> None:
        # Not BytesPayload's own, which warns of large bodies: it writes them at once.
        super(aiohttp.BytesPayload, self).__init__(
            value, content_type="application/json"
        )
        self._size = len(value)
        self._sending = sending

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._sending()
        whole = memoryview(self._value)
        for at in range(0, len(whole), PIECE_BYTES):
            await writer.write(whole[at : at + PIECE_BYTES])


class ProviderClient:
    """Calls providers through the process's pool of connections."""

    def __init__(self, pool: aiohttp.ClientSession) -> None:
        self._pool = pool

    def routes(self, attempts: Attempts) -> tuple[Candidate, ...]:
        """The routes to try, in order."""
        return attempts.held.plan.candidates

    async def post(
        self,
        attempts: Attempts,
        candidate: Candidate,
        path: str,
        body: RequestBody,
        *,
        traceparent: str = "",
    ) -> ProviderResponse:
        """POST and give the response once its headers are a success. Raises Failed.

        The caller sets the time limit, and releases the response.
        """
        attempt_id = f"{attempts.held.call.id}.{attempts.count}"
        sent = headers(candidate, attempt_id, traceparent)
        response = await self._send(candidate.provider.base_url + path, body, sent)
        try:
            await check(response, candidate)
        except BaseException:
            release(response)
            raise
        return response

    async def _send(
        self, url: str, body: RequestBody, sent: dict[str, str]
    ) -> aiohttp.ClientResponse:
        try:
            GUARD.require_https(url)
            return await self._pool.post(
                url, data=body, headers=sent, allow_redirects=False
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise Failed(
                Verdict.FAILURE,
                "The provider cannot be reached in time.",
                unsent=True,
                timeout=True,
            ) from error
        except OffLimits as error:
            raise Failed(Verdict.FAILURE, str(error), unsent=True) from error
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, OffLimits)
            message = (
                str(error.os_error) if refused else "The provider cannot be reached."
            )
            raise Failed(Verdict.FAILURE, message, unsent=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Failed(
                Verdict.FAILURE, "The connection to the provider broke."
            ) from error
