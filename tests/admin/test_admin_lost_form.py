"""A form that is sent too late: the page says so, and keeps what was typed."""

from html import unescape
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.models import Team

pytestmark = pytest.mark.django_db
ADD = "/admin/billing/team/add/"
OURS = {"Sec-Fetch-Site": "same-origin"}
EVIL = '"><script>alert(1)</script>\n two lines & more'


class Fields(HTMLParser):
    """The hidden fields of the form."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = dict(attrs)
        if tag == "input":
            self.found[one.get("name") or ""] = one.get("value") or ""


@pytest.fixture
def strict() -> Client:
    """A superuser whose requests are checked as a browser's."""
    user = User.objects.create_superuser("boss", password="pw")
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def test_token_too_old__form_sent__is_kept_and_can_be_sent_again(
    strict: Client,
) -> None:
    typed = {"key": "growth", "name": EVIL, "csrfmiddlewaretoken": "x" * 64}
    answer = strict.post(ADD, typed, headers=OURS)
    text = answer.content.decode()
    assert answer.status_code == 403
    assert "not saved yet" in text
    assert "<script>alert" not in text
    assert "no-store" in answer["Cache-Control"]
    fields = Fields(text).found
    assert {**fields, "csrfmiddlewaretoken": ""} == {**typed, "csrfmiddlewaretoken": ""}
    fields["name"] = "Growth"
    assert strict.post(ADD, fields, headers=OURS).status_code == 302
    assert Team.objects.get().name == "Growth"


def test_session_ended__form_sent__is_kept_until_after_the_log_in(
    strict: Client,
) -> None:
    token = Fields(strict.get(ADD).content.decode()).found["csrfmiddlewaretoken"]
    strict.cookies.pop("sessionid")
    typed = {"key": "growth", "name": "Growth", "csrfmiddlewaretoken": token}
    text = strict.post(ADD, typed, headers=OURS).content.decode()
    assert "You are signed out" in text
    assert not Team.objects.exists()
    strict.force_login(User.objects.get())
    fields = Fields(text).found
    answer = strict.post(ADD, fields, headers=OURS)
    if answer.status_code == 403:  # the log-in has made a new token
        fields = Fields(answer.content.decode()).found
        answer = strict.post(ADD, fields, headers=OURS)
    assert answer.status_code == 302
    assert Team.objects.get().name == "Growth"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
        {"Origin": "https://evil.example"},
        {},
    ],
)
def test_csrf_failure__form_of_another_site__is_not_offered_again(
    strict: Client, headers: dict[str, str]
) -> None:
    text = strict.post(ADD, {"key": "k", "name": "n"}, headers=headers).content.decode()
    assert "<form" not in text
    assert "another site" in text


def test_secrets__typed__are_not_sent_back(strict: Client) -> None:
    typed = {"username": "eva", "password1": "hidden-1", "api_key": "hidden-2"}
    for path in ("/admin/auth/user/add/", "/admin/login/"):
        text = strict.post(path, typed, headers=OURS).content.decode()
        assert "hidden-" not in text
    text = strict.post("/admin/auth/user/add/", typed, headers=OURS).content.decode()
    assert "api_key, password1" in unescape(text)
    assert "eva" in text


def test_signed_out__nothing_typed__goes_to_the_log_in() -> None:
    answer = Client().post(ADD, {})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")
