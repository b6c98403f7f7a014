"""Wrong API keys on the hot path, and ratings without end."""

from typing import Any

import orjson
import pytest

from billing.models import ApiKey
from llm.admission.auth_throttle import AuthThrottle
from llm.runtime import Runtime
from tests.fixtures_billing import unique
from tests.live.inside import Exchange
from tests.live.world import Answer, World
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.live
MODELS = "/v1/models"
FEEDBACK = "/v1/feedback"


def wrong_key() -> str:
    """Of the form of a key, and nobody's."""
    return f"vc-{unique('')[1:]:z<12.12}-{'x' * 43}"


async def get(
    gateway: Runtime, key: str, peer: str = "192.0.2.1", *, forwarded: str = "", header: str = "authorization", path: str = MODELS, method: str = "GET"
) -> Answer:  # fmt: skip
    exchange = Exchange(gateway, path, method=method)
    text = key if header == "x-api-key" else f"Bearer {key}"
    if key:
        exchange.scope["headers"].append((header.encode(), text.encode()))
    if forwarded:
        exchange.scope["headers"].append((b"x-forwarded-for", forwarded.encode()))
    exchange.scope["client"] = (peer, 1234)
    return await exchange.run()


async def statuses(gateway: Runtime, key: str, times: int, **options: Any) -> list[int]:
    return [(await get(gateway, key, **options)).status for _ in range(times)]


async def test_wrong_key__again_and_again__shuts_itself_out_alone(
    indoors: World, gateway: Runtime, settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 3
    wrong = wrong_key()
    assert await statuses(gateway, wrong, 5) == [401, 401, 401, 429, 429]
    refused = await get(gateway, wrong)
    assert refused.error["code"] == "too_many_failures"
    assert refused.error["type"] == "rate_limit_error"
    assert 0 < int(refused.headers["retry-after"]) <= 63
    assert await statuses(gateway, indoors.key, 1) == [200]
    assert await statuses(gateway, wrong, 1, peer="192.0.2.2") == [401]


async def test_wrong_keys__many_of_them__let_only_known_keys_through(
    indoors: World, gateway: Runtime, settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 3
    unseen = indoors.new_key()
    assert await statuses(gateway, indoors.key, 1) == [200]
    for _ in range(3):
        assert await statuses(gateway, wrong_key(), 1) == [401]
    assert await statuses(gateway, wrong_key(), 1) == [429]
    assert await statuses(gateway, indoors.key, 1) == [200]
    assert await statuses(gateway, unseen, 1) == [429]
    assert await statuses(gateway, unseen, 1, peer="192.0.2.2") == [200]
    # By then it is known.
    assert await statuses(gateway, unseen, 1) == [200]
    assert await statuses(gateway, "", 1) == [401]


async def test_wrong_keys__address_is_forged__one_caller_all_the_same(
    gateway: Runtime, settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 2
    for number in range(2):
        forged = {"forwarded": f"203.0.113.{number}"}
        assert await statuses(gateway, wrong_key(), 1, **forged) == [401]
    assert await statuses(gateway, wrong_key(), 1, forwarded="203.0.113.9") == [429]
    settings.TRUST_PROXY = True
    near = {"forwarded": "203.0.113.1, 198.51.100.7"}
    assert await statuses(gateway, wrong_key(), 3, **near) == [401, 401, 429]
    far = {"forwarded": "203.0.113.1, 198.51.100.8"}
    assert await statuses(gateway, wrong_key(), 1, **far) == [401]


async def test_wrong_key__by_the_header_of_ofrep__counts_as_well(
    gateway: Runtime, settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 1
    how = {"header": "x-api-key", "path": "/ofrep/v1/evaluate/flags", "method": "POST"}
    assert await statuses(gateway, wrong_key(), 1, **how) == [401]
    assert await statuses(gateway, wrong_key(), 1, **how) == [429]


@pytest.mark.parametrize("key", ["nonsense", "vc-short", ""])
async def test_no_key_at_all__however_often__is_told_so(
    gateway: Runtime, settings: Any, key: str
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 1
    assert await statuses(gateway, key, 4) == [401] * 4


async def test_wrong_keys__no_limit_set__are_told_so(
    gateway: Runtime, settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 0
    for _ in range(4):
        assert await statuses(gateway, wrong_key(), 1) == [401]


async def test_wrong_keys__two_processes__share_what_they_count(
    gateway: Runtime, settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 2
    other = AuthThrottle(gateway.limiter, gateway.callers)
    wrong = wrong_key()
    assert await statuses(gateway, wrong, 2) == [401, 401]
    headers = [(b"authorization", f"Bearer {wrong}".encode())]
    scope = {"headers": headers, "client": ("192.0.2.1", 1)}
    other.refuse(scope)
    # It hears of it with the first one that it tells.
    await other.note(scope)
    with pytest.raises(Exception, match="Too many wrong API keys"):
        other.refuse(scope)


async def test_health__address_shut_out__is_answered(
    gateway: Runtime, settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 1
    assert await statuses(gateway, wrong_key(), 1) == [401]
    assert await statuses(gateway, wrong_key(), 1, path="/health/live") != [429]


async def rate(gateway: Runtime, key: str) -> Answer:
    body = orjson.dumps({"request_id": str(uuid7()), "score": 1})
    return await Exchange(gateway, FEEDBACK, body, key=key).run()


async def test_feedback__too_much_of_one_key__is_429_and_others_go_on(
    indoors: World, gateway: Runtime, settings: Any
) -> None:
    settings.FEEDBACK_PER_MINUTE = 2
    found = [(await rate(gateway, indoors.key)).status for _ in range(4)]
    assert found == [404, 404, 429, 429]
    refused = await rate(gateway, indoors.key)
    assert refused.error["code"] == "rate_limit_exceeded"
    assert "At most 2 ratings a minute" in refused.error["message"]
    assert int(refused.headers["retry-after"]) > 0
    assert (await rate(gateway, indoors.new_key())).status == 404
    assert indoors.db(ApiKey.objects.count) >= 2
    settings.FEEDBACK_PER_MINUTE = 0
    assert (await rate(gateway, indoors.key)).status == 404
