"""S14: whoever changes a row, by whatever way, is in the audit with before and after."""

from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from waffle.models import Switch

import manage
from billing.models import Budget, Customer, Price, Tier
from llm.models import Route
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
    make_tier,
)
from tests.prompts.api.conftest import key_client
from valuecanvas.celery import app
from valuecanvas.core.audit import audit_context
from valuecanvas.core.audit.audit_context import use_actor
from valuecanvas.core.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(db: None) -> Client:
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.force_login(User.objects.create_superuser("boss"))
    return client


def latest(kind: str, **fields: object) -> AuditEntry:
    return AuditEntry.objects.filter(kind=kind, **fields).latest("id")


def test_change__by_an_admin_form__has_actor_address_request_and_values(boss: Client):
    tier = make_tier("pro", daily_requests=10)
    sent = {"name": "Pro", "daily_requests": 20, "max_output_tokens": 1024, "hits_take_quota": "on"}  # fmt: skip
    answer = boss.post("/admin/billing/tier/pro/change/", sent)
    assert answer.status_code == 302
    entry = latest("billing.tier")
    assert (entry.action, entry.object_id, entry.label) == ("changed", tier.pk, "Pro")
    assert (entry.actor, entry.actor_kind) == ("boss", "person")
    assert entry.address == "192.0.2.7"
    assert len(entry.request_id) == 36
    assert (entry.before, entry.after) == (
        {"daily_requests": 10},
        {"daily_requests": 20},
    )


def test_change__by_an_admin_page_that_asks_why__has_the_reason(boss: Client):
    customer = make_customer("anna")
    boss.post(f"/admin/billing/customer/{customer.pk}/suspend/", {"reason": "unpaid"})
    entry = latest("billing.customer", action="changed")
    assert (entry.actor, entry.reason, entry.after) == ("boss", "unpaid", {"suspended": True})  # fmt: skip


def test_change__by_an_admin_action__names_each_row(boss: Client):
    prices = [make_price("p", "a"), make_price("p", "b")]
    sent = {"action": "delete_selected", "_selected_action": [p.pk for p in prices], "post": "yes"}  # fmt: skip
    boss.post("/admin/billing/price/", sent)
    found = AuditEntry.objects.filter(kind="billing.price", action="deleted")
    assert {e.object_id for e in found} == {str(p.pk) for p in prices}
    assert {e.actor for e in found} == {"boss"}


def test_change__by_an_inline__is_of_its_own_row(boss: Client):
    model = make_model()
    provider = make_provider()
    page = boss.get(f"/admin/llm/model/{model.pk}/change/")
    form = page.context["adminform"].form
    sent = {one.html_name: one.value() for one in form if one.value() is not None}
    sent |= {
        "routes-TOTAL_FORMS": 1, "routes-INITIAL_FORMS": 0,
        "routes-0-provider": provider.pk, "routes-0-upstream_model": "up",
        "routes-0-priority": 1, "routes-0-weight": 7, "routes-0-enabled": "on",
        "routes-0-model": model.pk,
    }  # fmt: skip
    boss.post(f"/admin/llm/model/{model.pk}/change/", sent)
    entry = latest("llm.route")
    assert entry.label == f"{model.pk} {provider.pk} up"
    assert (entry.actor, entry.before, entry.after["weight"]) == ("boss", None, 7)


def test_change__over_the_api__names_the_key_and_its_issuer():
    make_customer("anna", tier=make_tier("free"))
    caller = key_client("admin")
    User.objects.create_superuser("ines")
    type(caller.key).objects.filter(pk=caller.key.pk).update(issuer="ines")
    answer = caller.patch("/api/customers/anna", {"suspended": True}, format="json")
    assert answer.status_code == 200
    entry = latest("billing.customer", action="changed")
    assert (entry.actor, entry.actor_kind) == (f"key vc-{caller.key.pk} of ines", "key")


def test_change__by_a_command__names_it_and_the_account(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(
        "sys.argv", ["manage.py", "waffle_switch", "beta", "on", "--create"]
    )
    # Without the end of a process, which closes the test's connection.
    monkeypatch.setattr(
        manage, "execute_from_command_line", lambda a: call_command(*a[1:])
    )
    manage.main()
    entry = latest("waffle.switch")
    assert (entry.actor, entry.actor_kind) == ("command waffle_switch", "command")
    assert "@" in entry.address


def test_change__by_an_import__has_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "tiers.yaml").write_text("- {key: new, name: New, daily_requests: 3}\n")
    audit_context.name_process("command import_config", audit_context.ActorKind.COMMAND)
    call_command("import_config", tmp_path, reason="ticket 7", verbosity=0)
    entry = latest("billing.tier")
    assert (entry.action, entry.reason) == ("created", "ticket 7")
    assert entry.actor == "command import_config"


def test_change__by_a_queryset__is_recorded():
    price = make_price("p", "m")
    Price.objects.filter(pk=price.pk).update(input_usd=2)
    entry = latest("billing.price")
    assert (entry.before, entry.after) == ({"input_usd": 1}, {"input_usd": 2})


def test_change__in_bulk__is_recorded():
    Tier.objects.bulk_create([Tier(key=k, name=k, daily_requests=1) for k in "ab"])
    assert AuditEntry.objects.filter(kind="billing.tier", action="created").count() == 2


def test_change__by_raw_sql__names_the_user_of_the_database():
    budget = make_budget()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_budget SET limit_usd = 999")
    entry = latest("billing.budget")
    assert entry.object_id == str(budget.pk)
    assert (entry.actor_kind, entry.after) == ("system", {"limit_usd": 999})
    assert entry.actor.startswith("database user")


@pytest.mark.parametrize(
    "statement",
    [
        "/* why */ UPDATE billing_tier SET name = 'x'",
        "-- why\nUPDATE billing_tier SET name = 'x'",
        "DO $$ BEGIN UPDATE billing_tier SET name = 'x'; END $$",
    ],
)
def test_change__by_a_statement_of_another_form__names_no_earlier_actor(
    statement: str,
):
    tier = make_tier("gold")
    with use_actor("alice", "person"):
        tier.daily_requests = 7
        tier.save()
    with connection.cursor() as cursor:
        cursor.execute(statement)
    assert latest("billing.tier").actor.startswith("database user")


def test_truncate__of_an_audited_table__is_recorded():
    Switch.objects.create(name="one")
    with use_actor("alice", "person"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE waffle_switch, feature_flags_users")
    found = AuditEntry.objects.filter(action="emptied").order_by("label")
    assert list(found.values_list("actor", "kind", "label")) == [
        ("alice", "flags.flag", "feature_flags_users"),
        ("alice", "waffle.switch", "waffle_switch"),
    ]


def test_change__by_a_cascade__is_of_each_row():
    route = make_route()
    model = route.model
    name = model.pk
    model.delete()
    assert latest("llm.route").action == "deleted"
    assert latest("llm.model").object_id == name
    assert not Route.objects.filter(pk=route.pk).exists()


def test_change__by_a_task__names_it():
    def act() -> None:
        Switch.objects.create(name="made by a task")

    task = app.task(name="tests.audit_task")(act)

    try:
        task.apply()
    finally:
        app.tasks.pop("tests.audit_task")
    entry = latest("waffle.switch")
    assert (entry.actor, entry.actor_kind) == ("task tests.audit_task", "task")


def test_change__of_rights__says_which(boss: Client):
    user, group = User.objects.create_user("bob"), Group.objects.create(name="Ops")
    user.groups.add(group)
    entry = latest("auth.user", action="added")
    assert (entry.object_id, entry.label, entry.after) == (str(user.pk), "bob", {"groups": "Ops"})  # fmt: skip
    group.delete()
    assert latest("auth.user", action="removed").before == {"groups": "Ops"}


def test_change__of_a_secret__shows_no_value():
    user = User.objects.create_user("bob", password="first secret")
    user.set_password("second secret")
    user.save()
    entry = latest("auth.user")
    assert (entry.before, entry.after) == ({"password": "***"}, {"password": "***"})
    _, text = make_api_key(name="canary")
    entry = latest("billing.apikey")
    assert entry.after["digest"] == "***"
    assert text not in str(entry.after)


def test_customers__first_seen_by_traffic__are_not_recorded():
    make_customer("seen")
    assert not AuditEntry.objects.filter(kind="billing.customer").exists()
    Customer.objects.update(suspended=True)
    assert latest("billing.customer").action == "changed"


def test_requests__one_after_the_other_on_one_connection__keep_their_actors(
    boss: Client,
):
    other = Client()
    other.force_login(User.objects.create_superuser("olga"))
    budget = make_budget()
    for client, limit in ((boss, 7), (other, 2), (boss, 3)):
        page = client.get(f"/admin/billing/budget/{budget.pk}/change/")
        form = page.context["adminform"].form
        sent = {one.html_name: one.value() for one in form if one.value() not in (None, False)}  # fmt: skip
        sent |= {"limit_usd": limit, "thresholds": "50"}
        client.post(f"/admin/billing/budget/{budget.pk}/change/", sent)
    Budget.objects.update(limit_usd=4)
    found = AuditEntry.objects.filter(kind="billing.budget", action="changed")
    assert [e.actor.split(" ")[0] for e in found.order_by("id") if "limit_usd" in e.after] == [
        "boss", "olga", "boss", "database",
    ]  # fmt: skip
