"""The fetch endpoint: what is live now, cheap to ask again, for whom it may concern."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from prompts import services
from prompts.models import Prompt
from tests.fixtures_billing import unique
from tests.live.world import Answer, World

pytestmark = pytest.mark.live
ADA = services.PromptActor("ada", is_superuser=True)


@dataclass
class Shelf:
    """Prompts, and a key that may read them."""

    world: World
    key: str

    def add(self, *texts: str, live: int | None = 1, key: str = "", **fields: Any) -> Prompt:  # fmt: skip
        prompt = self.world.db(services.create_prompt, key=key or unique("p"), actor=ADA)  # fmt: skip
        for text in texts:
            names = ["name"] if "{{name}}" in text else []
            self.world.db(services.add_version, prompt, template=text, variables=fields.get("variables", names), actor=ADA)  # fmt: skip
        if live:
            self.move(prompt, None, live)
        return prompt

    def move(self, prompt: Prompt, old: int | None, new: int) -> None:
        self.world.db(services.move_label, prompt, "production", new, expected=old, actor=ADA)  # fmt: skip

    def fetch(self, prompt: str, query: str = "", **options: Any) -> Answer:
        options.setdefault("key", self.key)
        return self.world.request(f"/api/prompts/{prompt}/fetch{query}", **options)


@pytest.fixture
def shelf(world: World) -> Iterator[Shelf]:
    yield Shelf(world, world.new_key(scopes=["prompts:read"]))


def test_fetch__of_what_is_live__has_its_words_and_may_be_cached(shelf: Shelf) -> None:
    variables = [{"name": "name", "default": "you", "schema": {"type": "string"}}]
    prompt = shelf.add("Greet {{name}}.", variables=variables)
    answer = shelf.fetch(prompt.key)
    assert answer.status == 200
    assert answer.json == {
        "key": prompt.key,
        "kind": "text",
        "version": 1,
        "label": "production",
        "variant": "",
        "template": "Greet {{name}}.",
        "messages": [{"role": "user", "content": "Greet {{name}}."}],
        "variables": [
            {
                "name": "name",
                "description": "",
                "default": "you",
                "schema": {"type": "string"},
            }
        ],
        "model": None,
        "parameters": {},
    }
    assert answer.headers["etag"].startswith('"')
    cached = answer.headers["cache-control"]
    assert cached.startswith("private, max-age=60, stale-while-revalidate=600")
    assert "stale-if-error=" in cached
    assert answer.headers["content-type"] == "application/json"


def test_fetch__again_with_its_etag__is_304_until_it_moves(shelf: Shelf) -> None:
    prompt = shelf.add("old", "new")
    first = shelf.fetch(prompt.key)
    etag = first.headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = shelf.fetch(prompt.key, if_none_match=sent)
        assert (again.status, again.body) == (304, b""), sent
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == first.headers["cache-control"]
        assert "content-length" not in again.headers
    assert shelf.fetch(prompt.key, if_none_match='"other"').status == 200
    shelf.move(prompt, 1, 2)
    moved = shelf.fetch(prompt.key, if_none_match=etag)
    assert (moved.status, moved.json["template"]) == (200, "new")
    assert moved.headers["etag"] != etag
    assert int(moved.headers["x-valuecanvas-epoch"]) > int(
        first.headers["x-valuecanvas-epoch"]
    )


def test_fetch__100_moves__each_is_seen_by_the_next_request(shelf: Shelf) -> None:
    prompt = shelf.add("one", "two")
    at = 1
    for _ in range(100):
        shelf.move(prompt, at, 3 - at)
        at = 3 - at
        assert shelf.fetch(prompt.key).json["version"] == at


def test_fetch__a_prompt_that_includes_another__has_its_words(shelf: Shelf) -> None:
    tone = shelf.add("Be kind to {{name}}.", "Be curt to {{name}}.")
    prompt = shelf.add("{{> " + tone.key + "}} Go, {{name}}!")
    first = shelf.fetch(prompt.key)
    assert first.json["template"] == "Be kind to {{name}}. Go, {{name}}!"
    shelf.move(tone, 1, 2)
    second = shelf.fetch(prompt.key, if_none_match=first.headers["etag"])
    assert second.json["template"] == "Be curt to {{name}}. Go, {{name}}!"


def test_fetch__by_version_or_label__is_that_one(shelf: Shelf) -> None:
    prompt = shelf.add("one", "two", "three", live=1)
    by_version = shelf.fetch(prompt.key, "?version=2").json
    assert (by_version["version"], by_version["label"]) == (2, "")
    assert shelf.fetch(prompt.key, "?label=latest").json["version"] == 3
    missing = shelf.fetch(prompt.key, "?label=staging")
    assert (missing.status, missing.error["code"]) == (404, "prompt_label_not_found")
    missing = shelf.fetch(prompt.key, "?version=9")
    assert (missing.status, missing.error["code"]) == (404, "prompt_version_not_found")


def test_fetch__a_chat__has_its_messages(shelf: Shelf) -> None:
    messages = [{"role": "system", "content": "Hi"}, {"role": "user", "content": "Yo"}]
    prompt = shelf.world.db(services.create_prompt, key=unique("chat"), kind="chat", actor=ADA)  # fmt: skip
    shelf.world.db(
        services.add_version,
        prompt,
        messages=messages,
        model="m",
        parameters={"temperature": 0},
        actor=ADA,
    )
    found = shelf.fetch(prompt.key, "?label=latest").json
    assert (found["template"], found["messages"]) == (None, messages)
    assert (found["model"], found["parameters"]) == ("m", {"temperature": 0})


def test_fetch__during_a_rollout__users_have_a_side_each(shelf: Shelf) -> None:
    prompt = shelf.add("old", "new")
    shelf.world.db(services.start_rollout, prompt, 2, share=5000, actor=ADA)
    found = {user: shelf.fetch(prompt.key, f"?user=u{user}").json for user in range(20)}
    assert {one["version"] for one in found.values()} == {1, 2}
    for user, one in found.items():
        assert shelf.fetch(prompt.key, f"?user=u{user}").json == one
        kind = "new" if one["version"] == 2 else "stable"
        assert one["variant"].endswith(f":{kind}")


def test_fetch__archived__is_404_that_says_so(shelf: Shelf) -> None:
    prompt = shelf.add("x")
    shelf.world.db(services.edit_prompt, prompt, archived=True, actor=ADA)
    answer = shelf.fetch(prompt.key)
    assert (answer.status, answer.error["code"]) == (404, "prompt_archived")
    assert "etag" not in answer.headers


@pytest.mark.parametrize("key", ["missing", "%00", "%F0%9F%98%80"])
def test_fetch__of_no_prompt__is_404(shelf: Shelf, key: str) -> None:
    answer = shelf.fetch(key)
    assert (answer.status, answer.error["code"]) == (404, "prompt_not_found")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?lable=x", "lable"),
        ("?version=x", "version"),
        ("?version=-1", "version"),
        ("?version=1&label=production", "prompt.label"),
        ("?label=", "label"),
        ("?user=", "user"),
    ],
)
def test_fetch__a_query_that_makes_no_sense__is_400(shelf: Shelf, query: str, param: str) -> None:  # fmt: skip
    prompt = shelf.add("x")
    answer = shelf.fetch(prompt.key, query)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_fetch__without_the_right_key__is_refused(shelf: Shelf) -> None:
    prompt = shelf.add("x")
    assert shelf.fetch(prompt.key, key="").status == 401
    assert shelf.fetch(prompt.key, key="vc-nonsense").status == 401
    answer = shelf.fetch(prompt.key, key=shelf.world.key)
    assert (answer.status, answer.error["code"]) == (403, "missing_scope")
    left = shelf.world.new_key(scopes=["prompts:read"], issuer="somebody-who-left")
    answer = shelf.fetch(prompt.key, key=left)
    assert (answer.status, answer.error["code"]) == (403, "scope_frozen")
    posted = shelf.world.request(f"/api/prompts/{prompt.key}/fetch", b"{}", key=shelf.key)  # fmt: skip
    assert posted.status == 405


def test_fetch__its_neighbours__are_served_by_the_cold_path(shelf: Shelf) -> None:
    prompt = shelf.add("x", key="fetch")
    found = shelf.world.request("/api/prompts/fetch", key=shelf.key)
    assert (found.status, found.json["production"]) == (200, 1)
    named = shelf.world.request(f"/api/prompts/{prompt.key}/versions/production", key=shelf.key)  # fmt: skip
    assert named.json["template"] == "x"
    assert shelf.fetch("fetch").status == 200
