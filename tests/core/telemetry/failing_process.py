"""A process in which errors of every kind happen, each with canaries around it."""

import asyncio
import logging
import sys
import threading

import django
import structlog
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import override_settings
from django.urls import path
from django.utils.module_loading import import_string

from tests.core.telemetry.sentry_receiver import CARD, DETAIL, KEY, MAIL
from valuecanvas import celery
from valuecanvas.core.telemetry.request_context import RequestContext


def crash(local: str) -> None:
    body = {"messages": [{"content": local}]}
    raise ValueError(f"Cannot read {body} of {MAIL}\nDETAIL: Key (name)=({DETAIL})")


def page(request: HttpRequest) -> HttpResponse:
    crash(request.headers["Authorization"])
    return HttpResponse()


def busy(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=503)


urlpatterns = [path("page/", page), path("busy/", busy)]


def log_errors() -> None:
    """By the two ways to log."""
    log = structlog.get_logger("the.gateway")
    log.warning("no.error", about=CARD)
    log.error("plain.error", about=f"{CARD} of {MAIL}", api_key=KEY)
    log.error("given.error", exc_info=LookupError(f"no key {KEY}"))
    try:
        crash(KEY)
    except ValueError:
        log.exception("it.crashed", job_id="job-1")
        log.exception("it.crashed")
    logging.getLogger("a.package").error("With %s", CARD, extra={"mail": MAIL})
    # As a worker runs it.
    celery.app.task(name="a.task")(crash).apply(args=[CARD])


async def serve_hot() -> None:
    """A request that crashes since the process has no gateway."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": CARD.encode(), "more_body": False}

    async def send(message: dict[str, object]) -> None:
        assert message.get("status", 500) == 500

    head = [(b"authorization", f"Bearer {KEY}".encode()), (b"content-length", b"19")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": head,
        "query_string": f"mail={MAIL}".encode(), "client": ("203.0.113.7", 1),
    }  # fmt: skip
    await import_string("valuecanvas.http.hot.handle")(scope, receive, send)


def serve_cold() -> None:
    client = Client(raise_request_exception=False, headers={"Authorization": KEY})
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        answer = client.post(f"/page/?token={KEY}", {"mail": MAIL}, "application/json")
        assert answer.status_code == 500
        assert client.get("/busy/").status_code == 503


if __name__ == "__main__":
    django.setup()
    with RequestContext("", {"request_id": "the-request", "trace_id": "a1b2"}):
        log_errors()
    asyncio.run(serve_hot())
    serve_cold()
    thread = threading.Thread(target=crash, args=[CARD], name=MAIL)
    thread.start()
    thread.join()
    flood = structlog.get_logger("the.flood")
    for _ in range(int(sys.argv[1])):
        flood.error("flood.error")
    crash(CARD)
