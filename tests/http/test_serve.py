"""The web server's arguments are in one place, for every way to start it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from valuecanvas import serve

ROOT = Path(__file__).resolve().parents[2]
START = "python -m valuecanvas.serve"
# deploy/ has a test of its own: tests/deploy/test_dockerfile.py.
PAGES = ("Procfile", "README.md", "docs/OPERATIONS.md")


def test_command__for_anybody__believes_no_header_and_bounds_heads() -> None:
    command = serve.command("--workers", "2")
    assert command[1:4] == ["-m", "uvicorn", "valuecanvas.asgi:application"]
    assert "--no-proxy-headers" in command
    http = command[command.index("--http") + 1]
    assert http == "valuecanvas.http.protocol.uvicorn_protocol:HttpProtocol"
    assert command[-2:] == ["--workers", "2"]


@pytest.mark.parametrize("page", PAGES)
def test_pages__that_start_the_server__do_it_by_this_module(page: str) -> None:
    text = (ROOT / page).read_text()
    assert START in text
    assert not re.search(r"uvicorn valuecanvas\.asgi|--proxy-headers", text)


def test_code__that_starts_the_server__takes_the_arguments_from_here() -> None:
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in ("valuecanvas", "bench", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if "server_http:HttpProtocol" in path.read_text()
    }
    assert sources <= {"valuecanvas/serve.py", "tests/http/test_serve.py"}


def test_module__run__becomes_uvicorn_with_what_is_added() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "valuecanvas.serve", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "uvicorn" in done.stdout
