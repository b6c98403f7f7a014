"""T21: PostgreSQL and Redis both gone: prompts are fetched from memory."""

import asyncio
import time
from urllib.parse import urlsplit

from prompts import services
from prompts.models import Prompt
from tests.faults.counts import either
from tests.faults.load import off_loop
from tests.faults.report import milliseconds
from tests.faults.rig import Rig
from tests.faults.test_t07_postgres import ready
from tests.faults.toxic import Down
from tests.faults.web import Web
from tests.live.world import Answer, unique

ROUNDS = either(20, 500)
ADA = services.PromptActor("ada", is_superuser=True)


def make_prompt() -> Prompt:
    prompt = services.create_prompt(key=unique("t21"), actor=ADA)
    for text in ("Old words.", "New words."):
        services.add_version(prompt, template=text, actor=ADA)
    services.move_label(prompt, "production", 1, expected=None, actor=ADA)
    return prompt


def fetch(rig: Rig, web: Web, prompt: Prompt, key: str, **headers: str) -> Answer:
    rig.port = urlsplit(web.url).port or 0
    return rig.request(f"/api/prompts/{prompt.key}/fetch", key=key, **headers)


def fetch_all(rig: Rig, prompt: Prompt, key: str, etag: str) -> list[float]:
    """How long each took; every one of them must be answered as before."""
    took = []
    for _ in range(ROUNDS):
        for web in rig.webs:
            began = time.monotonic()
            answer = fetch(rig, web, prompt, key)
            took.append(time.monotonic() - began)
            assert (answer.status, answer.headers.get("etag")) == (200, etag)
            assert answer.json["template"] == "Old words."
            again = fetch(rig, web, prompt, key, if_none_match=etag)
            assert again.status == 304
    return took


async def test_prompts__postgres_and_redis_gone__are_fetched_from_memory(
    rig: Rig,
) -> None:
    prompt = rig.db(make_prompt)
    key = rig.new_key(scopes=["prompts:read"])
    # Whoever takes the database for gone answers by what it knew before.
    await ready(rig)
    known = [fetch(rig, web, prompt, key) for web in rig.webs]
    assert {answer.status for answer in known} == {200}
    [etag] = {answer.headers["etag"] for answer in known}
    await off_loop(rig.pool, rig.engines.crash_postgres)
    rig.toxics["redis"].set(Down())
    rig.case.inject("PostgreSQL killed, Redis cut off")
    took = await asyncio.to_thread(fetch_all, rig, prompt, key, etag)
    rig.case.runs = f"{len(took)} fetches"
    rig.case.figure("answered as before", f"{len(took)} of {len(took)}")
    rig.case.figure("median", milliseconds(took, 0.5))
    rig.case.figure("longest", milliseconds(took, 1))
    rig.toxics["redis"].clear()
    await off_loop(rig.pool, rig.engines.start_postgres)
    await ready(rig)
    rig.db(services.move_label, prompt, "production", 2, expected=1, actor=ADA)
    for web in rig.webs:
        assert fetch(rig, web, prompt, key).json["template"] == "New words."
    rig.settled()
