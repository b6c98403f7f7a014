"""The ports of `make run`: of the web server and of the local providers.

The providers' ports are chosen once and saved, so that provider rows stay valid.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valuecanvas import env
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.processes import free_port, port_is_taken
from valuecanvas.embedded.state_files import private_folder, read_json, write_json

LOCAL_MODEL = "LOCAL_MODEL_URL"
DEMO_PROVIDER = "DEMO_PROVIDER_URL"
PROVIDER_KEYS = ("TOGETHER_API_KEY", "OPENAI_API_KEY")


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


@contextmanager
def use_known_ports(var: Path) -> Iterator[None]:
    """Use the ports that `make run` chose for the local providers, for other commands."""
    with _set_environment(choose_ports(var)):
        yield


@contextmanager
def claim_ports(var: Path) -> Iterator[None]:
    """Choose the ports of the local providers, for the supervisor.

    Raises EngineError when another supervisor uses the data folder.
    """
    private_folder(var)
    lock = os.open(var / "up.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _lock(lock, var)
        kept = choose_ports(var)
        ports: dict[str, int] = {}
        for name in (LOCAL_MODEL, DEMO_PROVIDER):
            ports[name] = free_port(kept.get(name))
        write_json(var / "ports.json", ports)
        with _set_environment(ports):
            yield
    finally:
        os.close(lock)


def require_web_port() -> None:
    """Raises EngineError if HOST and PORT are not free."""
    host = env.text("HOST", "", "127.0.0.1")
    port = env.integer("PORT", "", 8000, low=1, high=65535)
    if port_is_taken(host, port):
        other = port + 1 if port < 65535 else 8000
        raise EngineError(
            f"Port {port} on {host} is taken or not allowed. Choose another with "
            f"PORT, for example: make run PORT={other}"
        )


def local_model_wanted() -> bool:
    """Whether to run the local model: by LOCAL_MODEL, else if no provider has a key."""
    choice = env.choice("LOCAL_MODEL", "", "auto", ("auto", "on", "off"))
    if choice == "auto":
        return not any(env.text(name, "") for name in PROVIDER_KEYS)
    return choice == "on"


def choose_ports(var: Path) -> dict[str, int]:
    """The local providers' ports by the name of their setting."""
    return {name: int(port) for name, port in read_json(var / "ports.json").items()}


@contextmanager
def _set_environment(ports: dict[str, int]) -> Iterator[None]:
    """Set the URLs in the environment unless they are set already."""
    names = [name for name in ports if not env.text(name, "")]
    if LOCAL_MODEL in names and not local_model_wanted():
        names.remove(LOCAL_MODEL)
    os.environ.update({name: url(ports[name]) for name in names})
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)


def _lock(lock: int, var: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise EngineError(
            f"ValueCanvas already runs on the data in {var}. Stop it first, or set "
            "VALUECANVAS_VAR to another folder."
        ) from error
