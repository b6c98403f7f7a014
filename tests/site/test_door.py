"""The admin's door: second factors, what they open, and what stays shut without."""

import base64
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from tests.fresh_logins import make_stale
from tests.site.door_steps import SECRET, add_app, add_codes, code, wrong_code
from valuecanvas.core.audit.models import AuditEntry
from valuecanvas.core.models import LoginFailure
from valuecanvas.site.door.factor_secrets import unseal_text

RIGHT = "a-right-password"
LOGIN, SECOND = "/admin/login/", "/admin/account/second-factor/"
ACCOUNT, AGAIN = "/admin/account/", "/admin/account/reauthenticate/"
LIMIT = 10


@pytest.fixture(autouse=True)
def boss(db: None) -> User:
    cache.clear()
    return User.objects.create_superuser("boss", password=RIGHT)


@pytest.fixture
def inside(boss: User) -> Client:
    client = Client()
    client.force_login(boss)
    return client


def enter(client: Client, password: str = RIGHT, **more: str) -> Any:
    return client.post(f"{LOGIN}?next=/admin/billing/", {"username": "boss", "password": password, **more})  # fmt: skip


def is_in(client: Client) -> bool:
    return client.get("/admin/status/").status_code == 200


def test_login__an_account_without_a_factor__is_in_by_the_password() -> None:
    client = Client()
    answer = enter(client)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/billing/")
    assert is_in(client)


def test_login__with_an_app__asks_for_the_code_and_leads_on(boss: User) -> None:
    add_app(boss)
    client = Client()
    answer = enter(client)
    assert answer["Location"] == SECOND
    assert not is_in(client)
    page = client.get(SECOND).content.decode()
    assert "authenticator app" in page
    refused = client.post(SECOND, {"code": wrong_code()})
    assert refused.status_code == 200
    assert "Incorrect code" in refused.content.decode()
    before = client.cookies["sessionid"].value
    answer = client.post(SECOND, {"code": code()})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/billing/")
    assert client.cookies["sessionid"].value != before
    assert is_in(client)


def test_login__a_code_that_was_used__is_refused(boss: User) -> None:
    add_app(boss)
    used = code()
    first, second = Client(), Client()
    for client in (first, second):
        enter(client)
        client.post(SECOND, {"code": used})
    assert is_in(first)
    assert not is_in(second)


def test_login__a_recovery_code__works_once(boss: User) -> None:
    add_app(boss)
    one = add_codes(boss)[0]
    first, second = Client(), Client()
    for client in (first, second):
        enter(client)
        client.post(SECOND, {"code": one})
    assert is_in(first)
    assert not is_in(second)


def test_login__wrong_codes__lock_the_account_though_the_password_is_right(
    boss: User,
) -> None:
    add_app(boss)
    client, found = Client(), []
    for _ in range(LIMIT + 3):
        # A right password between must not give new tries.
        enter(client)
        found.append(client.post(SECOND, {"code": wrong_code()}).status_code)
    assert found[: LIMIT - 1] == [200] * (LIMIT - 1)
    assert set(found[LIMIT:]) <= {302, 429}
    assert client.post(SECOND, {"code": code()}).status_code == 429
    assert enter(Client()).status_code == 429
    assert not is_in(client)


def test_secrets__of_an_app__are_sealed_in_the_database(boss: User) -> None:
    add_app(boss)
    codes = add_codes(boss)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        text = " ".join(row[0] for row in cursor.fetchall())
    assert SECRET not in text
    assert not any(one in text for one in codes)


def test_app__is_added_by_its_first_code__and_the_codes_are_shown_once(
    inside: Client, boss: User
) -> None:
    page = inside.get(f"{ACCOUNT}app/add/").content.decode()
    kept = inside.session["mfa.totp.secret"]
    secret = unseal_text(kept)
    assert secret in page
    assert secret not in kept
    assert "data:image/svg+xml" in page
    answer = inside.post(f"{ACCOUNT}app/add/", {"code": code(secret)})
    assert answer["Location"] == f"{ACCOUNT}codes/"
    assert "mfa.totp.secret" not in inside.session
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    first = inside.get(f"{ACCOUNT}codes/").content.decode()
    assert all(one in first for one in codes)
    second = inside.get(f"{ACCOUNT}codes/").content.decode()
    assert not any(one in second for one in codes)
    assert "Make new ones" in second
    assert "Your account" in inside.get(ACCOUNT).content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "app/add/",
        "passkeys/add/",
        "codes/new/",
        "app/remove/",
        "codes/",
        "sessions/end/",
    ],
)
def test_account__without_a_recent_login__changes_nothing(
    inside: Client, boss: User, path: str
) -> None:
    add_app(boss)
    add_codes(boss)
    before = list(Authenticator.objects.order_by("pk").values())
    make_stale(inside)
    if path != "sessions/end/":
        answer = inside.get(f"{ACCOUNT}{path}")
        assert answer["Location"].startswith(AGAIN)
    answer = inside.post(f"{ACCOUNT}{path}", {"code": code(), "x": "1"})
    assert answer.status_code == 403
    assert list(Authenticator.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("path", ["", "code/"])
def test_reauthentication__wrong_ones__lock_and_the_session_stays(
    inside: Client, boss: User, path: str
) -> None:
    add_app(boss)
    make_stale(inside)
    sent = {"password": "guess"} if not path else {"code": wrong_code()}
    found = [inside.post(f"{AGAIN}{path}", sent).status_code for _ in range(LIMIT + 2)]
    assert found == [200] * LIMIT + [429] * 2
    right = {"password": RIGHT} if not path else {"code": code()}
    assert inside.post(f"{AGAIN}{path}", right).status_code == 429
    assert is_in(inside)
    LoginFailure.objects.all().delete()
    answer = inside.post(f"{AGAIN}{path}?next=/admin/auth/user/add/", right)
    assert answer["Location"] == "/admin/auth/user/add/"
    assert inside.get("/admin/auth/user/add/").status_code == 200


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])  # fmt: skip
def test_redirects__to_another_host__are_not_followed(
    inside: Client, boss: User, target: str
) -> None:
    """S9: no open redirect at the door."""
    answer = inside.post(f"{AGAIN}?next={target}", {"password": RIGHT})
    assert answer["Location"] == "/admin/"
    client = Client()
    sent = {"username": "boss", "password": RIGHT}
    assert client.post(f"{LOGIN}?next={target}", sent)["Location"] == "/admin/"


def test_session__however_busy__ends_after_twelve_hours(boss: User) -> None:
    client = Client()
    enter(client)
    ends = client.session.get_expiry_date()
    session = client.session
    session["busy"] = True
    session.save()
    assert Session.objects.get(pk=session.session_key).expire_date == ends
    assert 12 * 3600 - 60 < client.session.get_expiry_age() <= 12 * 3600


def test_sessions__elsewhere__are_ended_by_the_button_and_a_new_password(
    inside: Client, boss: User
) -> None:
    other = Client()
    enter(other)
    inside.post(f"{ACCOUNT}sessions/end/")
    assert is_in(inside)
    assert not is_in(other)
    enter(other)
    new = "another-good-password"
    sent = {"old_password": RIGHT, "new_password1": new, "new_password2": new}
    assert inside.post(f"{ACCOUNT}password/", sent)["Location"] == ACCOUNT
    assert is_in(inside)
    assert not is_in(other)


REACHED = ["/admin/", "/admin/status/", "/admin/auth/user/add/", "/admin/jsi18n/", "/admin/nothing/"]  # fmt: skip


@pytest.mark.parametrize("path", REACHED)
def test_required__a_session_without_a_factor__is_led_to_set_one_up(
    inside: Client, settings: Any, path: str
) -> None:
    settings.ADMIN_MFA = "required"
    answer = inside.get(path)
    assert (answer.status_code, answer["Location"]) == (302, ACCOUNT)
    assert inside.post(path, {"x": "1"}).status_code == 403


@pytest.mark.parametrize("path", ["/api/prompts", "/api/schema", "/api/flags/evaluate", "/usage"])  # fmt: skip
def test_required__the_api_by_the_session__is_refused(
    inside: Client, settings: Any, path: str
) -> None:
    settings.ADMIN_MFA = "required"
    for answer in (inside.get(path), inside.post(path, {}, "application/json")):
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "second_factor_required"


def test_required__once_a_factor_is_there__opens_all(
    inside: Client, boss: User, settings: Any
) -> None:
    settings.ADMIN_MFA = "required"
    page = inside.get(ACCOUNT)
    assert "Set up a second factor" in page.content.decode()
    inside.get(f"{ACCOUNT}app/add/")
    inside.post(
        f"{ACCOUNT}app/add/",
        {"code": code(unseal_text(inside.session["mfa.totp.secret"]))},
    )
    assert inside.get("/admin/").status_code == 200


@pytest.mark.parametrize("kept", ["GEZDGNBVGY3TQOJQ", "", "AAAA"])
def test_app__with_a_secret_that_cannot_be_read__is_not_added(
    inside: Client, kept: str
) -> None:
    session = inside.session
    session["mfa.totp.secret"] = kept
    session.save()
    answer = inside.post(f"{ACCOUNT}app/add/", {"code": code("GEZDGNBVGY3TQOJQ")})
    assert answer.status_code == 200
    assert not Authenticator.objects.exists()


def test_required__the_last_factor__stays(
    inside: Client, boss: User, settings: Any
) -> None:
    settings.ADMIN_MFA = "required"
    add_app(boss)
    page = inside.get(f"{ACCOUNT}app/remove/").content.decode()
    assert "add another one first" in page
    inside.post(f"{ACCOUNT}app/remove/")
    assert Authenticator.objects.count() == 1
    settings.ADMIN_MFA = "optional"
    inside.post(f"{ACCOUNT}app/remove/")
    assert Authenticator.objects.count() == 0


def test_login__of_an_account_that_is_not_staff__is_refused(boss: User) -> None:
    User.objects.create_user("guest", password=RIGHT)
    client = Client()
    answer = client.post(LOGIN, {"username": "guest", "password": RIGHT})
    assert answer.status_code == 200
    assert "correct" in answer.content.decode()
    assert not is_in(client)


def test_account_page__of_staff_without_rights__is_theirs(boss: User) -> None:
    olga = User.objects.create_user("olga", password=RIGHT, is_staff=True)
    olga.user_permissions.add(Permission.objects.get(codename="view_status"))
    theirs = add_app(boss)
    client = Client()
    client.force_login(olga)
    assert client.get(ACCOUNT).status_code == 200
    client.post(f"{ACCOUNT}passkeys/{theirs.pk}/remove/")
    client.post(f"{ACCOUNT}app/remove/")
    assert Authenticator.objects.filter(user=boss).exists()


def test_lockout__of_an_account__is_one_event_of_the_audit(boss: User) -> None:
    """S4: each lockout is recorded."""
    for _ in range(LIMIT + 5):
        enter(Client(), password="guess")
    [entry] = AuditEntry.objects.filter(action="login.locked")
    assert entry.label == "boss"
    assert "account:boss" in str(entry.after)


@pytest.mark.parametrize("way", ["command", "button"])
def test_reset__of_lost_factors__lets_in_by_the_password_and_is_recorded(
    inside: Client, boss: User, way: str
) -> None:
    olga = User.objects.create_superuser("olga", password=RIGHT)
    add_app(olga)
    add_codes(olga)
    theirs = Client()
    theirs.force_login(olga)
    if way == "command":
        assert "Removed 2" in str(call_command("reset_mfa", "olga"))
    else:
        url = f"/admin/auth/user/{olga.pk}/reset-mfa/"
        assert "really this person" in inside.get(url).content.decode()
        assert "2 second factors" in inside.post(url, follow=True).content.decode()
    assert not Authenticator.objects.exists()
    assert not is_in(theirs)
    [entry] = AuditEntry.objects.filter(action="mfa.reset")
    assert entry.label == "olga"
    assert enter(theirs, username="olga")["Location"] == "/admin/billing/"


def test_reset__of_nobody__says_so() -> None:
    with pytest.raises(CommandError, match="no user named"):
        call_command("reset_mfa", "nobody")


def test_rotation__of_the_field_key__reaches_apps_and_recovery_codes(
    boss: User, settings: Any
) -> None:
    add_app(boss)
    codes = add_codes(boss)
    new = base64.b64encode(bytes(range(32))).decode()
    settings.FIELD_KEY, settings.FIELD_KEY_PREVIOUS = new, [settings.FIELD_KEY]
    with pytest.raises(CommandError, match="2 are sealed"):
        call_command("rotate_field_keys", "--check")
    call_command("rotate_field_keys")
    settings.FIELD_KEY_PREVIOUS = []
    client = Client()
    for second in (code(), codes[0]):
        client.logout()
        enter(client)
        client.post(SECOND, {"code": second})
        assert is_in(client)


def test_passkey__is_renamed_and_removed__and_not_by_others(
    inside: Client, boss: User
) -> None:
    mine = Authenticator.objects.create(user=boss, type="webauthn", data={"name": "Mac", "credential": {}})  # fmt: skip
    assert "Mac" in inside.get(ACCOUNT).content.decode()
    where = f"{ACCOUNT}passkeys/{mine.pk}"
    assert inside.get(f"{where}/rename/").status_code == 200
    assert inside.post(f"{where}/rename/", {"name": "Home"})["Location"] == ACCOUNT
    assert "Home" in inside.get(f"{where}/remove/").content.decode()
    other = Client()
    other.force_login(User.objects.create_superuser("olga"))
    assert other.post(f"{where}/remove/").status_code == 404
    assert inside.post(f"{where}/remove/")["Location"] == ACCOUNT
    assert not Authenticator.objects.exists()
