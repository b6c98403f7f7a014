"""The requests that a drill sends to the gateway, as any client does."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from django.conf import settings

from valuecanvas.embedded.readiness import reachable

PROMPT = "Reply with one short sentence about rivers. Number"
# Longer than any answer may take: a drill waits for the gateway's own limits.
LONGEST_S = 330.0


@dataclass(frozen=True, slots=True)
class DrillAnswer:
    """What came of one request. A status of 0: the connection failed."""

    status: int
    ms: float
    request_id: str = ""
    provider: str = ""
    code: str = ""
    retry_after: str = ""
    # A stream that ended as it should; anything else is whole if it came.
    whole: bool = True

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.whole

    @property
    def fault(self) -> str:
        """What went wrong, in short; empty: nothing."""
        if self.ok:
            return ""
        what = str(self.status) if self.status else "no connection"
        if self.status == 200:
            what = "cut off"
        return f"{what} {self.code}".strip()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sends small requests to one model with one key."""

    url: str
    key: str
    model: str
    max_tokens: int
    stream: bool = False

    async def send(
        self, count: int, *, at_once: int = 1, pause_s: float = 0.0,
        until: Callable[[DrillAnswer], bool] | None = None,
    ) -> list[DrillAnswer]:  # fmt: skip
        """Send `count` requests, `at_once` together, with pauses; fewer once `until` holds."""
        answers: list[DrillAnswer] = []
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=LONGEST_S)
        ) as session:
            while len(answers) < count:
                group = min(at_once, count - len(answers))
                found = await asyncio.gather(
                    *(self._ask(session) for _ in range(group))
                )
                answers += found
                if until is not None and until(found[-1]):
                    break
                await asyncio.sleep(pause_s)
        return answers

    async def send_spread(self, count: int, every_s: float) -> list[DrillAnswer]:
        """Begin `count` requests one after the other, without waiting for answers."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=LONGEST_S)
        ) as session:
            tasks = []
            for _ in range(count):
                tasks.append(asyncio.create_task(self._ask(session)))
                await asyncio.sleep(every_s)
            return list(await asyncio.gather(*tasks))

    async def _ask(self, session: aiohttp.ClientSession) -> DrillAnswer:
        started = time.monotonic()
        body = {
            "model": self.model,
            # No two alike: none is answered from the cache.
            "messages": [{"role": "user", "content": f"{PROMPT} {uuid.uuid4()}."}],
            "max_tokens": self.max_tokens,
            "stream": self.stream,
        }
        headers = {"Authorization": f"Bearer {self.key}", "Cache-Control": "no-store"}
        try:
            async with session.post(
                f"{self.url}/v1/chat/completions", json=body, headers=headers
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return DrillAnswer(0, _ms(started), code=type(error).__name__, whole=False)
        done = not self.stream or raw.rstrip().endswith(b"data: [DONE]")
        got = response.headers
        return DrillAnswer(
            response.status,
            _ms(started),
            request_id=got.get("x-request-id", ""),
            provider=got.get("x-valuecanvas-provider", ""),
            code=_code(raw) if response.status != 200 else "",
            retry_after=got.get("Retry-After", ""),
            whole=response.status != 200 or done,
        )


def gateway_url() -> str:
    """The gateway that drills send to."""
    usual = f"http://{reachable(settings.HOST)}:{settings.PORT}"
    return str(settings.DRILL_URL or usual).rstrip("/")


async def read_readiness(url: str) -> dict[str, Any]:
    """What the gateway says of itself; empty: nothing answers."""
    within = aiohttp.ClientTimeout(total=10)
    try:
        async with (
            aiohttp.ClientSession(timeout=within) as session,
            session.get(f"{url}/health/ready") as response,
        ):
            found: dict[str, Any] = orjson.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError):
        return {}
    return found


def _ms(started: float) -> float:
    return (time.monotonic() - started) * 1000


def _code(raw: bytes) -> str:
    try:
        error = orjson.loads(raw)["error"]
        return str(error.get("code") or error.get("type") or "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return ""
