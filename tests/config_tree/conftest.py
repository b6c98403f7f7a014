"""A database with rows of every section, and the two commands."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from waffle.models import Sample, Switch

from billing.models import Customer, Tier
from flags import services as flag_services
from flags.builtin_flags import ensure_built_in
from prompts.models import ProtectedLabel
from prompts.services import add_version, edit_prompt
from tests.admin.job_rows import make_recurring
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
    make_team,
    make_tier,
)
from tests.flags.rows import ADA, make_colours, make_flag
from tests.prompts.experiments.rows import HALVES, make_draft
from tests.prompts.rows import ANN, make_prompt, make_user
from tests.tables import empty_tables

Run = Callable[..., str]


def run(*words: object) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out)
    return out.getvalue().strip()


def refused(*words: object) -> str:
    with pytest.raises(CommandError) as caught:
        run(*words)
    return str(caught.value)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def wipe() -> None:
    """Empty all tables, the schedules too; the accounts are made anew."""
    connection.check_constraints()
    empty_tables()
    for model in (
        PeriodicTask,
        IntervalSchedule,
        CrontabSchedule,
        SolarSchedule,
        ClockedSchedule,
    ):
        model.objects.all().delete()
    make_accounts()


def make_accounts() -> None:
    for name in ("ann", "owner"):
        make_user(name)


def make_everything() -> None:
    """Rows of every section, of each field something."""
    make_accounts()
    _people()
    _money()
    _providers()
    _prompts()
    _flags()
    _tasks()


def _people() -> None:
    group = Group.objects.create(name="Publishers")
    group.permissions.set(
        Permission.objects.filter(codename__in=["view_tier", "kill_flag"])
    )
    # They offer each other, as the admin allows.
    pro, free = make_tier("pro", requests_per_minute=60), make_tier("free")
    free.upgrade_to, pro.upgrade_to = pro, free
    free.save()
    pro.save()
    acme = make_team("acme", name="Acme: größe, 'x'\n# no comment")
    make_customer("bob", tier=pro, team=acme, concurrent_requests=3)
    make_customer("bob", tier=free, suspended=True)
    make_customer("nobody special", tier=free, team=acme)


def _money() -> None:
    customer = make_customer("with a budget", tier=make_tier("team"))
    make_budget(limit="1000.5")
    make_budget(make_team("limited"), limit="3", period="month", note="yes")
    make_budget(customer, limit="0.000001", enabled=False)
    make_budget(make_api_key(customer)[0])


def _providers() -> None:
    provider = make_provider("here", api_key_env="OPENAI_API_KEY", api_key="sk-stored")
    model = make_model("big", context_tokens=1000, takes=["text", "schema"])
    make_route(model, provider, weight=0, enabled=False)
    make_price("here", "big", usd="0.15", cached_input_usd=Decimal("0.075"))
    make_price(
        "here", "big", effective_from=datetime(2030, 1, 1, 0, 0, 1, 5, tzinfo=UTC)
    )


def _prompts() -> None:
    owner = User.objects.get(username="owner")
    prompt = make_prompt("one {{x}}", "two", key="tone", production=1, owner=owner)
    make_draft(
        prompt,
        "halves",
        arms=(replace(HALVES[0], weight=9000), replace(HALVES[1], weight=1000)),
        tiers=["pro"],
        conditions=[{"attribute": "n", "operator": "in", "value": [1, 1.0, "x"]}],
        hypothesis="It is\nbetter.",
        alpha=0.01,
    )
    edit_prompt(make_prompt("x", key="gone"), archived=True, actor=ANN)
    add_version(make_prompt(key="talk", kind="chat"), messages=[{"role": "user", "content": "hi"}], actor=ANN)  # fmt: skip
    label = ProtectedLabel.objects.create(name="production", keys_may_move=False)
    label.groups.set(Group.objects.all())


def _flags() -> None:
    ensure_built_in()
    make_flag("base", percent=50)
    make_flag("upper", prerequisites=[{"flag": "base"}], owner="owner", users=["ann"], groups=["Publishers"])  # fmt: skip
    flag_services.kill(make_flag("dead"), actor=ADA)
    flag_services.archive(make_flag("past"), actor=ADA)
    flag = make_colours("colours", blue=5000, red=5000)
    flag_services.set_weights(flag, {"blue": 8000, "red": 2000}, actor=ADA)
    at = timezone.now() + timedelta(days=2)
    flag_services.ramp(make_flag("ramp"), to=100, step=50, every=timedelta(hours=1), start=at, actor=ADA, reason="Trial")  # fmt: skip


def _tasks() -> None:
    Switch.objects.create(name="on", active=True, note="why")
    Sample.objects.create(name="some", percent=Decimal("5.5"))
    sun = SolarSchedule.objects.create(event="sunset", latitude="1.5", longitude="-2")
    at = ClockedSchedule.objects.create(clocked_time=datetime(2031, 1, 1, tzinfo=UTC))
    PeriodicTask.objects.create(name="sun", task="x", solar=sun, queue="q", priority=3)
    PeriodicTask.objects.create(name="once", task="x", clocked=at, one_off=True)
    bob = Customer.objects.get(user_id="bob", suspended=True)
    make_recurring(name="weekly", customer=bob, enabled=False)
    usual = make_customer(
        "of a recurring job", tier=Tier.objects.get(pk=settings.DEFAULT_TIER)
    )
    make_recurring("5 4 * * *", zone="Europe/Berlin", name="daily", customer=usual, callback_url="https://a.example/x")  # fmt: skip


@pytest.fixture
def everything(db: None) -> None:
    make_everything()


@pytest.fixture
def tree(everything: None, tmp_path: Path) -> Path:
    """Its tree."""
    run("export_config", tmp_path / "tree")
    return tmp_path / "tree"
