"""I8: once a case is over, a process holds no more than before it."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection

import orjson
from django.utils import timezone

from tests.faults.inside import PATH
from tests.faults.web import Web

PATIENCE_S = 60.0
WARMING = 20
# Four of the store's pool, one that listens, and two that ring the doorbell of jobs.
MOST_REDIS = 7
# Tasks of the last requests may end late on a busy machine.
SAME = 5
# What a case may leave in caches and in what malloc keeps, in KiB.
MOST_GROWTH = 96 * 1024


def held(web: Web, path: str = PATH) -> dict[str, int]:
    """What a process holds now."""
    connection = HTTPConnection("127.0.0.1", web.port, timeout=30)
    try:
        connection.request("GET", path)
        found: dict[str, int] = orjson.loads(connection.getresponse().read())
        return found
    finally:
        connection.close()


def warmed(web: Web, key: str, model: str) -> dict[str, int]:
    """What a process holds once it has served, with all that it opens when first used."""
    with ThreadPoolExecutor(WARMING) as pool:
        list(pool.map(partial(_ask, web, key, model), range(WARMING)))
    _submit_job(web, key, model)
    return settled(web)


def _submit_job(web: Web, key: str, model: str) -> None:
    """A job that is due in a year: it opens the connections of jobs, and never runs."""
    at = (timezone.now() + timedelta(days=360)).isoformat()
    body = {"messages": [{"role": "user", "content": "warming"}], "model": model}
    job = {"type": "completion", "body": body, "runAt": at}
    assert _post(web, key, "/api/llm/jobs", job) == 202


def settled(web: Web) -> dict[str, int]:
    """What a process holds once nothing is under way in it."""
    deadline = time.monotonic() + PATIENCE_S
    now, same = held(web), 0
    while same < SAME and time.monotonic() < deadline:
        time.sleep(0.1)
        before, now = now, held(web)
        quiet = now["clients"] == 1 and not now["upstream"] and _same(before, now)
        same = same + 1 if quiet else 0
    return now


def excess(web: Web, most: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """What a process holds too much of: how many, and how many are right."""
    bounds = {
        **most,
        "redis": MOST_REDIS,
        # The one that asks.
        "clients": 1,
        "upstream": 0,
        "memory": most["memory"] + MOST_GROWTH,
    }
    now = held(web)
    return {
        name: (now[name], bound) for name, bound in bounds.items() if now[name] > bound
    }


def assert_at_rest(
    webs: Iterable[Web], most: Mapping[str, int], seconds: float = PATIENCE_S
) -> None:
    """No process that lives holds more than `most`, at the latest in so many seconds."""
    for web in webs:
        if not web.alive or web.application != Web.application:
            # The twins leak: that is what they are for.
            continue
        found = at_last(web, most, seconds)
        assert not found, f"Held too much, (is, should be): {found}"


def at_last(
    web: Web, most: Mapping[str, int], seconds: float = PATIENCE_S
) -> dict[str, tuple[int, int]]:
    """The excess once there is none, or else when the time is over."""
    deadline = time.monotonic() + seconds
    while (found := excess(web, most)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _same(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    return all(before.get(name) == now[name] for name in now if name != "memory")


def _ask(web: Web, key: str, model: str, number: int) -> None:
    """One answer; a busy machine may be too late for the first ones."""
    deadline = time.monotonic() + PATIENCE_S
    while (status := _status(web, key, model, number)) == 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert status == 200


def _status(web: Web, key: str, model: str, number: int) -> int:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"warming {number}"}],
        "stream": number % 2 == 0,
    }
    return _post(web, key, "/v1/chat/completions", body)


def _post(web: Web, key: str, path: str, body: object) -> int:
    connection = HTTPConnection("127.0.0.1", web.port, timeout=60)
    try:
        sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", path, orjson.dumps(body), sent)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
