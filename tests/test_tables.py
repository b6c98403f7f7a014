"""What a test has committed is gone before the next one; what migrations made is not."""

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django_celery_beat.models import PeriodicTask

from billing.models import Tier, Usage
from tests.admin.rows import make_usage
from tests.fixtures_billing import make_budget, make_route, make_tier
from tests.tables import KEPT, empty_tables
from valuecanvas.core.admin.large_table import estimate
from valuecanvas.core.db import epoch

# A flush makes them anew, without those of models that have gone; the audit says so.
MADE_ANEW = {"auth_permission", "core_audit_entry", "django_content_type"}
pytestmark = pytest.mark.django_db(transaction=True)


def rows() -> dict[str, int]:
    models = (one for one in apps.get_models(include_auto_created=True))
    return {one._meta.db_table: one._default_manager.count() for one in models}


def test_empty_tables__rows_of_any_kind__leave_what_a_flush_leaves() -> None:
    make_usage()
    make_budget(None)
    make_route()
    before, tasks = epoch.current(), {*PeriodicTask.objects.values_list("pk", "name")}
    assert rows()["llm_usage"] == 1
    empty_tables()
    found = rows()
    assert {name for name, count in found.items() if count} <= {*KEPT}
    assert epoch.current() == before + 1
    with pytest.raises(epoch.ChangesPurged):
        epoch.changes_since(before)
    assert {*PeriodicTask.objects.values_list("pk", "name")} == tasks
    assert Permission.objects.exists()
    call_command("flush", interactive=False, verbosity=0)
    flushed = rows()
    assert {name for name in found if found[name] != flushed[name]} <= MADE_ANEW


def test_empty_tables__with_statistics__takes_them_too() -> None:
    make_tier()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE billing_tier")
    assert estimate("billing_tier") == 1
    empty_tables()
    assert not Tier.objects.exists()
    assert not Usage.objects.exists()
    assert estimate("billing_tier") < 1
