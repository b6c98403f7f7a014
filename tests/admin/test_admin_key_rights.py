"""Nobody gives a key more than they may do, nor shares answers without that right."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import get_resolver, reverse

from billing.auth import keys
from billing.models import ApiKey, Scope
from billing.models.api_key import SCOPE_RIGHTS
from llm.models import Model
from prompts import services
from prompts.models import ProtectedLabel
from prompts.services import PromptActor
from tests.fixtures_billing import make_customer, make_model, unique
from tests.prompts.rows import make_prompt
from valuecanvas.core.api.access import Need
from valuecanvas.core.errors import NotPermitted

pytestmark = pytest.mark.django_db
ISSUE = ("billing.view_apikey", "billing.add_apikey", "billing.change_apikey")
GUARDED = sorted(SCOPE_RIGHTS)
BESIDE_ACT_AS = ("bill_user", "act_as_jwt")


def person(*rights: str, **fields: Any) -> User:
    user = User.objects.create_user(unique("person"), is_staff=True, **fields)
    for right in rights:
        app, codename = right.split(".")
        found = Permission.objects.get(content_type__app_label=app, codename=codename)
        user.user_permissions.add(found)
    return user


def entered(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "a key",
        "allowed_models": "",
        "cache_policy": "auto",
        "scopes": ["llm"],
        **fields,
    }


@pytest.mark.parametrize("scope", GUARDED)
def test_issue__a_scope_beyond_ones_own_rights__is_refused(scope: str) -> None:
    customer, named = make_customer(), ["act_as"] if scope in BESIDE_ACT_AS else []
    given = form(customer=customer.pk, scopes=[scope, *named])
    url = reverse("admin:billing_apikey_add")
    answer = entered(person(*ISSUE)).post(url, given)
    assert "Beyond your own rights" in answer.content.decode()
    assert not ApiKey.objects.filter(customer=customer).exists()
    rights = {right for one in given["scopes"] for right in SCOPE_RIGHTS[one]}
    issuer = person(*ISSUE, *rights)
    entered(issuer).post(url, given)
    assert ApiKey.objects.get(customer=customer).issuer == issuer.get_username()


def test_change__scopes_that_the_key_has__may_stay(settings: Any) -> None:
    key, _ = keys.issue(customer=make_customer(), name="k", scopes=["flags:write"])
    url = reverse("admin:billing_apikey_change", args=[key.pk])
    client = entered(person(*ISSUE))
    assert client.post(url, form(scopes=["flags:write", "llm"])).status_code == 302
    wider = client.post(url, form(scopes=["flags:write", "prompts:publish"]))
    beyond = "Beyond your own rights: flags:write, prompts:publish"
    assert beyond in wider.content.decode()
    key.refresh_from_db()
    assert (key.scopes, key.issuer) == (["flags:write", "llm"], "")


def test_change__a_scope_that_needs_a_right__makes_its_giver_the_issuer() -> None:
    """Else their departure would change nothing for the scope that they gave."""
    key, _ = keys.issue(customer=make_customer(), name="k", scopes=["llm"])
    url = reverse("admin:billing_apikey_change", args=[key.pk])
    user = person(*ISSUE, *SCOPE_RIGHTS["flags:write"])
    assert entered(user).post(url, form(scopes=["flags:write"])).status_code == 302
    key.refresh_from_db()
    assert key.issuer == user.get_username()


def test_take_over__by_somebody_with_the_rights__frees_the_key() -> None:
    issuer = person(*SCOPE_RIGHTS["act_as"])
    key, _ = keys.issue(
        customer=make_customer(),
        name=unique("key"),
        scopes=["act_as"],
        issuer=issuer.get_username(),
    )
    User.objects.filter(pk=issuer.pk).update(is_active=False)
    page = reverse("admin:billing_apikey_change", args=[key.pk])
    url = reverse("admin:billing_apikey_changelist") + f"{key.pk}/take-over/"
    weak, strong = person(*ISSUE), person(*ISSUE, *SCOPE_RIGHTS["act_as"])
    assert "has lost act_as: its issuer" in entered(strong).get(page).content.decode()
    home = entered(strong).get(reverse("admin:index")).context["attention"]
    assert any(key.name in one.text for one in home)
    answer = entered(weak).post(url, follow=True).content.decode()
    assert "beyond your rights: act_as" in answer
    asked = entered(strong).get(url).content.decode()
    assert f"in place of {issuer.get_username()}" in asked
    assert entered(strong).post(url).status_code == 302
    key.refresh_from_db()
    assert key.issuer == strong.get_username()
    assert "has lost" not in entered(strong).get(page).content.decode()
    assert entered(strong).get(reverse("admin:index")).context["attention"] == []


def test_rotate__a_key_that_may_more_than_oneself__is_refused() -> None:
    key, _ = keys.issue(customer=make_customer(), name="k", scopes=["prompts:write"])
    url = reverse("admin:billing_apikey_changelist") + f"{key.pk}/rotate"
    client = entered(person(*ISSUE))
    answer = client.post(url, {"overlap": "0"}, follow=True)
    assert "beyond your rights: prompts:write" in answer.content.decode()
    assert not ApiKey.objects.filter(replaces=key).exists()


def test_rights__of_each_scope__are_those_that_the_endpoints_ask_of_people() -> None:
    asked: dict[str, set[str]] = {}
    waiting = list(get_resolver("valuecanvas.urls").url_patterns)
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "url_patterns", [])
        view = getattr(getattr(one, "callback", None), "cls", None)
        for need in getattr(view, "needs", {}).values():
            assert isinstance(need, Need)
            if need.right:
                asked.setdefault(need.scope, set()).add(need.right)
    assert asked
    for scope, rights in asked.items():
        assert rights <= set(SCOPE_RIGHTS[scope]), scope
    assert set(SCOPE_RIGHTS) <= set(Scope.values)


# -- protected labels ------------------------------------------------------------------


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize(
    ("issuer", "may"),
    [("", True), ("member", True), ("superuser", True), ("other", False)],
)
def test_key__and_a_protected_label__may_no_more_than_its_issuer(
    issuer: str, may: bool, allowed: bool
) -> None:
    publishers = Group.objects.create(name=unique("publishers"))
    rule = ProtectedLabel.objects.create(name="production", keys_may_move=allowed)
    rule.groups.add(publishers)
    name = ""
    if issuer:
        user = person(is_superuser=issuer == "superuser")
        if issuer == "member":
            user.groups.add(publishers)
        name = user.get_username()
    assert services.may_move(PromptActor.from_key("abc", name), "production") is (
        may and allowed
    )
    if issuer:
        # Whoever has left is nobody any more.
        User.objects.filter(username=name).update(is_active=False)
        assert not services.may_move(PromptActor.from_key("abc", name), "production")
        User.objects.filter(username=name).delete()
        assert not services.may_move(PromptActor.from_key("abc", name), "production")


# -- who shares stored answers -----------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "wider"),
    [
        ("", "customer", False),
        ("", "team", True),
        ("customer", "", False),
        ("customer", "global", True),
        ("team", "global", True),
        ("global", "team", False),
        ("global", "", False),
    ],
)
def test_prompt__stored_answers_for_more_callers__need_a_right(
    before: str, after: str, wider: bool
) -> None:
    prompt = make_prompt("one", production=1)
    type(prompt).objects.filter(pk=prompt.pk).update(cache_scope=before)
    editor = PromptActor.from_user(person("prompts.change_prompt"))
    key = PromptActor.from_key("abc")
    for actor in (editor, key):
        if wider:
            with pytest.raises(NotPermitted, match="share_answers"):
                services.edit_prompt(prompt, cache_scope=after, actor=actor)
    allowed = (
        PromptActor.from_user(person("prompts.share_answers")) if wider else editor
    )
    services.edit_prompt(prompt, cache_scope=after, actor=allowed)
    prompt.refresh_from_db()
    assert prompt.cache_scope == after


def test_prompt__made_with_answers_for_all__needs_the_right() -> None:
    with pytest.raises(NotPermitted, match="share_answers"):
        services.create_prompt(
            key=unique("p"), cache_scope="global", actor=PromptActor.from_key("abc")
        )


@pytest.mark.parametrize(("scope", "wider"), [("team", True), ("customer", False)])
def test_model__stored_answers_for_more_callers__need_a_right(
    scope: str, wider: bool
) -> None:
    url = reverse("admin:llm_model_change", args=[make_model().pk])
    user = person("llm.view_model", "llm.change_model")
    client = entered(user)
    page = client.get(url)
    given = {
        name: field.value()
        for name, field in ((f.name, f) for f in page.context["adminform"].form)
        if field.value() not in (None, False)
    }
    given |= {"cache_scope": scope, "routes-TOTAL_FORMS": 0, "routes-INITIAL_FORMS": 0}
    answer = client.post(url, given)
    assert ("that needs the right" in answer.content.decode()) is wider
    assert answer.status_code == (200 if wider else 302)
    assert not Model.objects.filter(cache_scope="team").exists()
