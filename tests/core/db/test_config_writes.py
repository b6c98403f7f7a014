"""Every way of writing configuration moves the epoch, in the same transaction."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import IntegrityError, NotSupportedError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from billing.models import Budget, Customer, Price, Team, Tier
from llm.models import BreakerOverride, Model, Provider, Route
from prompts.models import Label, Prompt, PromptVersion, Rollout
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
    make_team,
    make_tier,
)
from valuecanvas.core.db import epoch
from valuecanvas.core.db.epoch import ConfigChange
from valuecanvas.core.models import Change, Epoch

pytestmark = pytest.mark.django_db
Write = Callable[[], object]


def changed_by(write: Write) -> list[ConfigChange]:
    """The changes that `write` recorded, in order of name."""
    before = epoch.current()
    write()
    _, changes = epoch.changes_since(before)
    return sorted(changes, key=lambda one: (one.kind, one.key))


def tiers(*keys: str) -> list[ConfigChange]:
    return [ConfigChange("tier", key) for key in keys]


def make_override(provider: Provider) -> BreakerOverride:
    return BreakerOverride.objects.create(
        provider=provider,
        state="forced_open",
        reason="a test",
        expires_at=timezone.now() + dt.timedelta(hours=1),
    )


WRITES: dict[str, Write] = {
    "create": lambda: Tier.objects.create(key="d", name="D", daily_requests=1),
    "save_new": lambda: Tier(key="d", name="D", daily_requests=1).save(),
    "save": lambda: Tier.objects.get(key="c").save(),
    "save_fields": lambda: Tier.objects.get(key="c").save(update_fields=["name"]),
    "delete": lambda: Tier.objects.get(key="c").delete(),
    "update": lambda: Tier.objects.filter(key="c").update(name="D"),
    "queryset_delete": lambda: Tier.objects.filter(key="c").delete(),
    "bulk_create": lambda: Tier.objects.bulk_create(
        [Tier(key="c", name="D", daily_requests=2)],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["name"],
    ),
    "bulk_update": lambda: Tier.objects.bulk_update(
        [Tier.objects.get(key="c")], ["name"]
    ),
    "get_or_create": lambda: Tier.objects.get_or_create(
        key="d", defaults={"name": "D", "daily_requests": 1}
    ),
    "update_or_create": lambda: Tier.objects.update_or_create(
        key="c", defaults={"name": "E"}
    ),
}


@pytest.mark.parametrize("way", WRITES)
def test_write__whichever_way__moves_the_epoch_and_names_the_row(way: str) -> None:
    make_tier("c")
    new = way in ("create", "save_new", "get_or_create")
    assert changed_by(WRITES[way]) == tiers("d" if new else "c")


@pytest.mark.parametrize("way", WRITES)
def test_write__rolled_back__leaves_the_epoch_where_it_was(way: str) -> None:
    make_tier("c")
    before, rows = epoch.current(), Change.objects.count()
    with transaction.atomic():
        WRITES[way]()
        assert epoch.current() > before
        transaction.set_rollback(True)
    assert epoch.current() == before
    assert Change.objects.count() == rows
    assert Tier.objects.get().name == "C"


def test_write__refused_by_the_database__leaves_the_epoch_where_it_was() -> None:
    make_price("p", "m")
    before = epoch.current()
    with pytest.raises(IntegrityError):
        make_price("p", "m")
    assert epoch.current() == before


@pytest.mark.parametrize(
    "read",
    [
        lambda: Tier.objects.get_or_create(key="c"),
        lambda: Tier.objects.filter(key="x").update(name="D"),
        lambda: Tier.objects.filter(key="x").delete(),
        lambda: Tier.objects.bulk_create([]),
        lambda: Tier.objects.in_bulk(["c"]),
    ],
)
def test_write__that_touches_nothing__leaves_the_epoch(read: Write) -> None:
    make_tier("c")
    assert changed_by(read) == []


def test_update__many_rows__is_one_step_that_names_each() -> None:
    for key in "abc":
        make_tier(key)
    before = epoch.current()
    assert changed_by(lambda: Tier.objects.update(name="x")) == tiers("a", "b", "c")
    assert epoch.current() == before + 1


def test_update__rows_that_no_longer_match_after_it__are_named() -> None:
    make_tier("a", daily_requests=5)
    rows = Tier.objects.filter(daily_requests=5)
    assert changed_by(lambda: rows.update(daily_requests=6)) == tiers("a")


def test_bulk_create__keys_given_by_the_database__are_named() -> None:
    route = make_route()
    made: list[Route] = []

    def write() -> None:
        made.extend(
            Route.objects.bulk_create(
                [
                    Route(model=route.model, provider=route.provider, upstream_model=x)
                    for x in "xy"
                ]
            )
        )

    assert changed_by(write) == sorted(
        (ConfigChange("route", str(one.pk)) for one in made), key=lambda one: one.key
    )


def test_bulk_create__keys_unknown_afterwards__is_refused_and_writes_nothing() -> None:
    model, provider = make_model(), make_provider()
    row = Route(model=model, provider=provider, upstream_model="x")
    before = epoch.current()
    with pytest.raises(NotSupportedError), transaction.atomic():
        Route.objects.bulk_create([row], ignore_conflicts=True)
    assert not Route.objects.exists()
    assert epoch.current() == before


def test_delete__model_with_routes__names_the_routes_too() -> None:
    routes = [make_route()]
    routes.append(make_route(routes[0].model, make_provider()))
    gone = [ConfigChange("model", routes[0].model_id)]
    gone += sorted(
        (ConfigChange("route", str(x.pk)) for x in routes), key=lambda x: x.key
    )
    assert changed_by(routes[0].model.delete) == gone


def test_delete__models_of_a_query__names_their_routes_too() -> None:
    route = make_route()
    rows = Model.objects.filter(pk=route.model_id)
    assert changed_by(rows.delete) == [
        ConfigChange("model", route.model_id),
        ConfigChange("route", str(route.pk)),
    ]


def test_delete__provider_with_an_override__names_it_too() -> None:
    provider = make_provider("p")
    override = make_override(provider)
    assert changed_by(provider.delete) == [
        ConfigChange("breaker_override", str(override.pk)),
        ConfigChange("provider", "p"),
    ]


def test_delete__team_with_a_budget__names_it_too() -> None:
    team = make_team()
    budget = make_budget(team)
    assert changed_by(Team.objects.filter(pk=team.pk).delete) == [
        ConfigChange("budget", str(budget.pk)),
        ConfigChange("team", team.key),
    ]


def test_delete__key_with_a_budget_and_a_successor__names_them_too() -> None:
    key, _ = make_api_key()
    new, _ = make_api_key(key.customer)
    type(key).objects.filter(pk=new.pk).update(replaces=key)
    budget = make_budget(key)
    assert {(one.kind, one.key) for one in changed_by(key.delete)} == {
        ("api_key", budget.scope_id),
        ("api_key", new.prefix),
        ("budget", str(budget.pk)),
    }
    assert not Budget.objects.exists()


def test_delete__tier_that_others_lead_to__names_those_that_lose_it() -> None:
    pro = make_tier("pro")
    make_tier("free", upgrade_to=pro)
    assert changed_by(pro.delete) == tiers("free", "pro")
    assert Tier.objects.get().upgrade_to_id is None


def test_delete__tier_with_customers__is_refused_and_leaves_the_epoch() -> None:
    customer = make_customer()
    before = epoch.current()
    with pytest.raises(ProtectedError):
        customer.tier.delete()
    with pytest.raises(ProtectedError):
        Tier.objects.all().delete()
    assert epoch.current() == before
    assert Customer.objects.exists()


def test_bump__in_a_transaction__keeps_the_others_waiting_in_order() -> None:
    before = epoch.current()
    epoch.bump("tier", ["a", 7])
    epoch.bump("price", [])
    now, changes = epoch.changes_since(before)
    assert now == before + 1
    assert {(one.kind, one.key) for one in changes} == {("tier", "a"), ("tier", "7")}


def test_single_bump__around_many_changes__bumps_once_for_all() -> None:
    before = epoch.current()
    with transaction.atomic(), epoch.single_bump():
        make_tier("a").save()
        epoch.bump("team", ["t"])
        assert epoch.current() == before
    assert epoch.changes_since(before) == (
        before + 1,
        [ConfigChange("tier", "a"), ConfigChange("team", "t")],
    )
    make_tier("b")
    assert epoch.changes_since(before + 1) == (before + 2, tiers("b"))


def test_single_bump__without_changes_or_with_a_failure__bumps_nothing() -> None:
    before = epoch.current()
    with epoch.single_bump():
        pass
    with pytest.raises(ZeroDivisionError), epoch.single_bump():
        epoch.bump("tier", ["a"])
        raise ZeroDivisionError
    assert epoch.current() == before


def test_changes_since__rows_purged__says_that_they_are_forgotten() -> None:
    before = epoch.current()
    make_tier("a")
    make_tier("b")
    Change.objects.filter(key="a").delete()
    with pytest.raises(epoch.ChangesPurged):
        epoch.changes_since(before)
    assert epoch.changes_since(before + 1) == (before + 2, tiers("b"))


def test_changes_since__database_restored_to_an_earlier_epoch__is_forgotten() -> None:
    with pytest.raises(epoch.ChangesPurged):
        epoch.changes_since(epoch.current() + 1)


def test_epoch__second_row__is_refused() -> None:
    with pytest.raises(IntegrityError):
        Epoch.objects.create(id=2, value=1)


def test_names__rows_of_the_epoch__read_as_they_are() -> None:
    make_tier("a")
    change = Change.objects.latest("pk")
    assert str(change) == f"{epoch.current()} tier a"
    assert str(Epoch.objects.get()) == str(epoch.current())


def test_update__returns_as_django_does__the_number_of_rows() -> None:
    make_tier("a")
    make_price("p", "m")
    assert Tier.objects.update(name="x") == 1
    assert Price.objects.update(input_usd=Decimal(2)) == 1
    assert Tier.objects.all().delete() == (1, {"billing.Tier": 1})
    assert Price.objects.get().delete() == (1, {"billing.Price": 1})


def a_version() -> PromptVersion:
    prompt = Prompt.objects.create(key="some.prompt")
    return PromptVersion.objects.create(prompt=prompt, number=1, template="Hello")


PART_WRITES: dict[str, Callable[[PromptVersion], object]] = {
    "create": lambda one: Label.objects.create(
        prompt=one.prompt, name="production", version=one
    ),
    "bulk_create": lambda one: Label.objects.bulk_create(
        [
            Label(prompt=one.prompt, name=name, version=one)
            for name in ("production", "staging")
        ]
    ),
    "update": lambda one: Rollout.objects.filter(version=one).update(share=7),
    "delete": lambda one: Rollout.objects.get(version=one).delete(),
}


@pytest.mark.parametrize("kind", PART_WRITES)
def test_part__written__names_its_whole(kind: str) -> None:
    version = a_version()
    Rollout.objects.create(prompt=version.prompt, version=version, share=5)
    found = changed_by(lambda: PART_WRITES[kind](version))
    assert found == [ConfigChange("prompt", str(version.prompt_id))]
