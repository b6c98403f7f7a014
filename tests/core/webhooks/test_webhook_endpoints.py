"""URLs that webhooks may go to, and what becomes of old webhooks."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from billing.accounting import purge
from tests.core.webhooks.conftest import make_delivery
from tests.llm.providers.test_address_guard import INSIDE
from valuecanvas.core.webhooks import deliveries, endpoints
from valuecanvas.core.webhooks.endpoints import check_webhook_url, register_endpoint
from valuecanvas.core.webhooks.metrics import WebhookFigures
from valuecanvas.core.webhooks.models import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)
from valuecanvas.core.webhooks.outbox import queue

URL = "https://hook.example/jobs?token=a%20b"


@pytest.mark.parametrize("url", [*INSIDE, "http://hook.example/"])
def test_url__private_or_plain__is_refused(settings: Settings, url: str) -> None:
    settings.WEBHOOKS_ALLOW_HTTP = False
    with pytest.raises(ValidationError):
        check_webhook_url(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://hook.example/", "valid URL"),
        ("hook.example", "valid URL"),
        ("https://user:pw@hook.example/", "no name or password"),
        ("https://hook.example:99999/", "up to 65535"),
        ("https://hook.example/ö", "ASCII"),
        (f"https://hook.example/{'x' * 2000}", "2000 characters"),
        ("https://hook.example/\nHost: x", "valid URL"),
    ],
)
def test_url__that_is_none__is_refused_with_the_reason(url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        check_webhook_url(url)


@pytest.mark.parametrize("url", [URL, "https://9.9.9.9:8443/"])
def test_url__public__is_taken(settings: Settings, url: str) -> None:
    settings.WEBHOOKS_ALLOW_HTTP = False
    check_webhook_url(url)


def test_url__private_where_they_are_allowed__is_taken() -> None:
    check_webhook_url("http://127.0.0.1:8080/hook")


@pytest.mark.django_db
def test_endpoint__of_one_owner_and_url__is_one_with_one_secret() -> None:
    first = register_endpoint("customer:a", URL)
    assert make_delivery(URL, "customer:a").endpoint == first
    assert register_endpoint("customer:a", URL).open_secret() == first.open_secret()
    other = register_endpoint("customer:b", URL)
    assert other.open_secret() != first.open_secret()
    assert first.open_secret().encode() not in bytes(first.secret_sealed)


@pytest.mark.django_db
def test_endpoint__one_too_many__is_refused_and_those_there_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 2)
    for number in range(2):
        register_endpoint("customer:a", f"{URL}{number}")
    with pytest.raises(ValidationError, match="no ids into URLs"):
        register_endpoint("customer:a", URL)
    register_endpoint("customer:a", f"{URL}1")
    register_endpoint("customer:b", URL)
    assert WebhookEndpoint.objects.count() == 3


@pytest.mark.django_db
def test_endpoint__longest_url__fits_into_the_index() -> None:
    noise = "".join(f"{number:x}" for number in range(9999))
    url = f"https://hook.example/{noise}"[:2000]
    assert register_endpoint(f"customer:{'x' * 90}", url).url == url


@pytest.mark.django_db
def test_queue__body_over_20_kb__is_refused_before_anything_is_written() -> None:
    with pytest.raises(ValueError, match="leave the answer out"):
        queue("customer:a", URL, "job.succeeded", {"answer": "x" * 20_000})
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.django_db
def test_send_again__states_and_endpoints__only_what_has_ended_and_may_be_sent() -> (
    None
):
    waiting, delivered, failed, off = (
        make_delivery(URL, f"customer:{name}") for name in "abcd"
    )
    for row, state in ((delivered, "delivered"), (failed, "failed"), (off, "failed")):
        WebhookDelivery.objects.filter(pk=row.pk).update(state=state, attempts=10)
    WebhookEndpoint.objects.filter(owner="customer:d").update(disabled_at=timezone.now())  # fmt: skip
    again = deliveries.send_again(WebhookDelivery.objects.all())
    assert {one.pk for one in again} == {delivered.pk, failed.pk}
    states = {one.pk: (one.state, one.attempts) for one in WebhookDelivery.objects.all()}  # fmt: skip
    assert states.pop(off.pk) == ("failed", 10)
    assert {*states.values()} == {("waiting", 0)}


@pytest.mark.django_db
def test_purge__old_webhooks__go_and_their_endpoints_stay(settings: Settings) -> None:
    settings.WEBHOOKS_KEEP_DAYS = 10
    old, kept = (make_delivery(URL, "customer:a") for _ in range(2))
    for row, days in ((old, 10.1), (kept, 9.9)):
        at = timezone.now() - timedelta(days=days)
        WebhookDelivery.objects.filter(pk=row.pk).update(created_at=at)
    assert purge.purge()["webhooks"] == 1
    assert [*WebhookDelivery.objects.all()] == [kept]
    assert WebhookEndpoint.objects.exists()


def figures() -> dict[str, float]:
    return {
        f"{sample.name}{''.join(sample.labels.values())}": sample.value
        for family in WebhookFigures().collect()
        for sample in family.samples
    }


@pytest.mark.django_db
def test_metrics__of_webhooks__count_attempts_and_what_waits() -> None:
    assert {*figures().values()} == {0}
    row = make_delivery(URL, "customer:a")
    make_delivery(URL, "customer:b")
    WebhookDelivery.objects.update(next_at=timezone.now() - timedelta(hours=1))
    WebhookEndpoint.objects.filter(pk=row.endpoint_id).update(delivered=3, failed=2)
    WebhookDelivery.objects.filter(pk=row.pk).update(state=DeliveryState.FAILED)
    found = figures()
    assert 3600 <= found.pop("valuecanvas_webhooks_late_seconds") < 7200
    assert found == {
        "valuecanvas_webhook_attempts_totaldelivered": 3,
        "valuecanvas_webhook_attempts_totalfailed": 2,
        "valuecanvas_webhooks_waiting": 1,
    }


@pytest.mark.django_db
def test_metrics__database_is_away__are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(type(WebhookEndpoint.objects.all()), "aggregate", away)
    assert figures() == {}
