"""Scheduled changes: counted by the clock, applied by the worker, cancelled."""

import datetime as dt
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django_celery_beat.models import PeriodicTask

from flags import services, tasks
from flags.actor import FlagActor, user_actor
from flags.models import Flag, ScheduledChange
from tests.flags.rows import ADA, BOB, ask, make_colours, make_flag
from valuecanvas.core.errors import Conflict

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def later(flag, kind, at=NOW + HOUR, **payload):
    return services.schedule(flag, kind, at=at, payload=payload, actor=ADA, reason="As planned")  # fmt: skip


def states(flag):
    return [one.state for one in flag.schedule.order_by("at", "pk")]


def test_scheduled__before_the_worker_ran__counts_by_the_clock(clock):
    flag = make_flag(percent=0)
    later(flag, "set_percent", percent="100")
    assert ask(flag, user="u").value is False
    clock.move_to(NOW + HOUR)
    assert ask(flag, user="u").value is True
    assert Flag.objects.get().percent == 0


def test_scheduled__due__the_worker_writes_it_once(clock):
    user = User.objects.create_user("ada")
    flag = make_flag(percent=0)
    services.schedule(flag, "set_percent", at=NOW + HOUR, payload={"percent": 40}, actor=user_actor(user))  # fmt: skip
    assert tasks.apply_due() == 0
    clock.move_to(NOW + HOUR)
    assert tasks.apply_due() == 1
    assert tasks.apply_due() == 0
    assert Flag.objects.get().percent == 40
    event = flag.events.first()
    assert (event.action, event.actor_name, event.actor) == ("percent", "schedule of ada", user)  # fmt: skip
    change = flag.schedule.get()
    assert (change.state, change.applied_at) == ("applied", NOW + HOUR)
    assert event.details["change"]["id"] == change.pk


def test_scheduled__each_kind__applied_in_order_after_an_outage(clock):
    flag = make_colours(blue=5000, red=5000)
    later(flag, "enable", NOW + 3 * HOUR)
    later(flag, "disable", NOW + 2 * HOUR)
    later(flag, "set_weights", NOW + HOUR, weights={"blue": 10_000})
    clock.move_to(NOW + DAY)
    assert services.apply_due() == 3
    actions = [event.action for event in flag.events.order_by("id")][-3:]
    assert actions == ["weights", "disabled", "enabled"]
    flag = Flag.objects.get()
    assert (flag.enabled, ask(flag, user="u").value) == (True, "blue")
    assert {one.name: one.weight for one in flag.variants.all()} == {"blue": 10_000, "red": 0}  # fmt: skip


def test_scheduled_kill__due__the_rest_is_cancelled(clock):
    flag = make_flag(percent=100)
    later(flag, "kill")
    later(flag, "enable", NOW + 2 * HOUR)
    clock.move_to(NOW + 3 * HOUR)
    assert ask(flag, user="u").reason == "DISABLED"
    assert services.apply_due() == 1
    assert states(flag) == ["applied", "cancelled"]
    flag = Flag.objects.get()
    assert (flag.killed_by, flag.killed_reason) == ("schedule of ada", "As planned")


def test_scheduled_weights__variants_changed_since__failed_and_told(clock):
    flag = make_colours(blue=5000, red=5000)
    later(flag, "set_weights", weights={"red": 10_000})
    later(flag, "disable", NOW + 2 * HOUR)
    flag = services.set_variants(flag, [{"name": "blue", "value": "b", "weight": 10_000}], actor=BOB)  # fmt: skip
    clock.move_to(NOW + DAY)
    assert ask(flag, user="u").reason == "DISABLED"
    assert services.apply_due() == 2
    assert states(flag) == ["failed", "applied"]
    assert "no variant 'red'" in flag.schedule.first().error
    failed = flag.events.get(action="failed")
    assert "no variant 'red'" in failed.reason


def test_ramp__five_points_a_day__its_steps(clock):
    flag = make_flag(percent=Decimal("2.5"))
    steps = services.ramp(
        flag, to=20, step=5, every=DAY, start=NOW + HOUR, actor=ADA, reason="Slowly"
    )
    assert [one.payload["percent"] for one in steps] == ["7.50", "12.50", "17.50", "20.00"]  # fmt: skip
    assert [one.at for one in steps] == [NOW + HOUR + n * DAY for n in range(4)]
    assert [one.step for one in steps] == [1, 2, 3, 4]
    assert len({one.ramp for one in steps}) == 1
    clock.move_to(NOW + HOUR + DAY)
    services.apply_due()
    assert Flag.objects.get().percent == Decimal("12.5")
    services.cancel_ramp(flag, steps[0].ramp, actor=BOB, reason="Too fast")
    assert states(flag) == ["applied", "applied", "cancelled", "cancelled"]
    event = flag.events.first()
    assert (event.action, len(event.details["changes"])) == ("cancelled", 2)
    with pytest.raises(Conflict, match="not pending any more"):
        services.cancel_ramp(flag, steps[0].ramp, actor=BOB)


def test_ramp__downwards__to_the_goal(clock):
    flag = make_flag(percent=50)
    steps = services.ramp(flag, to=0, step=20, every=HOUR, start=NOW + HOUR, actor=ADA)
    assert [one.payload["percent"] for one in steps] == ["30.00", "10.00", "0.00"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"to": 10}, "another goal"),
        ({"step": 0}, "another goal"),
        ({"every": dt.timedelta(0)}, "needs time"),
        ({"every": 365_000 * DAY}, "after the year 9999"),
        ({"step": "0.01"}, "at most 500"),
        ({"start": NOW}, "in the future"),
    ],
)
def test_ramp__that_makes_no_sense__refused(fields, text):
    flag = make_flag(percent=10)
    given = {"to": 100, "step": 5, "every": DAY, "start": NOW + HOUR, **fields}
    with pytest.raises(ValidationError, match=text):
        services.ramp(flag, actor=ADA, **given)


def test_ramp__another_under_way__refused():
    flag = make_flag(percent=10)
    later(flag, "set_percent", percent=20)
    with pytest.raises(ValidationError, match="Cancel the scheduled"):
        services.ramp(flag, to=50, step=5, every=DAY, start=NOW + HOUR, actor=ADA)


def test_percent__set_by_hand__the_ramp_is_cancelled():
    flag = make_flag(percent=10)
    services.ramp(flag, to=30, step=10, every=DAY, start=NOW + HOUR, actor=ADA)
    later(flag, "disable", NOW + 3 * DAY)
    flag = services.set_percent(flag, 0, actor=BOB)
    assert states(flag) == ["cancelled", "cancelled", "pending"]
    assert len(flag.events.first().details["cancelled"]) == 2
    later(flag, "set_percent", percent=10)
    services.edit_flag(flag, {"percent": 5}, actor=BOB)
    assert states(flag).count("pending") == 1


@pytest.mark.parametrize("end", ["kill", "archive"])
def test_flag__ended__its_schedule_is_cancelled_and_none_is_taken(end):
    flag = make_flag(percent=10)
    later(flag, "disable")
    flag = getattr(services, end)(flag, actor=BOB)
    assert states(flag) == ["cancelled"]
    with pytest.raises(ValidationError, match="The flag is"):
        later(flag, "enable")


def test_cancel__one_change__only_once():
    flag = make_flag(percent=10)
    change = later(flag, "disable")
    flag = services.cancel(change, actor=BOB, reason="No")
    assert (states(flag), flag.events.first().reason) == (["cancelled"], "No")
    with pytest.raises(Conflict):
        services.cancel(change, actor=BOB)


@pytest.mark.parametrize(
    ("kind", "at", "payload", "text"),
    [
        ("explode", NOW + HOUR, {}, "one of set_percent"),
        ("disable", NOW - HOUR, {}, "in the future"),
        ("disable", (NOW + HOUR).replace(tzinfo=None), {}, "time zone"),
        ("disable", NOW + HOUR, {"percent": 1}, "has to be empty"),
        ("set_percent", NOW + HOUR, {}, "hold percent"),
        ("set_percent", NOW + HOUR, {"percent": 200}, "from 0 to 100"),
        ("set_weights", NOW + HOUR, {"weights": {"x": 1}}, "no variant 'x'"),
        ("set_weights", NOW + HOUR, {"weights": {"blue": 10_001}}, "more than 100"),
    ],
)
def test_schedule__what_cannot_be__refused(kind, at, payload, text):
    flag = make_colours(blue=10_000)
    with pytest.raises(ValidationError, match=text):
        services.schedule(flag, kind, at=at, payload=payload, actor=ADA)
    assert not ScheduledChange.objects.exists()


def test_schedule__revision_passed__conflict():
    flag = make_flag()
    services.disable(flag, actor=BOB)
    with pytest.raises(Conflict):
        services.schedule(
            flag, "enable", at=NOW + HOUR, actor=FlagActor("eve"), expected=1
        )


def test_beat__after_the_migrations__asks_for_what_is_due():
    task = PeriodicTask.objects.get(task="flags.apply_due")
    assert (task.interval.every, task.enabled) == (15, True)
