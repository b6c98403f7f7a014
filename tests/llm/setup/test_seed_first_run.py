"""What a new installation begins with."""

import importlib
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.apps import apps
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections

from billing.auth import keys
from billing.models import ApiKey, Customer, Price, Tier
from llm.models import Model, Provider, Route
from llm.setup import catalogue, seed
from tests.fixtures_billing import make_api_key, make_provider, make_tier
from tests.llm.seeding import LLAMA, configure, live
from valuecanvas.core.db import epoch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def embedded(settings) -> None:
    """The settings of `make run` with nothing configured."""
    configure(settings)


def test_first_run__empty_database__creates_the_tiers():
    seed.first_run()
    rows = Tier.objects.values_list("key", "daily_requests", "upgrade_to_id")
    assert list(rows) == [
        ("free", 10, "pro"),
        ("pro", 500, "enterprise"),
        ("enterprise", 5000, None),
    ]


def test_first_run__empty_database__gives_a_login_that_works():
    made = seed.first_run()
    user = authenticate(username=made.admin_name, password=made.admin_password)
    assert made.admin_name == "admin"
    assert user and user.is_superuser and user.is_staff


def test_first_run__empty_database__gives_a_key_for_a_server():
    made = seed.first_run()
    key = ApiKey.objects.get(pk=keys.parse(made.api_key))
    assert key.digest == keys.digest(made.api_key)
    assert key.scopes == ["act_as", "flags:evaluate", "llm", "prompts:read"]
    assert key.allowed_models == []
    assert key.customer.tier_id == "enterprise"


def test_first_run__secrets__stay_out_of_its_repr():
    made = seed.first_run()
    assert made.admin_password not in repr(made)
    assert made.api_key not in repr(made)


def test_first_run__every_row__passes_its_own_validation():
    seed.first_run()
    for model in (Tier, Customer, Provider, Model, Route, Price):
        rows = list(model.objects.all())
        assert rows
        for row in rows:
            row.full_clean()


def test_first_run__models__only_the_local_one_says_what_it_takes():
    seed.first_run()
    said = dict(Model.objects.exclude(takes=[]).values_list("name", "takes"))
    assert said == {catalogue.LOCAL_MODEL: ["text", "schema"]}


@pytest.mark.parametrize(
    ("before", "after"), [([], ["text", "schema"]), (["text"], ["text"])]
)
def test_migration__local_model_of_an_older_release__says_what_it_takes(before, after):
    seed.first_run()
    Model.objects.update(takes=before)
    migration = importlib.import_module("llm.migrations.0010_models_takes")
    migration.say_of_the_local_model(apps, None)
    assert Model.objects.get(name=catalogue.LOCAL_MODEL).takes == after
    assert Model.objects.get(name="gpt-4o-mini").takes == before


def test_first_run__every_route__has_a_price():
    seed.first_run()
    priced = set(Price.objects.values_list("provider", "upstream_model"))
    assert set(Route.objects.values_list("provider_id", "upstream_model")) == priced
    own = Price.objects.get(provider="local")
    assert (own.input_usd, own.output_usd) == (Decimal("0.1"), Decimal("0.2"))


def test_first_run__no_keys__local_model_first_and_demo_second():
    seed.first_run()
    for model in Model.objects.filter(kind="chat").exclude(
        name__in=(catalogue.LOCAL_MODEL, catalogue.DEMO_MODEL)
    ):
        assert live(model.name) == ["local", "demo"]
    assert live("text-embedding-3-small") == ["demo"]
    assert live("smollm2-135m-instruct") == ["local"]
    assert live("demo") == ["demo"]


def test_first_run__both_keys__together_first_and_openai_second(settings):
    configure(settings, together="k1", openai="k2")
    seed.first_run()
    assert live(LLAMA) == ["together", "openai"]
    assert live("gpt-4o-mini") == ["openai"]
    assert live("text-embedding-3-small") == ["openai"]
    fallback = Route.objects.get(model=LLAMA, provider="openai")
    assert fallback.upstream_model == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("given", "llama", "gpt"),
    [
        ({"together": "k"}, ["together"], []),
        ({"openai": "k"}, ["openai"], ["openai"]),
    ],
)
def test_first_run__one_key__nobody_stands_in(settings, given, llama, gpt):
    configure(settings, **given)
    seed.first_run()
    assert (live(LLAMA), live("gpt-4o")) == (llama, gpt)
    assert live("demo") == ["demo"]


def test_first_run__again__changes_nothing_and_gives_no_secret():
    seed.first_run()
    before = epoch.current()
    again = seed.first_run()
    assert again == seed.FirstRun("admin", None, None)
    assert epoch.current() == before
    assert (ApiKey.objects.count(), User.objects.count()) == (1, 1)


def test_first_run__rows_that_an_operator_deleted__stay_away():
    seed.first_run()
    Route.objects.filter(provider="demo").delete()
    Provider.objects.filter(pk="demo").delete()
    Model.objects.filter(pk="gpt-4o").delete()
    User.objects.all().delete()
    assert seed.first_run() == seed.FirstRun("", None, None)
    assert not Provider.objects.filter(pk="demo").exists()
    assert not Model.objects.filter(pk="gpt-4o").exists()


def test_first_run__rows_that_exist_already__are_left_as_they_are():
    make_tier("free", daily_requests=77)
    make_provider("openai", base_url="https://proxy.example.com/v1", enabled=False)
    Model.objects.create(name="gpt-4o", max_output_tokens=5)
    User.objects.create_superuser("root", password="kept")
    key, _ = make_api_key()
    assert seed.first_run() == seed.FirstRun("root", None, None)
    assert Tier.objects.get(pk="free").daily_requests == 77
    openai = Provider.objects.get(pk="openai")
    assert (openai.base_url, openai.enabled) == ("https://proxy.example.com/v1", False)
    assert not Route.objects.filter(model="gpt-4o").exists()
    assert authenticate(username="root", password="kept")
    assert ApiKey.objects.get() == key


def test_first_run__the_name_admin_is_taken__gets_another():
    User.objects.create_user("admin", password="not a superuser")
    made = seed.first_run()
    assert made.admin_name.startswith("admin-")
    assert authenticate(username=made.admin_name, password=made.admin_password)
    assert not User.objects.get(username="admin").is_superuser


def test_new_credentials__after_the_first_run__replace_the_password_and_add_a_key():
    first = seed.first_run()
    new = seed.new_credentials()
    assert new.admin_name == first.admin_name
    assert authenticate(username="admin", password=new.admin_password)
    assert not authenticate(username="admin", password=first.admin_password)
    assert keys.parse(new.api_key) != keys.parse(first.api_key)
    assert ApiKey.objects.values("customer").distinct().count() == 1


def test_new_credentials__everything_of_the_first_run_deleted__work():
    seed.first_run()
    ApiKey.objects.all().delete()
    Customer.objects.all().delete()
    Tier.objects.all().delete()
    User.objects.all().delete()
    new = seed.new_credentials()
    assert authenticate(username=new.admin_name, password=new.admin_password)
    assert ApiKey.objects.get().customer.tier_id == "enterprise"


def test_credentials__the_command__prints_both(capsys):
    seed.first_run()
    call_command("credentials")
    login, key = capsys.readouterr().out.strip().splitlines()
    _, name, _, password = login.replace(":", "").rsplit(" ", 3)
    assert authenticate(username=name, password=password)
    assert keys.parse(key.removeprefix("API key: "))


def test_seed__the_command__creates_the_rows_once_and_no_login(capsys):
    call_command("seed")
    assert capsys.readouterr().out == "Created the first rows.\n"
    assert Tier.objects.count() == 3
    assert Model.objects.exists()
    assert not User.objects.exists()
    assert not ApiKey.objects.exists()
    Tier.objects.get(key="free").delete()
    call_command("seed")
    assert capsys.readouterr().out == "Nothing to create.\n"
    assert Tier.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_first_run__four_at_once__one_does_it():
    def run(_: int) -> seed.FirstRun:
        try:
            return seed.first_run()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(run, range(4)))
    secrets = [one for one in made if one.admin_password and one.api_key]
    assert len(secrets) == 1
    assert {one.admin_name for one in made} == {"admin"}
    assert (User.objects.count(), ApiKey.objects.count()) == (1, 1)
    assert Provider.objects.count() == len(catalogue.PROVIDERS)
