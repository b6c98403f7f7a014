"""Who fetches a prompt gets what the gateway would send on for the same caller."""

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from flags.models import Exposure, Rule, Variant
from prompts import services
from prompts.models import Prompt
from tests.live.test_gateway_flags import make_flag
from tests.live.test_stored_prompts import make_prompt, point
from tests.live.world import Answer, Served, World

pytestmark = pytest.mark.live
ADA = services.PromptActor("ada", is_superuser=True)


def greet(**fields: Any) -> Prompt:
    """A prompt with two versions, of which the second is `staging`."""
    prompt = make_prompt("Old.", "New.", variables=[], **fields)
    point(prompt, 2, "staging")
    return prompt


def key_of(world: World) -> str:
    return world.new_key(scopes=["llm", "prompts:read"])


def fetch(world: World, prompt: Prompt, key: str, told: dict[str, Any] | None = None, *, etag: str = "", **query: Any) -> Answer:  # fmt: skip
    headers = {"x_valuecanvas_context": orjson.dumps(told).decode()} if told else {}
    if etag:
        headers["if_none_match"] = etag
    path = f"/api/prompts/{prompt.key}/fetch"
    return world.request(f"{path}?{urlencode(query)}", key=key, **headers)


def render(world: World, served: Served, prompt: Prompt, key: str, told: dict[str, Any] | None = None, *, user: str = "", **wanted: Any) -> Answer:  # fmt: skip
    """A chat with the prompt, for the same caller."""
    body = {"model": served.model, "prompt": {"id": prompt.key, **wanted}}
    sent = orjson.dumps(body | ({"user": user} if user else {}))
    headers = {"x_valuecanvas_context": orjson.dumps(told).decode()} if told else {}
    return world.request("/v1/chat/completions", sent, key=key, **headers)


def same(fetched: Answer, rendered: Answer) -> tuple[int, str]:
    """The version and variant, which both must tell."""
    assert (fetched.status, rendered.status) == (200, 200), rendered.body
    found = (fetched.json["version"], fetched.json["variant"])
    sent = rendered.headers
    assert found == (
        int(sent["x-valuecanvas-prompt-version"]),
        sent.get("x-valuecanvas-variant", ""),
    )
    said = rendered.json["choices"][0]["message"]["content"]
    assert said == fetched.json["template"]
    return found


def test_fetch__rollout__gives_each_caller_the_side_that_the_gateway_gives(
    world: World,
) -> None:
    served, prompt, key = world.serve("echo"), greet(), key_of(world)
    world.db(services.start_rollout, prompt, 2, share=5000, actor=ADA)
    versions = set()
    for number in range(12):
        user, told = f"u{number}", {"targetingKey": f"t{number}"}
        for more in ({"user": user}, {"told": told}, {"user": user, "told": told}):
            fetched = fetch(world, prompt, key, **more)
            rendered = render(world, served, prompt, key, **more)
            versions.add(same(fetched, rendered))
    assert len(versions) == 2
    # Nobody is named: the side of the customer.
    same(fetch(world, prompt, key), render(world, served, prompt, key))


def test_fetch__flag_selects_a_label__the_answer_is_that_one_with_another_etag(
    world: World,
) -> None:
    served, prompt, key = world.serve("echo"), greet(), key_of(world)
    before = fetch(world, prompt, key)
    assert before.json["version"] == 1
    flag = make_flag(world, prompt_label="staging")
    after = fetch(world, prompt, key, etag=before.headers["etag"])
    assert (after.status, after.json["label"]) == (200, "staging")
    assert after.headers["etag"] != before.headers["etag"]
    assert same(after, render(world, served, prompt, key)) == (2, "")
    assert fetch(world, prompt, key, etag=after.headers["etag"]).status == 304
    # Who names a version or another label is not led elsewhere.
    for wanted in ({"version": 1}, {"label": "latest"}):
        fetched = fetch(world, prompt, key, **wanted)
        same(fetched, render(world, served, prompt, key, **wanted))
    world.db(flag.delete)
    again = fetch(world, prompt, key, etag=before.headers["etag"])
    assert (again.status, again.headers["etag"]) == (304, before.headers["etag"])


def test_fetch__flag_for_some_by_the_context__tells_the_callers_apart(
    world: World,
) -> None:
    served, prompt, key = world.serve("echo"), greet(), key_of(world)
    flag = make_flag(world, prompt_label="staging")
    flag.tiers = []
    world.db(flag.save)
    new = {"attribute": "plan", "operator": "equals", "value": "new"}
    world.db(Rule.objects.create, flag=flag, order=0, conditions=[new], variant="b")
    etags = set()
    for plan, version in [("old", 1), ("new", 2), ("old", 1), ("new", 2)]:
        told = {"plan": plan}
        fetched = fetch(world, prompt, key, told)
        rendered = render(world, served, prompt, key, told)
        assert same(fetched, rendered) == (version, "")
        etags.add(fetched.headers["etag"])
    assert len(etags) == 2
    vary = fetched.headers["vary"].lower()
    assert "authorization" in vary
    assert "x-valuecanvas-context" in vary


def test_fetch__flag_with_model_and_parameters__shows_what_would_be_sent(
    world: World,
) -> None:
    served, other = world.serve("ok"), world.serve("ok")
    prompt = greet(model=served.model, parameters={"max_completion_tokens": 9, "seed": 1})  # fmt: skip
    key = key_of(world)
    assert fetch(world, prompt, key).json["model"] == served.model
    flag = make_flag(world, model=other.model, parameters={"max_tokens": 3})
    found = fetch(world, prompt, key).json
    assert found["model"] == other.model
    assert found["parameters"] == {"seed": 1, "max_tokens": 3}
    world.db(
        Variant.objects.filter(flag=flag, name="b").update, effect={"model": "gone"}
    )
    found = fetch(world, prompt, key).json
    assert found["model"] == served.model
    assert found["parameters"] == {"max_completion_tokens": 9, "seed": 1}


def test_fetch__context_that_is_no_json__is_400(world: World) -> None:
    prompt = greet()
    answer = world.request(
        f"/api/prompts/{prompt.key}/fetch",
        key=key_of(world),
        x_valuecanvas_context="{",
    )
    assert (answer.status, answer.error["param"]) == (400, "x-valuecanvas-context")


def test_fetch__flags_that_were_asked__count_once_an_answer(world: World) -> None:
    prompt, key = greet(), key_of(world)
    flag = make_flag(world, prompt_label="staging")
    first = fetch(world, prompt, key)
    assert fetch(world, prompt, key, etag=first.headers["etag"]).status == 304

    def count() -> int:
        rows = Exposure.objects.filter(flag=flag.name, variant="b")
        return sum(rows.values_list("count", flat=True))

    assert world.eventually(count) == 1
