"""S18: whoever writes to Redis or to the broker runs no code here: all of it is JSON."""

import base64
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as of_django
from django.core.cache import cache
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.serialization import prepare_accept_content

from llm.runtime import Runtime
from tests.fixtures_billing import unique
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.scripted import provider
from tests.live.world import World
from valuecanvas.celery import app


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "exploded"


@pytest.fixture
def bomb(mark: Path) -> Iterator[bytes]:
    raw = pickle.dumps(Bomb(mark))
    pickle.loads(raw)  # noqa: S301 - our own bomb, to see that it is one
    assert mark.exists(), "It would be no test."
    mark.unlink()
    yield raw
    assert not mark.exists()


def plant(server: "redis.Redis", name: bytes, bomb: bytes) -> str:
    """Replace each value of the key, of whatever type, by the bomb; its type."""
    kind: str = server.type(name).decode()
    if kind == "string":
        server.set(name, bomb, keepttl=True)
    elif kind == "hash":
        server.hset(name, mapping=dict.fromkeys(server.hkeys(name), bomb))
    elif kind == "list":
        server.rpush(name, bomb)
    elif kind == "zset":
        server.zadd(name, {bomb: 1})
    elif kind == "set":
        server.sadd(name, bomb)
    elif kind == "stream":
        server.xadd(name, {"entry": bomb})
    return kind


@pytest.mark.live
async def test_redis__a_bomb_in_every_key__is_never_unpickled(
    indoors: World, gateway: Runtime, redis_server: "redis.Redis", bomb: bytes
) -> None:
    prefix = gateway.store.prefix
    async with provider() as url:
        served = indoors.serve_at((url, "m"))
        same = chat_body(served.model, "Again")
        for body in (same, same, chat_body(served.model)):
            reply = await Exchange(gateway, CHAT, body, key=indoors.key).run()
            assert reply.status == 200
        names = list(redis_server.scan_iter(match=f"{prefix}*"))
        kinds = {plant(redis_server, name, bomb) for name in names}
        assert len(names) >= 3
        assert kinds
        for body in (same, chat_body(served.model)):
            reply = await Exchange(gateway, CHAT, body, key=indoors.key).run()
            # Whatever is made of the rubbish: a caller with a key is served.
            assert reply.status == 200, reply.body


def test_cache__of_django_with_a_bomb__is_never_unpickled(
    redis_server: "redis.Redis", bomb: bytes
) -> None:
    name = unique("bomb")
    cache.set(name, {"a": 1}, 60)
    [raw] = redis_server.scan_iter(match=f"*{name}")
    assert json.loads(redis_server.get(raw)) == {"a": 1}
    redis_server.set(raw, bomb)
    try:
        assert cache.get(name) in (None, bomb)
    except ValueError:
        pass  # no JSON
    finally:
        redis_server.delete(raw)


@pytest.mark.parametrize(
    "kind", ["application/x-python-serialize", "application/data", "application/json"]
)
def test_queue__with_a_bomb_as_a_task__is_refused(
    redis_server: "redis.Redis", bomb: bytes, kind: str
) -> None:
    queue = unique("bombs")
    message: dict[str, object] = {
        "body": base64.b64encode(bomb).decode(),
        "content-type": kind,
        "content-encoding": "binary",
        "headers": {"task": "billing.purge", "id": "1", "lang": "py"},
        "properties": {
            "body_encoding": "base64", "delivery_tag": "1", "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue}, "priority": 0,
        },
    }  # fmt: skip
    with app.connection() as broker:
        simple = broker.SimpleQueue(queue, no_ack=True)
        prefix = broker.transport_options.get("global_keyprefix", "")
        redis_server.lpush(f"{prefix}{queue}", json.dumps(message))
        simple.consumer.accept = prepare_accept_content(app.conf.accept_content)
        if kind == "application/data":
            raw = base64.b64encode(bomb).decode()
            assert simple.get(timeout=10).decode() in (bomb, raw)
        else:
            with pytest.raises((ContentDisallowed, DecodeError)):
                simple.get(timeout=10).decode()
        simple.close()


def test_settings__of_every_serializer__are_json() -> None:
    assert app.conf.accept_content == ["json"]
    assert (app.conf.task_serializer, app.conf.result_serializer) == ("json", "json")
    caches: dict[str, Any] = dict(of_django.CACHES)
    for name, options in caches.items():
        if "Redis" in options["BACKEND"]:
            assert "JSONSerializer" in options["OPTIONS"]["SERIALIZER"], name
    assert "signed_cookies" not in of_django.SESSION_ENGINE
    assert not getattr(of_django, "SESSION_SERIALIZER", "").endswith("PickleSerializer")
