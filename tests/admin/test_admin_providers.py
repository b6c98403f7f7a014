"""Providers: a key that goes in and never comes out, and what the server has."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from llm.models import Model, Provider, Route
from tests.admin.provider_server import Lister, listening
from tests.fixtures_billing import make_model, make_provider, make_route

SECRET = "sk-very-secret-0123456789"
ADD = "/admin/llm/provider/add/"


@pytest.fixture
def server() -> Iterator[Lister]:
    with listening() as one:
        yield one


@pytest.fixture
def provider(server: Lister, db: None) -> Provider:
    return make_provider(base_url=server.url, api_key=SECRET)


def url(provider: Provider, name: str = "llm_provider_change") -> str:
    return reverse(f"admin:{name}", args=[provider.pk])


def form(provider: Provider, **fields: Any) -> dict[str, Any]:
    return {
        "key": provider.key,
        "name": provider.name,
        "kind": provider.kind,
        "base_url": provider.base_url,
        "api_key_env": provider.api_key_env,
        "new_key": "",
        "enabled": "on",
        **fields,
    }


def save(client: Client, provider: Provider, **fields: Any) -> Any:
    return client.post(url(provider), form(provider, **fields), follow=True)


def test_add__with_a_key__sealed_and_usable(boss: Client) -> None:
    blank = Provider(key="acme", name="Acme", kind="compatible", base_url="http://127.0.0.1:9/v1")  # fmt: skip
    answer = boss.post(ADD, form(blank, new_key=SECRET))
    assert answer.status_code == 302
    provider = Provider.objects.get()
    assert SECRET.encode() not in bytes(provider.api_key_sealed or b"")
    assert provider.open_key() == SECRET


def test_change__stored_key__is_never_shown(boss: Client, provider: Provider) -> None:
    pages = [
        "/admin/llm/provider/",
        url(provider),
        url(provider, "llm_provider_history"),
    ]
    for page in pages:
        assert SECRET not in boss.get(page, follow=True).content.decode()
    assert "stored here" in boss.get(url(provider)).content.decode()


def test_change__field_left_empty__keeps_the_key(
    boss: Client, provider: Provider
) -> None:
    save(boss, provider, name="New name")
    provider.refresh_from_db()
    assert (provider.name, provider.open_key()) == ("New name", SECRET)


def test_change__another_path__keeps_the_key(boss: Client, provider: Provider) -> None:
    save(boss, provider, base_url=f"{provider.base_url}beta")
    provider.refresh_from_db()
    assert provider.open_key() == SECRET


def test_change__another_host__clears_the_key_and_says_so(
    boss: Client, provider: Provider
) -> None:
    answer = save(boss, provider, base_url="https://elsewhere.example/v1")
    provider.refresh_from_db()
    assert not provider.has_key
    assert "the stored key is deleted" in answer.content.decode()


def test_change__another_host_and_its_key__takes_both(
    boss: Client, provider: Provider
) -> None:
    save(boss, provider, base_url="https://elsewhere.example/v1", new_key="sk-other")
    provider.refresh_from_db()
    assert provider.open_key() == "sk-other"


def test_change__forget_the_key__forgets_it(boss: Client, provider: Provider) -> None:
    answer = save(boss, provider, forget_key="on")
    provider.refresh_from_db()
    assert not provider.has_key
    assert "is deleted" in answer.content.decode()


def test_change__forget_where_there_is_none__nothing_to_say(boss: Client) -> None:
    provider = make_provider()
    assert "is deleted" not in save(boss, provider, forget_key="on").content.decode()


def test_change__forget_and_enter_at_once__refused(
    boss: Client, provider: Provider
) -> None:
    answer = save(boss, provider, forget_key="on", new_key="sk-other")
    assert "not both" in answer.content.decode()


def test_change__another_host_with_an_environment_key__refused(
    boss: Client, settings: Any
) -> None:
    settings.PROVIDER_KEYS = {"OPENAI_API_KEY": SECRET}
    provider = make_provider(api_key_env="OPENAI_API_KEY")
    answer = save(boss, provider, base_url="https://elsewhere.example/v1")
    assert "empty this, save" in answer.content.decode()
    provider.refresh_from_db()
    assert provider.base_url == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("key", "fields", "shown"),
    [
        ("", {}, "none"),
        (SECRET, {}, "stored here"),
        ("", {"api_key_env": "OPENAI_API_KEY"}, "from environment"),
        ("", {"api_key_env": "TOGETHER_API_KEY"}, "variable is empty"),
    ],
)
def test_list__key_in_use__shown(
    boss: Client, settings: Any, key: str, fields: Any, shown: str
) -> None:
    settings.PROVIDER_KEYS = {"OPENAI_API_KEY": SECRET, "TOGETHER_API_KEY": ""}
    make_provider(api_key=key, **fields)
    assert shown in boss.get("/admin/llm/provider/").content.decode()


def test_change__operator__cannot_say_where_keys_are_sent(
    operator: Client, provider: Provider
) -> None:
    text = operator.get(url(provider)).content.decode()
    assert 'name="base_url"' not in text
    assert 'name="new_key"' not in text
    save(operator, provider, base_url="https://evil.example/v1", new_key="sk-evil", forget_key="on", name="Renamed")  # fmt: skip
    before = provider.base_url
    provider.refresh_from_db()
    assert (provider.name, provider.base_url) == ("Renamed", before)
    assert provider.open_key() == SECRET
    assert operator.get(ADD).status_code == 403


# -- test connection ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["llm_provider_test", "llm_provider_discover", "llm_provider_add_models"],
)
def test_provider_action__get__asks_nothing(
    boss: Client, provider: Provider, server: Lister, name: str
) -> None:
    assert boss.get(url(provider, name)).status_code == 302
    assert not server.asked


@pytest.mark.parametrize(
    "name",
    ["llm_provider_test", "llm_provider_discover", "llm_provider_add_models"],
)
def test_provider_action__auditor__forbidden(
    auditor: Client, provider: Provider, server: Lister, name: str
) -> None:
    assert auditor.post(url(provider, name)).status_code == 403
    assert not server.asked
    assert url(provider, name) not in auditor.get(url(provider)).content.decode()


def test_test_connection__answer__good_news_with_timing_and_a_log_entry(
    operator: Client, provider: Provider
) -> None:
    answer = operator.post(url(provider, "llm_provider_test"), follow=True)
    text = answer.content.decode()
    assert "It answers, and lists 2 models. (" in text
    assert "Tested the connection" in LogEntry.objects.get().change_message


def test_test_connection__refused__bad_news(
    operator: Client, provider: Provider, server: Lister
) -> None:
    server.status = 401
    answer = operator.post(url(provider, "llm_provider_test"), follow=True)
    assert "It refuses the key" in answer.content.decode()


# -- discover models ----------------------------------------------------------------


def test_discover__list__offers_what_has_no_route(
    operator: Client, provider: Provider
) -> None:
    make_route(make_model("model-a"), provider)
    answer = operator.post(url(provider, "llm_provider_discover"), follow=True)
    text = answer.content.decode()
    assert 'value="model-b">' in text
    assert 'value="model-a" disabled>' in text


def test_discover__no_answer__says_why(
    operator: Client, provider: Provider, server: Lister
) -> None:
    server.status = 404
    answer = operator.post(url(provider, "llm_provider_discover"), follow=True)
    assert "should end with /v1" in answer.content.decode()


def test_add_models__chosen__become_models_and_routes(
    operator: Client, provider: Provider
) -> None:
    first = make_route(make_model("shared"), priority=4)
    names = ["shared", "text-embedding-9", "text-embedding-9"]
    answer = operator.post(
        url(provider, "llm_provider_add_models"), {"model": names}, follow=True
    )
    assert "Added 1 models and 2 routes" in answer.content.decode()
    assert Model.objects.get(pk="text-embedding-9").kind == Model.Kind.EMBEDDING
    routes = Route.objects.filter(provider=provider).order_by("model_id")
    assert [(one.model_id, one.priority) for one in routes] == [
        ("shared", first.priority + 1),
        ("text-embedding-9", 1),
    ]
    assert LogEntry.objects.count() == 3


def test_add_models__name_too_long__others_are_added(
    operator: Client, provider: Provider
) -> None:
    names = ["x" * 201, "fine"]
    answer = operator.post(
        url(provider, "llm_provider_add_models"), {"model": names}, follow=True
    )
    assert "Could not add: xxx" in answer.content.decode()
    assert [one.pk for one in Model.objects.all()] == ["fine"]


def test_add_models__none_that_can_be__no_good_news(
    operator: Client, provider: Provider
) -> None:
    answer = operator.post(
        url(provider, "llm_provider_add_models"), {"model": ["x" * 201]}, follow=True
    )
    assert "Added" not in answer.content.decode()


def test_add_models__no_right_to_routes__forbidden(provider: Provider) -> None:
    user = User.objects.create_user("half", is_staff=True)
    rights = Permission.objects.filter(
        codename__in=["view_provider", "change_provider"]
    )
    user.user_permissions.set(rights)
    client = Client()
    client.force_login(user)
    names = {"model": ["fine"]}
    answer = client.post(url(provider, "llm_provider_add_models"), names)
    assert answer.status_code == 403
    found = client.post(url(provider, "llm_provider_discover"), follow=True)
    assert "You may not add" in found.content.decode()
    assert not Model.objects.exists()
