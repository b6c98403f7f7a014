"""Single sign-on, by a real issuer on loopback."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client

from tests.fresh_logins import make_stale
from tests.site.door_steps import add_app
from tests.site.oidc_issuer import CLIENT, SECRET, Issuer, run_issuer

START = "/admin/account/oidc/"


@pytest.fixture
def issuer(settings: Any, db: None) -> Iterator[Issuer]:
    cache.clear()
    with run_issuer() as one:
        one.claims = {"sub": "s-1", "email": "Ann@firm.example", "email_verified": True, "preferred_username": "ann"}  # fmt: skip
        settings.OIDC_ISSUER = one.url
        settings.OIDC_NAME = "Firm ID"
        app = {"provider_id": settings.OIDC_PROVIDER, "name": "Firm ID", "client_id": CLIENT, "secret": SECRET, "settings": {"server_url": one.url}}  # fmt: skip
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}
        }
        yield one


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_user(
        "ann.lee", "ann@firm.example", "a-right-password", is_staff=True
    )


def sign_in(issuer: Issuer, client: Client, query: str = "next=/admin/account/") -> Any:
    begun = client.get(f"{START}?{query}")
    return client.get(issuer.authorize(begun["Location"]))


def is_in(client: Client) -> bool:
    return client.get("/admin/account/").status_code == 200


def test_oidc__unset__has_no_button_and_no_page(db: None) -> None:
    client = Client()
    assert "openid" not in client.get("/admin/login/").content.decode()
    assert client.get(START).status_code == 404
    assert client.get(f"{START}callback/").status_code == 404


def test_oidc__a_verified_address_of_staff__is_linked_by_the_subject(
    issuer: Issuer, ann: User
) -> None:
    client = Client()
    assert "Log in with Firm ID" in client.get("/admin/login/").content.decode()
    assert sign_in(issuer, client)["Location"] == "/admin/account/"
    assert is_in(client)
    link = SocialAccount.objects.get()
    assert (link.user, link.uid) == (ann, "s-1")
    ann.refresh_from_db()
    assert ann.has_usable_password()
    # From now on the subject counts, whatever the address is.
    issuer.claims = {"sub": "s-1", "email": "other@firm.example"}
    again = Client()
    sign_in(issuer, again)
    assert is_in(again)


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email": "nobody@firm.example"},
        {"email": ""},
    ],
    ids=["not verified", "unknown", "none"],
)
def test_oidc__without_a_known_address__stays_outside(
    issuer: Issuer, ann: User, claims: dict[str, Any]
) -> None:
    issuer.claims |= claims
    client = Client()
    answer = sign_in(issuer, client)
    assert answer["Location"] == "/admin/login/"
    assert "may not enter" in client.get("/admin/login/").content.decode()
    assert not is_in(client)
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 1


@pytest.mark.parametrize("made", ["not staff", "not active", "two"])
def test_oidc__of_accounts_that_may_not_enter__links_none(
    issuer: Issuer, ann: User, made: str
) -> None:
    if made == "two":
        User.objects.create_user("ann2", "ANN@firm.example", is_staff=True)
    else:
        User.objects.update(is_staff=made != "not staff", is_active=made != "not active")  # fmt: skip
    client = Client()
    sign_in(issuer, client)
    assert not is_in(client)
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    ("userinfo", "token"),
    [
        ({"sub": "s-2"}, {}),
        ({}, {"iss": "https://evil.example"}),
        ({}, {"aud": "somebody-else"}),
        ({}, {"exp": 1}),
    ],
    ids=["another subject", "another issuer", "another client", "expired"],
)
def test_oidc__an_answer_that_does_not_fit__is_refused(
    issuer: Issuer, ann: User, userinfo: dict[str, Any], token: dict[str, Any]
) -> None:
    issuer.userinfo, issuer.token = userinfo, token
    client = Client()
    assert sign_in(issuer, client)["Location"] == "/admin/login/"
    assert not is_in(client)


def test_oidc__a_callback_of_somebody_else__is_refused(
    issuer: Issuer, ann: User
) -> None:
    """S9: the state belongs to the browser that began."""
    mine, victim = Client(), Client()
    begun = mine.get(START)
    back = issuer.authorize(begun["Location"])
    assert victim.get(back)["Location"] == "/admin/login/"
    assert not is_in(victim)


def test_oidc__connecting_by_a_link__is_refused(issuer: Issuer, ann: User) -> None:
    """S9: a link must not tie another person's identity to the account that is open."""
    boss = User.objects.create_superuser("boss", password="pw")
    client = Client()
    client.force_login(boss)
    issuer.claims = {"sub": "evil", "email": "evil@firm.example"}
    sign_in(issuer, client, "process=connect")
    assert not SocialAccount.objects.exists()


def test_oidc__create_users__makes_staff_without_rights(
    issuer: Issuer, settings: Any
) -> None:
    settings.OIDC_CREATE_USERS = True
    client = Client()
    sign_in(issuer, client)
    assert is_in(client)
    user = User.objects.get()
    assert (user.username, user.is_staff, user.is_superuser) == ("ann", True, False)
    assert not user.get_all_permissions()
    assert not user.has_usable_password()


def test_oidc__groups__follow_the_claim_and_leave_others(
    issuer: Issuer, ann: User, settings: Any
) -> None:
    settings.OIDC_GROUPS = {"ops": "Ops", "fin": "Money"}
    for name in ("Ops", "Money", "Own"):
        Group.objects.create(name=name)
    ann.groups.add(Group.objects.get(name="Own"))
    for claim, names in ((["ops", "x"], ["Ops", "Own"]), ("fin", ["Money", "Own"]), ([], ["Own"])):  # fmt: skip
        issuer.claims["groups"] = claim
        sign_in(issuer, Client())
        assert sorted(ann.groups.values_list("name", flat=True)) == sorted(names)


@pytest.mark.parametrize(("values", "inside"), [([], False), (["mfa"], True)])
def test_oidc__the_providers_factor__counts_where_the_setting_says_so(
    issuer: Issuer, ann: User, settings: Any, values: list[str], inside: bool
) -> None:
    settings.OIDC_MFA_VALUES = values
    settings.ADMIN_MFA = "required"
    add_app(ann)
    issuer.claims["amr"] = ["pwd", "mfa"]
    client = Client()
    answer = sign_in(issuer, client)
    assert answer["Location"] == ("/admin/account/" if inside else "/admin/account/second-factor/")  # fmt: skip
    assert is_in(client) == inside


def test_oidc__the_providers_factor__opens_where_one_is_required(
    issuer: Issuer, ann: User, settings: Any
) -> None:
    settings.ADMIN_MFA = "required"
    issuer.claims["amr"] = ["mfa"]
    for values, status in (([], 302), (["mfa"], 200)):
        settings.OIDC_MFA_VALUES = values
        client = Client()
        sign_in(issuer, client)
        assert client.get("/admin/").status_code == status


def test_oidc__without_a_password_here__re_authenticates_at_the_provider(
    issuer: Issuer, settings: Any
) -> None:
    settings.OIDC_CREATE_USERS = True
    client = Client()
    sign_in(issuer, client)
    User.objects.update(is_superuser=True)
    make_stale(client)
    page = "/admin/auth/user/add/"
    again = client.get(client.get(page)["Location"])["Location"]
    assert again.startswith(START)
    back = issuer.authorize(client.get(again)["Location"])
    assert issuer.asked[-1]["prompt"] == "login"
    assert client.get(back)["Location"] == page
    assert client.get(page).status_code == 200
