"""Two operators at once: one wins, the other is told."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from prompts.experiments import service
from prompts.models import Experiment, Label
from prompts.services import PromptActor, move_label
from tests.buckets import weights_of
from tests.prompts.experiments.rows import make_actor, make_draft, make_prompt
from valuecanvas.core.errors import Conflict
from valuecanvas.core.targeting.bucketing import load_allocation

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 20


def at_once(*acts: Callable[[], Any]) -> list[str]:
    """Each in a thread with a connection of its own; 'done', or what it was told."""
    ready = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> str:
        try:
            connection.ensure_connection()
            ready.wait()
            act()
        except Conflict as error:
            return error.message
        else:
            return "done"
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.fixture
def actors() -> tuple[PromptActor, PromptActor]:
    return make_actor("ann"), make_actor("bob")


def test_start__two_of_one_prompt__one_runs(
    actors: tuple[PromptActor, PromptActor],
) -> None:
    for _ in range(ROUNDS):
        prompt = make_prompt()
        drafts = [make_draft(prompt) for _ in range(2)]
        told = at_once(
            *(
                partial(service.start, one, actor=actor)
                for one, actor in zip(drafts, actors, strict=True)
            )
        )
        assert sorted(text == "done" for text in told) == [False, True]
        assert Experiment.objects.filter(prompt=prompt, state="running").count() == 1
        assert prompt.events.filter(action="experiment_started").count() == 1


def test_promote__two_winners__one_is_promoted(
    actors: tuple[PromptActor, PromptActor],
) -> None:
    ann, bob = actors
    for _ in range(ROUNDS):
        running = service.start(make_draft(), actor=ann)
        told = at_once(
            partial(service.promote, running, "a", actor=ann, reason="a"),
            partial(service.promote, running, "b", actor=bob, reason="b"),
        )
        assert sorted(text == "done" for text in told) == [False, True]
        running.refresh_from_db()
        version = Label.objects.get(prompt=running.prompt).version.number
        assert (running.winner, version) in (("a", 1), ("b", 2))


def test_weights__changed_twice__buckets_and_arms_agree(
    actors: tuple[PromptActor, PromptActor],
) -> None:
    ann, bob = actors
    running = service.start(make_draft(), actor=ann)
    for _ in range(ROUNDS):
        first, second = {"a": 1000, "b": 9000}, {"a": 7000, "b": 3000}
        at_once(
            partial(service.change_weights, running, first, actor=ann, reason="1"),
            partial(service.change_weights, running, second, actor=bob, reason="2"),
        )
        running.refresh_from_db()
        held = {arm.name: arm.weight for arm in running.arms.all()}
        assert weights_of(load_allocation(running.allocation)) == held
        assert held in (first, second)


def test_promote__label_moved_at_the_same_time__one_after_the_other(
    actors: tuple[PromptActor, PromptActor],
) -> None:
    ann, bob = actors
    for _ in range(ROUNDS):
        running = service.start(make_draft(make_prompt(versions=3)), actor=ann)
        prompt = running.prompt
        told = at_once(
            partial(service.promote, running, "b", actor=ann, reason="b"),
            partial(move_label, prompt, "production", 3, expected=1, actor=bob),
        )
        moves = list(
            prompt.events.filter(label="production")
            .order_by("id")
            .values_list("from_version", "to_version")
        )
        assert told[0] == "done"
        # By its own compare-and-set the move came first, or not at all.
        assert moves == ([(1, 3), (3, 2)] if told[1] == "done" else [(1, 2)])
        assert Label.objects.get(prompt=prompt).version.number == 2
