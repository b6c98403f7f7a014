"""An experiment as callers meet it: who gets what, from which request on."""

from collections import Counter
from typing import Any

import pytest

from billing.models import Usage
from llm.prompting.results import results
from prompts.experiments import service
from prompts.experiments.drafts import ArmSpec
from prompts.models import Experiment
from prompts.services import PromptActor
from tests.fixtures_billing import unique
from tests.live.world import Answer, Served, World, request_id
from tests.prompts.experiments.rows import (
    make_actor,
    make_draft,
    make_prompt,
    make_version,
)
from valuecanvas.core.targeting.bucketing import bucket, digest, load_allocation, owner

pytestmark = pytest.mark.live
USERS = [f"user-{number}" for number in range(40)]


class Trial:
    """An experiment on a prompt of its own, and the way to ask for it."""

    def __init__(self, world: World, served: Served, **fields: Any) -> None:
        self.world, self.served = world, served
        self.actor: PromptActor = world.db(make_actor)
        self.prompt = world.db(make_prompt)
        draft = world.db(make_draft, self.prompt, unique("trial"), **fields)
        self.experiment: Experiment = self.act(service.start, draft)

    def act(self, function: Any, *args: Any, **fields: Any) -> Any:
        return self.world.db(function, *args, actor=self.actor, **fields)

    def ask(self, user: str, **prompt: Any) -> Answer:
        asked = {"id": self.prompt.key, **prompt}
        answer = self.world.post(
            "/v1/chat/completions", model=self.served.model, prompt=asked, user=user
        )
        assert answer.status == 200, answer.body
        return answer

    def row(self, user: str, **prompt: Any) -> Usage:
        return self.world.usage(request_id(self.ask(user, **prompt)))

    def expected(self, user: str) -> str:
        at = bucket(f"experiment:{self.experiment.key}", user)
        return f"{self.experiment.key}:{owner(load_allocation(self.experiment.allocation), at)}"


@pytest.fixture
def trial(world: World) -> Trial:
    return Trial(world, world.serve("ok"))


def test_users__of_a_running_experiment__are_where_their_buckets_are(
    trial: Trial,
) -> None:
    found = {user: trial.row(user) for user in USERS}
    assert {user: row.variant for user, row in found.items()} == {
        user: trial.expected(user) for user in USERS
    }
    versions = {row.variant.rpartition(":")[2]: row.prompt_version for row in found.values()}  # fmt: skip
    assert versions == {"a": 1, "b": 2}
    assert found[USERS[0]].subject == digest(USERS[0])
    known = trial.world.db(results, trial.experiment)
    counted = Counter(row.variant.rpartition(":")[2] for row in found.values())
    assert {name: one.users for name, one in known.figures.items()} == counted


def test_weights__grown__move_users_into_that_arm_from_the_next_request_on(
    trial: Trial,
) -> None:
    before = {user: trial.expected(user) for user in USERS}
    trial.experiment = trial.act(
        service.change_weights, trial.experiment, {"a": 0, "b": 10_000}, reason="All."
    )
    for user in USERS[:10]:
        assert trial.row(user).variant == f"{trial.experiment.key}:b"
    assert {one.rpartition(":")[2] for one in before.values()} == {"a", "b"}


def test_stop__and_promote__hold_from_the_next_request_on(trial: Trial) -> None:
    trial.act(service.stop, trial.experiment, reason="Enough.")
    row = trial.row(USERS[0])
    assert (row.variant, row.prompt_version, row.subject) == ("", 1, None)
    trial.act(service.promote, trial.experiment, "b", reason="It was better.")
    assert trial.row(USERS[0]).prompt_version == 2


def test_version_or_other_label__asked_for__is_no_part_of_it(trial: Trial) -> None:
    user = next(one for one in USERS if trial.expected(one).endswith(":b"))
    row = trial.row(user, version="1")
    assert (row.variant, row.prompt_version) == ("", 1)
    row = trial.row(user, label="latest")
    assert (row.variant, row.prompt_version) == ("", 2)
    assert trial.row(user, label="production").variant == trial.expected(user)


def test_targeting__callers_it_is_not_about__get_production(world: World) -> None:
    served = world.serve("ok")
    mine = [world.tier.key]
    only_me = Trial(world, served, tiers=mine)
    assert only_me.row(USERS[0]).variant == only_me.expected(USERS[0])
    others = Trial(world, served, tiers=["another"])
    assert others.row(USERS[0]).variant == ""
    who = [{"attribute": "user", "operator": "equals", "value": USERS[1]}]
    one = Trial(world, served, conditions=who)
    assert one.row(USERS[0]).variant == ""
    assert one.row(USERS[1]).variant == one.expected(USERS[1])


def test_model_arm__of_its_users__is_asked_instead(world: World) -> None:
    first, second = world.serve("ok"), world.serve("ok")
    arms = [
        ArmSpec("now", 0, control=True),
        ArmSpec("other", 10_000, model=second.model),
    ]
    trial = Trial(world, first, arms=arms)
    row = trial.row(USERS[0])
    assert (row.model, row.prompt_version) == (second.model, 1)
    trial.act(service.stop, trial.experiment, reason="Enough.")
    assert trial.row(USERS[0]).model == first.model


def test_feedback__of_a_request_in_an_arm__counts_for_it(trial: Trial) -> None:
    answer = trial.ask(USERS[0])
    said = trial.world.post("/v1/feedback", request_id=request_id(answer), score=1)
    assert said.status == 200
    found = trial.world.db(results, trial.experiment)
    arm = trial.expected(USERS[0]).rpartition(":")[2]
    assert (found.figures[arm].feedback, found.figures[arm].feedback_count) == (1, 1)


def test_new_version__while_it_runs__changes_no_arm(trial: Trial) -> None:
    trial.world.db(make_version, trial.prompt, 3)
    rows = [trial.row(user) for user in USERS[:10]]
    assert {row.prompt_version for row in rows} <= {1, 2}
