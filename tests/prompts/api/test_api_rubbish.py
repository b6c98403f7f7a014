"""Rubbish in every place of every body: refused with the field's name, never a 500."""

import copy
import datetime as dt
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import transaction

from flags import services as flags
from flags.models import FlagEvent
from prompts import services as prompts
from tests.flags.rows import ADA as FLAG_ADA
from tests.flags.rows import make_flag
from tests.prompts.api.conftest import Caller, key_client
from tests.prompts.api.rows import ADA, make_prompt

pytestmark = pytest.mark.django_db
LATER = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


RUBBISH: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, 2**31, 2**63, -(2**63), "", " ", "\0", "a\0b",
    "💥", "\u202e\ufeff", "x" * 70_000, "1", "nan", "Infinity", "-0", "../..", "{{a}}",
    "9999-99-99", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", [], {}, [[]], [None],
    [{}], {"a": None}, {"": ""}, {"a\0": 1}, [1, "a", None], nested(10), nested(40),
    ["x"] * 2_000, [{"name": "a"}] * 300, {"name": "a" * 300}, {f"k{n}": n for n in range(2_000)},
]  # fmt: skip
# In every place; and of all others each in its turn: all in all would take minutes.
ALWAYS = [None, 1e308, "a\0b", {"a": None}]
EACH = 20
CONDITION = {"attribute": "country", "operator": "in", "value": ["SE"]}
FLAG: dict[str, Any] = {
    "note": "n", "purpose": "release", "owner": None, "tags": ["a"],
    "expires_on": "2030-01-01", "enabled": True, "everyone": None, "percent": 5,
    "sticky": "team", "in_gateway": True, "default_variant": "", "off_variant": "",
    "target_variant": "", "user_ids": ["u"], "tiers": ["t"], "users": [], "groups": [],
    "variants": [
        {"name": "on", "value": True, "weight": 0, "description": "d",
         "effect": {"model": "m", "prompt_label": "l", "parameters": {"temperature": 1}}}
    ],
    "rules": [{"name": "r", "variant": "on", "share": 5, "enabled": True, "conditions": [CONDITION]}],
    "prerequisites": [{"flag": "base", "variant": "on"}],
    "reason": "r",
}  # fmt: skip
VERSION: dict[str, Any] = {
    "template": "Hi {{name}}", "model": "m", "parameters": {"temperature": 0.5},
    "variables": [{"name": "name", "description": "d", "default": "x",
                   "schema": {"type": "string", "pattern": "^x", "maxLength": 9}}],
    "note": "n", "tags": ["a"], "based_on": 2,
}  # fmt: skip
CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
DETAILS: dict[str, Any] = {
    "folder": "a/b", "description": "d", "tags": ["a"], "cache_policy": "always",
    "cache_scope": "customer", "owner": None,
}  # fmt: skip
Body = dict[str, Any]
ENDPOINTS: dict[str, tuple[str, str, Body]] = {
    "flag": ("post", "/api/flags", {"name": "new", "kind": "boolean", **FLAG}),
    "edit flag": ("patch", "/api/flags/f", {**FLAG, "expected_revision": 1}),
    "kill": ("post", "/api/flags/f/kill", {"reason": "r", "expected_revision": 1}),
    "enable": ("post", "/api/flags/f/enable", {"reason": "r", "expected_revision": 1}),
    "revert": ("post", "/api/flags/f/revert", {"event": 1, "reason": "r"}),
    "schedule": ("post", "/api/flags/f/schedule", {"kind": "set_percent", "at": LATER, "payload": {"percent": 5}, "reason": "r"}),
    "weights": ("post", "/api/flags/c/schedule", {"kind": "set_weights", "at": LATER, "payload": {"weights": {"a": 10_000}}}),
    "ramp": ("post", "/api/flags/f/ramp", {"to": 50, "step": 5, "every_minutes": 60, "start": LATER, "reason": "r"}),
    "evaluate": ("post", "/api/flags/f/evaluate", {"context": {"targetingKey": "u", "country": "SE", "n": 1}}),
    "prompt": ("post", "/api/prompts", {"key": "new", "kind": "text", **DETAILS}),
    "edit prompt": ("patch", "/api/prompts/p", DETAILS),
    "version": ("post", "/api/prompts/p/versions", VERSION),
    "chat": ("post", "/api/prompts/chat/versions", CHAT),
    "compile": ("post", "/api/prompts/p/compile", {"variables": {"name": "x"}, "user": "u", "context": {"tier": "a"}, "label": "production"}),
    "compile version": ("post", "/api/prompts/p/compile", {"variables": {"name": "x"}, "version": 1}),
    "label": ("put", "/api/prompts/p/labels/staging", {"version": 1, "expected_version": None, "reason": "r"}),
    "no label": ("delete", "/api/prompts/p/labels/production", {"reason": "r", "expected_version": 1}),
    "rollback": ("post", "/api/prompts/p/rollback", {"reason": "r", "to": 2, "expected_version": 1}),
    "rollout": ("post", "/api/prompts/p/rollouts", {"version": 2, "share": 100, "steps": [{"share": 500, "after_minutes": 5}], "reason": "r"}),
    "share": ("post", "/api/prompts/r/rollout/share", {"share": 700, "expected_share": 100, "reason": "r"}),
}  # fmt: skip


def mutants(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Each place in `value`."""
    if at:
        yield at
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, below in pairs:
        yield from mutants(below, (*at, name))


def changed(body: Body, at: tuple[Any, ...], value: Any) -> Body:
    found = copy.deepcopy(body)
    place: Any = found
    for name in at[:-1]:
        place = place[name]
    place[at[-1]] = value
    return found


def without(body: Body, at: tuple[Any, ...]) -> Body:
    found = copy.deepcopy(body)
    place: Any = found
    for name in at[:-1]:
        place = place[name]
    del place[at[-1]]
    return found


@pytest.fixture
def caller(settings: Any) -> Caller:
    settings.API_REQUESTS_PER_MINUTE = 0
    make_flag("base")
    make_flag("f", percent=1, variants=[{"name": "on", "value": True}])
    flags.create_flag(
        {"name": "c", "kind": "string", "variants": [{"name": "a", "value": "a", "weight": 1}]},
        actor=FLAG_ADA,
    )  # fmt: skip
    make_prompt("{{name}}", "two {{name}}", key="p", live=1)
    rolled = make_prompt("one", "two", key="r", live=1)
    prompts.start_rollout(rolled, 2, share=100, actor=ADA)
    prompts.create_prompt(key="chat", kind="chat", actor=ADA)
    return key_client(
        "flags:read", "flags:write", "flags:evaluate",
        "prompts:read", "prompts:write", "prompts:publish",
    )  # fmt: skip


@pytest.mark.parametrize("name", ENDPOINTS)
def test_rubbish__in_each_place_of_a_body__is_told_by_its_field(
    caller: Caller, name: str
) -> None:
    method, url, body = ENDPOINTS[name]
    if "event" in body:
        body = {**body, "event": FlagEvent.objects.get(flag_name="f").pk}
    bodies = [
        (at, value, changed(body, at, value))
        for number, at in enumerate(mutants(body))
        for value in (*ALWAYS, *RUBBISH[number % EACH :: EACH])
    ]
    bodies += [(at, "left out", without(body, at)) for at in mutants(body)]
    for at, value, sent in bodies:
        with transaction.atomic():
            answer = caller.generic(
                method.upper(), url, orjson.dumps(sent), "application/json"
            )
            transaction.set_rollback(True)
        where = f"{method} {url} {'.'.join(map(str, at))} = {str(value)[:60]!r}"
        assert answer.status_code < 500, (where, answer.content)
        if answer.status_code >= 400:
            error = answer.json()["error"]
            place = str(at[0])
            named = str(error["param"] or "").startswith(place)
            assert named or place in error["message"] or answer.status_code == 409, (where, error)  # fmt: skip
            assert len(error["message"]) < 1_100, where
            assert len(answer.content) < 60_000, where
