"""Streams that break, stall or lose their client after the first content."""

import random
import time
from decimal import Decimal

import orjson
import pytest

from tests.live.wire import OpenStream, content, data_events, wire_events
from tests.live.world import World

pytestmark = pytest.mark.live

BREAKS = [
    "reset@6+ok-40",
    "truncated@6+ok-40",
    "error-event@5+ok-40",
    "malformed@5+ok-40",
    "stall@6+ok-40",
]


def only_ours(behaviour: str) -> str:
    """The behaviour by a name that no other test asks for."""
    return f"{behaviour}+ok-{random.randrange(100, 4000)}"


@pytest.mark.parametrize("behaviour", BREAKS)
def test_stream__breaks_after_content__errs_in_band_without_done_or_failover(
    world: World, behaviour: str
) -> None:
    served = world.serve(behaviour, "ok", between_tokens_s=1)
    answer = world.chat(served.model, stream=True)
    assert answer.status == 200
    assert answer.headers["x-valuecanvas-provider"] == served.providers[0]
    request_id = answer.headers["x-request-id"]
    events = data_events(answer.body)
    assert events[-1] == {
        "error": {
            "message": events[-1]["error"]["message"],
            "type": "upstream_error",
            "param": None,
            "code": "stream_interrupted",
            "request_id": request_id,
        }
    }
    assert b"[DONE]" not in answer.body
    assert 1 <= len(content(events)) <= 6
    row = world.usage(request_id)
    assert (row.status, row.error_code) == ("interrupted", "stream_interrupted")
    assert (row.attempts, row.provider) == (1, served.providers[0])
    attempt = world.attempt(request_id)
    assert len(content(events)) <= row.completion_tokens <= attempt.tokens
    assert (row.source, row.marks) == ("gateway", ["estimated"])
    assert row.cost_usd > 0
    used, spent, reserved = world.counter()
    assert (used, reserved) == (1, 0)
    assert Decimal(spent) / 1_000_000 == row.cost_usd
    assert world.breaker(served.providers[0])["failures"] == 1
    assert world.attempts(request_id, 0) == []


def test_stream__pieces__reach_the_client_once_and_in_order(world: World) -> None:
    served = world.serve("echo+drip@5ms")
    text = " ".join(f"word-{number}" for number in range(30))
    answer = world.chat(served.model, text, stream=True)
    pieces = content(data_events(answer.body))
    assert len(pieces) > 20
    assert "".join(pieces) == text


def test_stream__first_content__is_relayed_before_the_stream_ends(
    world: World,
) -> None:
    served = world.serve("drip@50ms:40")
    with OpenStream(world, served.model) as stream:
        first = stream.event_with(b'"content":"')
        assert b"[DONE]" not in first
        assert world.reserved() == 1
        rest = stream.event_with(b"[DONE]")
    assert content(wire_events(first + rest))
    assert world.reserved() == 0


def test_client_gone__mid_stream__closes_upstream_and_bills_what_was_sent(
    world: World,
) -> None:
    served = world.serve("drip@40ms:400", "ok")
    with OpenStream(world, served.model) as stream:
        stream.event_with(b'"content":"')
        seen = stream.event_with(b'"content":"')
    left = time.time()
    assert content(wire_events(seen))
    attempt = world.attempt(stream.request_id)
    assert attempt.outcome == "client_gone"
    assert attempt.ended_at is not None
    assert attempt.ended_at - left <= 1
    row = world.usage(stream.request_id)
    assert (row.status, row.error_code) == ("client_gone", "client_gone")
    assert (row.source, row.marks) == ("gateway", ["estimated"])
    assert 1 <= row.completion_tokens <= attempt.tokens
    assert row.cost_usd > 0
    assert world.reserved() == 0
    used, spent, reserved = world.counter()
    assert (used, reserved) == (1, 0)
    assert Decimal(spent) / 1_000_000 == row.cost_usd
    assert world.breaker(served.providers[0])["failures"] == 0


def test_client_gone__before_the_first_content__closes_upstream_and_keeps_the_unit(
    world: World,
) -> None:
    hang = only_ours("hang")
    served = world.serve(hang, "ok")
    with OpenStream(world, served.model, wait=False) as stream:
        world.eventually(lambda: world.demo.stats().get(hang))
    left = time.time()
    row = world.eventually(world.rows_now)[0]
    attempt = world.attempt(str(row.pk))
    assert stream.request_id == ""
    assert attempt.outcome == "client_gone"
    assert attempt.ended_at is not None
    assert attempt.ended_at - left <= 1
    assert (row.status, row.error_code) == ("client_gone", "client_gone")
    assert (row.completion_tokens, row.attempts) == (0, 1)
    assert world.counter()[0] == 1
    assert world.reserved() == 0
    assert world.breaker(served.providers[0])["failures"] == 0


def test_client_gone__not_streamed__is_completed_and_recorded_in_full(
    world: World,
) -> None:
    slow = only_ours("slow@300ms")
    served = world.serve(slow)
    with OpenStream(world, served.model, wait=False, stream=False):
        world.eventually(lambda: world.demo.stats().get(slow))
    row = world.eventually(world.rows_now)[0]
    assert (row.status, row.source) == ("ok", "provider")
    assert world.attempt(str(row.pk)).outcome == "done"


def test_stream__upstream_comments_and_windows_line_ends__are_no_content(
    world: World,
) -> None:
    served = world.serve("ok-10")
    answer = world.chat(served.model, stream=True)
    for event in answer.body.split(b"\n\n"):
        assert event == b"" or event.startswith((b"data: ", b": x-valuecanvas-cost"))
    assert all(
        orjson.loads(event[6:])
        for event in answer.body.split(b"\n\n")
        if event.startswith(b"data: {")
    )


def test_stream__tool_result_of_one_choice_in_many__is_counted(world: World) -> None:
    served = world.serve("ok-10")
    answer = world.chat(served.model, stream=True, n=3)
    indexes = {
        choice["index"]
        for event in data_events(answer.body)
        if event != "[DONE]"
        for choice in event["choices"]
    }
    assert indexes == {0, 1, 2}
    row = world.usage(answer.headers["x-request-id"])
    assert row.source == "provider"


def test_stream__total_time_used_up__is_cut_with_an_error(world: World) -> None:
    served = world.serve(
        "drip@100ms:100", first_token_s=1, between_tokens_s=1, total_stream_s=1
    )
    answer = world.chat(served.model, stream=True)
    assert data_events(answer.body)[-1]["error"]["code"] == "stream_interrupted"
    assert world.usage(answer.headers["x-request-id"]).latency_ms >= 990
