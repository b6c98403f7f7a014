"""Webhooks on their way: what is sent, what is refused, and what is retried."""

import logging
import socket
import threading
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone
from pytest_django import Settings

from tests.core.webhooks.conftest import make_delivery, make_due
from tests.core.webhooks.receiver import Receiver, receiving
from valuecanvas.core.webhooks import deliveries, sender
from valuecanvas.core.webhooks.deliveries import (
    MOST_ATTEMPTS,
    MOST_PER_OWNER,
    SendResult,
)
from valuecanvas.core.webhooks.endpoints import GUARD, enable_endpoint, rotate_secret
from valuecanvas.core.webhooks.models import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)
from valuecanvas.core.webhooks.sender import send_due

pytestmark = pytest.mark.django_db
WAITING, DELIVERED = DeliveryState.WAITING, DeliveryState.DELIVERED
FAILED = DeliveryState.FAILED


def attempt(delivery: WebhookDelivery) -> WebhookDelivery:
    """Send what waits, and give the row as it is then."""
    make_due()
    assert send_due() == 1
    delivery.refresh_from_db()
    return delivery


def test_send__receiver_takes_it__is_signed_and_delivered(receiver: Receiver) -> None:
    row = make_delivery(receiver.url, id="job-1", costUsd=0.25)
    assert attempt(row).state == DELIVERED
    [got] = receiver.received
    body = orjson.loads(got.body)
    assert (body["type"], body["data"]) == ("job.succeeded", {"id": "job-1", "costUsd": 0.25})  # fmt: skip
    assert body["timestamp"].endswith("+00:00")
    assert (got.id, got.path) == (str(row.pk), "/hook")
    assert got.is_signed_by(row.endpoint.open_secret())
    assert (got.headers["user-agent"], got.headers["content-type"]) == ("valuecanvas", "application/json")  # fmt: skip
    assert (row.last_status, row.last_error, row.attempts) == (200, "", 1)
    assert row.finished_at is not None
    row.endpoint.refresh_from_db()
    assert (row.endpoint.delivered, row.endpoint.failed) == (1, 0)
    assert send_due() == 0


@pytest.mark.parametrize("status", [200, 204, 299])
def test_send__any_success__is_delivered(receiver: Receiver, status: int) -> None:
    receiver.status = status
    assert attempt(make_delivery(receiver.url)).state == DELIVERED


def test_send__receiver_fails__waits_three_times_as_long_each_time(
    receiver: Receiver,
) -> None:
    receiver.status = 500
    row = make_delivery(receiver.url)
    for number in range(1, MOST_ATTEMPTS):
        before = timezone.now()
        attempt(row)
        assert (row.state, row.attempts) == (WAITING, number)
        wait = (row.next_at - before).total_seconds() / (8 * 3 ** (number - 1))
        # With jitter; and the machine may be slow.
        assert 0.8 <= wait <= 2.5
    attempt(row)
    assert (row.state, row.last_status, row.last_error) == (FAILED, 500, "It answered 500.")  # fmt: skip
    assert [one["status"] for one in row.history] == [500] * MOST_ATTEMPTS
    assert {one.id for one in receiver.received} == {str(row.pk)}
    assert all(one.is_signed_by(row.endpoint.open_secret()) for one in receiver.received)  # fmt: skip
    row.endpoint.refresh_from_db()
    assert row.endpoint.state == "failing"
    assert row.endpoint.failed == MOST_ATTEMPTS


def test_send__after_a_failure__is_delivered_under_the_same_id(
    receiver: Receiver,
) -> None:
    receiver.status = 503
    row = attempt(make_delivery(receiver.url))
    receiver.status = 200
    assert attempt(row).state == DELIVERED
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    row.endpoint.refresh_from_db()
    assert row.endpoint.state == "enabled"


def test_send__receiver_says_nothing__ends_and_is_tried_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_S", 0.2)
    receiver.release.clear()
    row = attempt(make_delivery(receiver.url))
    assert (row.state, row.last_error) == (WAITING, "It did not answer within 0.2 seconds.")  # fmt: skip


def test_send__redirect__is_not_followed(receiver: Receiver) -> None:
    with receiving() as other:
        receiver.status, receiver.headers = 307, {"Location": other.url}
        row = attempt(make_delivery(receiver.url))
        assert row.last_error == "It answered 307: redirects are not followed."
        assert (row.state, other.received) == (WAITING, [])


def test_send__endless_answer__is_not_read(receiver: Receiver) -> None:
    receiver.megabytes = 100
    assert attempt(make_delivery(receiver.url)).state == DELIVERED
    assert receiver.written < 20 * 1024 * 1024


def test_send__nobody_listens__is_tried_again(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    row = attempt(make_delivery(url))
    assert row.last_error == "It cannot be reached (ClientConnectorError)."


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999])  # fmt: skip
def test_send__what_answers_is_no_web_server__is_tried_again(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            made, _ = listener.accept()
            with made:
                made.recv(65536)
                made.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        row = attempt(make_delivery(f"http://127.0.0.1:{listener.getsockname()[1]}/"))
        thread.join()
    assert row.state == WAITING
    assert row.last_error.startswith("It cannot be reached (")


# -- where it may go --------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "hook.example"])
def test_send__private_address__is_not_connected_to(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The name was public when it was saved; now it stands for an address of ours."""
    settings.WEBHOOKS_ALLOW_HTTP = False
    look_up = socket.getaddrinfo

    def rebound(name: Any, *args: Any, **kwargs: Any) -> Any:
        return look_up("127.0.0.1" if name == "hook.example" else name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        row = attempt(make_delivery(f"https://{host}:{port}/hook"))
        assert row.last_error == GUARD.private
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_send__plain_http_where_it_is_refused__is_not_connected_to(
    settings: Settings, receiver: Receiver
) -> None:
    row = make_delivery(receiver.url)
    settings.WEBHOOKS_ALLOW_HTTP = False
    assert attempt(row).last_error == GUARD.plain
    assert receiver.received == []


def test_send__proxy_in_the_environment__is_passed_by(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert attempt(make_delivery(receiver.url)).state == DELIVERED
        assert proxy.received == []


# -- secrets ----------------------------------------------------------------


def test_rotation__receiver_with_either_secret__can_verify(receiver: Receiver) -> None:
    row = make_delivery(receiver.url, "customer:a")
    endpoint = row.endpoint
    old = endpoint.open_secret()
    rotate_secret(endpoint)
    endpoint.refresh_from_db()
    new = endpoint.open_secret()
    attempt(row)
    assert new != old
    assert receiver.received[0].is_signed_by(old)
    assert receiver.received[0].is_signed_by(new)
    over = timezone.now() - timedelta(seconds=1)
    WebhookEndpoint.objects.update(previous_until=over)
    attempt(make_delivery(receiver.url, "customer:a"))
    assert not receiver.received[1].is_signed_by(old)
    assert receiver.received[1].is_signed_by(new)


def test_secret__that_field_key_does_not_open__is_told_and_mended_by_rotation(
    receiver: Receiver,
) -> None:
    row = make_delivery(receiver.url)
    WebhookEndpoint.objects.update(secret_sealed=bytes(40))
    assert "rotate it" in attempt(row).last_error
    assert receiver.received == []
    rotate_secret(row.endpoint)
    assert attempt(row).state == DELIVERED


# -- endpoints that take nothing any more -----------------------------------


def test_endpoint__answers_410__is_disabled_with_all_that_waits(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 410
    row = make_delivery(receiver.url, "customer:a")
    attempt(row)
    other = make_delivery(receiver.url, "customer:a")
    row.endpoint.refresh_from_db()
    assert (row.state, row.last_status) == (FAILED, 410)
    assert row.endpoint.state == "disabled"
    assert row.endpoint.disabled_reason == "It answered 410: it takes no more webhooks."
    assert (other.state, other.last_error) == (FAILED, "Its endpoint is disabled.")
    assert send_due() == 0
    receiver.status = 200
    enable_endpoint(row.endpoint)
    attempt(make_delivery(receiver.url, "customer:a"))
    assert len(receiver.received) == 2


def test_endpoint__fails_for_three_days__is_disabled(receiver: Receiver) -> None:
    receiver.status = 500
    row, later = (make_delivery(receiver.url, "customer:a") for _ in range(2))
    endpoint = WebhookEndpoint.objects.filter(pk=row.endpoint_id)
    now = timezone.now()
    endpoint.update(
        failing_since=now - timedelta(days=3), last_failed_at=now - timedelta(hours=9)
    )
    WebhookDelivery.objects.filter(pk=later.pk).update(next_at=now + timedelta(hours=1))
    assert send_due() == 1
    found = endpoint.get()
    assert found.disabled_reason == "Every attempt has failed for 3 days."
    later.refresh_from_db()
    row.refresh_from_db()
    assert (row.state, later.state) == (FAILED, FAILED)


def test_endpoint__failed_once_long_ago__is_not_disabled_by_one_failure(
    receiver: Receiver,
) -> None:
    receiver.status = 500
    row = make_delivery(receiver.url)
    long_ago = timezone.now() - timedelta(days=9)
    endpoint = WebhookEndpoint.objects.filter(pk=row.endpoint_id)
    endpoint.update(failing_since=long_ago, last_failed_at=long_ago)
    assert attempt(row).state == WAITING
    assert endpoint.get().state == "failing"


def test_endpoint__disabled_while_one_is_on_its_way__is_not_tried_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.status = 500
    original = deliveries.record

    def disabled_first(*args: Any) -> None:
        WebhookEndpoint.objects.update(disabled_at=timezone.now())
        original(*args)

    monkeypatch.setattr(deliveries, "record", disabled_first)
    assert attempt(make_delivery(receiver.url)).state == FAILED


def test_endpoint__deleted_while_one_is_on_its_way__is_forgotten(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_delivery(receiver.url)
    original = deliveries.record

    def deleted_first(*args: Any) -> None:
        WebhookEndpoint.objects.all().delete()
        original(*args)

    monkeypatch.setattr(deliveries, "record", deleted_first)
    assert send_due() == 1
    assert not WebhookDelivery.objects.exists()


# -- many --------------------------------------------------------------------


def test_send__one_owner_hangs__others_are_sent_meanwhile(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_S", 3.0)
    receiver.release.clear()
    with receiving() as healthy:
        for _ in range(3 * MOST_PER_OWNER):
            make_delivery(receiver.url, "customer:dead")
        for _ in range(12):
            make_delivery(healthy.url, "customer:alive")
        monkeypatch.setattr(sender, "RUN_S", 2.0)
        send_due()
        assert len({one.id for one in healthy.received}) == 12
        assert 0 < len(receiver.received) <= 2 * MOST_PER_OWNER


def test_send__while_this_process_sends__begins_no_second_run(
    receiver: Receiver,
) -> None:
    make_delivery(receiver.url)
    with sender._RUNNING:
        assert send_due() == 0
    assert send_due() == 1


def test_record__lease_has_lapsed__keeps_what_the_other_sender_wrote() -> None:
    make_delivery("http://127.0.0.1/")
    [late] = deliveries.claim_due(1)
    make_due()
    [mine] = deliveries.claim_due(1)
    deliveries.record(mine, SendResult("", 200, 5))
    deliveries.record(late, SendResult("It answered 500.", 500, 5))
    mine.refresh_from_db()
    assert (mine.state, mine.attempts, len(mine.history)) == (DELIVERED, 2, 1)
    assert WebhookEndpoint.objects.get().failed == 0


def test_secrets__of_a_whole_delivery__are_in_no_log_and_no_row(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = 410
    row = attempt(make_delivery(receiver.url))
    secret = row.endpoint.open_secret().removeprefix("whsec_")
    shown = f"{caplog.text} {vars(row)} {row.history} {vars(row.endpoint)}"
    assert secret not in shown
