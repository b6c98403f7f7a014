"""Jobs whose prompts and answers have personal data: none of it is where it is not meant."""

import pytest

from llm.models import JobState
from tests.live.canaries import PLANTED, canary_provider, found_in, in_database
from tests.live.jobs.conftest import JobsApi, working
from valuecanvas.core.telemetry import logs

pytestmark = pytest.mark.live


async def test_jobs__with_canaries_in_prompts_and_answers__are_told_without_them(
    api: JobsApi, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info")
    world = api.world
    with canary_provider() as provider:
        models = [
            world.serve_at((provider, name)).model
            for name in ("error-400", "no-answer", "error-500")
        ]
        models.append(world.serve("echo").model)
        async with working(api.gateway):
            jobs = [
                await api.submit(
                    type="completion",
                    body={
                        "model": model,
                        "messages": [{"role": "user", "content": PLANTED}],
                    },
                )
                for model in models
            ]
            refused, echoed = await api.wait(jobs[0]), await api.wait(jobs[-1])
            for job in jobs:
                await api.wait(job, lambda one: one["attempts"] > 0)
    assert refused["state"] == JobState.FAILED
    assert echoed["state"] == JobState.SUCCEEDED
    log = capsys.readouterr().err.encode()
    assert b"request.done" in log
    assert found_in(log) == set()
    assert world.db(in_database, {}) == {}
