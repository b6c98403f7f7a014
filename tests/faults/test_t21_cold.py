"""T21: a web process without PostgreSQL and Redis reads flags and prompts to callers."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from billing.auth import keys
from billing.models import ApiKey
from flags import services as flag_services
from flags.models import Flag
from llm.configuration import last_known
from prompts import services
from prompts.experiments import service as experiments
from prompts.models import Prompt
from tests.faults.counts import either
from tests.faults.load import off_loop
from tests.faults.report import milliseconds
from tests.faults.rig import Rig
from tests.faults.test_t21_prompts import ADA
from tests.faults.toxic import Down
from tests.faults.web import Web, webs
from tests.flags.rows import ADA as FLAG_ADA
from tests.flags.rows import make_colours, make_flag
from tests.live.world import Answer, unique
from tests.prompts.experiments.rows import make_draft
from valuecanvas.core.storage import disk_snapshot

USERS = [f"user-{number}" for number in range(either(24, 200))]
READS = ["flags:evaluate", "prompts:read"]
AGE = re.compile(r"^valuecanvas_config_loaded_timestamp_seconds (\S+)$", re.M)
PATIENCE_S = 60.0


class Reads:
    """What a caller reads: flags, a prompt, one in an experiment, one rolling out."""

    def __init__(self, rig: Rig, web: Web) -> None:
        self.rig = rig
        self.web = web
        self.flag: Flag = rig.db(make_flag, unique("t21"), percent=40)
        self.colours: Flag = rig.db(make_colours, unique("t21"), blue=5000, red=5000)
        self.plain, self.tested, self.rolling = (rig.db(make_prompt) for _ in range(3))
        rig.db(lambda: experiments.start(make_draft(self.tested), actor=ADA))
        rig.db(services.start_rollout, self.rolling, 2, share=3000, actor=ADA)

    def ask(self, path: str, key: str, body: Any = None) -> Answer:
        self.rig.port = self.web.port
        data = None if body is None else orjson.dumps(body)
        return self.rig.request(path, data, key=key)

    def fetch(self, prompt: Prompt, key: str, query: str = "") -> Answer:
        return self.ask(f"/api/prompts/{prompt.key}/fetch{query}", key)

    def flags(self, key: str, user: str = "user-1", name: str = "") -> Answer:
        body = {"context": {"targetingKey": user}}
        return self.ask(f"/ofrep/v1/evaluate/flags/{name}".rstrip("/"), key, body)

    def all(self, key: str) -> list[tuple[int, bytes]]:
        """Every answer, for each user."""
        found = [self.fetch(self.plain, key)]
        for user in USERS:
            found += [
                self.flags(key, user),
                self.flags(key, user, self.colours.name),
                self.fetch(self.tested, key, f"?user={user}"),
                self.fetch(self.rolling, key, f"?user={user}"),
            ]
        return [(one.status, one.body) for one in found]

    def both(self, key: str) -> list[Answer]:
        return [self.flags(key), self.fetch(self.plain, key)]


def make_prompt() -> Prompt:
    prompt = services.create_prompt(key=unique("t21"), actor=ADA)
    for text in ("Old words for {{who}}.", "New words for {{who}}."):
        services.add_version(prompt, template=text, actor=ADA)
    services.move_label(prompt, "production", 1, expected=None, actor=ADA)
    return prompt


@pytest.fixture
def web(rig: Rig, settings: Settings, tmp_path: Path) -> Iterator[Web]:
    """A process with a data folder of its own; its secrets are those of the tests."""
    env = {
        **rig.webs[0].env,
        "VALUECANVAS_VAR": str(tmp_path / "var"),
        **{
            name: getattr(settings, name)
            for name in ("KEY_PEPPER", "SECRET_KEY", "FIELD_KEY")
        },
    }
    settings.VAR_DIR = tmp_path / "var"
    with webs([Web(tmp_path, env)]) as [made]:
        yield made


@pytest.fixture
def reads(rig: Rig, web: Web) -> Reads:
    return Reads(rig, web)


def prefix(key: str) -> str:
    return keys.parse(key) or ""


def kept(reads: Reads, key: str) -> bool:
    """Whether the disk has what the process serves, and this caller."""
    saved = disk_snapshot.load()
    if saved is None or prefix(key) not in last_known.saved_prefixes():
        return False
    return str(reads.plain.pk) in saved.sections["prompt"]


async def eventually_kept(reads: Reads, key: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not kept(reads, key):
            await asyncio.sleep(0.1)


def cold_start(rig: Rig, web: Web) -> None:
    web.kill()
    rig.case.inject("kill -9")
    web.start("/health/live")
    rig.case.inject("cold start without either")


def loaded_at(reads: Reads) -> float:
    """What the metric says."""
    old = text = reads.ask("/metrics", "").body
    while text == old:  # written a second ago at most, so not after what just was
        text = reads.ask("/metrics", "").body
    return float(AGE.findall(text.decode())[0])


def assert_closed(answers: list[Answer]) -> None:
    for answer in answers:
        assert (answer.status, answer.headers.get("retry-after")) == (503, "1"), answer


async def engines_back(rig: Rig, web: Web) -> None:
    rig.toxics["redis"].clear()
    await off_loop(rig.pool, rig.engines.start_postgres)
    for one in (*rig.webs, web):
        await asyncio.to_thread(one.wait)


async def test_reads__postgres_and_redis_gone__go_on_and_survive_a_cold_start(
    rig: Rig, web: Web, reads: Reads
) -> None:
    key, unseen = rig.new_key(scopes=READS), rig.new_key(scopes=READS)
    offer = rig.provide("ok-12")
    known = reads.all(key)
    assert {status for status, _ in known} == {200}
    assert len({body for _, body in known[3::4]}) == 2
    await eventually_kept(reads, key)

    await off_loop(rig.pool, rig.engines.crash_postgres)
    rig.toxics["redis"].set(Down())
    rig.case.inject("PostgreSQL killed, Redis cut off")
    warm = await asyncio.to_thread(reads.all, key)
    assert warm == known

    cold_start(rig, web)
    began = time.monotonic()
    cold = await asyncio.to_thread(reads.all, key)
    took = time.monotonic() - began
    assert cold == known
    saved = disk_snapshot.load()
    assert saved is not None
    assert loaded_at(reads) == saved.saved_at < time.time()

    # What costs money, and whom only the database knows.
    chat = rig.chat(offer.model, key=rig.key)
    assert chat.error["code"] == "ledger_unavailable"
    assert_closed([chat, rig.chat(offer.model, key=key), *reads.both(unseen)])
    assert {one.status for one in reads.both(f"{key[:-4]}abcd")} == {401}
    answers = len(warm) + len(cold)
    rig.case.runs = f"{answers} reads"
    rig.case.figure("answered as before", f"{answers} of {answers}")
    rig.case.figure("cold, each", milliseconds([took / len(cold)], 0.5))

    await engines_back(rig, web)
    rig.db(services.move_label, reads.plain, "production", 2, expected=1, actor=ADA)
    rig.db(flag_services.kill, reads.flag, actor=FLAG_ADA)
    for one in (key, unseen):
        assert reads.fetch(reads.plain, one).json["template"].startswith("New")
        assert reads.flags(one, name=reads.flag.name).json["reason"] == "DISABLED"
    assert loaded_at(reads) > saved.saved_at
    row = rig.db(ApiKey.objects.get, prefix=prefix(key))
    rig.db(keys.revoke, row)
    assert {one.status for one in reads.both(key)} == {401}
    assert rig.chat(offer.model).status == 200
    await asyncio.to_thread(gone, key)
    assert not web.crashes
    rig.settled()


def gone(key: str) -> None:
    """A revoked key leaves the disk."""
    deadline = time.monotonic() + PATIENCE_S
    while prefix(key) in last_known.saved_prefixes():
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def test_reads__cold_start_on_a_damaged_file__are_refused_until_the_database_is_back(
    rig: Rig, web: Web, reads: Reads
) -> None:
    key = rig.new_key(scopes=READS)
    known = reads.all(key)
    await eventually_kept(reads, key)
    path = disk_snapshot.path()
    web.kill()
    path.write_bytes(path.read_bytes().replace(b"words", b"swords", 1))
    rig.case.inject("file damaged")
    await off_loop(rig.pool, rig.engines.crash_postgres)
    rig.toxics["redis"].set(Down())

    cold_start(rig, web)
    assert_closed([*reads.both(key), rig.chat("any")])
    assert '"disk_snapshot.damaged"' in web.log

    await engines_back(rig, web)
    assert reads.all(key) == known
    assert not web.crashes
    rig.settled()
