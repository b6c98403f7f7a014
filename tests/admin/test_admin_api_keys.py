"""API keys: issued once, then only revoked or rotated."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.auth import keys
from billing.models import ApiKey
from tests.fixtures_billing import make_api_key, make_customer, make_model

ADD = "/admin/billing/apikey/add/"
LIST = "/admin/billing/apikey/"


def url(key: ApiKey, kind: str = "change") -> str:
    return reverse(f"admin:billing_apikey_{kind}", args=[key.pk])


def form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "web shop",
        "customer": str(make_customer().pk),
        "scopes": ["llm"],
        "cache_policy": "auto",
        "allowed_models": "",
        "expires_at_0": "",
        "expires_at_1": "",
        **fields,
    }


def issue(client: Client, **fields: Any) -> Any:
    answer = client.post(ADD, form(**fields), follow=True)
    assert answer.status_code == 200
    return answer


def test_issue__valid_form__shows_a_key_that_works(boss: Client) -> None:
    answer = issue(boss)
    text = answer.context["text"]
    key = ApiKey.objects.get()
    assert keys.parse(text) == key.pk
    assert keys.digest(text) == key.digest
    assert text in answer.content.decode()
    assert "Copy the key now" in answer.content.decode()


def test_issue__shown_key__is_nowhere_else(boss: Client) -> None:
    answer = issue(boss)
    text = answer.context["text"]
    secret = text.split("-", 2)[-1]
    assert "no-store" in answer["Cache-Control"]
    assert not list(get_messages(answer.wsgi_request))
    assert all(secret not in str(one.get_decoded()) for one in Session.objects.all())
    assert [secret in place for place, _ in answer.redirect_chain] == [False]
    logged = [
        f"{one.object_repr} {one.change_message}" for one in LogEntry.objects.all()
    ]
    assert logged
    assert all(secret not in one for one in logged)
    key = ApiKey.objects.get()
    for page in (LIST, url(key), url(key, "history")):
        shown = boss.get(page).content.decode()
        assert secret not in shown
        assert key.digest not in shown


@pytest.mark.parametrize("how", ["issue", "rotate"])
def test_new_key__its_page_loaded_again__issues_and_shows_no_other(
    boss: Client, how: str
) -> None:
    if how == "issue":
        answer = boss.post(ADD, form())
    else:
        answer = boss.post(url(make_api_key()[0], "rotate_page"), {"overlap": 1})
    assert answer.status_code == 302
    issued = ApiKey.objects.count()
    key = ApiKey.objects.latest("created_at")
    kept = str([one.get_decoded() for one in Session.objects.all()])
    first, again = boss.get(answer["Location"]), boss.get(answer["Location"])
    text = first.context["text"]
    assert keys.digest(text) == key.digest
    assert text.split("-", 2)[-1] not in kept + answer["Location"] + str(answer.cookies)
    assert again.context["text"] == ""
    assert "was shown once" in again.content.decode()
    assert {"no-store" in one["Cache-Control"] for one in (first, again)} == {True}
    assert ApiKey.objects.count() == issued


def test_new_key__page_opened_by_somebody_else__shows_no_text(
    boss: Client, operator: Client, newcomer: Client
) -> None:
    page = boss.post(ADD, form())["Location"]
    assert operator.get(page).context["text"] == ""
    assert newcomer.get(page).status_code == 403
    assert boss.get(page).context["text"]


def test_form__scopes__explain_whom_a_key_may_name(boss: Client) -> None:
    shown = boss.get(ADD).content.decode()
    assert "users who have neither a team nor an API key" in shown


def test_issue__all_fields__are_kept(boss: Client) -> None:
    make_model("a-model")
    day = timezone.now() + timedelta(days=3)
    issue(
        boss,
        scopes=["llm", "act_as"],
        allowed_models=" a-model , a-model,",
        expires_at_0=f"{day:%Y-%m-%d}",
        expires_at_1="12:00:00",
    )
    key = ApiKey.objects.get()
    assert key.scopes == ["act_as", "llm"]
    assert key.allowed_models == ["a-model"]
    assert key.expires_at is not None
    assert key.expires_at.date() == day.date()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"allowed_models": "no-such-model"}, "There is no model named no-such-model"),
        ({"scopes": []}, "This field is required"),
        ({"scopes": ["root"]}, "Select a valid choice"),
        (
            {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"},
            "a time in the future",
        ),
        ({"customer": ""}, "This field is required"),
    ],
)
def test_issue__wrong_field__refused_and_no_key_made(
    boss: Client, wrong: dict[str, Any], message: str
) -> None:
    answer = issue(boss, **wrong)
    assert message in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_issue__auditor__forbidden(auditor: Client) -> None:
    assert auditor.post(ADD, form()).status_code == 403
    assert not ApiKey.objects.exists()


def test_change__active_key__rights_change_and_the_secret_stays(boss: Client) -> None:
    key, text = make_api_key()
    fields = form(name="renamed", scopes=["act_as"])
    assert boss.post(url(key), fields).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("renamed", ["act_as"])
    assert key.digest == keys.digest(text)
    assert str(key.customer_id) != fields["customer"]


def test_change__key_past_its_end__other_fields_can_still_be_saved(
    boss: Client,
) -> None:
    past = timezone.now().replace(microsecond=0) - timedelta(days=1)
    key, _ = make_api_key(expires_at=past)
    fields = form(
        name="kept", expires_at_0=f"{past:%Y-%m-%d}", expires_at_1=f"{past:%H:%M:%S}"
    )
    assert boss.post(url(key), fields).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.state(timezone.now())) == ("kept", "expired")


def test_revoke__get__only_asks(operator: Client) -> None:
    key, _ = make_api_key()
    answer = operator.get(url(key, "revoke_page"))
    assert "refused at once" in answer.content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_revoke__post__revokes_logs_and_turns_read_only(operator: Client) -> None:
    key, _ = make_api_key()
    assert operator.post(url(key, "revoke_page")).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert LogEntry.objects.get().change_message == "Revoked."
    shown = operator.get(url(key)).content.decode()
    assert 'name="_save"' not in shown
    assert url(key, "rotate_page") not in shown
    assert operator.post(url(key), form()).status_code == 403
    assert operator.post(url(key, "revoke_page")).status_code == 403
    assert operator.post(url(key, "rotate_page"), {"overlap": 1}).status_code == 403


@pytest.mark.parametrize("action", ["revoke_page", "rotate_page"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_key_action__auditor__forbidden(
    auditor: Client, action: str, method: str
) -> None:
    key, _ = make_api_key()
    answer = getattr(auditor, method)(url(key, action), {"overlap": 1})
    assert answer.status_code == 403
    key.refresh_from_db()
    assert key.revoked_at is key.expires_at is None


def test_key_action__unknown_key__not_found(boss: Client) -> None:
    key, _ = make_api_key()
    gone = url(key, "revoke_page").replace(key.pk, "nobody")
    assert boss.get(gone).status_code == 404


def test_rotate__post__shows_the_new_key_and_ends_the_old(operator: Client) -> None:
    key, _ = make_api_key(name="notebook")
    asked = operator.get(url(key, "rotate_page")).content.decode()
    assert "The old key stays valid for" in asked
    answer = operator.post(url(key, "rotate_page"), {"overlap": 1}, follow=True)
    new = ApiKey.objects.exclude(pk=key.pk).get()
    assert keys.digest(answer.context["text"]) == new.digest
    assert "no-store" in answer["Cache-Control"]
    key.refresh_from_db()
    assert new.replaces_id == key.pk
    assert key.expires_at is not None
    assert key.expires_at <= timezone.now() + timedelta(hours=1)
    assert {one.object_id for one in LogEntry.objects.all()} == {key.pk, new.pk}


def test_rotate__overlap_of_their_own__refused(operator: Client) -> None:
    key, _ = make_api_key()
    answer = operator.post(url(key, "rotate_page"), {"overlap": 99999})
    assert "Select a valid choice" in answer.content.decode()
    assert ApiKey.objects.count() == 1


def test_rotate__expired_key__says_why_not(boss: Client) -> None:
    key, _ = make_api_key(expires_at=timezone.now() - timedelta(days=1))
    answer = boss.post(url(key, "rotate_page"), {"overlap": 1}, follow=True)
    assert "This key is expired" in answer.content.decode()
    assert ApiKey.objects.count() == 1


def bulk(client: Client, *chosen: ApiKey, **more: str) -> Any:
    ids = [key.pk for key in chosen]
    return client.post(
        LIST, {"action": "revoke_selected", "_selected_action": ids, **more}
    )


def test_revoke_selected__first_post__lists_them_and_asks(operator: Client) -> None:
    key, _ = make_api_key(name="stolen")
    text = bulk(operator, key).content.decode()
    assert "stolen" in text
    assert 'name="confirmed"' in text
    key.refresh_from_db()
    assert key.revoked_at is None


def test_revoke_selected__confirmed__revokes_only_those(operator: Client) -> None:
    key, other, kept = (make_api_key()[0] for _ in range(3))
    assert bulk(operator, key, other, confirmed="1").status_code == 302
    left = ApiKey.objects.filter(revoked_at=None)
    assert list(left) == [kept]
    assert LogEntry.objects.count() == 2


def test_revoke_selected__auditor__nothing_happens(auditor: Client) -> None:
    key, _ = make_api_key()
    bulk(auditor, key, confirmed="1")
    key.refresh_from_db()
    assert key.revoked_at is None


def test_delete__anyone__forbidden(boss: Client) -> None:
    key, _ = make_api_key()
    assert boss.post(url(key, "delete"), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("how", ["text", "prefix", "shown", "name", "user"])
def test_search__each_way_to_name_a_key__finds_it(boss: Client, how: str) -> None:
    make_api_key(name="another")
    key, text = make_api_key(name="Billing bot")
    asked = {
        "text": text,
        "prefix": key.pk,
        "shown": f"vc-{key.pk}-…",
        "name": "billing",
        "user": key.customer.user_id,
    }[how]
    found = boss.get(LIST, {"q": asked}).context["cl"].result_list
    assert found == [key]


@pytest.mark.parametrize("state", ["active", "expired", "revoked"])
def test_filter__by_state__only_those(boss: Client, state: str) -> None:
    by_state = {
        "active": make_api_key()[0],
        "expired": make_api_key(expires_at=timezone.now() - timedelta(1))[0],
        "revoked": make_api_key(revoked=True)[0],
    }
    found = boss.get(LIST, {"state": state}).context["cl"].result_list
    assert found == [by_state[state]]


def test_list__many_models__are_counted(boss: Client) -> None:
    names = [make_model().name for _ in range(3)]
    make_api_key(allowed_models=names)
    make_api_key(allowed_models=names[:1])
    text = boss.get(LIST).content.decode()
    assert "3 models" in text
    assert names[0] in text
