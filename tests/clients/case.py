"""The case that a client of the matrix gets on its standard input, and its answer.

Run in the clients' own environment: nothing of the product is imported here.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HELLO = "Say hello."
# One red pixel.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8"
    "DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class ClientCase:
    """What one scenario needs. Each has a key of its own, by which its rows are found."""

    base_url: str
    key: str
    # By role: echo, tools, embedding, busy, slow.
    models: Mapping[str, str]
    prompt: str
    tag: str

    @property
    def header(self) -> dict[str, str]:
        return {"x-valuecanvas-tags": self.tag}

    @property
    def stored_prompt(self) -> dict[str, Any]:
        return {"id": self.prompt, "variables": {"name": "Ann"}}


Scenario = Callable[[ClientCase], Any]


def status_of(call: Callable[[], Any]) -> Any:
    """The HTTP status of the error that `call` raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - which class it is, is the library's own
        # Instructor's own error has the other as its cause.
        found = error if hasattr(error, "status_code") else error.__cause__
        return getattr(found, "status_code", None) or f"{type(error).__name__}: {error}"


def text_scenarios(text: Callable[..., Any]) -> dict[str, Scenario]:
    """Those that differ between clients only in how `text` asks for an answer."""
    return {
        "chat": text,
        "wrong key": lambda case: status_of(lambda: text(case)),
        "quota": lambda case: [text(case), status_of(lambda: text(case, seed=2))],
        "cache": lambda case: [text(case, seed=7, temperature=0) for _time in range(2)],
    }


def leave_early(events: Iterable[Any], close: Callable[[], None]) -> int:
    """Leave a stream after three events; how many were read, 0 if it had fewer."""
    for read, _event in enumerate(events, start=1):
        if read == 3:
            close()
            return read
    return 0


def run_scenarios(scenarios: Mapping[str, Scenario]) -> None:
    """Run them all, and print what each gave as one JSON object."""
    given = json.load(sys.stdin)
    keys = given.pop("keys")
    found = {}
    for name, scenario in scenarios.items():
        try:
            found[name] = scenario(ClientCase(key=keys[name], **given))
        except Exception as error:  # noqa: BLE001 - is the scenario's result
            found[name] = f"{type(error).__name__}: {error}"[:500]
    print(json.dumps(found))  # noqa: T201
