"""The clients of the matrix: how each is run, and which package it is."""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"


@dataclass(frozen=True)
class Client:
    """One library. `script` is a module of this folder, or a script of Node."""

    title: str
    script: str
    packages: tuple[str, ...]
    # By scenario: why the library has no such thing.
    cannot: Mapping[str, str] = field(default_factory=dict)
    lock: str = "requirements-clients.txt"
    # How often it asks when the day's quota is used up.
    asks: int = 1

    @property
    def command(self) -> list[str]:
        if self.script.endswith(".mjs"):
            return ["node", str(FOLDER / self.script)]
        ours = self.lock == "requirements.txt"
        python = sys.executable if ours else str(PYTHON)
        return [python, "-m", f"tests.clients.{self.script}"]

    @property
    def installed(self) -> bool:
        if self.script.endswith(".mjs"):
            folders = [FOLDER / "node_modules" / one for one in self.packages]
            return bool(shutil.which("node")) and all(map(Path.exists, folders))
        return PYTHON.exists()

    @property
    def versions(self) -> str:
        """As the lock has them."""
        return ", ".join(f"{one} {self._version(one)}" for one in self.packages)

    def _version(self, package: str) -> str:
        if self.script.endswith(".mjs"):
            lock = json.loads((FOLDER / "package-lock.json").read_text())
            version: str = lock["packages"][f"node_modules/{package}"]["version"]
            return version
        text = (ROOT / self.lock).read_text()
        [version] = re.findall(rf"^{package}(?:\[.*\])?==(\S+)", text, re.MULTILINE)
        return version


NO_VECTORS = "it only makes answers; ask for vectors by the OpenAI library beneath it"
CLIENTS = (
    Client("openai-python", "openai_python", ("openai",), lock="requirements.txt"),
    Client("openai-node", "openai_node.mjs", ("openai",)),
    Client("langchain-openai", "langchain_client", ("langchain-openai", "openai")),
    Client("AI SDK", "ai_sdk.mjs", ("ai", "@ai-sdk/openai"), asks=3),
    Client("litellm", "litellm_client", ("litellm", "openai")),
    Client(
        "instructor",
        "instructor_client",
        ("instructor", "openai"),
        {
            "tools": "it runs none; a tool call is one of its ways to an object",
            "embeddings": NO_VECTORS,
        },
    ),
    Client(
        "openai-agents (Python)",
        "agents_client",
        ("openai-agents", "openai"),
        {"embeddings": NO_VECTORS},
    ),
    Client(
        "openai-agents (Node)",
        "agents_node.mjs",
        ("@openai/agents", "openai"),
        {"embeddings": NO_VECTORS},
    ),
)
