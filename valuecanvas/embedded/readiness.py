"""Ask a process of ours over HTTP whether it is ready."""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass

POLL_SECONDS = 0.25
POLLS_PER_NOTICE = 120  # polls, before saying what it waits for


@dataclass(frozen=True)
class Question:
    """What to ask of whom: ready is who answers 200."""

    name: str
    host: str
    port: int
    path: str


def wait_ready(
    question: Question,
    *,
    ending: threading.Event,
    gone: Callable[[], bool],
    say: Callable[[str], None],
) -> bool:
    """Wait for the answer 200; False when the end or the process's own comes first."""
    asked = 0
    while not ending.is_set() and not gone():
        answer = _ask(question)
        if answer == "200":
            return True
        asked += 1
        if asked % POLLS_PER_NOTICE == 0:
            say(f"Still waiting for {question.name}: {question.path} says {answer}.")
        ending.wait(POLL_SECONDS)
    return False


def reachable(host: str) -> str:
    """The name to use in a URL for a server that listens on `host`."""
    if host in ("0.0.0.0", ""):  # noqa: S104
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _ask(question: Question) -> str:
    host = reachable(question.host).strip("[]")
    connection = http.client.HTTPConnection(host, question.port, timeout=5)
    try:
        connection.request("GET", question.path, headers={"Host": "localhost"})
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"nothing yet ({error})"
    finally:
        connection.close()
    if response.status == 200:
        return "200"
    return f"{response.status} {body}"
