"""The workers know every task, and every task has its schedule."""

import importlib

import pytest
from django.apps import apps
from django.conf import settings
from django_celery_beat.models import PeriodicTask

from valuecanvas.celery import app

schedules = importlib.import_module("billing.migrations.0002_schedules")


def test_app__settings__are_djangos() -> None:
    assert app.main == "valuecanvas"
    assert app.conf.broker_url == settings.CELERY_BROKER_URL
    assert app.conf.task_acks_late is True
    assert app.conf.accept_content == ["json"]
    # So that no start of a worker needs arguments.
    assert (app.conf.worker_pool, app.conf.worker_concurrency) == ("threads", 4)


def test_app__tasks__are_found() -> None:
    app.loader.import_default_modules()
    assert {"billing.reap", "billing.purge"} <= set(app.tasks)


@pytest.mark.django_db
def test_schedules__added_twice_and_removed__keep_what_an_operator_changed() -> None:
    rows = PeriodicTask.objects.filter(name__in=[schedules.REAP, schedules.PURGE])
    schedules.remove(apps, None)
    assert not rows.exists()
    schedules.add(apps, None)
    PeriodicTask.objects.filter(name=schedules.REAP).update(enabled=False)
    schedules.add(apps, None)
    assert {(row.task, row.enabled) for row in rows.all()} == {
        ("billing.reap", False),
        ("billing.purge", True),
    }
