"""What migrations made survives a flush, and so every test that empties the tables."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_celery_beat.models import PeriodicTask

from billing.models import Tier
from tests.fixtures_billing import make_tier, unique
from valuecanvas.core.db import epoch

pytestmark = pytest.mark.django_db(transaction=True)


def flush() -> None:
    call_command("flush", interactive=False, verbosity=0)


def test_flush__configuration__goes_and_moves_the_epoch_on() -> None:
    make_tier()
    before = epoch.current()
    flush()
    assert not Tier.objects.exists()
    assert epoch.current() == before + 1
    with pytest.raises(epoch.ChangesPurged):
        epoch.changes_since(before)


def test_flush__schedules__stay_as_they_were() -> None:
    before = {*PeriodicTask.objects.values_list("pk", "name", "interval", "crontab")}
    assert "Billing: end abandoned reservations" in {row[1] for row in before}
    flush()
    after = {*PeriodicTask.objects.values_list("pk", "name", "interval", "crontab")}
    assert after == before
    PeriodicTask.objects.create(name="another", task="x", interval_id=1)
    PeriodicTask.objects.get(name="another").delete()


def test_flush__by_who_may_not_lift_the_guards_of_the_books__says_so() -> None:
    make_tier()
    with connection.cursor() as cursor:
        role = unique("plain").replace("-", "_")
        cursor.execute(f"CREATE ROLE {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; SET ROLE {role}")  # fmt: skip
        try:
            with pytest.raises(CommandError, match="only a superuser of the database"):
                flush()
        finally:
            cursor.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    assert Tier.objects.exists()
