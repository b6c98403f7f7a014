"""S7: nothing that a client sends chooses the upstream host, its path or its key."""

from typing import Any

import orjson
import pytest
from django.core.exceptions import ValidationError

from llm.models import Provider
from llm.request.routing_fields import ROUTING, check_further, is_routing
from llm.runtime import Runtime
from tests.faults.counts import FULL, either
from tests.fixtures_billing import make_provider
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.world import Answer, Served, World
from tests.security.upstream.recorder import Recorder
from valuecanvas.core.parameters import UPSTREAM

pytestmark = pytest.mark.live
KEY = "sk-the-providers-own-key"
# Beside those that are refused by name: what proxies, aggregators and SDKs read.
MORE = [
    "api", "api_host", "apiBase", "apiKey", "auth", "authorization", "aws_region_name",
    "aws_access_key_id", "aws_bedrock_runtime_endpoint", "azure_ad_token_provider",
    "base_model", "baseUrl", "base-url", "BASE_URL", "bearer", "cache", "callback_url",
    "config", "cookie", "credentials", "destination", "domain", "endpoint",
    "endpoint_url", "engine", "extraBody", "extra_headers[]", "forward", "forwarded",
    "host", "hostname", "http_client", "http_proxy", "https_proxy", "ip", "jku",
    "kwargs", "litellm_credential_name", "litellm_metadata", "litellm_params",
    "location", "method", "model_id", "model_name", "openai_api_base",
    "openai_api_key", "openai_proxy", "origin", "path", "pool", "port", "proxies",
    "proxy", "proxy_server_request", "query", "redirect", "region", "region_name",
    "request_url", "s3_bucket_name", "scheme", "secret_fields", "server", "socket",
    "ssl_verify", "target", "timeout", "tls", "transport", "unix_socket", "upstream",
    "upstream_url", "uri", "url", "urls", "user_api_key", "vertex_credentials",
    "vertex_location", "vertex_project", "via", "webhook_url", "x-api-base",
    "__class__", "__proto__", "constructor", "\u017ferver_url", "\uff55\uff52\uff4c",
]  # fmt: skip
NAMES = sorted({*ROUTING, *UPSTREAM, *MORE})
HEADERS = [
    ("host", "evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-api-base", "http://evil.example"),
    ("x-base-url", "http://evil.example"),
    ("openai-organization", "org-evil"),
    ("openai-project", "evil"),
    ("helicone-target-url", "http://evil.example"),
    ("x-portkey-custom-host", "http://evil.example"),
    ("http-referer", "http://evil.example"),
    ("cookie", "session=evil"),
    ("x-api-key", "evil"),
    ("proxy-authorization", "Basic evil"),
    ("connection", "x-valuecanvas-attempt"),
    ("transfer-encoding", "identity"),
]
# The only ones that go upstream.
SENT = {
    "accept", "accept-encoding", "authorization", "content-length", "content-type",
    "host", "user-agent", "x-valuecanvas-attempt",
}  # fmt: skip


@pytest.fixture
def served(indoors: World, recorder: Recorder) -> Served:
    indoors.tier.daily_requests = 100_000
    indoors.db(indoors.tier.save)
    return indoors.serve_at((recorder.url, "up"), api_key=KEY)


def nested(name: str, value: Any) -> list[dict[str, Any]]:
    """Bodies that hold a field within others; those of the first form are ours to refuse."""
    message = {"role": "user", "content": "Hello", name: value}
    function = {"name": "f", "parameters": {"type": "object"}, name: value}
    return [
        {name: value},
        {"metadata": {name: "text"}},
        {"options": {name: value}},
        {"messages": [message]},
        {"tools": [{"type": "function", "function": function}]},
        {"response_format": {"type": "text", name: value}},
        {"stream_options": {name: value}},
    ]


def check_unmoved(recorder: Recorder) -> None:
    """All that came is where the operator sends it, with the operator's key."""
    host = recorder.url.removeprefix("http://").removesuffix("/v1")
    for call in recorder.calls:
        assert call.line == "POST /v1/chat/completions HTTP/1.1"
        assert call.headers["host"] == host
        assert call.headers["authorization"] == f"Bearer {KEY}"
        assert call.headers.keys() <= SENT
        assert call.body["model"] == "up"


async def ask(
    indoors: World, gateway: Runtime, model: str, fields: dict[str, Any]
) -> Answer:
    body = orjson.loads(chat_body(model)) | fields
    return await Exchange(gateway, CHAT, orjson.dumps(body), key=indoors.key).run()


async def test_fields__of_every_routing_name__change_nothing_upstream(
    indoors: World,
    gateway: Runtime,
    recorder: Recorder,
    canary: Recorder,
    served: Served,
) -> None:
    assert len(NAMES) >= 100
    for number, name in enumerate(NAMES):
        for value in (canary.url, {"order": ["x"], "url": canary.url})[: either(1, 2)]:
            top, *inside = nested(name, value)
            answer = await ask(indoors, gateway, served.model, top)
            assert answer.status in (200, 400), (name, answer.body)
            if is_routing(name):
                assert (answer.status, answer.error["param"]) == (400, name)
            for fields in inside if FULL else [inside[number % len(inside)]]:
                answer = await ask(indoors, gateway, served.model, fields)
                assert answer.status in (200, 400), (name, answer.body)
    check_unmoved(recorder)
    assert len(recorder.calls) > 100


@pytest.mark.parametrize("model", ["http://127.0.0.1:1/v1", "//evil.example/x", "openai/gpt", "up", "../up", "a@evil.example"])  # fmt: skip
async def test_model__as_a_url_or_a_path__is_only_a_name(
    indoors: World, gateway: Runtime, recorder: Recorder, served: Served, model: str
) -> None:
    answer = await ask(indoors, gateway, served.model, {"model": model})
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert recorder.calls == []


async def test_headers__of_a_client__do_not_go_upstream(
    indoors: World, gateway: Runtime, recorder: Recorder, served: Served
) -> None:
    exchange = Exchange(gateway, CHAT, chat_body(served.model), key=indoors.key)
    more = [(name.encode(), value.encode()) for name, value in HEADERS]
    exchange.scope["headers"] += [one for one in more if one[0] != b"x-api-key"]
    answer = await exchange.run()
    assert answer.status == 200, answer.body
    check_unmoved(recorder)
    assert "evil" not in repr(recorder.calls)


@pytest.mark.parametrize(
    "name", ["provider", "models", "upstream_url", "litellm_params"]
)
async def test_field__declared_on_the_provider__is_sent_on(
    indoors: World, gateway: Runtime, recorder: Recorder, served: Served, name: str
) -> None:
    refused = await ask(indoors, gateway, served.model, {name: {"order": ["a"]}})
    assert (refused.status, refused.error["param"]) == (400, name)
    assert "Further fields" in refused.error["message"]
    row = indoors.db(Provider.objects.get, pk=served.providers[0])
    row.extra_fields = [name]
    indoors.db(row.save)
    answer = await ask(indoors, gateway, served.model, {name: {"order": ["a"]}})
    assert answer.status == 200, answer.body
    assert recorder.calls[-1].body[name] == {"order": ["a"]}
    check_unmoved(recorder)


async def test_field__that_one_of_two_providers_lacks__is_refused(
    indoors: World, gateway: Runtime, recorder: Recorder
) -> None:
    served = indoors.serve_at((recorder.url, "up"), (recorder.url, "up"), api_key=KEY)
    row = indoors.db(Provider.objects.get, pk=served.providers[0])
    row.extra_fields = ["provider"]
    indoors.db(row.save)
    answer = await ask(indoors, gateway, served.model, {"provider": {}})
    assert (answer.status, answer.error["param"]) == (400, "provider")
    assert recorder.calls == []


@pytest.mark.parametrize("name", [*sorted(UPSTREAM), "apiBase", "API-KEY", "temperature", "web_search_options", "max_new_tokens"])  # fmt: skip
def test_further_field__that_chooses_the_host_or_nothing__cannot_be_declared(
    indoors: World, name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        check_further(name)
    row = indoors.db(make_provider)
    row.extra_fields = [name]
    with pytest.raises(ValidationError):
        indoors.db(row.full_clean)
