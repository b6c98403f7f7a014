"""A database that the version before has made is brought up to date, with its rows."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.fixtures_billing import unique

ROOT = Path(__file__).resolve().parents[3]
# The last migrations of the version whose modules had other names and places.
MAKE = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
LAST = [
    ("billing", "0015_api_key_issuer"),
    ("core", "0004_login_failures"),
    ("flags", "0007_refuse_truncate"),
    ("llm", "0012_share_answers"),
    ("prompts", "0007_share_answers"),
]
executor = MigrationExecutor(connection)
others = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in dict(LAST)]
apps = executor.migrate(LAST + others).apps
model = apps.get_model
tier = model("billing", "Tier").objects.create(key="old", name="Old", daily_requests=7)
customer = model("billing", "Customer").objects.create(user_id="ann", tier=tier)
provider = model("llm", "Provider").objects.create(
    key="old", name="Old", kind="compatible", base_url="http://127.0.0.1:9/v1"
)
served = model("llm", "Model").objects.create(name="old")
model("llm", "Route").objects.create(model=served, provider=provider, upstream_model="m")
usage = model("billing", "Usage")
first, second = "0193b76e-0000-7000-8000-000000000001", "0193b76e-0000-7000-8000-000000000002"
for number, corrects in ((first, None), (second, first)):
    usage.objects.create(
        id=number, user_id="ann", customer_id=customer.pk, model="old", endpoint="chat", epoch=1,
        source="provider", day="2024-12-12", created_at="2024-12-12T00:00Z", corrects=corrects,
    )
model("prompts", "Prompt").objects.create(key="old")
model("flags", "Flag").objects.create(name="old", percent=30)
"""
READ = """
import json
from django_celery_beat.models import PeriodicTask
from django.db import connection
from billing.models import CorrectedRequest, Customer, Request, Usage
from flags.models import Flag
from llm.models import Route
from prompts.models import Prompt
from valuecanvas.celery import app
from valuecanvas.core.ids import uuid7
app.loader.import_default_modules()
new = Usage.objects.get(corrects=None)
new.pk = uuid7()
new.save(force_insert=True)
customer, route = Customer.objects.get(), Route.objects.get()
flag = Flag.objects.get(name="old")
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM llm_usage_history")
    old = cursor.fetchone()[0]
print(json.dumps({
    "customer": [customer.user_id, customer.tier.key, customer.tier.daily_requests],
    "route": [route.model.name, route.provider.key, route.upstream_model],
    "ledger": [old, Usage.objects.count(), Request.objects.count()],
    "corrected": str(CorrectedRequest.objects.get()),
    "prompt": Prompt.objects.get().key,
    "flag": [flag.name, int(flag.percent)],
    "unknown tasks": sorted(
        set(PeriodicTask.objects.values_list("task", flat=True)) - set(app.tasks)
    ),
}))
"""


@pytest.fixture
def database(django_db_setup: None) -> Iterator[str]:
    """The URL of an empty database on the server of the tests."""
    url, name = urlsplit(os.environ["DATABASE_URL"]), unique("old")
    with psycopg.connect(url.geturl(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield url._replace(path=f"/{name}").geturl()
        connection.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        )


def manage(database: str, *arguments: str) -> str:
    """What the command printed."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def test_migrate__a_database_of_the_version_before__keeps_its_rows(
    database: str,
) -> None:
    manage(database, "shell", "--no-imports", "--command", MAKE)
    manage(database, "migrate", "--verbosity", "0")
    manage(database, "migrate", "--check")
    told = manage(database, "shell", "--no-imports", "--command", READ)
    assert json.loads(told.splitlines()[-1]) == {
        "customer": ["ann", "old", 7],
        "route": ["old", "old", "m"],
        # The upgrade leaves a month or two for the new row among the old ones.
        "ledger": [3, 3, 3],
        "corrected": "0193b76e-0000-7000-8000-000000000001",
        "prompt": "old",
        "flag": ["old", 30],
        "unknown tasks": [],
    }
