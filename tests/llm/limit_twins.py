"""The minute limits' twins behind one face: script.lua and window.py, at a given time."""

from typing import Any

from django.conf import settings
from redis import Redis

from billing.minute_limits import MinuteLimits
from llm.limits.limiter import SCRIPT
from llm.limits.window import MinuteWindow
from tests.fixtures_billing import unique

TIME = "local t = redis.call('TIME')\n"
NOW = "local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)\n"
assert SCRIPT.source.count(TIME + NOW) == 1
# The last argument is the time.
SOURCE = SCRIPT.source.replace(TIME + NOW, "local now = tonumber(ARGV[#ARGV])\n")
NONE = MinuteLimits()


def most(limit: int | None) -> int:
    return -1 if limit is None else limit


class InProcess:
    """window.py."""

    def __init__(self) -> None:
        self.window = MinuteWindow()

    def take(
        self, at: int, limits: MinuteLimits, request: str, tokens: int, lease: int
    ) -> tuple[int, ...]:
        return self.window.take(at, limits, request, tokens, lease)

    def give(self, at: int, request: str, slot: int, requests: int, tokens: int):
        self.window.give(at, request, slot, requests, tokens)


class InRedis:
    """script.lua."""

    def __init__(self, redis: Redis) -> None:
        self.key = f"{unique('limits')}:{{c:1}}"
        self._script: Any = redis.register_script(SOURCE)

    def take(
        self, at: int, limits: MinuteLimits, request: str, tokens: int, lease: int
    ) -> tuple[int, ...]:
        mosts = limits.requests, limits.tokens, limits.concurrent
        asked = ["take", request, tokens, lease, *map(most, mosts), at]
        return tuple(self._script(keys=[self.key], args=asked))

    def give(self, at: int, request: str, slot: int, requests: int, tokens: int):
        self._script(
            keys=[self.key], args=["give", request, slot, requests, tokens, at]
        )


def connect() -> Redis:
    return Redis.from_url(settings.REDIS_URL)
