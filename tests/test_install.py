"""An install takes what the locks say, though the index has newer versions of everything."""

import hashlib
import os
import shlex
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# `asker` wants an extra of `base`, for which `base` wants `part`, as coverage[toml] does.
WANTS = {
    "asker": "Requires-Dist: base[more]>=1\n",
    "base": 'Provides-Extra: more\nRequires-Dist: part>=1; extra == "more"\n',
    "part": "",
}
Index = tuple[str, dict[str, str]]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing is told."""


def make_wheel(folder: Path, name: str, version: str) -> str:
    """Its hash, for a lock."""
    at = f"{name}-{version}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": f'version = "{version}"\n',
        f"{at}/METADATA": head + WANTS[name],
        f"{at}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{at}/RECORD"])
    path = folder / name / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in {**files, f"{at}/RECORD": record}.items():
            wheel.writestr(member, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """The URL of an index on this machine, and the hashes of what was locked."""
    folder = tmp_path / "simple"
    hashes = {name: make_wheel(folder, name, "1.0") for name in WANTS}
    for name in WANTS:
        make_wheel(folder, name, "2.0")
    serve = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple", hashes
        server.shutdown()
        thread.join()


def make_arguments() -> list[str]:
    """The command with which the Makefile installs locks."""
    show = ["make", "-s", "--eval", "show:;@echo $(PIP)", "show"]
    made = subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        sys.executable if word == ".venv/bin/python" else word
        for word in shlex.split(made.stdout)
    ]


def install(command: list[str], index: Index, tmp_path: Path, *, extra: str) -> bool:
    url, hashes = index
    lock = "".join(
        f"{name}{extra if name == 'base' else ''}==1.0 --hash=sha256:{digest}\n"
        for name, digest in hashes.items()
    )
    (tmp_path / "lock.txt").write_text(lock)
    more = ["--target", "here", "--index-url", url, "-r", "lock.txt"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    env = {**clean, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    done = subprocess.run([*command, *more], cwd=tmp_path, env=env, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("extra", ["[more]", ""])
def test_install__index_with_newer_versions__takes_the_locked_ones(
    index: Index, tmp_path: Path, extra: str
) -> None:
    assert install(make_arguments(), index, tmp_path, extra=extra)
    for name in WANTS:
        assert (tmp_path / "here" / f"{name}.py").read_text() == 'version = "1.0"\n'


def test_install__resolved_from_a_lock_without_the_extra__fails(
    index: Index, tmp_path: Path
) -> None:
    """As it was: the test above can fail."""
    resolving = [word for word in make_arguments() if word != "--no-deps"]
    assert len(resolving) == len(make_arguments()) - 1
    assert not install(resolving, index, tmp_path, extra="")
