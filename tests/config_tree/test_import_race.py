"""Somebody else changes the configuration while an import runs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from billing.models import Team, Tier
from tests.collision import faster
from tests.config_tree.conftest import refused, run
from tests.fixtures_billing import make_customer, make_team, make_tier

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tier with other limits than in the database, and a new team."""
    make_tier("pro", daily_requests=500)
    (tmp_path / "tiers.yaml").write_text("[{key: pro, name: Pro, daily_requests: 600}]")
    (tmp_path / "teams.yaml").write_text("[{key: new, name: New}]")
    return tmp_path


def test_import__while_a_row_is_edited__compares_with_the_edit(tree: Path) -> None:
    with faster(lambda: Tier.objects.update(daily_requests=700)):
        told = run("import_config", tree)

    assert told.splitlines()[0] == "~ tier pro: daily_requests 700 -> 600"
    assert Tier.objects.get().daily_requests == 600


def test_import__while_another_runs__finds_nothing_to_change(tree: Path) -> None:
    with faster(lambda: run("import_config", tree)):
        told = run("import_config", tree)

    assert told == "Imported 2 rows: 0 created, 0 changed, 2 as they were."


def test_import__while_a_row_of_its_own_is_added__leaves_nothing(tree: Path) -> None:
    with faster(lambda: make_team("new", name="By hand")):
        error = refused("import_config", tree)

    assert error.startswith("Nothing is imported, since the database refused it.")
    assert error.endswith("run it again.")
    assert Tier.objects.get().daily_requests == 500
    assert Team.objects.get().name == "By hand"
    assert not LogEntry.objects.exists()


def test_export__while_rows_are_added__is_of_one_moment(tmp_path: Path) -> None:
    """The tiers are read before the customers: one of a new tier would miss it."""
    make_tier("old")

    def add(execute: Any, sql: str, *rest: Any) -> Any:
        if 'FROM "billing_customer"' in sql and not Tier.objects.filter(pk="new"):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(elsewhere).result()
        return execute(sql, *rest)

    def elsewhere() -> None:
        make_customer("late", tier=make_tier("new"))
        connection.close()

    with connection.execute_wrapper(add):
        run("export_config", tmp_path)

    assert Tier.objects.count() == 2
    assert (tmp_path / "customers.yaml").read_text() == "[]\n"
    run("export_config", tmp_path)
    assert "late" in (tmp_path / "customers.yaml").read_text()
