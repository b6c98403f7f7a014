"""The configuration as one value: read once, then brought up to date by its changes."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Budget, Price, Tier
from llm.configuration import snapshot
from llm.configuration.snapshot import Snapshot
from llm.models import BreakerOverride, CacheEpoch, Model, Provider, Route
from tests.fixtures_billing import (
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
from valuecanvas.core.models import Change

# It reads in a transaction of its own, on what was committed.
pytestmark = pytest.mark.django_db(transaction=True)
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def load(before: Snapshot | None = None) -> Snapshot:
    return snapshot.load(before)[0]


def make_override(provider: Provider, model: str = "", **fields: object) -> int:
    fields = {"state": "forced_open", "expires_at": NOON + HOUR, **fields}
    row = BreakerOverride.objects.create(
        provider=provider, upstream_model=model, reason="r", **fields
    )
    return int(row.pk)


def fill() -> Route:
    """One row of each kind."""
    route = make_route(make_model("m"), make_provider("p"), upstream_model="um")
    make_price("p", "um")
    make_budget(make_team("blue"))
    make_tier("pro")
    make_override(route.provider)
    return route


def delete_model_and_make_it_anew() -> None:
    Model.objects.get().delete()
    make_model("m")


def delete_team_and_make_it_anew() -> None:
    make_team("green").delete()
    Budget.objects.get().team.delete()
    make_team("blue")


def delete_provider_and_make_it_anew() -> None:
    Route.objects.all().delete()
    Provider.objects.get().delete()
    make_provider("p")


CHANGES: list[Callable[[], object]] = [
    lambda: make_tier("free"),
    lambda: Tier.objects.get(key="pro").delete(),
    lambda: Price.objects.update(input_usd=Decimal(9)),
    lambda: make_price("p", "um", effective_from=NOON),
    lambda: Budget.objects.update(enabled=False),
    lambda: Budget.objects.update(limit_usd=7),
    lambda: Route.objects.update(enabled=False),
    lambda: Route.objects.update(priority=3),
    lambda: make_route(Model.objects.get(), make_provider()),
    lambda: Provider.objects.update(enabled=False),
    lambda: Model.objects.update(enabled=False),
    lambda: BreakerOverride.objects.all().delete(),
    lambda: BreakerOverride.objects.update(state="forced_closed"),
    lambda: CacheEpoch.objects.create(target="all", value=1),
    lambda: make_customer(),
    delete_model_and_make_it_anew,
    delete_team_and_make_it_anew,
    delete_provider_and_make_it_anew,
]


@pytest.mark.parametrize("change", CHANGES)
def test_load__after_a_change__is_what_a_full_load_would_be(
    change: Callable[[], object],
) -> None:
    fill()
    before = load()
    kept = {kind: dict(section) for kind, section in before.sections.items()}
    change()
    after, changes = snapshot.load(before)
    assert changes
    assert after == load()
    assert after.epoch == epoch.current() > before.epoch
    # Whoever still holds the old one sees none of it.
    assert before.sections == kept


def test_load__first__is_everything_and_tells_that_all_may_have_changed() -> None:
    route = fill()
    first, changes = snapshot.load()
    assert changes is None
    assert [*first.tiers] == ["pro"]
    assert [*first.limits] == ["t:blue"]
    assert [*first.rates] == [("p", "um")]
    assert [*first.providers] == ["p"]
    assert [*first.models] == ["m"]
    assert [one.id for one in first.routes["m"]] == [str(route.pk)]
    assert [one.state for one in first.overrides] == ["forced_open"]


def test_load__nothing_changed__is_the_same_value() -> None:
    fill()
    first = load()
    assert snapshot.load(first) == (first, [])
    assert load(first) is first


def test_load__one_change__reads_that_row_only() -> None:
    fill()
    for _ in range(5):
        make_tier()
    before = load()
    Tier.objects.filter(key="pro").update(name="x")
    with CaptureQueriesContext(connection) as queries:
        after, changes = snapshot.load(before)
    assert changes == [ConfigChange("tier", "pro")]
    reads = [q["sql"] for q in queries if q["sql"].startswith("SELECT")]
    assert len(reads) == 2
    assert "'pro'" in reads[1]
    assert after.sections["price"] is before.sections["price"]


def test_load__very_many_changes_of_a_kind__reads_the_kind_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "MANY_CHANGES", 2)
    before = load()
    for _ in range(3):
        make_tier()
    assert load(before) == load()


def test_load__changes_purged_meanwhile__is_everything_anew() -> None:
    fill()
    before = load()
    Tier.objects.update(name="x")
    Price.objects.update(input_usd=Decimal(9))
    Change.objects.filter(kind="tier").delete()
    after, changes = snapshot.load(before)
    assert changes is None
    assert after == load()
    assert after.tiers["pro"].name == "x"


def test_load__database_restored_to_an_earlier_epoch__is_everything_anew() -> None:
    fill()
    early = load()
    Tier.objects.update(name="x")
    late = load(early)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE core_epoch SET value = %s", [early.epoch])
        cursor.execute("UPDATE billing_tier SET name = 'Pro'")
    assert snapshot.load(late) == (early, None)


def test_rate__dated_prices__is_the_one_in_force() -> None:
    for days, usd in ((0, "1"), (10, "2")):
        make_price("p", "um", usd=usd, effective_from=NOON + dt.timedelta(days=days))
    found = load()

    def at(days: float) -> int | None:
        rate = found.rate("p", "um", NOON + dt.timedelta(days=days))
        return rate.input if rate else None

    assert [at(-0.1), at(0), at(9.9), at(10)] == [None, 10**6, 10**6, 2 * 10**6]
    assert found.rate("p", "other", NOON) is None


def test_override__several__is_the_last_that_holds() -> None:
    provider = make_provider("p")
    make_override(provider, "", state="forced_open")
    make_override(provider, "um", state="forced_closed")
    make_override(provider, "um", expires_at=NOON)
    make_override(make_provider("q"), "")
    found = load()

    def state(model: str, at: dt.datetime) -> str:
        one = found.override("p", model, at)
        return one.state if one else ""

    assert state("um", NOON) == "forced_closed"
    assert state("other", NOON) == "forced_open"
    assert state("um", NOON + HOUR) == ""


def test_override__older_one_edited__does_not_pass_the_newer_in_any_process() -> None:
    provider = make_provider("p")
    older = make_override(provider, state="forced_open")
    make_override(provider, state="forced_closed")
    before = load()
    BreakerOverride.objects.filter(pk=older).update(reason="edited")
    for found in (load(before), load()):
        one = found.override("p", "um", NOON)
        assert one is not None
        assert one.state == "forced_closed"


def test_routes__of_a_provider_that_is_off_or_in_disorder__are_left_out_and_sorted() -> (
    None
):
    model = make_model("m")
    on, off = make_provider(), make_provider(enabled=False)
    second = make_route(model, on, upstream_model="b", priority=2)
    first = make_route(model, on, upstream_model="a", priority=1)
    make_route(model, off)
    make_route(model, on, upstream_model="c", enabled=False)
    routes = load().routes["m"]
    assert [one.id for one in routes] == [str(first.pk), str(second.pk)]
