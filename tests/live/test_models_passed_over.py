"""Models that an operator named and that are gone: the client does not pay for it."""

from typing import Any

import pytest

from billing.models import Price
from flags.models import Variant
from llm.models import Model, Route
from prompts.models import Arm, Experiment, PromptVersion
from tests.live.test_gateway_flags import make_flag
from tests.live.test_stored_prompts import HELLO, make_prompt
from tests.live.world import Answer, Served, World, unique
from valuecanvas.core.targeting import bucketing

pytestmark = pytest.mark.live
PATHS = ["/v1/chat/completions", "/v1/responses"]


def everyone_in(world: World, named: str, **version: Any) -> Experiment:
    """A running experiment whose one arm has all callers."""
    prompt = make_prompt(HELLO, **version)
    experiment: Experiment = Experiment.objects.create(
        key=unique("exp").lower(),
        prompt=prompt,
        state="running",
        allocation=bucketing.dump_allocation(bucketing.allocate({"b": 10_000})),
    )
    first = PromptVersion.objects.get(prompt=prompt)
    Arm.objects.create(
        experiment=experiment, name="b", version=first, model=named, weight=10_000
    )
    return experiment


def ask(
    world: World, experiment: Experiment, path: str = PATHS[0], **fields: Any
) -> Answer:
    asked = {"id": experiment.prompt.key, "variables": {"name": unique("Ann")}}
    return world.post(path, prompt=asked, **fields)


def remove(world: World, model: str, how: str) -> None:
    rows = Model.objects.filter(pk=model)
    if how == "gone":
        world.db(Route.objects.filter(model=model).delete)
        world.db(rows.delete)
    elif how == "no price":
        route = world.db(Route.objects.get, model=model)
        world.db(Price.objects.filter(provider=route.provider_id).delete)
    elif how == "no route":
        world.db(Route.objects.filter(model=model).delete)
    elif how == "other kind":
        world.db(rows.update, kind="embedding")
    else:
        world.db(rows.update, enabled=False)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["gone", "off", "no route", "no price", "other kind"])
def test_arm__its_model_is_removed__the_clients_answers_and_it_is_logged(
    world: World, path: str, how: str
) -> None:
    served, arms = world.serve("ok"), world.serve("ok")
    experiment = everyone_in(world, arms.model)
    first = ask(world, experiment, path, model=served.model)
    assert world.usage(first.headers["x-request-id"]).model == arms.model
    remove(world, arms.model, how)
    for _ in range(3):
        answer = ask(world, experiment, path, model=served.model)
        assert answer.status == 200, answer.body
        row = world.usage(answer.headers["x-request-id"])
        assert (row.model, row.variant) == (served.model, f"{experiment.key}:b")
    told = [
        line
        for line in world.server_log().splitlines()
        if "model.passed_over" in line and arms.model in line
    ]
    assert len(told) == 1
    assert experiment.prompt.key in told[0]
    counted = f'valuecanvas_models_passed_over_total{{model="{arms.model}",named_by="experiment"}} 3.0'
    assert counted in world.metrics()


def test_arm__its_model_is_removed__the_versions_answers_where_none_is_asked(
    world: World,
) -> None:
    served, arms = world.serve("ok"), world.serve("ok")
    experiment = everyone_in(world, arms.model, model=served.model)
    remove(world, arms.model, "gone")
    answer = ask(world, experiment)
    assert world.usage(answer.headers["x-request-id"]).model == served.model


def test_arm__model_that_the_key_may_not_use__is_passed_over(world: World) -> None:
    served, arms = world.serve("ok"), world.serve("ok")
    experiment = everyone_in(world, arms.model)
    key = world.new_key(allowed_models=[served.model])
    answer = ask(world, experiment, key=key, model=served.model)
    assert answer.status == 200, answer.body
    assert world.usage(answer.headers["x-request-id"]).model == served.model
    # What it asks for itself is refused as ever.
    refused = world.chat(arms.model, key=key)
    assert (refused.status, refused.error["param"]) == (403, "model")


def test_version__its_model_is_removed__the_operator_is_blamed(world: World) -> None:
    served, other = world.serve("ok"), world.serve("ok")
    prompt = make_prompt(HELLO, model=served.model)
    asked = {"id": prompt.key, "variables": {"name": "Ann"}}
    remove(world, served.model, "off")
    answer = world.post(PATHS[0], prompt=asked)
    assert (answer.status, answer.error["code"]) == (500, "prompt_broken")
    assert served.model in answer.error["message"]
    assert world.counter()[0] == 0
    assert world.post(PATHS[0], prompt=asked, model=other.model).status == 200
    # The client's own is told as ever.
    answer = world.post(PATHS[0], prompt=asked, model="no-such")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


def flagged(world: World, served: Served, model: str) -> Answer:
    make_flag(world, model=model)
    return world.chat(served.model)


@pytest.mark.parametrize("how", ["gone", "off", "no route"])
def test_flag__its_model_is_removed__the_clients_answers(
    world: World, how: str
) -> None:
    served, other = world.serve("ok"), world.serve("ok")
    remove(world, other.model, how)
    answer = flagged(world, served, other.model)
    row = world.usage(answer.headers["x-request-id"])
    assert row.model == served.model
    named = f'valuecanvas_models_passed_over_total{{model="{other.model}",named_by="flag"}} 1.0'
    assert named in world.metrics()


def test_flag__model_of_another_kind__is_not_meant_for_it(world: World) -> None:
    served, other = world.serve("ok"), world.serve("ok", kind="embedding")
    answer = flagged(world, served, other.model)
    assert world.usage(answer.headers["x-request-id"]).model == served.model
    named = f'model="{other.model}",named_by="flag"'
    assert named not in world.metrics()
    assert Variant.objects.exists()
