"""Stored prompts at a live gateway: which words are sent, and what is recorded."""

from typing import Any

import openai
import orjson
import pytest

from prompts.models import Arm, Experiment, Label, Prompt, PromptVersion, Rollout
from tests.fixtures_billing import unique
from tests.live.world import Served, World
from tests.prompts.payloads import PAYLOADS
from valuecanvas.core.targeting import bucketing

pytestmark = pytest.mark.live

HELLO = "Hello {{name}}!"


def make_prompt(*templates: str, production: int = 1, **fields: Any) -> Prompt:
    """A prompt with these versions; `fields` are of each version."""
    prompt = Prompt.objects.create(key=unique("greet").lower())
    for number, template in enumerate(templates, start=1):
        PromptVersion.objects.create(
            **{
                "prompt": prompt,
                "number": number,
                "template": template,
                "variables": [{"name": "name"}],
                "author_name": "ann",
                "digest": str(number),
                **fields,
            }
        )
    point(prompt, production)
    return prompt


def point(prompt: Prompt, number: int, label: str = "production") -> None:
    version = PromptVersion.objects.get(prompt=prompt, number=number)
    Label.objects.update_or_create(
        prompt=prompt, name=label, defaults={"version": version}
    )


def ask(world: World, served: Served, stored: Prompt, **more: Any) -> Any:
    """The raw answer of a chat completion with the prompt, name Ann."""
    asked = {"id": stored.key, "variables": {"name": "Ann"}, **more.pop("prompt", {})}
    with world.sdk() as client:
        return client.chat.completions.with_raw_response.create(
            model=more.pop("model", served.model),
            messages=more.pop("messages", []),
            extra_body={"prompt": asked, **more},
        )


def text(raw: Any) -> str:
    return str(raw.parse().choices[0].message.content)


def test_chat__stored_prompt__is_rendered_billed_and_named(world: World) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO)
    raw = ask(world, served, prompt)
    assert text(raw) == "Hello Ann!"
    assert raw.headers["x-valuecanvas-prompt"] == prompt.key
    assert raw.headers["x-valuecanvas-prompt-version"] == "1"
    assert "x-valuecanvas-variant" not in raw.headers
    row = world.usage(raw.headers["x-request-id"])
    assert (row.prompt_key, row.prompt_version, row.variant) == (prompt.key, 1, "")


def test_chat_and_compile__forty_hostile_values__come_out_byte_for_byte(
    world: World,
) -> None:
    served, prompt = world.serve("echo"), make_prompt("<{{name}}>")
    reader = world.new_key(scopes=["prompts:read"])
    for payload in PAYLOADS:
        variables = {"name": payload}
        assert text(ask(world, served, prompt, prompt={"variables": variables})) == (
            f"<{payload}>"
        )
        compiled = world.post(
            f"/api/prompts/{prompt.key}/compile", key=reader, variables=variables
        )
        assert compiled.json["text"] == f"<{payload}>"


def test_chat__label_moved__the_next_request_runs_on_it(world: World) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO, "Bye {{name}}!")
    for turn in range(20):
        number = turn % 2 + 1
        point(prompt, number)
        raw = ask(world, served, prompt)
        assert raw.headers["x-valuecanvas-prompt-version"] == str(number)
        assert text(raw) == ("Hello Ann!", "Bye Ann!")[number - 1]


@pytest.mark.parametrize("wanted", [{"version": 2}, {"version": "2"}, {"label": "b"}])
def test_chat__version_or_label_named__is_the_one_sent(
    world: World, wanted: dict[str, Any]
) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO, "Bye {{name}}!")
    point(prompt, 2, "b")
    assert text(ask(world, served, prompt, prompt=wanted)) == "Bye Ann!"


def test_chat__clients_own_messages__come_after_the_prompts(world: World) -> None:
    served = world.serve("echo")
    messages = [{"role": "system", "content": "Be {{name}}."}]
    prompt = make_prompt("", messages=messages)
    own = [{"role": "user", "content": "And {{name}} stays."}]
    assert text(ask(world, served, prompt, messages=own)) == "And {{name}} stays."


def test_chat__versions_model_and_parameters__yield_to_the_clients(
    world: World,
) -> None:
    served, other = world.serve("echo"), world.serve("ok-7")
    prompt = make_prompt(HELLO, model=served.model, parameters={"max_tokens": 1})
    raw = ask(world, served, prompt, model="")
    assert raw.parse().choices[0].finish_reason == "length"
    row = world.usage(raw.headers["x-request-id"])
    assert (row.model, row.completion_tokens) == (served.model, 1)
    raw = ask(world, served, prompt, model=other.model, max_completion_tokens=50)
    row = world.usage(raw.headers["x-request-id"])
    assert (row.model, row.completion_tokens) == (other.model, 5)


def test_responses__openais_own_prompt_field__is_taken(world: World) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO, "Bye {{name}}!")
    with world.sdk() as client:
        answer = client.responses.create(
            model=served.model,
            prompt={
                "id": prompt.key,
                "version": "2",
                "variables": {"name": {"type": "input_text", "text": "Ann"}},
            },
        )
    assert answer.output_text == "Bye Ann!"


def test_complete__prompt_key_and_variables__answer_as_the_readme_says(
    world: World,
) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO)
    answer = world.post(
        "/api/llm/complete",
        promptKey=prompt.key,
        promptVariables={"name": "Ann"},
        model=served.model,
    )
    assert (answer.status, answer.json["content"]) == (200, "Hello Ann!")


@pytest.mark.parametrize(
    ("wanted", "status", "code", "param"),
    [
        ({"id": "no.such"}, 404, "prompt_not_found", "prompt.id"),
        ({"version": 9}, 404, "prompt_version_not_found", "prompt.version"),
        ({"label": "no"}, 404, "prompt_label_not_found", "prompt.label"),
        ({"variables": {}}, 400, "invalid_prompt_variables", "prompt.variables"),
        ({"version": 0}, 400, "invalid_request", "prompt.version"),
        ({"version": 1, "label": "b"}, 400, "invalid_request", "prompt.label"),
        ({"id": ""}, 400, "invalid_request", "prompt.id"),
        ({"nonsense": 1}, 400, "invalid_request", "prompt.nonsense"),
        ({"label": ""}, 400, "invalid_request", "prompt.label"),
        ({"variables": ["Ann"]}, 400, "invalid_request", "prompt.variables"),
        (
            {"variables": {"name": {"type": "input_image"}}},
            400,
            "invalid_request",
            "prompt.variables.name",
        ),
    ],
)
def test_chat__prompt_asked_for_wrongly__is_told_and_costs_nothing(
    world: World, wanted: dict[str, Any], status: int, code: str, param: str
) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO)
    with pytest.raises(openai.APIStatusError) as caught:
        ask(world, served, prompt, prompt=wanted)
    error: Any = caught.value.body
    assert caught.value.status_code == status
    assert (error["code"], error["param"]) == (code, param)
    assert world.counter()[0] == 0


def test_chat__prompt_that_is_no_object__is_told_how(world: World) -> None:
    served = world.serve("echo")
    answer = world.post("/v1/chat/completions", model=served.model, prompt="greet")
    assert answer.status == 400
    assert "canvas.generate" in answer.error["message"]


def test_chat__rollout__splits_stickily_and_says_so(world: World) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO, "Bye {{name}}!")
    rollout = Rollout.objects.create(
        prompt=prompt,
        version=PromptVersion.objects.get(prompt=prompt, number=2),
        share=5000,
    )
    for number in range(10):
        user = f"user-{number}"
        new = bucketing.bucket(rollout.salt, user) < 5000
        raw = ask(world, served, prompt, user=user)
        assert text(raw) == ("Bye Ann!" if new else "Hello Ann!")
        side = "new" if new else "stable"
        assert raw.headers["x-valuecanvas-variant"] == f"rollout-{rollout.pk}:{side}"


def test_chat__experiment__arms_version_and_model_beat_the_clients(
    world: World,
) -> None:
    served, other = world.serve("echo"), world.serve("ok-7")
    prompt = make_prompt(HELLO, "Bye {{name}}!")
    experiment = Experiment.objects.create(
        key=unique("exp").lower(),
        prompt=prompt,
        state="running",
        allocation=bucketing.dump_allocation(bucketing.allocate({"b": 10_000})),
    )
    Arm.objects.create(
        experiment=experiment,
        name="b",
        version=PromptVersion.objects.get(prompt=prompt, number=2),
        model=other.model,
        weight=10_000,
    )
    raw = ask(world, served, prompt)
    row = world.usage(raw.headers["x-request-id"])
    assert (row.model, row.prompt_version) == (other.model, 2)
    assert row.variant == f"{experiment.key}:b"


def test_chat__prompt_not_to_be_stored__is_never_a_hit(world: World) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO)
    caches = [
        ask(world, served, prompt).headers["x-valuecanvas-cache"] for _ in range(2)
    ]
    Prompt.objects.filter(pk=prompt.pk).update(cache_policy="never")
    raw = ask(world, served, prompt)
    assert [*caches, raw.headers["x-valuecanvas-cache"]] == ["miss", "hit", "bypass"]


def test_chat__key_used_again__gets_its_answer_though_the_prompt_went(
    world: World,
) -> None:
    """A repeated request is not refused for what an operator changed since."""
    served, prompt = world.serve("echo"), make_prompt(HELLO)
    body = {
        "model": served.model,
        "prompt": {"id": prompt.key, "variables": {"name": "Ann"}},
    }
    sent = orjson.dumps(body)
    path, key = "/v1/chat/completions", {"idempotency_key": unique("key")}
    first = world.request(path, sent, **key)
    Prompt.objects.filter(pk=prompt.pk).update(archived=True)
    again = world.request(path, sent, **key)
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert world.request(path, sent, idempotency_key="else").status == 404
    assert world.request(path, sent).status == 404


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"promptKey": "no.such"}, "promptKey"),
        ({"promptVersion": 0}, "promptVersion"),
        ({"promptLabel": ""}, "promptLabel"),
        ({"promptVariables": {"nme": "Ann"}}, "promptVariables"),
    ],
)
def test_complete__prompt_asked_for_wrongly__is_told_in_its_own_words(
    world: World, asked: dict[str, Any], param: str
) -> None:
    served, prompt = world.serve("echo"), make_prompt(HELLO)
    body = {"promptKey": prompt.key, "model": served.model, **asked}
    error = world.post("/api/llm/complete", **body).error
    assert error["param"] == param
    assert "'prompt." not in error["message"]
