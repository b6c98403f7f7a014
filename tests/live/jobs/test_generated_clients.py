"""The same scenario by the generated clients; `make sdk-test` builds and installs them."""

import asyncio
import os
import re
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from flags.models import Flag
from llm.runtime import Runtime
from prompts import services
from tests.live.jobs.conftest import working
from tests.live.world import PATIENCE_S, World, unique

ROOT = Path(__file__).resolve().parents[3]
BUILT = ROOT / "build" / "sdk"
GUIDE = ROOT / "docs" / "SDKS.md"
PYTHON = BUILT / "site-packages"
TYPESCRIPT = BUILT / "scenario" / "build" / "scenario.js"
COMMANDS = {
    "python": (sys.executable, str(ROOT / "tests" / "sdk" / "scenario.py")),
    "typescript": ("node", str(TYPESCRIPT)),
}
INSTALLED = PYTHON.exists() and TYPESCRIPT.exists() and shutil.which("node")
ADA = services.PromptActor("ada", is_superuser=True)
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not INSTALLED, reason="Run `make sdk-test`: it needs node and npm."
    ),
]


def words(world: World, model: str, text: str) -> Any:
    """What the provider answers to `text`, always the same."""
    answer = world.chat(model, text, max_tokens=20).json
    return answer["choices"][0]["message"]["content"]


async def run_program(*command: str, **env: str) -> bytes:
    """What it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **env, "PYTHONPATH": str(PYTHON)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out


@pytest.mark.parametrize("language", COMMANDS)
async def test_client__of_a_language__sees_what_all_see(
    world: World, gateway: Runtime, language: str
) -> None:
    served = world.serve("ok")
    key = world.new_key(scopes=["llm", "prompts:read", "flags:evaluate"])
    prompt = world.db(services.create_prompt, key=unique("p"), actor=ADA)
    world.db(services.add_version, prompt, template="Be kind.", actor=ADA)
    world.db(services.move_label, prompt, "production", 1, expected=None, actor=ADA)
    flag = world.db(
        Flag.objects.create,
        name=unique("flag"),
        kind="boolean",
        percent=Decimal(100),
    )
    async with working(gateway):
        printed = await run_program(
            *COMMANDS[language],
            BASE_URL=world.url,
            API_KEY=key,
            MODEL=served.model,
            PROMPT=prompt.key,
            FLAG=flag.name,
        )
    seen = orjson.loads(printed)
    tokens = seen["chat"].pop("tokens")
    assert tokens > 0
    assert prompt.key in seen.pop("prompts")
    assert seen == {
        "chat": {
            "content": words(world, served.model, "Name a colour."),
            "finish": "length",
        },
        "stream": {
            "content": words(world, served.model, "Name two colours."),
            "several": True,
            "last": "[DONE]",
        },
        "complete": {
            "content": words(world, served.model, "Name a bird."),
            "provider": served.providers[0],
        },
        "job": {
            "first": "queued",
            "last": "succeeded",
            "content": words(world, served.model, "Name a fish."),
        },
        "prompt": "Be kind.",
        "flag": {"value": True, "reason": "STATIC"},
        "usage": world.customer.user_id,
        "unknown key": {"status": 401, "code": "invalid_api_key", "param": None},
        "no messages": {
            "status": 400,
            "code": "invalid_request",
            "param": "messages",
        },
    }


async def test_guide__its_python__runs_as_it_stands(world: World) -> None:
    served = world.serve("ok")
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    replaced = {
        "http://127.0.0.1:8000": world.url,
        "vc-...": world.key,
        '"demo"': f'"{served.model}"',
    }
    text = "\n".join(blocks)
    for shown, real in replaced.items():
        assert shown in text
        text = text.replace(shown, real)
    printed = await run_program(sys.executable, "-c", text)
    assert b"[DONE]" in printed
    assert len(blocks) == 3
