"""Every error class of the official SDK, each raised by its own cause."""

import datetime as dt
import time
from typing import Any

import jwt
import openai
import pytest
from django.utils import timezone

from tests.fixtures_billing import make_api_key, make_customer, make_tier, unique
from tests.live.conftest import FIXED_ENV
from tests.live.world import World
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.live

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]


def create(world: World, model: str, key: str = "", **fields: Any) -> Any:
    """One chat completion by the SDK, without its own retries."""
    with world.sdk(key) as client:
        return client.chat.completions.create(
            model=model, messages=fields.pop("messages", HELLO), **fields
        )


def check(raised: openai.APIStatusError, status: int, code: str | None) -> None:
    """The body has the four keys, and names the request."""
    assert raised.status_code == status
    assert isinstance(raised.body, dict)
    assert {"message", "type", "param", "code"} <= raised.body.keys()
    assert raised.code == code
    assert raised.request_id
    assert raised.body["request_id"] == raised.request_id


def test_bad_request_error__message_without_role__names_the_field(world: World) -> None:
    served = world.serve("ok")
    with pytest.raises(openai.BadRequestError) as raised:
        create(world, served.model, messages=[{"content": "hi"}])
    check(raised.value, 400, "invalid_request")
    assert raised.value.param == "messages[0]"
    assert world.counter() == (0, 0, 0)


def test_bad_request_error__cap_of_none__takes_no_quota(world: World) -> None:
    served = world.serve("ok")
    with pytest.raises(openai.BadRequestError) as raised:
        create(world, served.model, max_tokens=0)
    check(raised.value, 400, "invalid_request")
    assert raised.value.param == "max_tokens"
    assert world.counter() == (0, 0, 0)


def test_bad_request_error__provider_refuses_the_request__has_its_words(
    world: World,
) -> None:
    served = world.serve("status-400:context_length_exceeded")
    with pytest.raises(openai.BadRequestError) as raised:
        create(world, served.model)
    check(raised.value, 400, "context_length_exceeded")
    assert "(demo provider)" in raised.value.message


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"revoked": True}, "revoked"),
        ({"expires_at": timezone.now() - dt.timedelta(minutes=1)}, "expired"),
    ],
)
def test_authentication_error__key_no_longer_valid__is_raised(
    world: World, fields: dict[str, Any], state: str
) -> None:
    served = world.serve("ok")
    key = world.db(make_api_key, world.customer, **fields)[1]
    with pytest.raises(openai.AuthenticationError) as raised:
        create(world, served.model, key)
    assert raised.value.status_code == 401, state


@pytest.mark.parametrize(
    "key", ["sk-something", "vc-nothere00-0123456789", "a.b.c", "vc--", "é"]
)
def test_authentication_error__unknown_key__is_raised(world: World, key: str) -> None:
    answer = world.request(
        "/v1/models", authorization=f"Bearer {key}".encode().decode("latin-1"), key=""
    )
    assert answer.status == 401
    assert answer.error["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Basic abc"}, "invalid_api_key"),
    ],
)
def test_authentication_error__no_bearer__says_what_to_send(
    world: World, headers: dict[str, str], code: str
) -> None:
    served = world.serve("ok")
    body = b'{"model":"%s","messages":[{"role":"user"}]}' % served.model.encode()
    answer = world.request("/v1/chat/completions", body, key="", **headers)
    assert (answer.status, answer.error["code"]) == (401, code)
    assert "Bearer" in answer.error["message"]


def token(**claims: Any) -> str:
    fixed = {
        "iss": FIXED_ENV["JWT_ISSUER"],
        "aud": "authenticated",
        "role": "authenticated",
        "exp": int(time.time()) + 600,
    }
    return jwt.encode({**fixed, **claims}, FIXED_ENV["JWT_SECRET"], algorithm="HS256")


def test_token__user_first_seen__is_served_in_the_default_tier(world: World) -> None:
    world.free_tier()
    served, user = world.serve("ok"), unique("user")
    with world.sdk(token(sub=user)) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=served.model, messages=HELLO
        )
    assert raw.headers["x-ratelimit-limit-requests"] == "10"
    row = world.usage(raw.headers["x-request-id"])
    assert (row.user_id, row.key, row.team) == (user, "", "")


def test_authentication_error__expired_token__is_raised(world: World) -> None:
    served = world.serve("ok")
    with pytest.raises(openai.AuthenticationError):
        create(world, served.model, token(sub="user-1", exp=int(time.time()) - 60))


def test_permission_denied_error__model_not_on_the_keys_list__is_raised(
    world: World,
) -> None:
    served, other = world.serve("ok"), world.serve("ok")
    key = world.new_key(allowed_models=[other.model])
    with pytest.raises(openai.PermissionDeniedError) as raised:
        create(world, served.model, key)
    check(raised.value, 403, "model_not_allowed")
    assert world.counter() == (0, 0, 0)


def test_permission_denied_error__key_without_the_scope__is_raised(
    world: World,
) -> None:
    served = world.serve("ok")
    with pytest.raises(openai.PermissionDeniedError) as raised:
        create(world, served.model, world.new_key(scopes=["act_as"]))
    check(raised.value, 403, "permission_denied")


def test_permission_denied_error__suspended_customer__is_raised(world: World) -> None:
    served = world.serve("ok")
    customer = world.db(make_customer, suspended=True)
    with pytest.raises(openai.PermissionDeniedError) as raised:
        create(world, served.model, world.new_key(customer))
    check(raised.value, 403, "customer_suspended")


def test_permission_denied_error__model_without_a_price__is_blocked(
    world: World,
) -> None:
    served = world.serve("ok", prices=("",))
    with pytest.raises(openai.PermissionDeniedError) as raised:
        create(world, served.model)
    check(raised.value, 403, "model_unpriced")
    assert world.counter() == (0, 0, 0)


def test_not_found_error__unknown_model__says_where_to_look(world: World) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        create(world, "no-such-model")
    check(raised.value, 404, "model_not_found")
    assert "/v1/models" in raised.value.message


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
    ],
)
def test_client_errors_of_the_provider__any__keep_their_class(
    world: World, status: int, error: type[openai.APIStatusError]
) -> None:
    served = world.serve(f"status-{status}")
    with pytest.raises(error) as raised:
        create(world, served.model)
    assert raised.value.status_code == status
    assert world.counter() == (0, 0, 0)


def test_rate_limit_error__quota_used_up__offers_the_next_tier(world: World) -> None:
    up = world.db(make_tier, daily_requests=500, max_output_tokens=4096)
    customer, key = world.new_customer(daily_requests=2, upgrade_to=up)
    served = world.serve("ok")
    for _ in range(2):
        create(world, served.model, key)
    with pytest.raises(openai.RateLimitError) as raised:
        create(world, served.model, key)
    check(raised.value, 429, "insufficient_quota")
    assert raised.value.type == "insufficient_quota"
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["upgrade"] == {
        "tier": up.key,
        "name": up.name,
        "daily_requests": 500,
        "max_output_tokens": 4096,
        "url": "https://example.com/upgrade",
    }
    sent = raised.value.response.headers
    assert sent["x-should-retry"] == "false"
    assert sent["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(sent["Retry-After"]) <= 86_400
    assert sent["RateLimit"] == f'"daily";r=0;t={sent["Retry-After"]}'
    assert world.counter(customer)[0] == 2


def test_rate_limit_error__budget_would_be_passed__says_how_much_is_left(
    world: World,
) -> None:
    served = world.serve("ok")
    world.budget(limit="0.000300", period="month")
    with pytest.raises(openai.RateLimitError) as raised:
        create(world, served.model)
    check(raised.value, 429, "budget_exceeded")
    assert "month budget of this user" in raised.value.message
    assert "$0.000300 left" in raised.value.message
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert 0 < int(raised.value.response.headers["Retry-After"]) <= 31 * 86_400
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["upgrade"] is None
    assert create(world, served.model, max_tokens=50).choices
    assert world.counter()[0] == 1


def test_rate_limit_error__retries_allowed__asks_only_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = world.new_customer(daily_requests=0)
    served = world.serve("ok")
    # Before it asks again, it sleeps.
    monkeypatch.setattr(openai.OpenAI, "_sleep_for_retry", pytest.fail)
    with world.sdk(key, max_retries=5) as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model=served.model, messages=HELLO)


@pytest.mark.parametrize("stream", [False, True])
def test_internal_server_error__no_provider_could_answer__is_refunded(
    world: World, stream: bool
) -> None:
    served = world.serve("status-500", "status-503")
    with pytest.raises(openai.InternalServerError) as raised:
        create(world, served.model, stream=stream)
    check(raised.value, 502, "upstream_error")
    assert raised.value.type == "upstream_error"
    row = world.usage(raised.value.request_id or "")
    assert (row.status, row.error_code, row.cost_usd) == ("error", "upstream_error", 0)
    assert (row.marks, row.attempts) == (["refunded"], 2)
    assert world.counter() == (0, 0, 0)
    assert world.reserved() == 0


def test_internal_server_error__retried_by_the_sdk__succeeds(world: World) -> None:
    served = world.serve("flaky@50")
    with world.sdk(max_retries=8) as client:
        assert client.chat.completions.create(model=served.model, messages=HELLO)


def test_api_connection_error__nothing_listens__is_raised(world: World) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with (
        openai.OpenAI(api_key=world.key, base_url=url, max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.chat.completions.create(model="any", messages=HELLO)


def test_api_timeout_error__client_waits_less_than_the_provider__is_raised(
    world: World,
) -> None:
    served = world.serve("slow@2s")
    # It has sent its request before it begins to wait.
    timeout = openai.Timeout(60, read=0.2)
    with world.sdk(timeout=timeout) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=served.model, messages=HELLO)
    # A call that is not streamed is completed, and recorded in full.
    [row] = world.eventually(lambda: world.rows_now())
    assert (row.status, row.source) == ("ok", "provider")
    assert row.cost_usd > 0


def test_api_error__stream_breaks_after_content__is_raised_inside_it(
    world: World,
) -> None:
    served = world.serve("error-event@5", "ok")
    pieces = []
    with world.sdk() as client, pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(
            model=served.model, messages=HELLO, stream=True
        ):
            pieces.append(chunk)
    assert pieces
    assert raised.value.code == "stream_interrupted"
    assert raised.value.type == "upstream_error"
