"""Slack, PagerDuty and e-mail on their way: forms, secrets, answers and retries."""

import smtplib
import socket
import threading
from typing import Any

import orjson
import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from tests.core.webhooks.conftest import make_due
from tests.core.webhooks.receiver import Receiver
from tests.fixtures_billing import unique
from valuecanvas.core.webhooks import kinds, outbox
from valuecanvas.core.webhooks.models import (
    DeliveryState,
    EndpointKind,
    WebhookDelivery,
    WebhookEndpoint,
)
from valuecanvas.core.webhooks.sender import send_due

pytestmark = pytest.mark.django_db
SECRET = "S3CRETx" * 5
SLACK, PAGERDUTY, EMAIL = EndpointKind.SLACK, EndpointKind.PAGERDUTY, EndpointKind.EMAIL
BODY = {"event_action": "trigger", "subject": "A subject", "text": "A text"}


def make_endpoint(kind: str, secret: str, url: str = "https://shown.example") -> WebhookEndpoint:  # fmt: skip
    endpoint = WebhookEndpoint(owner=unique("channel:a"), url=url, kind=kind)
    endpoint.set_secret(secret)
    endpoint.save()
    return endpoint


def make(kind: str, receiver: Receiver, about: str = "") -> WebhookDelivery:
    """A delivery to a receiver of this kind."""
    secret = f"{receiver.url}/{SECRET}" if kind == SLACK else SECRET
    found = WebhookEndpoint.objects.filter(kind=kind).first()
    return outbox.queue_body(found or make_endpoint(kind, secret), "a.b", BODY, about)


def attempt(row: WebhookDelivery) -> WebhookDelivery:
    make_due()
    assert send_due() == 1
    row.refresh_from_db()
    return row


@pytest.fixture
def pager(receiver: Receiver, settings: Settings) -> Receiver:
    settings.PAGERDUTY_URL = receiver.url.removesuffix("/hook")
    receiver.status = 202
    return receiver


def test_slack__answers_ok__is_delivered_to_the_secret_url(receiver: Receiver) -> None:
    receiver.answer = b"ok"
    assert attempt(make(SLACK, receiver)).state == DeliveryState.DELIVERED
    [got] = receiver.received
    assert got.path == f"/hook/{SECRET}"
    assert orjson.loads(got.body) == BODY
    assert "webhook-signature" not in got.headers


@pytest.mark.parametrize(
    ("status", "answer", "error", "state"),
    [
        (200, b"not ok", "It answered 200.", "waiting"),
        (404, b"no_service", "It answered 404 (no_service).", "failed"),
        (410, b"channel_is_archived", "It answered 410 (channel_is_archived).", "failed"),
        (403, SECRET.encode(), "It answered 403.", "failed"),
        (500, b"rollup_error", "It answered 500 (rollup_error).", "waiting"),
        (302, b"", "It answered 302: redirects are not followed.", "waiting"),
    ],
)  # fmt: skip
def test_slack__answers_otherwise__says_why_and_retries_where_it_may_help(
    receiver: Receiver, status: int, answer: bytes, error: str, state: str
) -> None:
    receiver.status, receiver.answer = status, answer
    row = attempt(make(SLACK, receiver))
    assert (row.last_error, row.state) == (error, state)


def test_slack__429__waits_as_long_as_it_asks(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": "120"}
    before = timezone.now()
    row = attempt(make(SLACK, receiver))
    assert row.state == DeliveryState.WAITING
    assert 120 <= (row.next_at - before).total_seconds() < 180
    receiver.status, receiver.answer = 200, b"ok"
    assert attempt(row).state == DeliveryState.DELIVERED


@pytest.mark.parametrize("asked", ["9999999", "soon", "-5", ""])
def test_slack__429_with_an_odd_wait__waits_an_hour_at_most(
    receiver: Receiver, asked: str
) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": asked}
    before = timezone.now()
    row = attempt(make(SLACK, receiver))
    assert 6 <= (row.next_at - before).total_seconds() < kinds.MOST_WAIT_S + 60


def test_pagerduty__202__has_the_key_only_on_the_wire(pager: Receiver) -> None:
    row = attempt(make(PAGERDUTY, pager))
    assert row.state == DeliveryState.DELIVERED
    [got] = pager.received
    assert got.path == "/v2/enqueue"
    assert orjson.loads(got.body) == {"routing_key": SECRET, **BODY}
    assert SECRET not in row.body


@pytest.mark.parametrize(("status", "state"), [(400, "failed"), (429, "waiting"), (500, "waiting"), (408, "waiting")])  # fmt: skip
def test_pagerduty__refuses__is_retried_unless_the_event_is_wrong(
    pager: Receiver, status: int, state: str
) -> None:
    pager.status = status
    row = attempt(make(PAGERDUTY, pager))
    assert row.state == state
    pager.status = 202
    make_due()
    assert send_due() == (state == "waiting")


def test_secret__of_any_kind__is_in_no_repr_row_or_error(
    pager: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    pager.status = 400
    rows = [attempt(make(kind, pager)) for kind in (SLACK, PAGERDUTY)]
    for row in rows:
        message = kinds.make_message(row, timezone.now())
        texts = [repr(message), repr(row), repr(row.endpoint), row.last_error, row.body]
        assert SECRET not in "".join([*texts, str(row.history), row.endpoint.url])
    assert SECRET not in caplog.text


def test_slack__plain_http_where_it_is_refused__is_not_connected_to(
    receiver: Receiver, settings: Settings
) -> None:
    row = make(SLACK, receiver)
    settings.WEBHOOKS_ALLOW_HTTP = False
    assert "WEBHOOKS_ALLOW_HTTP" in attempt(row).last_error
    assert receiver.received == []


def test_delivery__of_one_subject__waits_for_the_earlier_one(pager: Receiver) -> None:
    """PagerDuty would open for ever what is resolved before it is triggered."""
    pager.status = 500
    first, second = (make(PAGERDUTY, pager, "alert:1") for _ in range(2))
    other = make(PAGERDUTY, pager, "alert:2")
    make_due()
    assert send_due() == 2
    second.refresh_from_db()
    assert second.attempts == 0
    pager.status = 202
    make_due()
    assert send_due() == 3
    sent = WebhookDelivery.objects.order_by("finished_at").values_list("pk", flat=True)
    assert [*sent][-1] == second.pk
    assert {first.pk, other.pk} == {*sent[:2]}


# -- e-mail -------------------------------------------------------------------


@pytest.fixture
def mail_row(settings: Settings) -> WebhookDelivery:
    settings.EMAIL_HOST = "mail.example"
    endpoint = make_endpoint(EMAIL, "", "ann@a.example, bob@b.example")
    return outbox.queue_body(endpoint, "a.b", BODY)


def test_email__server_takes_it__reaches_all_addresses(mail_row: WebhookDelivery) -> None:  # fmt: skip
    assert attempt(mail_row).state == DeliveryState.DELIVERED
    [sent] = mail.outbox
    assert sent.to == ["ann@a.example", "bob@b.example"]
    assert (sent.subject, sent.body) == ("A subject", "A text")
    assert sent.message()["Message-ID"] == f"<{mail_row.pk}@valuecanvas>"


def test_email__no_server__says_what_to_set(
    mail_row: WebhookDelivery, settings: Settings
) -> None:
    settings.EMAIL_HOST = ""
    row = attempt(mail_row)
    assert (row.state, row.last_error) == ("waiting", "No e-mail server: set EMAIL_HOST.")  # fmt: skip


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (smtplib.SMTPAuthenticationError(535, b"s3cret"), "SMTPAuthenticationError 535"),
        (ConnectionRefusedError("s3cret"), "ConnectionRefusedError"),
    ],
)  # fmt: skip
def test_email__server_refuses__is_tried_again_without_its_words(
    mail_row: WebhookDelivery, monkeypatch: pytest.MonkeyPatch, failure: Any, said: str
) -> None:
    def refuse(*args: object) -> None:
        raise failure

    monkeypatch.setattr(mail.EmailMessage, "send", refuse)
    row = attempt(mail_row)
    assert row.last_error == f"The e-mail server refused it ({said})."
    assert row.state == DeliveryState.WAITING


def serve_smtp(listener: socket.socket, said: list[str]) -> None:
    """One conversation of SMTP, as a server holds it."""
    made, _ = listener.accept()
    with made, made.makefile("rwb", buffering=0) as wire:
        wire.write(b"220 here\r\n")
        for line in iter(wire.readline, b""):
            said.append(line.decode().strip())
            if said[-1] == "data":
                wire.write(b"354 go on\r\n")
            elif said[-1] in (".", "quit") or line.startswith((b"ehlo", b"mail", b"rcpt")):  # fmt: skip
                wire.write(b"250 fine\r\n")


def test_email__real_server__gets_the_message(
    mail_row: WebhookDelivery, settings: Settings
) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_USE_TLS = "127.0.0.1", False
        settings.EMAIL_PORT = listener.getsockname()[1]
        thread = threading.Thread(target=serve_smtp, args=[listener, said])
        thread.start()
        assert attempt(mail_row).state == DeliveryState.DELIVERED
        thread.join()
    assert {"rcpt TO:<ann@a.example>", "rcpt TO:<bob@b.example>"} <= set(said)
    assert {"Subject: A subject", "A text"} <= set(said)
