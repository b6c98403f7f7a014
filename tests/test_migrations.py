"""Migrations leave the version before working, and lock no table that grows for long."""

from typing import Any

import pytest
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
)
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from valuecanvas.upgrade.risks import Risks

OURS = ("core", "backups", "billing", "flags", "llm", "prompts")
# 2026-11-29: they landed before the first release, so no installation ran the version
# before them. Nothing is added here: a new migration avoids the risk, or says in
# `safe_because` why it is none.
BEFORE_THE_FIRST_RELEASE = {
    ("billing", "0004_ledger_health"),
    ("billing", "0006_idempotency_and_savings"),
    ("billing", "0007_prompts_and_flags"),
    ("billing", "0010_tier_hits_take_quota"),
    ("billing", "0014_cache_policy"),
    ("billing", "0015_api_key_issuer"),
    ("flags", "0002_variants_rules_schedules"),
    ("llm", "0004_response_cache"),
    ("llm", "0010_models_takes"),
    ("llm", "0011_cache_policy"),
    ("prompts", "0006_cache_policy"),
}
# One whose table grows with traffic, and one of configuration.
GROWS = ("llm", "attempt")
SMALL = ("llm", "model")


def test_migrations__each_of_ours__is_safe_while_the_version_before_serves() -> None:
    loader = MigrationLoader(None)
    found = {}
    for key, migration in loader.graph.nodes.items():
        if key[0] in OURS:
            before = loader.project_state(key, at_end=False)
            found[key] = Risks(before).find(migration)
    risky = {key: risks for key, risks in found.items() if risks}
    assert {
        key: risks
        for key, risks in risky.items()
        if key not in BEFORE_THE_FIRST_RELEASE
    } == {}
    assert risky.keys() == BEFORE_THE_FIRST_RELEASE


def risks_of(
    *made: Operation, table: tuple[str, str] = GROWS, safe_because: str = ""
) -> list[str]:
    """What is found in a migration of these operations on an existing table."""
    state = ProjectState()
    fields: list[tuple[str, Any]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("text", models.CharField(max_length=10)),
        ("price", models.DecimalField(max_digits=9, decimal_places=2)),
        ("note", models.TextField(null=True)),
    ]
    state.add_model(ModelState(*table, fields=fields))
    migration = type(
        "Migration",
        (Migration,),
        {"operations": list(made), "safe_because": safe_because},
    )
    return Risks(state).find(migration("9999", table[0]))


def add(field: Any) -> Operation:
    return operations.AddField(GROWS[1], "new", field)


def alter(name: str, field: Any) -> Operation:
    return operations.AlterField(GROWS[1], name, field)


INDEX = models.Index(fields=["text"], name="by_text")
CHECK = models.CheckConstraint(condition=models.Q(text="a"), name="only_a")
UNIQUE = models.UniqueConstraint(fields=["text"], name="once")


@pytest.mark.parametrize(
    ("operation", "risk"),
    [
        (add(models.TextField(default="")), "inserts no value"),
        (add(models.TextField(null=True, unique=True)), "new is indexed"),
        (alter("note", models.TextField(default="")), "NOT NULL"),
        (alter("text", models.CharField(max_length=5)), "changes the type"),
        (alter("text", models.IntegerField()), "changes the type"),
        (alter("text", models.CharField(max_length=10, db_column="t")), "renames"),
        (alter("text", models.CharField(max_length=10, db_index=True)), "is indexed"),
        (
            alter("price", models.DecimalField(max_digits=9, decimal_places=3)),
            "changes the type",
        ),
        (operations.RemoveField("attempt", "text"), "removes a column"),
        (operations.RenameField("attempt", "text", "t"), "renames a column"),
        (operations.DeleteModel("attempt"), "removes a table"),
        (operations.RenameModel("attempt", "trial"), "renames a table"),
        (operations.AlterModelTable("attempt", "trial"), "renames a table"),
        (operations.AddIndex("attempt", INDEX), "use AddIndexConcurrently"),
        (operations.AddConstraint("attempt", CHECK), "for a CHECK use"),
        (operations.AddConstraint("attempt", UNIQUE), "once is checked"),
        (operations.RunPython(lambda apps, editor: None), "cannot be taken back"),
        (operations.RunSQL("ALTER TABLE llm_attempt SET LOGGED", ""), "ALTER TABLE"),
        (operations.RunSQL(["CREATE INDEX a ON b (c)"], ""), "CREATE INDEX"),
        (
            operations.SeparateDatabaseAndState(
                [operations.RemoveField("attempt", "text")], []
            ),
            "removes a column",
        ),
    ],
)
def test_risks__of_an_operation_that_harms_who_serves__are_named(
    operation: Operation, risk: str
) -> None:
    assert any(risk in one for one in risks_of(operation))
    assert risks_of(operation, safe_because="Nobody reads it since 0.3.") == []


@pytest.mark.parametrize(
    "operation",
    [
        add(models.TextField(null=True)),
        add(models.TextField(db_default="")),
        add(models.ManyToManyField("llm.Attempt")),
        alter("text", models.CharField(max_length=20)),
        alter("text", models.TextField()),
        alter("text", models.CharField(max_length=10, null=True)),
        alter("price", models.DecimalField(max_digits=12, decimal_places=2)),
        AddIndexConcurrently("attempt", INDEX),
        AddConstraintNotValid("attempt", CHECK),
        operations.RunPython(lambda apps, editor: None, operations.RunPython.noop),
        operations.RunSQL("CREATE INDEX CONCURRENTLY a ON b (c)", ""),
        operations.CreateModel(
            "Other", [("id", models.BigAutoField(primary_key=True))]
        ),
    ],
)
def test_risks__of_an_operation_that_harms_nobody__are_none(
    operation: Operation,
) -> None:
    assert risks_of(operation) == []


def test_risks__of_an_index_on_configuration__are_none() -> None:
    assert risks_of(operations.AddIndex("model", INDEX), table=SMALL) == []


def test_risks__of_what_is_done_to_a_table_just_created__are_none() -> None:
    created = operations.CreateModel(
        "Other",
        [("id", models.BigAutoField(primary_key=True)), ("text", models.TextField())],
    )
    assert risks_of(created, operations.AddIndex("other", INDEX)) == []
