"""Requests that are alike: the same model and text, asked for in several ways."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import redis
from django.conf import settings

from tests.live.wire import data_events
from tests.live.world import Answer, World, unique


@dataclass(frozen=True)
class Offer:
    """A model whose upstream calls are counted, and a text that nobody else sends."""

    world: World
    model: str
    upstream_model: str
    text: str

    @property
    def calls(self) -> int:
        """How often the provider was asked."""
        found = self.world.demo.stats().get(self.upstream_model, {})
        return int(found.get("requests", 0))

    def ask(self, *, key: str | None = None, **fields: Any) -> Answer:
        """The chat; fields that end in `_header` are headers."""
        end = "_header"
        sent = {k.removesuffix(end): v for k, v in fields.items() if k.endswith(end)}
        body = {k: v for k, v in fields.items() if not k.endswith(end)}
        return self.world.request(
            "/v1/chat/completions", self.body(**body), key=key, **sent
        )

    def body(self, **fields: Any) -> bytes:
        messages = [{"role": "user", "content": self.text}]
        return orjson.dumps({"model": self.model, "messages": messages, **fields})


@contextmanager
def offered(world: World, behaviour: str = "ok", **model: Any) -> Iterator[Offer]:
    """A model of its own at the demo provider."""
    upstream_model = unique("own/large")
    served = world.serve_at((world.demo.url, upstream_model), **model)
    with world.demo.behaving(upstream_model, behaviour):
        yield Offer(world, served.model, upstream_model, unique("Say hello to"))


def how(answer: Answer) -> str:
    """How the cache had it: hit, miss, bypass or coalesced."""
    assert answer.status == 200, answer.body
    return answer.headers["x-valuecanvas-cache"]


def said(answer: Answer) -> str:
    """The text of the answer, streamed or whole; the stream must have ended well."""
    assert answer.status == 200, answer.body
    if not answer.headers["content-type"].startswith("text/event-stream"):
        text: str = answer.json["choices"][0]["message"]["content"]
        return text
    events = data_events(answer.body)
    assert events[-1] == "[DONE]", events[-1]
    deltas = [c["delta"] for e in events[:-1] for c in e["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def usages(answer: Answer) -> list[Any]:
    """The usage of each chunk that has one."""
    events = data_events(answer.body)
    return [e["usage"] for e in events if isinstance(e, dict) and e.get("usage")]


@contextmanager
def valkey() -> Iterator["redis.Redis"]:
    """The run's Valkey, asked directly."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client
