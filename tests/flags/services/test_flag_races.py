"""Two at once: one wins, nothing is done twice."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.utils import timezone

from flags import services
from flags.actor import FlagActor
from flags.models import Flag, FlagEvent
from tests.flags.rows import ADA, BOB, make_flag
from valuecanvas.core.errors import Conflict

pytestmark = pytest.mark.django_db(transaction=True)

RACES = 25


def at_once(*calls):
    """The results of the calls, each in a thread and on a connection of its own."""

    def run(call):
        try:
            return call()
        except (Conflict, ValidationError) as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_change__two_actors_on_one_revision__exactly_one_wins():
    flag = make_flag(percent=1)
    for number in range(1, RACES + 1):
        seen, percents = flag.revision, (10 + number, 50 + number)
        results = at_once(
            *[
                partial(services.set_percent, flag, percent, actor=actor, expected=seen)
                for actor, percent in zip((ADA, BOB), percents, strict=True)
            ]
        )
        [lost] = [one for one in results if isinstance(one, Conflict)]
        [flag] = [one for one in results if isinstance(one, Flag)]
        event = flag.events.first()
        assert event.actor_name == lost.extra["changed_by"]
        assert float(flag.percent) == event.after["percent"] in percents
        assert flag.events.count() == flag.revision == number + 1


def test_create_and_delete__four_at_once__one_does_it_and_the_others_are_told():
    make = partial(services.create_flag, actor=ADA)
    for number in range(5):
        name = f"flag-{number}"
        results = at_once(*[partial(make, {"name": name})] * 4)
        [made] = [one for one in results if isinstance(one, Flag)]
        lost = [one for one in results if isinstance(one, ValidationError)]
        assert [one.message_dict.keys() for one in lost] == [{"name"}] * 3
        gone = at_once(*[partial(services.delete_flag, made, actor=BOB)] * 4)
        lost = [one for one in gone if one is not None]
        assert [one.messages for one in lost] == [
            [f"The flag '{name}' has been deleted."]
        ] * 3
        events = FlagEvent.objects.filter(flag_name=name).order_by("id")
        assert [one.action for one in events] == ["created", "deleted"]


def test_due_changes__two_workers__each_applied_once():
    flag = make_flag(percent=0)
    soon = timezone.now() + dt.timedelta(hours=1)
    for number in range(RACES):
        at = soon + dt.timedelta(seconds=number)
        services.schedule(flag, "set_percent", at=at, payload={"percent": number + 1}, actor=FlagActor("ada"))  # fmt: skip
    later = soon + dt.timedelta(hours=1)
    counts = at_once(*[lambda: services.apply_due(later)] * 3)
    assert sum(counts) == RACES
    events = flag.events.filter(action="percent").order_by("id")
    assert [event.after["percent"] for event in events] == [n + 1 for n in range(RACES)]
    assert Flag.objects.get().percent == RACES
