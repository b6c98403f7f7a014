"""The system check for expired flags, and the flags of the first run."""

import datetime as dt
import io

import pytest
from django.core import checks
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection

from flags import services
from flags.builtin_flags import add_samples, ensure_built_in
from flags.models import Flag
from tests.clock import today
from tests.flags.rows import ADA, ask, make_flag

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


def found():
    tagged = checks.run_checks(tags=["database"], databases=["default"])
    return [one.id for one in tagged if one.id and one.id.startswith("flags.")]


def check(**options):
    call_command("check", stderr=io.StringIO(), stdout=io.StringIO(), **options)


def test_check__flags_of_all_dates__only_past_ones_are_told(settings):
    make_flag("today", expires_on=str(today()))
    make_flag("never")
    services.archive(make_flag("gone", expires_on=str(today() - DAY)), actor=ADA)
    assert found() == []
    make_flag("old", expires_on=str(today() - DAY))
    assert found() == ["flags.W001"]
    check(databases=["default"])
    settings.FLAGS_EXPIRED = "error"
    assert found() == ["flags.E001"]
    with pytest.raises(SystemCheckError, match="'old' expired on"):
        check(databases=["default"])


def test_check__without_a_database__is_not_asked(settings):
    settings.FLAGS_EXPIRED = "error"
    make_flag("old", expires_on=str(today() - DAY))
    check()


def test_check__before_the_migrations__finds_nothing():
    def no_table(execute, sql, params, many, context):
        raise DatabaseError("there is no such column")

    make_flag("old", expires_on=str(today() - DAY))
    with connection.execute_wrapper(no_table):
        assert found() == []


def test_built_in__made_once__on_and_kept():
    assert ensure_built_in() == ["gateway.cache", "gateway.coalescing", "gateway.fallback"]  # fmt: skip
    assert ensure_built_in() == []
    for flag in Flag.objects.all():
        assert ask(flag).value is True
        assert flag.in_gateway
        for act in (services.delete_flag, services.archive):
            with pytest.raises(ValidationError, match="The gateway uses"):
                act(flag, actor=ADA)
        services.kill(flag, actor=ADA)
        assert ask(flag, default=True).value is False


def test_samples__added_once__work():
    add_samples()
    add_samples()
    flag = Flag.objects.get(name="new_canvas_ui")
    share = sum(ask(flag, user=f"u{n}").value for n in range(400)) / 4
    assert 15 < share < 35
    wording = Flag.objects.get(name="canvas_wording")
    assert ask(wording, user="u").value.startswith("Write ")
