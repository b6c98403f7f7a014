"""A job's request has exactly one event in the log, and so has each follower's."""

import asyncio

import pytest

from llm.models import Model
from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.jobs.conftest import JobsApi, working
from tests.live.test_request_events import events
from tests.live.world import request_id
from valuecanvas.core.telemetry import logs

pytestmark = pytest.mark.live


async def test_event__job_and_followers__are_one_each(
    api: JobsApi, gateway: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info")
    world = api.world
    model = world.serve("slow@300ms").model
    body = chat_body(model)
    job = await api.submit(model=world.serve("ok").model)
    gone = world.serve("ok").model
    refused = await api.submit(model=gone)
    world.db(Model.objects.filter(pk=gone).delete)
    async with working(gateway):
        answers = await asyncio.gather(
            *(Exchange(gateway, CHAT, body, key=world.key).run() for _ in range(3))
        )
        await api.wait(job)
        await api.wait(refused)
    log = capsys.readouterr().err
    for answer in answers:
        assert len(events(log, "request_id", request_id(answer))) == 1
    (found,) = events(log, "job_id", job)
    assert (found["status"], found["endpoint"]) == ("ok", "chat")
    (found,) = events(log, "job_id", refused)
    assert (found["status"], found["http_status"]) == ("refused", 404)
