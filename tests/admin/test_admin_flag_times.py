"""What comes and what was: schedules, ramps, history and return, exposures, the tester."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from flags import exposure, services
from flags.exposure import ExposureKey
from flags.models import Flag
from tests.flags.rows import ADA, BOB, make_colours, make_flag

pytestmark = pytest.mark.django_db


def page(flag: Flag, name: str = "change") -> str:
    return f"/admin/flags/flag/{flag.pk}/{name}/"


def save(client: Client, flag: Flag, section: str, **fields: Any) -> Any:
    seen = Flag.objects.get(pk=flag.pk).revision
    form = {"section": section, "reason": "Because", "expected": seen, **fields}
    return client.post(page(flag), form)


def soon(hours: int = 24) -> str:
    return f"{timezone.now() + dt.timedelta(hours=hours):%Y-%m-%dT%H:%M}"


RAMP = {"step": "5", "number": "1", "unit": "days", "to": "100"}


def test_schedule__percentage__shown_and_cancelled(operator: Client) -> None:
    flag = make_flag(percent=10)
    answer = save(operator, flag, "schedule", kind="set_percent", percent="40", at=soon())  # fmt: skip
    assert answer.status_code == 302
    change = flag.schedule.get()
    assert change.payload == {"percent": "40"}
    assert "40\u00a0% of users" in operator.get(page(flag)).content.decode()
    cancel = page(flag, f"schedule/{change.pk}/cancel")
    assert "40\u00a0% of users" in operator.get(cancel).content.decode()
    operator.post(cancel, {"reason": "Not yet"})
    change.refresh_from_db()
    assert change.state == "cancelled"
    # Too late: told, not lost.
    assert operator.post(cancel, {"reason": "Again"}).status_code == 409


@pytest.mark.parametrize("kind", ["enable", "disable", "kill"])
def test_schedule__switch__needs_no_percentage(operator: Client, kind: str) -> None:
    flag = make_flag(percent=10)
    save(operator, flag, "schedule", kind=kind, percent="", at=soon())
    assert flag.schedule.get().payload == {}


def test_schedule__weights__have_to_make_a_hundred(operator: Client) -> None:
    flag = make_colours(blue=5000, red=5000)
    given = {"kind": "set_weights", "at": soon(), "weight_blue": "10"}
    answer = save(operator, flag, "schedule", weight_red="80", **given)
    assert "add up to 90 %" in answer.content.decode()
    answer = save(operator, flag, "schedule", weight_red="most", **given)
    assert "Weights are percentages" in answer.content.decode()
    save(operator, flag, "schedule", weight_red="90", **given)
    assert flag.schedule.get().payload == {"weights": {"blue": 1000, "red": 9000}}
    text = operator.get(page(flag)).content.decode()
    assert "weights blue 10\u00a0%, red 90\u00a0%" in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"percent": "", "at": soon()}, "Enter a percentage"),
        ({"percent": "5", "at": ""}, "Enter a time"),
        ({"percent": "5", "at": "tomorrow"}, "Write the time as"),
        ({"percent": "5", "at": "2020-01-01T00:00"}, "must be in the future"),
    ],
)
def test_schedule__wrong__told(
    operator: Client, fields: dict[str, str], said: str
) -> None:
    flag = make_flag(percent=10)
    answer = save(operator, flag, "schedule", kind="set_percent", **fields)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not flag.schedule.exists()


def test_ramp__five_points_a_day__on_the_timeline_until_cancelled(
    operator: Client,
) -> None:
    flag = make_flag(percent=10)
    save(operator, flag, "ramp", start=soon(), **RAMP)
    first = flag.schedule.order_by("at").first()
    assert flag.schedule.count() == 18
    text = operator.get(page(flag)).content.decode()
    assert "ramp of 18 steps" in text
    assert "15\u00a0% of users, and 17 more" in text
    cancel = page(flag, f"schedule/{first.pk}/cancel")
    assert "18 steps are pending" in operator.get(cancel).content.decode()
    operator.post(cancel, {"reason": "Enough"})
    assert not flag.schedule.filter(state="pending").exists()
    assert "ramp, 18 steps cancelled" in operator.get(page(flag)).content.decode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"step": "0"}, "needs another goal"),
        ({"step": "0.01"}, "at most 500 steps"),
        ({"number": "0"}, "greater than or equal to 1"),
        ({"start": "2020-01-01T00:00"}, "must be in the future"),
        ({"step": "0.2", "number": "1000", "unit": "weeks"}, "after the year 9999"),
    ],
)
def test_ramp__wrong__told(operator: Client, fields: dict[str, str], said: str) -> None:
    flag = make_flag(percent=10)
    given = {**RAMP, "start": soon(), **fields}
    answer = save(operator, flag, "ramp", **given)
    assert answer.status_code == 422
    assert said in answer.content.decode()


def test_cancel__of_another_flag__unknown(operator: Client) -> None:
    assert operator.get(page(make_flag(), "schedule/1/cancel")).status_code == 404


# -- history ---------------------------------------------------------------------------


def test_history__every_change__who_why_and_what(operator: Client) -> None:
    flag = make_colours(blue=5000, red=5000)
    services.edit_flag(
        flag,
        {
            "percent": 30,
            "note": "New",
            "everyone": True,
            "tiers": ["pro"],
            "tags": ["x"],
            "rules": [{"conditions": [], "variant": "red", "share": 500}],
        },
        actor=BOB,
        reason="All at once",
    )
    services.set_weights(flag, {"blue": 10_000}, actor=BOB)
    text = operator.get(page(flag)).content.decode()
    for said in (
        "All at once", "100\u00a0%", "30\u00a0%", "by the rules", "pro",
        "Everybody: 5\u00a0% of them get “red”.",
        "blue 100\u00a0% = blue; red 0\u00a0% = red",
    ):  # fmt: skip
        assert said in text


def test_revert__shows_what_changes_back__and_does_it(operator: Client) -> None:
    flag = make_flag(percent=10)
    services.set_percent(flag, 70, actor=BOB)
    first = flag.events.last()
    revert = page(flag, f"revert/{first.pk}")
    text = operator.get(revert).content.decode()
    assert "70\u00a0%" in text
    seen = Flag.objects.get().revision
    operator.post(revert, {"reason": "Too much", "expected": seen})
    assert Flag.objects.get().share == 1000
    assert "Nothing would change" in operator.get(revert).content.decode()
    assert operator.post(revert, {"reason": "x", "expected": seen}).status_code == 409


def test_revert__event_of_another_flag__unknown(operator: Client) -> None:
    other = make_flag().events.get()
    url = page(make_flag(), f"revert/{other.pk}")
    assert operator.get(url).status_code == 404


# -- exposures -------------------------------------------------------------------------


def test_exposures__counted__are_drawn_by_variant(auditor: Client) -> None:
    flag, now = make_flag(), timezone.now()
    for number in range(6):
        seen = {ExposureKey(flag.name, f"v{number}"): 10 * (number + 1), ExposureKey(flag.name, ""): 1}  # fmt: skip
        exposure.add(seen, now - dt.timedelta(hours=number))
    exposure.add({ExposureKey(flag.name, "ancient"): 9}, now - dt.timedelta(days=20))
    for span, ancient in (("day", False), ("week", False), ("month", True), ("?", False)):  # fmt: skip
        answer = auditor.get(page(flag, "exposures"), {"span": span})
        chart = answer.context["chart"]
        assert chart.total == 216 + 9 * ancient
        assert sum(count for _, count in chart.series) == chart.total
        assert [name for name, _ in chart.series] == ["v5", "v4", "v3", "v2", "others"]  # fmt: skip
        assert all(-1 <= one.x <= 720 and 0 <= one.y <= 120 for one in chart.blocks)
        assert "others" in answer.content.decode()


def test_exposures__none__says_what_will_be_there(auditor: Client) -> None:
    text = auditor.get(page(make_flag(), "exposures")).content.decode()
    assert "not evaluated in that time" in text


# -- who gets what ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"user": "ann", "more": "country = SE"}, ["red", "Rule &#x27;North&#x27; matches."]),
        ({"user": "ann", "more": "age = 30"}, ["Outside the percentage.", "of 10,000: included from"]),
        ({"tier": "pro"}, ["The tier is a target."]),
        ({}, ["has no", "TARGETING_KEY_MISSING", "Without attributes"]),
        ({"more": "country"}, ["write it as country = SE"]),
        ({"at": "whenever"}, ["Write the time as"]),
    ],
)  # fmt: skip
def test_tester__callers__what_they_get_and_why(
    auditor: Client, fields: dict[str, str], said: list[str]
) -> None:
    rule = {
        "name": "North",
        "variant": "red",
        "conditions": [{"attribute": "country", "operator": "equals", "value": "SE"}],
    }
    variants = [{"name": n, "value": n, "weight": w} for n, w in (("blue", 10_000), ("red", 0))]  # fmt: skip
    flag = make_flag(
        kind="string",
        variants=variants,
        rules=[rule],
        percent="0.01",
        tiers=["pro"],
        target_variant="red",
    )
    text = auditor.post(page(flag, "try"), fields).content.decode()
    for one in said:
        assert one in text


def test_tester__a_time_to_come__the_schedule_counts(auditor: Client) -> None:
    flag = make_flag(percent=0)
    at = timezone.now() + dt.timedelta(hours=2)
    services.schedule(flag, "set_percent", at=at, payload={"percent": "100"}, actor=ADA)
    now = auditor.post(page(flag, "try"), {"user": "ann"}).content.decode()
    then = auditor.post(page(flag, "try"), {"user": "ann", "at": soon(3)})
    assert "Nothing matched." in now
    assert "On for 100 %." in then.content.decode()
