"""Builds the Python and the TypeScript client and installs them for `make sdk-test`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.sdk import generate

PACKAGES = generate.BUILT / "packages"
TYPESCRIPT = generate.BUILT / "scenario"
NPM = ("npm", "--silent", "--prefix", str(TYPESCRIPT))


def main() -> int:
    if not shutil.which("npm"):
        sys.stderr.write(
            "Install node (20 or newer) and npm: the TypeScript client needs them.\n"
        )
        return 1
    if fault := generate.main(["python", "typescript"]):
        return fault
    shutil.rmtree(PACKAGES, ignore_errors=True)
    PACKAGES.mkdir()
    _install_python()
    _install_typescript()
    return 0


def _install_python() -> None:
    """Into a folder of its own: what it needs is in the environment of the tests."""
    uv = (sys.executable, "-m", "uv", "--quiet")
    _run(*uv, "build", "--wheel", "--out-dir", PACKAGES, generate.BUILT / "python")
    [wheel] = PACKAGES.glob("*.whl")
    folder = generate.BUILT / "site-packages"
    shutil.rmtree(folder, ignore_errors=True)
    _run(*uv, "pip", "install", "--no-deps", "--target", folder, wheel)


def _install_typescript() -> None:
    source = Path(__file__).with_name("typescript")
    shutil.copytree(source, TYPESCRIPT, dirs_exist_ok=True)
    _run(*NPM, "ci")
    # Its package is compiled as it is packed.
    _run(*NPM, "pack", "--pack-destination", PACKAGES, generate.BUILT / "typescript")  # fmt: skip
    [package] = PACKAGES.glob("*.tgz")
    _run(*NPM, "install", "--no-save", "--offline", package)
    _run("tsc", "--project", TYPESCRIPT)


def _run(*command: str | Path) -> None:
    tools = TYPESCRIPT / "node_modules" / ".bin"
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(command, check=True, cwd=generate.BUILT, env=env)


if __name__ == "__main__":
    sys.exit(main())
