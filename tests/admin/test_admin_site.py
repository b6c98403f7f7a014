"""The frame: sidebar, search, log-in."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

INDEX = "/admin/"


@pytest.fixture
def stranger(db: None) -> Client:
    User.objects.create_user("sam", password="right-password", is_staff=True)
    return Client()


def titles(client: Client) -> list[str]:
    groups = client.get(INDEX).context["sidebar_navigation"]
    return [item["title"] for group in groups for item in group["items"]]


def test_sidebar__superuser__groups_in_the_operators_words(boss: Client) -> None:
    groups = boss.get(INDEX).context["sidebar_navigation"]
    assert [group["title"] for group in groups] == [
        "",
        "Traffic",
        "Jobs",
        "Prompts",
        "Flags",
        "Customers & spend",
        "Providers",
        "Operations",
        "Access",
    ]


def test_sidebar__auditor__no_playground_and_no_users(auditor: Client) -> None:
    shown = titles(auditor)
    assert "Requests" in shown
    assert not {"Playground", "Users", "Groups"} & set(shown)


def test_sidebar__no_rights__only_what_needs_none(newcomer: Client) -> None:
    assert titles(newcomer) == ["Dashboard", "API documentation", "Who may do what"]


@pytest.mark.parametrize("extended", ["", "1"])
def test_search__name_of_a_page__is_found(boss: Client, extended: str) -> None:
    query = {"s": "budg", **({"extended": extended} if extended else {})}
    text = boss.get(reverse("admin:search"), query).content.decode()
    assert reverse("admin:billing_budget_changelist") in text


def test_search__page_without_right__is_not_found(newcomer: Client) -> None:
    text = newcomer.get(reverse("admin:search"), {"s": "budg"}).content.decode()
    assert "budget" not in text


def test_search__nothing_asked__nothing_answered(boss: Client) -> None:
    assert boss.get(reverse("admin:search"), {"s": " "}).content == b""


def test_login__without_a_next_page__opens_the_dashboard(stranger: Client) -> None:
    form = {"username": "sam", "password": "right-password"}
    answer = stranger.post(reverse("admin:login"), form)
    assert (answer.status_code, answer["Location"]) == (302, INDEX)


def test_login__wrong_password__refused(stranger: Client) -> None:
    form = {"username": "sam", "password": "wrong"}
    answer = stranger.post(reverse("admin:login"), form)
    assert answer.status_code == 200
    assert "correct username and password" in answer.content.decode()


def test_any_page__stranger__is_sent_to_log_in(stranger: Client) -> None:
    answer = stranger.get(reverse("admin:llm_playground"))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_frame__content_security_policy__no_inline_scripts(boss: Client) -> None:
    policy = boss.get(INDEX)["Content-Security-Policy"]
    scripts = next(p for p in policy.split("; ") if p.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts
