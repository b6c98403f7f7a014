"""Exposures are added up by the hour, and forgotten after 90 days."""

import datetime as dt

import pytest
from django.utils import timezone

from flags import exposure
from flags.exposure import ExposureKey
from flags.models import Exposure
from flags.tasks import purge

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 11, 23, 12, 10, tzinfo=dt.UTC)


def test_add__twice_in_an_hour__is_one_row_with_the_sum() -> None:
    exposure.add({ExposureKey("a", "on"): 2, ExposureKey("a", "off"): 1}, NOON)
    exposure.add({ExposureKey("a", "on"): 3}, NOON + dt.timedelta(minutes=40))
    exposure.add({ExposureKey("a", "on"): 5}, NOON + dt.timedelta(minutes=50))
    rows = Exposure.objects.order_by("hour", "variant")
    found = [(row.variant, row.hour.hour, row.count) for row in rows]
    assert found == [("off", 12, 1), ("on", 12, 5), ("on", 13, 5)]
    assert str(rows[0]) == "a off: 1"
    last = NOON + dt.timedelta(minutes=50)
    assert exposure.last_seen(["a", "b"]) == {"a": last}


def test_purge__older_than_90_days__is_gone() -> None:
    now = timezone.now()
    exposure.add({ExposureKey("a", "on"): 1}, now - dt.timedelta(days=91))
    exposure.add({ExposureKey("b", "on"): 1}, now)
    assert purge() == 1
    assert [row.flag for row in Exposure.objects.all()] == ["b"]
