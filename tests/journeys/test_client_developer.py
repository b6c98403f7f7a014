"""A developer who has a URL and a key, from the first request to the bill."""

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from pydantic import BaseModel

from tests.fixtures_billing import make_tier, unique
from tests.journeys.conftest import Stack
from tests.live.jobs.uploading import jsonl, line
from tests.live.test_ofrep import make_flag
from tests.live.world import PATIENCE_S

pytestmark = pytest.mark.live


class Verdict(BaseModel):
    """What a structured answer is read into."""

    title: str
    score: int


def poll(look: Callable[[], Any]) -> Any:
    """What `look` finds as soon as it finds something, by the API alone."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "That did not happen."
        time.sleep(0.2)
    return found


def question(text: str = "") -> list[Any]:
    return [{"role": "user", "content": text or unique("What is")}]


def test_first_hour__url_key_stream_structure_cache__work_as_documented(
    stack: Stack,
) -> None:
    world, asked = stack.world, question()
    served = world.serve("ok")
    lost = world.request("/v1/chat/completion", b"{}")
    assert (lost.status, "/v1/chat/completions" in lost.error["message"]) == (404, True)
    with world.sdk("vc-nobody") as stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()
    with world.sdk() as client:
        assert served.model in {one.id for one in client.models.list()}
        create = client.chat.completions.with_raw_response.create
        answers = [create(model=served.model, messages=asked) for _time in range(2)]
        texts = [one.parse().choices[0].message.content for one in answers]
        assert texts[0] == texts[1]
        seen = [one.headers["x-valuecanvas-cache"] for one in answers]
        assert seen == ["miss", "hit"]
        assert float(answers[0].headers["x-valuecanvas-cost-usd"]) > 0
        assert float(answers[1].headers["x-valuecanvas-cost-usd"]) == 0
        with client.chat.completions.stream(
            model=served.model, messages=question()
        ) as events:
            pieces = [one.delta for one in events if one.type == "content.delta"]
        assert len(pieces) > 1
        parsed = client.chat.completions.parse(
            model=served.model, messages=question(), response_format=Verdict
        )
    assert isinstance(parsed.choices[0].message.parsed, Verdict)


def test_lost_answer__asked_again_with_its_key__is_the_same_and_billed_once(
    stack: Stack,
) -> None:
    world, key = stack.world, unique("order")
    served, asked = world.serve("ok"), question()
    customer, api_key = world.new_customer()
    sent = {"Idempotency-Key": key, "Cache-Control": "no-store"}
    with world.sdk(api_key) as client:
        first, second = (
            client.chat.completions.create(
                model=served.model, messages=asked, extra_headers=sent
            )
            for _time in range(2)
        )
        with pytest.raises(openai.UnprocessableEntityError):
            client.chat.completions.create(
                model=served.model, messages=question(), extra_headers=sent
            )
    assert first == second
    assert len(world.usage_rows(customer)) == 1


def test_quota__used_up__the_error_says_what_to_do_and_the_request_is_found(
    stack: Stack,
) -> None:
    world = stack.world
    served = world.serve("ok")
    next_tier = world.db(make_tier, daily_requests=500, name="Larger")
    _customer, key = world.new_customer(daily_requests=1, upgrade_to=next_tier)
    with world.sdk(key, max_retries=3) as client:
        client.chat.completions.create(model=served.model, messages=question())
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model=served.model, messages=question())
    error: Any = refused.value.body
    assert error["limit"]["used"] == error["limit"]["limit"] == 1
    assert error["upgrade"]["daily_requests"] == 500
    assert "resets at 00:00 UTC" in error["message"]
    path = f"/v1/requests/{error['request_id']}"
    found = poll(lambda: (got := world.request(path, key=key)).status == 200 and got)
    assert (found.json["outcome"], found.json["step"]) == ("refused", "admit")
    assert found.json["error"]["message"] == error["message"]


def test_job_and_batch__submitted_and_collected__are_run_by_the_worker(
    stack: Stack,
) -> None:
    world = stack.world
    served = world.serve("ok")
    body = {"model": served.model, "messages": question()}
    job = world.post("/api/llm/jobs", type="completion", body=body)
    assert job.status == 202, job.body
    lines = jsonl(*(line(f"line {n}", served.model) for n in range(3)))
    with world.sdk() as client:
        file = client.files.create(file=("night.jsonl", lines), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
        )
        path = f"/api/llm/jobs/{job.json['id']}"
        poll(lambda: world.request(path).json["state"] == "succeeded")
        result = world.request(f"{path}/result").json
        assert "demo" in str(result)
        done = poll(
            lambda: (
                (got := client.batches.retrieve(batch.id)).status == "completed" and got
            )
        )
        assert done.request_counts.completed == 3
        answers = client.files.content(done.output_file_id).text.splitlines()
    assert len(answers) == 3


def test_flag_feedback_usage__of_one_user__are_there_for_the_asking(
    stack: Stack,
) -> None:
    world = stack.world
    flag, served = world.db(make_flag), world.serve("ok")
    key = world.new_key(scopes=["llm", "flags:evaluate"])
    headers = {"Authorization": f"Bearer {key}"}
    api.set_provider(OFREPProvider(world.url, headers_factory=lambda: headers))
    user = EvaluationContext("user-123")
    assert api.get_client().get_boolean_value(flag.name, False, user) is True
    api.shutdown()
    api.clear_providers()
    with world.sdk(key) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=served.model, messages=question(), user="user-123"
        )
    said = {"request_id": raw.headers["x-request-id"], "score": 1}
    poll(lambda: world.post("/v1/feedback", key, **said).status == 200)
    usage = world.request("/api/usage/me", key=key)
    assert usage.status == 200, usage.body
    assert usage.json["today"]["requests"] >= 1
