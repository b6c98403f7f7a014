"""Webhooks in the admin: what was sent and failed, and who may send it again."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from tests.admin.rows import make_webhook
from tests.fixtures_billing import make_customer
from valuecanvas.core.models import WebhookDelivery, WebhookEndpoint
from valuecanvas.core.webhooks.models import DeliveryState

LIST = "/admin/core/webhookdelivery/"
ENDPOINTS = "/admin/core/webhookendpoint/"
WAITING, FAILED = DeliveryState.WAITING, DeliveryState.FAILED


def text_of(client: Client, url: str, **query: Any) -> str:
    answer = client.get(url, query)
    assert answer.status_code == 200
    return answer.content.decode()


def page_of(row: WebhookDelivery | WebhookEndpoint) -> str:
    name = row._meta.model_name
    return f"/admin/core/{name}/{row.pk}/change/"


def act(client: Client, row: WebhookDelivery | WebhookEndpoint, name: str) -> Any:
    return client.post(page_of(row).replace("change", name), follow=True)


@pytest.fixture
def viewer(db: None) -> Client:
    """Staff who may view webhooks and endpoints, and nothing else."""
    user = User.objects.create_user("vera", is_staff=True)
    codenames = ["view_webhookdelivery", "view_webhookendpoint"]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def test_lists__without_rows__say_what_would_be_there(auditor: Client) -> None:
    assert "with a callback URL" in text_of(auditor, LIST)
    assert "Each has a secret of its own" in text_of(auditor, ENDPOINTS)


def test_list__webhooks_of_a_customer__show_state_url_and_customer(
    auditor: Client, django_assert_max_num_queries: Any
) -> None:
    customer = make_customer()
    row = make_webhook(f"customer:{customer.pk}")
    for _ in range(5):
        make_webhook(state="delivered", last_error="")
    with django_assert_max_num_queries(12):
        text = text_of(auditor, LIST)
    assert customer.user_id in text
    assert row.endpoint.url in text
    assert "It answered 500." in text
    assert text.count("Delivered") >= 5


@pytest.mark.parametrize("field", ["pk", "endpoint_id", "url", "owner"])
def test_list__searched_by_a_whole_value__finds_it(auditor: Client, field: str) -> None:
    row, other = make_webhook(), make_webhook()
    WebhookEndpoint.objects.filter(pk=other.endpoint_id).update(url="https://b.example")
    value = str(getattr(row.endpoint if field in ("url", "owner") else row, field))
    answer = auditor.get(LIST, {"q": value.removeprefix("customer:")})
    assert [one.pk for one in answer.context["cl"].result_list] == [row.pk]


def test_list__filtered_by_state__shows_those_alone(auditor: Client) -> None:
    row = make_webhook()
    make_webhook(state="delivered")
    answer = auditor.get(LIST, {"state__exact": "failed"})
    assert [one.pk for one in answer.context["cl"].result_list] == [row.pk]


def test_page__of_a_webhook__shows_its_attempts_and_its_body(auditor: Client) -> None:
    text = text_of(auditor, page_of(make_webhook()))
    assert "It answered 500." in text
    assert "12&nbsp;ms" in text
    assert "job.succeeded" in text
    assert "Send again" not in text


def test_resend__operator__is_waiting_again_and_in_the_audit_log(
    operator: Client,
) -> None:
    row = make_webhook()
    assert "Send again" in text_of(operator, page_of(row))
    assert "Sent again: 1." in act(operator, row, "resend").content.decode()
    row.refresh_from_db()
    assert (row.state, row.attempts) == (WAITING, 0)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (str(row.pk), "Sent again.")
    assert "Send again" not in text_of(operator, page_of(row))


def test_resend__several_from_the_list__only_those_that_may_be(
    operator: Client,
) -> None:
    rows = [make_webhook() for _ in range(4)]
    WebhookDelivery.objects.filter(pk=rows[1].pk).update(state=WAITING)
    off = WebhookEndpoint.objects.filter(pk=rows[2].endpoint_id)
    off.update(disabled_at=timezone.now())
    chosen = {"action": "resend_selected", "_selected_action": [one.pk for one in rows]}
    text = operator.post(LIST, chosen, follow=True).content.decode()
    assert "Sent again: 2." in text
    assert "Not sent again: 2. They wait already" in text
    assert LogEntry.objects.count() == 2
    states = WebhookDelivery.objects.order_by("pk").values_list("state", flat=True)
    assert [*states] == [WAITING, WAITING, FAILED, WAITING]


@pytest.mark.parametrize("who", ["auditor", "viewer"])
def test_resend__without_the_right__is_forbidden(
    request: pytest.FixtureRequest, who: str
) -> None:
    client, row = request.getfixturevalue(who), make_webhook()
    assert act(client, row, "resend").status_code == 403
    chosen = {"action": "resend_selected", "_selected_action": [row.pk]}
    client.post(LIST, chosen)
    row.refresh_from_db()
    assert (row.state, LogEntry.objects.count()) == (FAILED, 0)


def test_endpoints__each_state__is_told_apart_and_filtered(auditor: Client) -> None:
    now = timezone.now()
    fields: dict[str, dict[str, Any]] = {
        "enabled": {},
        "failing": {"failing_since": now},
        "disabled": {"failing_since": now, "disabled_at": now},
    }
    for state, values in fields.items():
        row = make_webhook().endpoint
        WebhookEndpoint.objects.filter(pk=row.pk).update(**values)
        answer = auditor.get(ENDPOINTS, {"is": state})
        assert [one.pk for one in answer.context["cl"].result_list] == [row.pk]
        assert state in answer.content.decode()
        assert row.url in text_of(auditor, ENDPOINTS, q=row.owner)


def test_endpoint__its_page__has_no_secret_and_leads_to_what_was_sent(
    boss: Client,
) -> None:
    row = make_webhook().endpoint
    WebhookEndpoint.objects.update(previous_sealed=row.secret_sealed)
    text = text_of(boss, page_of(row))
    assert row.open_secret() not in text
    assert "sealed" not in text
    assert f"{LIST}?q={row.pk}" in text
    for field in ("secret_sealed", "previous_sealed"):
        assert boss.get(ENDPOINTS, {f"{field}__startswith": "a"}).status_code in (302, 400)  # fmt: skip


def test_enable__disabled_endpoint__is_asked_done_and_in_the_audit_log(
    operator: Client,
) -> None:
    row = make_webhook().endpoint
    assert "Enable again" not in text_of(operator, page_of(row))
    WebhookEndpoint.objects.update(
        disabled_at=timezone.now(), disabled_reason="It answered 410."
    )
    text = text_of(operator, page_of(row))
    assert "It answered 410." in text
    assert "Enable again" in text
    question = text_of(operator, page_of(row).replace("change", "enable"))
    assert "Webhooks are sent there again" in question
    assert "Enabled." in act(operator, row, "enable").content.decode()
    row.refresh_from_db()
    assert (row.state, row.disabled_reason) == ("enabled", "")
    assert LogEntry.objects.get().change_message == "Enabled."


def test_rotate__operator__makes_a_new_secret_and_shows_none(operator: Client) -> None:
    row = make_webhook().endpoint
    old = row.open_secret()
    text = act(operator, row, "rotate").content.decode()
    row.refresh_from_db()
    new = row.open_secret()
    assert "Rotated the secret." in text
    assert old not in text
    assert new not in text
    assert row.open_secrets(timezone.now()) == [new, old]
    assert row.open_secrets(timezone.now() + timedelta(hours=25)) == [new]
    assert "Rotated the secret." in LogEntry.objects.get().change_message


@pytest.mark.parametrize("who", ["auditor", "viewer"])
@pytest.mark.parametrize("name", ["enable", "rotate"])
def test_endpoint__without_the_right__is_not_changed(
    request: pytest.FixtureRequest, who: str, name: str
) -> None:
    client, row = request.getfixturevalue(who), make_webhook().endpoint
    WebhookEndpoint.objects.update(disabled_at=timezone.now())
    assert act(client, row, name).status_code == 403
    now = WebhookEndpoint.objects.get()
    assert now.disabled_at is not None
    assert now.open_secret() == row.open_secret()
    assert f"/{name}/" not in text_of(client, page_of(row))
