"""S17: nothing that a caller sends triggers a fault, or makes it meet a run of others."""

from typing import Any

import orjson
import pytest

from tests.fixtures_billing import unique
from tests.live.chaos.conftest import Chaos, only
from tests.live.world import World

pytestmark = pytest.mark.live
CHAT = "/v1/chat/completions"
# Those of Envoy and of fault-injecting proxies, and whatever ours might be called.
HEADERS = (
    "x-envoy-fault-abort-request", "x-envoy-fault-delay-request", "x-fault-inject", "x-fault",
    "x-chaos", "x-chaos-fault", "x-chaos-run", "x-chaos-experiment", "x-valuecanvas-chaos",
    "x-valuecanvas-fault", "x-valuecanvas-inject", "x-inject-error", "x-inject-latency",
)  # fmt: skip
QUERIES = ("chaos=error", "fault=timeout", "inject=503", "chaos_run={run}", "experiment={name}")  # fmt: skip
FIELDS = ("chaos", "fault", "inject", "injected_by", "x_chaos")


def body(model: str, **fields: Any) -> bytes:
    messages = [{"role": "user", "content": unique("Say hello to")}]
    return orjson.dumps({"model": model, "messages": messages, **fields})


def test_call__with_whatever_asks_for_a_fault__gets_none(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok")
    other, _ = world.new_customer()
    run = chaos.begin(
        "error",
        parameters={"status": 503},
        providers=served.providers,
        conditions=only(other.user_id),
    )
    values = ("error", "503", str(run.pk), run.name)
    context = orjson.dumps({"user_id": other.user_id, "chaos": run.name}).decode()
    sent: list[dict[str, Any]] = [
        *({"headers": {name: value}} for name in HEADERS for value in values[:2]),
        *({"headers": {"x-chaos": value}} for value in values),
        {"headers": {"x-valuecanvas-context": context}},
        *({"query": one.format(run=run.pk, name=run.name)} for one in QUERIES),
        *({"metadata": {name: run.name, "user_id": other.user_id}} for name in FIELDS),
        {"user": other.user_id},
    ]
    for one in sent:
        fields = {k: v for k, v in one.items() if k in ("metadata", "user")}
        path = f"{CHAT}?{one['query']}" if "query" in one else CHAT
        data = body(served.model, **fields)
        answer = world.request(path, data, **one.get("headers", {}))
        assert answer.status == 200, one
        assert world.usage(answer.headers["x-request-id"]).attempts == 1, one
    for name in FIELDS:
        # A field that nobody knows goes to the provider, or is refused: no fault either way.
        answer = world.request(CHAT, body(served.model, **{name: "error"}))
        assert answer.status in (200, 400), name
    run.refresh_from_db()
    assert run.injected == 0
