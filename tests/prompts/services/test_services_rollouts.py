"""Gradual rollouts: by hand, by plan, and every way that they end."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django_celery_beat.models import PeriodicTask

from prompts import services, tasks
from prompts.models import Experiment, ProtectedLabel, Rollout
from tests.prompts.rows import ANN, BOB, events, make_prompt, move, pointed_at, told
from valuecanvas.core.db import epoch
from valuecanvas.core.errors import Conflict, NotPermitted

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAN = [{"share": 2500, "after_minutes": 10}, {"share": 10_000, "after_minutes": 60}]


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as found:
        yield found


@pytest.fixture
def prompt():
    return make_prompt("1", "2", "3", production=1)


def start(prompt, version=2, share=500, **asked) -> Rollout:
    return services.start_rollout(prompt, version, share=share, actor=ANN, **asked)


def now(rollout: Rollout) -> Rollout:
    return Rollout.objects.get(pk=rollout.pk)


# -- start ----------------------------------------------------------------------------


def test_start__a_rollout__is_live_with_its_plan_and_event(prompt, clock):
    guard = {"metric": "error_rate", "worse_by": 0.1, "minimum_requests": 100}

    rollout = start(prompt, steps=PLAN, guards=[guard], reason="Try")

    assert (rollout.state, rollout.share, rollout.steps) == ("running", 500, PLAN)
    assert (rollout.guards, rollout.next_at) == ([guard], NOON + timedelta(minutes=10))
    event = events(prompt)[-1]
    assert (event.action, event.to_version) == ("rollout_started", 2)
    assert event.reason == "Try"
    assert event.details == {"rollout": rollout.pk, "share": 500, "steps": PLAN}
    assert pointed_at(prompt) == 1


def test_start__without_a_plan__waits_for_people(prompt):
    assert start(prompt).next_at is None


def test_start__beside_another_or_an_experiment__is_a_conflict(prompt):
    other = make_prompt("1", "2", production=1)
    Experiment.objects.create(key="exp", prompt=other, state="running")
    start(prompt)

    with pytest.raises(Conflict, match="under way"):
        start(prompt, 3)
    with pytest.raises(Conflict, match="experiment 'exp'"):
        start(other)


def test_start__of_an_archived_prompt__is_a_conflict(prompt):
    services.edit_prompt(prompt, archived=True, actor=ANN)

    with pytest.raises(Conflict, match="archived"):
        start(prompt)


@pytest.mark.parametrize(
    ("asked", "field", "why"),
    [
        ({"share": 0}, "share", "0.01 %"),
        ({"share": 10_000}, "share", "99.99 %"),
        ({"version": 9}, "version", "no version 9"),
        ({"version": 1}, "version", "in production already"),
        ({"steps": [{"share": 600}]}, "steps", "Step 1: write"),
        ({"steps": [{"share": 500, "after_minutes": 1}]}, "steps", "more than 5 %"),
        ({"steps": [*PLAN, PLAN[0]]}, "steps", "Step 3"),
        ({"steps": [{"share": 10_001, "after_minutes": 1}]}, "steps", "Step 1"),
        ({"steps": [{"share": "600", "after_minutes": 1}]}, "steps", "Step 1"),
        ({"steps": [{"share": 600, "after_minutes": 0}]}, "steps", "1 minute"),
        ({"steps": PLAN * 26}, "steps", "At most 50"),
        ({"guards": [{"metric": "cost"}]}, "guards", "Guard 1: write"),
        ({"guards": [{"metric": "joy", "worse_by": 1, "minimum_requests": 1}]}, "guards", "one of error_rate"),
        ({"guards": [{"metric": "cost", "worse_by": 0, "minimum_requests": 1}]}, "guards", "more than 0"),
        ({"guards": [{"metric": "cost", "worse_by": True, "minimum_requests": 1}]}, "guards", "more than 0"),
        ({"guards": [{"metric": "cost", "worse_by": 1, "minimum_requests": 0}]}, "guards", "at least 1"),
    ],
)  # fmt: skip
def test_start__wrong_fields__are_refused(prompt, asked, field, why):
    with pytest.raises(ValidationError) as caught:
        start(prompt, **asked)

    assert why in caught.value.message_dict[field][0]
    assert not Rollout.objects.exists()


def test_start__nothing_in_production__is_refused():
    with pytest.raises(ValidationError, match="publish a version first"):
        start(make_prompt("1", "2"))


def test_rollout__who_may_not_move_production__may_do_nothing(prompt):
    rollout = start(prompt)
    ProtectedLabel.objects.create(name="production")

    for act in (services.pause, services.resume, services.finish):
        with pytest.raises(NotPermitted):
            act(rollout, actor=BOB)
    with pytest.raises(NotPermitted):
        services.set_share(rollout, 600, actor=BOB)
    with pytest.raises(NotPermitted):
        services.roll_back_rollout(rollout, actor=BOB, reason="x")
    with pytest.raises(NotPermitted):
        start(make_prompt("1"))
    assert now(rollout).share == 500


# -- by hand --------------------------------------------------------------------------


def test_share__by_hand__drops_the_steps_it_has_passed(prompt, clock):
    rollout = start(prompt, steps=PLAN)
    before = epoch.current()
    clock.shift(timedelta(minutes=5))

    found = services.set_share(rollout, 3000, actor=BOB, reason="Fine", expected=500)

    assert (found.share, found.steps) == (3000, PLAN[1:])
    assert found.next_at == NOON + timedelta(minutes=65)
    event = events(prompt)[-1]
    assert (event.action, event.actor_name) == ("rollout_share", "bob")
    assert (event.details["before"], event.details["share"]) == (500, 3000)
    assert epoch.current() == before + 1


def test_share__lowered_while_paused__stays_paused(prompt):
    rollout = start(prompt, steps=PLAN)
    services.pause(rollout, actor=BOB)

    found = services.set_share(rollout, 100, actor=BOB)

    assert (found.state, found.share, found.next_at) == ("paused", 100, None)
    assert found.steps == PLAN


def test_share__another_than_expected__is_a_conflict(prompt):
    rollout = start(prompt)

    with pytest.raises(Conflict, match="5 % now") as caught:
        services.set_share(rollout, 900, actor=BOB, expected=400)
    assert caught.value.extra == {"current_share": 500}


@pytest.mark.parametrize("share", [0, -1, 10_001])
def test_share__out_of_bounds__is_refused(prompt, share):
    with pytest.raises(ValidationError):
        services.set_share(start(prompt), share, actor=BOB)


def test_pause__and_resume__hold_the_plan_and_start_its_wait_anew(prompt, clock):
    rollout = start(prompt, steps=PLAN)

    assert services.pause(rollout, actor=BOB).next_at is None
    clock.shift(timedelta(hours=5))
    assert services.apply_due_steps() == 0
    with pytest.raises(Conflict, match="is paused"):
        services.pause(rollout, actor=BOB)
    found = services.resume(rollout, actor=BOB)

    assert (found.state, found.share) == ("running", 500)
    assert found.next_at == NOON + timedelta(hours=5, minutes=10)
    with pytest.raises(Conflict, match="is running") as caught:
        services.resume(rollout, actor=BOB)
    assert caught.value.extra == {"state": "running"}
    assert [one for one, *_ in told(prompt)][-2:] == [
        "rollout_paused",
        "rollout_resumed",
    ]


# -- ends -----------------------------------------------------------------------------


@pytest.mark.parametrize("by_share", [True, False])
def test_finish__the_rollout__moves_production(prompt, by_share, clock):
    rollout = start(prompt)
    if by_share:
        services.set_share(rollout, 10_000, actor=BOB, reason="All")
    else:
        services.finish(rollout, actor=BOB, reason="All")

    found = now(rollout)
    assert pointed_at(prompt) == 2
    assert (found.state, found.share, found.reason) == ("finished", 10_000, "All")
    assert found.ended_at == NOON
    assert told(prompt)[-1] == ("rollout_finished", 1, 2)
    assert events(prompt)[-1].label == "production"
    assert services.rollback_target(prompt) == 1


def test_roll_back__the_rollout__leaves_production(prompt):
    rollout = start(prompt, steps=PLAN)

    services.roll_back_rollout(rollout, actor=services.GATEWAY, reason="Errors: 9 %")

    found = now(rollout)
    assert (found.state, found.reason, found.next_at) == ("rolled_back", "Errors: 9 %", None)  # fmt: skip
    assert pointed_at(prompt) == 1
    event = events(prompt)[-1]
    assert (event.action, event.actor_name) == ("rollout_rolled_back", "ValueCanvas")
    assert event.reason == "Errors: 9 %"
    for act in (services.finish, services.pause, services.resume):
        with pytest.raises(Conflict, match="is rolled back"):
            act(rollout, actor=BOB)
    start(prompt)  # and a new one may start


def test_production__moved_by_hand__ends_the_rollout(prompt):
    first = start(prompt)
    move(prompt, 3)
    second = start(prompt)
    move(prompt, 2)

    assert (now(first).state, now(second).state) == ("rolled_back", "finished")
    assert told(prompt)[-2:] == [("moved", 3, 2), ("rollout_finished", None, 2)]
    assert services.rollback_target(prompt) == 3


def test_production__rolled_back_or_removed__ends_the_rollout(prompt):
    move(prompt, 3)
    first = start(prompt)
    services.rollback(prompt, actor=BOB, reason="Bad")
    second = start(prompt)
    services.remove_label(prompt, "production", actor=BOB)

    assert (now(first).state, now(second).state) == ("rolled_back", "rolled_back")
    assert now(first).reason == "Bad"


def test_staging__moved__leaves_the_rollout(prompt):
    rollout = start(prompt)

    move(prompt, 3, "staging")

    assert now(rollout).state == "running"


# -- by plan --------------------------------------------------------------------------


def test_plan__as_time_passes__takes_its_steps_one_by_one(prompt, clock):
    rollout = start(prompt, steps=PLAN)

    clock.shift(timedelta(minutes=9))
    assert tasks.apply_due_steps() == 0
    clock.shift(timedelta(minutes=2))
    assert tasks.apply_due_steps() == 1
    assert (now(rollout).share, now(rollout).steps) == (2500, PLAN[1:])
    assert now(rollout).next_at == NOON + timedelta(minutes=71)
    assert tasks.apply_due_steps() == 0
    clock.shift(timedelta(hours=9))
    assert tasks.apply_due_steps() == 1

    assert (now(rollout).state, pointed_at(prompt)) == ("finished", 2)
    assert [one.actor_name for one in events(prompt)[-2:]] == ["ValueCanvas"] * 2
    assert tasks.apply_due_steps() == 0


def test_plan__of_a_protected_label__goes_on(prompt, clock):
    start(prompt, steps=PLAN)
    ProtectedLabel.objects.create(name="production")
    clock.shift(timedelta(minutes=11))

    assert tasks.apply_due_steps() == 1


def test_plan__taken_by_another_process_meanwhile__is_left_alone(prompt, clock):
    rollout = start(prompt, steps=PLAN)
    clock.shift(timedelta(minutes=11))
    late = list(Rollout.objects.all())
    services.apply_due_steps()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rollout.objects, "filter", lambda **_: _Found(late))
        assert services.apply_due_steps() == 0

    assert now(rollout).share == 2500


def test_plan__a_step_that_is_refused__does_not_hold_up_others(prompt, clock):
    first = start(prompt, steps=[{"share": 10_000, "after_minutes": 1}])
    other = start(make_prompt("1", "2", production=1), steps=PLAN)
    clock.shift(timedelta(minutes=11))
    late = list(Rollout.objects.order_by("next_at"))
    services.roll_back_rollout(first, actor=ANN, reason="x")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rollout.objects, "filter", lambda **_: _Found(late))
        assert services.apply_due_steps() == 1

    assert now(other).share == 2500


class _Found(list):
    """What a query found a moment ago."""

    def order_by(self, *_):
        return self


def test_schedule__of_the_steps__is_a_row():
    row = PeriodicTask.objects.get(task=tasks.apply_due_steps.name)

    assert (row.interval.every, row.interval.period) == (15, "seconds")


@pytest.mark.parametrize("how", ["move", "rollback"])
def test_move__production_to_where_it_is__ends_the_rollout_and_says_why(prompt, how):
    rollout = start(prompt)

    if how == "move":
        services.move_label(
            prompt, "production", 1, expected=1, actor=ANN, reason="Off"
        )
    else:
        services.rollback(prompt, to=1, actor=ANN, reason="Off")

    assert (now(rollout).state, now(rollout).reason) == ("rolled_back", "Off")
    event = events(prompt)[-1]
    assert (event.action, event.reason) == ("rollout_rolled_back", "Off")
    assert pointed_at(prompt) == 1
    # Without one there is nothing to end, and nothing to record.
    services.move_label(prompt, "production", 1, expected=1, actor=ANN, reason="Again")
    assert events(prompt)[-1].reason == "Off"
