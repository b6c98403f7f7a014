"""What migrations made survives a flush, and so every test that empties the tables."""

import pytest
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask

from billing.models import Tier
from tests.fixtures_billing import make_tier
from valuecanvas.core import epoch

pytestmark = pytest.mark.django_db(transaction=True)


def flush() -> None:
    call_command("flush", interactive=False, verbosity=0)


def test_flush__configuration__goes_and_moves_the_epoch_on() -> None:
    make_tier()
    before = epoch.current()
    flush()
    assert not Tier.objects.exists()
    assert epoch.current() == before + 1
    with pytest.raises(epoch.Forgotten):
        epoch.changes_since(before)


def test_flush__schedules__stay_as_they_were() -> None:
    before = {*PeriodicTask.objects.values_list("pk", "name", "interval", "crontab")}
    assert "Billing: end abandoned reservations" in {row[1] for row in before}
    flush()
    after = {*PeriodicTask.objects.values_list("pk", "name", "interval", "crontab")}
    assert after == before
    PeriodicTask.objects.create(name="another", task="x", interval_id=1)
    PeriodicTask.objects.get(name="another").delete()
