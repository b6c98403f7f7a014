"""Installs LiteLLM's proxy into its own venv and starts it with documented settings."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

from bench.servers import ROOT, Program

VERSION = "1.106.2"
VENV = ROOT / "build" / "litellm-venv"
MASTER_KEY = "sk-bench-master"
SETTINGS = (
    f"LiteLLM proxy {VERSION}, one uvicorn worker, no database, no Redis, no cache, "
    "master key only, log level ERROR, telemetry off, local price map, "
    "every other setting as it ships"
)


def install() -> None:
    """Install the pinned version unless it is there. Raises CalledProcessError."""
    if installed_version() == VERSION:
        return
    print(f"installing litellm[proxy]=={VERSION} into {VENV.relative_to(ROOT)}")
    venv.create(VENV, clear=True, with_pip=True)
    python = str(VENV / "bin" / "python")
    wanted = f"litellm[proxy]=={VERSION}"
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, wanted], check=True)


def installed_version() -> str:
    """The version in the venv; "" if there is none."""
    python = VENV / "bin" / "python"
    if not python.exists():
        return ""
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return found.stdout.strip()


def program(upstream: str, models: tuple[str, ...], folder: Path) -> Program:
    """The proxy with all models at the fake upstream; its config is in `folder`."""
    config = folder / "litellm.yaml"
    # JSON is also YAML.
    config.write_text(json.dumps(_config(upstream, models), indent=2))
    command = [str(VENV / "bin" / "litellm"), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", "{port}"]
    command += ["--num_workers", "1", "--telemetry", "False"]
    env = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_DOCS": "True",
    }
    ready = "/health/liveliness"
    # Its own folder: it reads a .env file where it starts.
    return Program("litellm", command, ready, env, (MASTER_KEY,), folder)


def _config(upstream: str, models: tuple[str, ...]) -> dict[str, object]:
    routes = [
        {
            "model_name": model,
            "litellm_params": {
                "model": f"openai/{model}",
                "api_base": f"{upstream}/v1",
                "api_key": "bench",
            },
        }
        for model in models
    ]
    return {
        "model_list": routes,
        "general_settings": {"master_key": MASTER_KEY},
        "litellm_settings": {"telemetry": False, "set_verbose": False},
    }
