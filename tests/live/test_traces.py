"""Traces of requests as an OpenTelemetry collector gets them."""

import time
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import generate_latest
from pytest_django import Settings

from billing.ledger import Charge
from billing.models import Refusal
from llm import gateway as python_gateway
from llm.runtime import Runtime
from llm.settlement.outcome import RequestOutcome
from llm.settlement.request_spans import UpstreamCalls
from llm.types import TokenUse
from llm.upstream.attempts import Attempts
from tests.live.inside import CHAT, DONE, Exchange, chat_body, chunk, upstream
from tests.live.server import live_server
from tests.live.shared import offered
from tests.live.trace_checks import CONVENTIONS, HEADER, STEPS, check, has, steps
from tests.live.world import Answer, World, unique
from tests.otlp import Collector, Trace, running_collector
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry import traces
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.live


async def ask(
    world: World, gateway: Runtime, model: str, *, parent: str = "", **fields: Any
) -> Answer:
    exchange = Exchange(gateway, CHAT, chat_body(model, **fields), key=world.key)
    if parent:
        exchange.scope["headers"].append((b"traceparent", parent.encode()))
    return await exchange.run()


def whole(collector: Collector, answer: Answer) -> Trace:
    """The trace of an answer: names as agreed, and its spans within each other."""
    trace = collector.trace(answer.headers[HEADER])
    check(trace)
    return trace


async def test_miss__that_fails_over__is_traced_step_by_step(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("status-500", "ok")
    answer = await ask(indoors, gateway, served.model, temperature=0.5, seed=7)
    assert answer.status == 200, answer.body
    request_id = answer.headers["x-request-id"]
    assert answer.headers[HEADER] == request_id.replace("-", "")
    row = indoors.usage(request_id)
    assert row.trace_id == answer.headers[HEADER]
    trace = whole(collector, answer)
    root = trace.root
    assert (root.name, root.kind) == ("POST /v1/chat/completions", "SERVER")
    assert has(
        root,
        http__request__method="POST",
        http__route="/v1/chat/completions",
        http__response__status_code=200,
        valuecanvas__request_id=request_id,
        valuecanvas__model=served.model,
        valuecanvas__provider=served.providers[1],
        valuecanvas__status="ok",
        valuecanvas__cached=False,
        valuecanvas__attempts=2,
        valuecanvas__cost_usd=float(row.cost_usd),
        valuecanvas__customer_id=str(row.customer_id),
    )
    assert not root.failed
    assert steps(trace.children(root)) == [*STEPS, "call upstream", "settle"]
    calls = trace.one("call upstream")
    assert (calls.events, calls.failed) == (["failover"], False)
    failed, done = trace.children(calls)
    assert (failed.name, failed.kind) == ("chat status-500", "CLIENT")
    assert has(
        failed,
        gen_ai__operation__name="chat",
        gen_ai__provider__name=served.providers[0],
        gen_ai__request__model="status-500",
        http__response__status_code=500,
        error__type="failure",
    )
    assert failed.span.status.message == "The provider answered 500."
    assert (done.name, done.kind, done.failed) == ("chat ok", "CLIENT", False)
    assert has(
        done,
        gen_ai__provider__name=served.providers[1],
        gen_ai__request__stream=False,
        gen_ai__request__temperature=0.5,
        gen_ai__request__seed=7,
        gen_ai__usage__input_tokens=row.prompt_tokens,
        gen_ai__usage__output_tokens=row.completion_tokens,
        server__address="127.0.0.1",
    )
    assert done.attributes["gen_ai.request.max_tokens"] > 0
    assert done.attributes["server.port"] > 0


async def test_hit__of_the_cache__has_no_call_of_a_provider(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    with offered(indoors) as offer:
        texts = {"text": unique("Say hello to")}
        await ask(indoors, gateway, offer.model, **texts)
        answer = await ask(indoors, gateway, offer.model, **texts)
    assert answer.headers["x-valuecanvas-cache"] == "hit"
    trace = whole(collector, answer)
    assert steps(trace.spans)[1:] == STEPS
    assert has(trace.root, valuecanvas__cached=True, valuecanvas__cost_usd=0.0)
    assert trace.of_kind("CLIENT") == []


async def test_stream__whole__has_its_first_token_and_usage(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    script = (0.2, chunk(role="assistant", content="Hi"), 0.1, chunk(), DONE)
    async with upstream(*script) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model, stream=True)
    trace = whole(collector, answer)
    [call] = trace.of_kind("CLIENT")
    assert (call.events, call.failed) == (["first token"], False)
    assert has(call, gen_ai__request__stream=True)
    assert 0.19 < call.attributes["gen_ai.response.time_to_first_chunk"] < 60
    took = call.span.end_time_unix_nano - call.span.start_time_unix_nano
    assert took >= 0.29e9
    assert trace.names[-1] == "settle"


async def test_stream__that_breaks_off__is_kept_although_not_sampled(
    collector: Collector, indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.TRACE_SAMPLE_RATIO = 0.0
    async with upstream(chunk(content="Hi"), 0.1) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model, stream=True)
    assert answer.status == 200
    trace = whole(collector, answer)
    assert (trace.root.failed, has(trace.root, valuecanvas__status="interrupted")) == (
        True,
        True,
    )
    [call] = trace.of_kind("CLIENT")
    assert call.failed
    assert trace.root.span.flags == 0


async def test_refusal__by_a_limit__says_at_which_step(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")
    _, key = indoors.new_customer(daily_requests=0)
    body = chat_body(served.model)
    answer = await Exchange(gateway, CHAT, body, key=key).run()
    assert answer.status == 429
    trace = whole(collector, answer)
    assert steps(trace.spans)[1:] == STEPS
    admit = trace.one("admit")
    assert (admit.failed, admit.attributes["error.type"]) == (
        True,
        answer.error["code"],
    )
    # A caller's own fault is no failure of ours.
    assert not trace.root.failed
    assert has(trace.root, http__response__status_code=429)
    await gateway.trace_rows.flush()
    row = indoors.db(Refusal.objects.get, pk=answer.headers["x-request-id"])
    assert row.trace_id == answer.headers[HEADER]


async def test_traceparent__of_the_client__is_the_parent_and_decides(
    collector: Collector, indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.TRACE_SAMPLE_RATIO = 0.0
    served = indoors.serve("ok")
    ids = {flag: uuid7().hex for flag in ("01", "00")}
    for flag, trace_id in ids.items():
        parent = f"00-{trace_id}-b7ad6b7169203331-{flag}"
        answer = await ask(indoors, gateway, served.model, parent=parent)
        assert answer.headers[HEADER] == trace_id
        assert indoors.usage(answer.headers["x-request-id"]).trace_id == trace_id
    await ask(indoors, gateway, served.model)
    traces.close()
    assert collector.trace_ids() == {ids["01"]}
    root = collector.trace(ids["01"]).root
    assert root.span.parent_span_id.hex() == "b7ad6b7169203331"


@pytest.mark.parametrize("told", [False, True])
async def test_traceparent__to_providers__is_sent_only_if_switched_on(
    collector: Collector,
    indoors: World,
    gateway: Runtime,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    told: bool,
) -> None:
    settings.TRACE_PROVIDERS = told
    sent: list[dict[str, str]] = []
    post = gateway.pool.post

    def noting(*args: Any, headers: dict[str, str], **more: Any) -> Any:
        sent.append(headers)
        return post(*args, headers=headers, **more)

    monkeypatch.setattr(gateway.pool, "post", noting)
    served = indoors.serve("status-500", "ok")
    answer = await ask(indoors, gateway, served.model)
    trace = whole(collector, answer)
    ids = [one.span.span_id.hex() for one in trace.of_kind("CLIENT")]
    expected = [f"00-{answer.headers[HEADER]}-{one}-01" for one in ids]
    assert [one.get("traceparent") for one in sent] == (
        expected if told else [None] * 2
    )


async def test_paths__unknown_or_for_probes__leak_no_word_of_the_caller(
    collector: Collector, gateway: Runtime
) -> None:
    answer = await Exchange(gateway, "/v1/ada@example.com", method="ADA").run()
    assert answer.status == 404
    trace = whole(collector, answer)
    assert (trace.names, trace.root.attributes["http.request.method"]) == (
        ["_OTHER"],
        "_OTHER",
    )
    probe = await Exchange(gateway, "/health/live", method="GET").run()
    assert HEADER not in probe.headers


async def test_providers__that_cannot_be_reached__are_tried_twice_and_the_trace_kept(
    collector: Collector, indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.TRACE_SAMPLE_RATIO = 0.0
    served = indoors.serve_at((f"http://127.0.0.1:{free_port()}/v1", "m"))
    answer = await ask(indoors, gateway, served.model, n=2)
    assert answer.status == 502
    trace = whole(collector, answer)
    assert trace.root.attributes["error.type"] == "502"
    calls = trace.one("call upstream")
    # The same provider twice is no failover.
    assert (calls.events, calls.attributes["error.type"]) == ([], "upstream_error")
    for one in trace.of_kind("CLIENT"):
        assert has(one, error__type="failure", gen_ai__request__choice__count=2)
        assert "http.response.status_code" not in one.attributes
    assert len(trace.of_kind("CLIENT")) == 2


async def test_client__that_leaves__ends_the_call_that_was_under_way(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    async with upstream(chunk(content="Hi"), 30.0) as url:
        served = indoors.serve_at((url, "m"))
        body = chat_body(served.model, stream=True)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        task = exchange.start()
        await exchange.until(b"Hi")
        exchange.leave()
        await task
    trace = whole(collector, exchange.answer)
    [call] = trace.of_kind("CLIENT")
    assert call.attributes["error.type"] == "client_gone"
    assert not trace.root.failed


def test_usage__with_the_provider_s_cache__is_named_apart() -> None:
    tokens = TokenUse(prompt=10, completion=5, cached=4, written=3)
    outcome = RequestOutcome("ok", tokens=tokens)
    charge = Charge(provider_cost=1_500_000)
    attempts = cast(Attempts, None)
    found = UpstreamCalls(attempts, outcome, charge, 0.0, 1.0)._usage()
    assert found == {
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "valuecanvas.provider_cost_usd": 1.5,
    }
    assert {one for one in found if one.startswith("gen_ai")} <= CONVENTIONS


async def test_words_of_callers__in_each_place__are_in_no_trace(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    canary = f"{unique('ada')}@example.com"
    served = indoors.serve("status-400", "ok")
    answers = []
    for body in (
        chat_body(served.model, canary, user=canary, metadata={"who": canary}),
        chat_body(canary),
        chat_body(served.model, stop=[canary], response_format={"type": canary}),
        canary.encode(),
    ):
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        exchange.scope["query_string"] = f"q={canary}".encode()
        exchange.scope["headers"] += [
            (name.encode(), canary.encode())
            for name in ("x-valuecanvas-user", "user-agent", "tracestate", "baggage")
        ]
        answers.append(await exchange.run())
    for path in (f"/v1/{canary}", f"/v1/requests/{canary}", f"/ofrep/v1/{canary}"):
        exchange = Exchange(gateway, path, method="GET", key=f"vc-{canary}")
        answers.append(await exchange.run())
    for answer in answers:
        whole(collector, answer)
    assert canary.encode() not in b"".join(collector.bodies)


async def test_log_lines__of_a_traced_request__have_its_trace(
    collector: Collector,
    indoors: World,
    gateway: Runtime,
    capfd: pytest.CaptureFixture[str],
) -> None:
    trace_id = uuid7().hex
    exchange = Exchange(gateway, "/v1/models", method="GET", key="vc-unknown")
    parent = f"00-{trace_id}-b7ad6b7169203331-00"
    exchange.scope["headers"].append((b"traceparent", parent.encode()))
    assert (await exchange.run()).status == 401
    [line] = [one for one in capfd.readouterr().err.splitlines() if trace_id in one]
    assert '"event":"request.done"' in line


async def test_exemplar__of_a_kept_trace_only__leads_from_the_metric(
    collector: Collector, indoors: World, gateway: Runtime, settings: Settings
) -> None:
    served = indoors.serve("ok")
    kept = await ask(indoors, gateway, served.model)
    settings.TRACE_SAMPLE_RATIO = 0.0
    other = await ask(indoors, gateway, served.model)
    shown = indoors.db(lambda: generate_latest(REGISTRY)).decode()
    assert f'trace_id="{kept.headers[HEADER]}"' in shown
    assert other.headers[HEADER] not in shown


async def test_complete__from_python__is_traced_too(
    collector: Collector, indoors: World
) -> None:
    served = indoors.serve("ok")
    done = await python_gateway.complete(
        messages=[{"role": "user", "content": unique("Say hello to")}],
        model=served.model,
        customer=indoors.customer,
    )
    row = indoors.usage(done.request_id)
    trace = collector.trace(row.trace_id)
    check(trace)
    assert (trace.root.name, trace.root.kind) == ("complete", "INTERNAL")
    assert trace.one("settle")


async def test_off__requests_are_served__without_a_trace_or_a_header(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")
    trace_id = uuid7().hex
    answer = await ask(
        indoors, gateway, served.model, parent=f"00-{trace_id}-b7ad6b7169203331-01"
    )
    assert answer.status == 200
    assert HEADER not in answer.headers
    # The client's own id is kept for its sake all the same.
    assert indoors.usage(answer.headers["x-request-id"]).trace_id == trace_id


def test_server__with_a_collector_that_is_down__serves_and_then_sends_at_its_end(
    world: World, server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    served = world.serve("ok")
    with running_collector() as collector:
        env = {
            **server_env,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/",
            "TRACE_SAMPLE_RATIO": "1",
        }
        collector.answer = 503
        with live_server(tmp_path_factory.mktemp("traced"), env) as server:
            world.port = server.port
            first = world.chat(served.model)
            collector.trace(first.headers[HEADER])
            deadline = time.monotonic() + 60
            while '"up":false' not in server.log and time.monotonic() < deadline:
                time.sleep(0.05)
            collector.answer = 200
            answers = [world.chat(served.model) for _ in range(3)]
            figures = world.metrics()
        assert {one.status for one in (first, *answers)} == {200}
        for one in answers:
            assert collector.trace(one.headers[HEADER]).one("settle")
        assert 'valuecanvas_traces_dropped_total{reason="collector"} 1.0' in figures
        assert server.log.count("traces.collector") == 2
