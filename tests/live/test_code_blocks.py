"""The code blocks of README and the guides do what they say: run, else read."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import connection
from django.test import override_settings

from billing.models import Tier
from billing.models.api_key import Scope
from llm.jobs import expansion
from llm.models.job_batch import BatchState, JobBatch
from llm.runtime import Runtime
from llm.setup import seed
from tests.demo_process import DemoProcess
from tests.docs.code_blocks import (
    ROOT,
    CodeBlock,
    all_blocks,
    blocks_in,
    blocks_of,
    split_commands,
)
from tests.docs.shell_commands import Shell
from tests.fixtures_billing import make_api_key, make_customer, make_team
from tests.live.jobs.conftest import working
from tests.live.server import LiveServer

pytestmark = pytest.mark.live

READ = {"json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads}
RUN = {"python", "sh", "bash", "sql", "javascript", "js"}
COMMAND = re.compile(r"(python|curl|make|docker|kubectl) ")
# What stands for a gateway of the reader's own.
ADDRESS = re.compile(r"https?://(127\.0\.0\.1:8000|llm\.example\.com)|localhost:8000")
NIGHT = [
    {"custom_id": f"row {n}", "body": {"model": "demo", "messages": [{"role": "user", "content": f"Name {n}"}]}}
    for n in range(3)
]  # fmt: skip
# Runs the blocks of a page one after the other, as one program.
PROGRAM = """
import django, json, sys
django.setup()
names = {"__name__": "page"}
for place, text in json.load(sys.stdin):
    exec(compile(text, place, "exec"), names)
"""


@pytest.fixture(scope="module")
def key(transactional_db: None, demo_provider: DemoProcess) -> Iterator[str]:
    """A key with every scope at a gateway that was seeded, as `make run` does."""
    url = demo_provider.url
    with override_settings(DEMO_PROVIDER_URL=url, LOCAL_MODEL_URL=url):
        seed.fill()
        User.objects.create_superuser("admin")
        tier = Tier.objects.get(key="pro")
        make_customer("anna", tier=tier, team=make_team("red"))
        yield make_api_key(make_customer(tier=tier), scopes=Scope.values)[1]


@pytest.fixture
def shell(key: str, server: LiveServer, tmp_path: Path) -> Shell:
    lines = (json.dumps({"method": "POST", "url": "/v1/chat/completions"} | one) for one in NIGHT)  # fmt: skip
    (tmp_path / "night.jsonl").write_text("\n".join(lines))
    known = {"KEY": key, "VALUECANVAS_KEY": key, "METRICS_TOKEN": key}

    def localize(text: str) -> str:
        text = ADDRESS.sub(server.url, text).replace("time.sleep(5)", "time.sleep(0.1)")
        text = re.sub(r"vc-(\.\.\.|…)", key, text).replace("gpt-4o-mini", "demo")
        return text.replace('"model": "…"', '"model": "demo"')

    return Shell(tmp_path, known, localize)


def test_blocks__every_language__is_run_or_read() -> None:
    blocks = all_blocks()
    assert len(blocks) > 50
    for one in blocks:
        known = one.language in READ.keys() | RUN | {"", "text"}
        assert known or one.reason, one.place
        # Commands say that they are some.
        assert one.language or not COMMAND.match(one.text), one.place


@pytest.mark.parametrize("page", blocks_in(*READ))
def test_documents__of_each_page__can_be_read(page: str) -> None:
    for block in blocks_in(*READ)[page]:
        assert READ[block.language](block.text), block.place


@pytest.mark.parametrize("page", blocks_in("python"))
async def test_python__of_each_page__runs(
    page: str, shell: Shell, server_env: dict[str, str], gateway: Runtime
) -> None:
    blocks = [
        (one.place, shell.localize(one.text)) for one in blocks_in("python")[page]
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM,
        cwd=shell.folder,
        env={**os.environ, **server_env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    async with working(gateway):
        told = asyncio.create_task(process.communicate(json.dumps(blocks).encode()))
        while not told.done():
            await asyncio.to_thread(_expand_batches)
            await asyncio.wait([told], timeout=0.2)
    assert process.returncode == 0, (await told)[0].decode()
    assert not (shell.folder / "errors.jsonl").exists(), "Of the batch."


def _expand_batches() -> None:
    """What a worker of Celery does besides the jobs."""
    for batch in JobBatch.objects.filter(state=BatchState.VALIDATING):
        expansion.expand_by_id(batch.pk)
    connection.close()


@pytest.mark.parametrize("page", blocks_in("sh", "bash"))
def test_shell__of_each_page__runs(
    page: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed.")
    monkeypatch.chdir(shell.folder)
    for block in blocks_in("sh", "bash")[page]:
        for command in split_commands(block.text):
            try:
                shell.run(command)
            except Exception as error:
                error.add_note(f"{block.place}: {command}")
                raise


@pytest.mark.parametrize("page", blocks_in("sql"))
def test_sql__of_each_page__runs(page: str, key: str) -> None:
    for block in blocks_in("sql")[page]:
        with connection.cursor() as cursor:
            cursor.execute(block.text)


@pytest.mark.parametrize("page", blocks_in("javascript", "js"))
def test_javascript__of_each_page__is_well_formed(page: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("Node is not installed.")
    for number, block in enumerate(blocks_in("javascript", "js")[page]):
        path = tmp_path / f"{number}.mjs"
        path.write_text(block.text)
        done = subprocess.run([node, "--check", path], capture_output=True, text=True)
        assert done.returncode == 0, f"{block.place}: {done.stderr}"


def test_check__blocks_that_fail__would_be_seen(shell: Shell) -> None:
    for command in (
        "curl http://127.0.0.1:8000/v1/nothing",
        "python manage.py reconcile --dayz 7",
        "make nothing",
        "kubectl apply -k deploy/nothing",
        "unknown-program",
    ):
        with pytest.raises((AssertionError, CommandError)):
            shell.run(command)


def test_check__a_reason_above_a_block__is_read() -> None:
    text = "<!-- not run: it is an example -->\n\n  ```sh\n  ls\n  ```\n"
    [block] = blocks_of(text, ROOT / "README.md")
    assert block == CodeBlock("README.md", 3, "sh", "ls\n", "it is an example")
