"""Which of the models that operators name can answer, by the snapshot alone."""

from types import SimpleNamespace
from typing import Any

import pytest

from llm.resolve import plan_checks, usable_models
from llm.types import Selection
from prompts.rendering.render import BrokenPrompt
from valuecanvas.core.errors import InvalidRequest


def snapshot(*, priced: bool = True, routed: bool = True, **model: Any) -> Any:
    """With one model `m`, on one route."""
    facts = SimpleNamespace(**{"name": "m", "kind": "chat", "enabled": True, **model})
    route = SimpleNamespace(provider="p", upstream_model="u")
    return SimpleNamespace(
        models={"m": facts},
        routes={"m": (route,)} if routed else {},
        rate=lambda *asked: object() if priced else None,
    )


def is_usable(name: str, found: Any, allowed: tuple[str, ...] = ()) -> bool:
    who: Any = SimpleNamespace(allowed_models=frozenset(allowed))
    return usable_models.is_usable(name, "chat", principal=who, snapshot=found)


@pytest.mark.parametrize(
    ("name", "found", "allowed", "unpriced", "wanted"),
    [
        ("m", snapshot(), (), "block", True),
        ("m", snapshot(), ("m",), "block", True),
        ("m", snapshot(), ("other",), "block", False),
        ("gone", snapshot(), (), "block", False),
        ("m", snapshot(enabled=False), (), "block", False),
        ("m", snapshot(kind="embedding"), (), "block", False),
        ("m", snapshot(routed=False), (), "block", False),
        ("m", snapshot(routed=False), (), "cap", False),
        ("m", snapshot(priced=False), (), "block", False),
        ("m", snapshot(priced=False), (), "cap", True),
    ],
)
def test_usable__model_and_caller__decide(
    settings: Any,
    name: str,
    found: Any,
    allowed: tuple[str, ...],
    unpriced: str,
    wanted: bool,
) -> None:
    settings.LLM_UNPRICED = unpriced
    assert is_usable(name, found, allowed) is wanted


def plan(*, native: bool = False, given: tuple[str, ...] = (), **body: Any) -> Any:
    kind = SimpleNamespace(responses=native)
    provider = SimpleNamespace(kind=kind, extra_fields=frozenset())
    return SimpleNamespace(
        body={"model": "m", "input": "Hi", **body},
        chosen=Selection(preset=frozenset(given)),
        candidates=(SimpleNamespace(provider=provider),),
    )


SEARCH = {"tools": [{"type": "web_search"}]}


def test_translation__what_no_chat_can__is_the_fault_of_who_set_it() -> None:
    with pytest.raises(InvalidRequest):
        plan_checks.check("responses", plan(**SEARCH))
    with pytest.raises(BrokenPrompt, match="operator"):
        plan_checks.check("responses", plan(**SEARCH, given=("tools",)))
    with pytest.raises(InvalidRequest):
        plan_checks.check("responses", plan(**SEARCH, given=("stop",)))


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        ("chat", plan(truncation="auto")),
        ("responses", plan(truncation="auto", native=True)),
        ("responses", plan()),
    ],
)
def test_translation__not_needed_or_possible__is_passed(
    endpoint: str, found: Any
) -> None:
    plan_checks.check(endpoint, found)
