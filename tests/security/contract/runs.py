"""Runs schemathesis over the OpenAPI document of a live gateway."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import schemathesis
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events
from schemathesis.engine.recorder import CheckNode, Interaction, ScenarioRecorder
from schemathesis.schemas import BaseSchema

from tests.security.contract.exemptions import is_exempt

SEED = 14
# Watching a job that nobody works on does not end after its first event.
STREAM_EVENTS = 1
REQUEST_TIMEOUT_S = 60
_NUMBERS = re.compile(r"(\.|\b)\d+\b|\[\d+\]")


@dataclass(frozen=True)
class Role:
    """Who asks, as schemathesis is told, and an operation that this role may call."""

    name: str
    may: str
    auth: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Budget:
    """How much is asked. `operations` is a pattern of operation ids."""

    examples: int
    steps: int
    operations: str = ""


@dataclass
class Findings:
    """What a run found."""

    cases: int = 0
    # By operation, check and what is blamed: an example.
    failures: dict[tuple[str, str, str], str] = field(default_factory=dict)
    exempt: int = 0
    # The operations that were ever answered with 2xx.
    served: set[str] = field(default_factory=set)
    # The statuses that were answered and that the operation does not name.
    unnamed: set[tuple[str, int]] = field(default_factory=set)

    def add(self, recorder: ScenarioRecorder) -> None:
        self.cases += len(recorder.interactions)
        for case_id, one in recorder.interactions.items():
            operation = recorder.cases[case_id].value.operation
            if one.response and one.request.method == operation.method.upper():
                status = one.response.status_code
                if status < 300:
                    self.served.add(operation.label)
                if str(status) not in operation.definition.raw["responses"]:
                    self.unnamed.add((operation.label, status))
            for check in recorder.checks.get(case_id, []):
                if check.failure_info is not None:
                    self._judge(operation.label, check, one)

    def _judge(self, label: str, check: CheckNode, one: Interaction) -> None:
        assert check.failure_info is not None
        blamed = _blamed(one.response)
        if is_exempt(check.name, label, blamed):
            self.exempt += 1
            return
        sent = f"{one.request.method} {one.request.uri} {one.request.body!r}"
        message = check.failure_info.failure.message.partition("\nExpected")[0]
        self.failures.setdefault(
            (label, check.name, blamed[:60] or message[:60]),
            f"{message[:300]}\n    sent {sent[:600]}\n    got {blamed[:300]}",
        )


def load_document(url: str) -> dict[str, Any]:
    """The OpenAPI document that the gateway at `url` serves."""
    found: dict[str, Any] = schemathesis.openapi.from_url(
        f"{url}/api/schema"
    ).raw_schema
    return found


def run(url: str, document: dict[str, Any], role: Role, budget: Budget) -> Findings:
    """Run all phases and checks of `document` against `url` as `role`."""
    found = Findings()
    for event in _events(url, document, role, budget):
        if isinstance(event, events.ScenarioFinished):
            found.add(event.recorder)
        elif isinstance(event, events.NonFatalError):
            found.failures[event.label, "error", ""] = str(event.value)
        elif isinstance(event, events.FatalError):
            raise event.exception
    return found


def _blamed(response: Response | None) -> str:
    """The `param` and the message of an error; else the beginning of the answer."""
    if response is None:
        return ""
    try:
        error = orjson.loads(response.content)["error"]
        where = _NUMBERS.sub("", error["param"] or "")
        return f"{where}: {response.status_code} {error['message']}"
    except (ValueError, TypeError, KeyError):
        text = (response.content or b"")[:300].decode("utf-8", "replace")
        return f": {response.status_code} {text}"


def _events(
    url: str, document: dict[str, Any], role: Role, budget: Budget
) -> Iterator[events.EngineEvent]:
    config = SchemathesisConfig.from_dict(_config(url, role, budget))
    schema: BaseSchema = schemathesis.openapi.from_dict(document, config=config)
    if budget.operations:
        schema = schema.include(operation_id_regex=budget.operations)
    return iter(engine.from_schema(schema).execute())


def _config(url: str, role: Role, budget: Budget) -> dict[str, Any]:
    # schemathesis takes no empty table.
    auth = {"auth": {"openapi": dict(role.auth)}} if role.auth else {}
    return {
        **auth,
        "seed": SEED,
        "base-url": url,
        "headers": dict(role.headers),
        "continue-on-failure": True,
        "request-timeout": REQUEST_TIMEOUT_S,
        "max-stream-events": STREAM_EVENTS,
        "cache": {"enabled": False},
        "generation": {
            "max-examples": budget.examples,
            "database": "none",
            "no-shrink": True,
            # Else made-up cookies would be sent in place of the session's.
            "with-security-parameters": False,
            # No text may have a NUL: PostgreSQL keeps none.
            "allow-x00": False,
        },
        "phases": {"stateful": {"max-steps": budget.steps}},
    }
