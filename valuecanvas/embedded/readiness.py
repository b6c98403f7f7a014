"""Polls a process over HTTP until it is ready."""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass

POLL_SECONDS = 0.25
POLLS_PER_NOTICE = 120


@dataclass(frozen=True)
class HttpProbe:
    """The URL of a readiness check: the answer 200 means ready."""

    name: str
    host: str
    port: int
    path: str


def wait_ready(
    check: HttpProbe,
    *,
    ending: threading.Event,
    gone: Callable[[], bool],
    say: Callable[[str], None],
) -> bool:
    """Wait for the answer 200; False if `ending` is set or the process ends before."""
    asked = 0
    while not ending.is_set() and not gone():
        answer = _request(check)
        if answer == "200":
            return True
        asked += 1
        if asked % POLLS_PER_NOTICE == 0:
            say(f"Still waiting for {check.name}: {check.path} says {answer}.")
        ending.wait(POLL_SECONDS)
    return False


def reachable(host: str) -> str:
    """The host for a URL of a server that listens on `host`."""
    if host in ("0.0.0.0", ""):  # noqa: S104
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _request(check: HttpProbe) -> str:
    host = reachable(check.host).strip("[]")
    connection = http.client.HTTPConnection(host, check.port, timeout=5)
    try:
        connection.request("GET", check.path, headers={"Host": "localhost"})
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"nothing yet ({error})"
    finally:
        connection.close()
    if response.status == 200:
        return "200"
    return f"{response.status} {body}"
