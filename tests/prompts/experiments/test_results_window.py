"""Which requests an experiment's results are of."""

from datetime import timedelta

import pytest
from django.utils import timezone

from llm.prompting.results import results, window
from prompts.experiments import service
from prompts.models import Experiment
from prompts.services import PromptActor
from tests.prompts.experiments.rows import make_actor, make_draft, rows_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> PromptActor:
    return make_actor()


@pytest.fixture
def running(actor: PromptActor) -> Experiment:
    return service.start(make_draft(), actor=actor)


def requests(experiment: Experiment) -> dict[str, int]:
    return {name: one.requests for name, one in results(experiment).figures.items()}


def test_results__before_the_start__are_none() -> None:
    assert results(make_draft()) is None


def test_results__arm_without_requests__is_there(running: Experiment) -> None:
    now = timezone.now()
    rows_for(running.prompt.key, f"{running.key}:a", 3, at=now)
    assert requests(running) == {"a": 3, "b": 0}
    assert results(running).control == "a"


def test_results__weights_changed__count_anew(
    running: Experiment, actor: PromptActor
) -> None:
    rows_for(running.prompt.key, f"{running.key}:a", 3, at=timezone.now())
    assert requests(running)["a"] == 3
    changed = service.change_weights(
        running, {"a": 2000, "b": 8000}, actor=actor, reason="More."
    )
    assert requests(changed) == {"a": 0, "b": 0}
    rows_for(running.prompt.key, f"{running.key}:b", 2, at=timezone.now())
    assert requests(changed) == {"a": 0, "b": 2}


def test_results__stopped__have_what_was_still_under_way(
    running: Experiment, actor: PromptActor
) -> None:
    stopped = service.stop(running, actor=actor, reason="Enough.")
    end = stopped.stopped_at
    rows_for(running.prompt.key, f"{running.key}:a", 1, at=end + timedelta(seconds=9))
    rows_for(running.prompt.key, f"{running.key}:a", 1, at=end + timedelta(hours=1))
    assert requests(stopped)["a"] == 1
    assert window(stopped).until == end + timedelta(minutes=5)


def test_results__users_lost_on_the_way__are_noticed(running: Experiment) -> None:
    now = timezone.now()
    rows_for(running.prompt.key, f"{running.key}:a", 600, at=now)
    rows_for(running.prompt.key, f"{running.key}:b", 400, at=now)
    assert results(running).split_wrong


def test_results__even_split__is_believed(running: Experiment) -> None:
    now = timezone.now()
    rows_for(running.prompt.key, f"{running.key}:a", 490, at=now)
    rows_for(running.prompt.key, f"{running.key}:b", 510, at=now)
    assert not results(running).split_wrong
